"""Does what the narrator says hold up? Figures of generated narratives, for each task and for all.

Claims right before and after the gate (checking.py) and what the gate costs; whether a text tells of its own
shopper and an endorsement of its own product; how varied the texts are and how much was learned by heart.
What can be measured of the reference narratives as well stands beside. Shares are between 0 and 1.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crs.bundle import Bundle
from crs.content import TextEncoder
from crs.evaluation import variety
from crs.evaluation.checking import Checked, Side, check_sides, claims_report, sentences_report
from crs.evaluation.identify import (
    N_ITEMS,
    N_SHOPPERS,
    item_lineups,
    lineups,
    profiles,
    share_found,
    stripped,
    unquoted,
)
from crs.evaluation.telling import Progress, Told
from crs.narrator.evidence import StoreWords
from crs.narrator.sentence import sentences
from knowledge.types import TARGET_TASKS, Task

ALL = "all"
Figures = dict[str, Any]


@dataclass(frozen=True)
class Learned:
    """The sentences of the training narratives: as they are, and with all pointers alike."""

    exact: frozenset[str]
    alike: frozenset[str]


def faithfulness(
    bundle: Bundle,
    encoder: TextEncoder,
    told: Mapping[Task, Sequence[Told]],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Figures]:
    """All figures of ``told`` (tell_all, telling.py); ``seed`` draws the strangers of the line-ups."""
    parts: dict[str, Sequence[Told]] = dict(told.items())
    parts[ALL] = [each for part in told.values() for each in part]
    words = StoreWords.of(bundle.store.items.values())
    sides: dict[str, dict[Side, Checked]] = {}
    for done, (task, part) in enumerate(told.items(), start=1):
        sides[task] = check_sides(part, bundle.store, words)
        if progress:
            progress("claims checked", done, len(told))
    sides[ALL] = _together(list(sides.values()))
    found: Figures = {}
    about_people = [task for task in told if task not in TARGET_TASKS]
    for done, about in enumerate(about_people, start=1):
        found[about] = shoppers_found(bundle, encoder, told[about], seed)
        if progress:
            progress("shoppers looked for", done, len(about_people))
    endorsed = items_found(bundle, encoder, told["product_endorsement"], seed)
    learned = learned_sentences(bundle)
    varied: Figures = {}
    for done, (name, part) in enumerate(parts.items(), start=1):
        varied[name] = variety_report(part, learned, seed)
        if progress:
            progress("variety", done, len(parts))
    return {
        "claims": {task: claims_report(part, sides[task]) for task, part in parts.items()},
        "sentences": {task: sentences_report(part, sides[task]) for task, part in parts.items()},
        "time of the gate": {task: time_report(part) for task, part in parts.items()},
        f"shopper among {N_SHOPPERS}": found,
        f"endorsed item among {N_ITEMS}": endorsed,
        "variety": varied,
    }


def _together(sides: Sequence[Mapping[Side, Checked]]) -> dict[Side, Checked]:
    total: dict[Side, Checked] = {}
    for of_task in sides:
        for side, checked in of_task.items():
            total[side] = total.get(side, Checked()) + checked
    return total


def time_report(told: Sequence[Told]) -> Figures:
    """Time of a narrative with the gate and without, of the same seed; a ratio of 1.15 is 15 % more.

    With its gate open the narrator checks and counts as well: that time is taken off. ``own_median_ratio`` is
    the same by the gate's own clock, so of one text and not of two that differ in length.
    """
    compared = [(each.shown, each.ungated) for each in told if each.ungated]
    ungated = [open_gate.seconds - open_gate.gate_s for _, open_gate in compared]
    gated = [shown.seconds for shown, _ in compared]
    own = [each.shown.seconds / (each.shown.seconds - each.shown.gate_s) for each in told]
    return {
        "n": len(compared),
        "gated_median_ms": 1e3 * statistics.median(gated),
        "ungated_median_ms": 1e3 * statistics.median(ungated),
        "median_ratio": statistics.median(a / b for a, b in zip(gated, ungated, strict=True)),
        "ratio_of_sums": sum(gated) / sum(ungated),
        "own_median_ratio": statistics.median(own),
    }


def shoppers_found(bundle: Bundle, encoder: TextEncoder, told: Sequence[Told], seed: int) -> Figures:
    """How often a text, names stripped, is nearer to its shopper's mean item content than to 19 others'."""
    once = first_tellings(told)
    people = profiles(bundle, [each.occasion.history(bundle.store) for each in once])
    drawn = lineups([each.occasion.user_id for each in once], N_SHOPPERS, random.Random(seed))
    figures: Figures = {"n": len(once), "among": max(map(len, drawn))}
    for whose, texts in _texts(once).items():
        figures[whose] = share_found([stripped(text) for text in texts], people, drawn, encoder)
    return _of_references(figures)


def items_found(bundle: Bundle, encoder: TextEncoder, told: Sequence[Told], seed: int) -> dict[str, Figures]:
    """How often an endorsement, names stripped, is nearer to its product's listing than to 99 others'.

    Once with the facts that it quotes from the listing, and once without them.
    """
    once = first_tellings(told)
    targets = [bundle.store.items[each.occasion.target_id or ""] for each in once]
    drawn = item_lineups(bundle, [item.item_id for item in targets], N_ITEMS, random.Random(seed))
    kept: Figures = {"n": len(once), "among": max(map(len, drawn))}
    bare = dict(kept)
    for whose, texts in _texts(once).items():
        kept[whose] = share_found([stripped(text) for text in texts], bundle.item_content, drawn, encoder)
        without = [unquoted(text, item) for text, item in zip(texts, targets, strict=True)]
        bare[whose] = share_found(without, bundle.item_content, drawn, encoder)
    return {"quoted facts kept": _of_references(kept), "quoted facts stripped": _of_references(bare)}


def variety_report(told: Sequence[Told], learned: Learned, seed: int) -> dict[str, Figures]:
    """Of the texts as shown and of the references, one of each input, so that as many are compared.

    Only whether texts are unique and free of loops is looked at in all that was generated.
    """
    shown = [each.shown.text for each in told]
    report: dict[str, Figures] = {}
    for whose, texts in _texts(first_tellings(told)).items():
        counted = shown if whose == "generated" else texts
        report[whose] = {
            "n": len(counted),
            "unique": variety.unique(counted),
            "loops": variety.loops(counted),
            "compared": len(texts),
            "words": statistics.mean(map(variety.n_words, texts)),
            "distinct_1": variety.distinct(texts, 1),
            "distinct_2": variety.distinct(texts, 2),
            "self_bleu": variety.self_bleu(texts, seed=seed),
        }
        if learned.exact:
            alike = [variety.pointers_alike(text) for text in texts]
            report[whose]["verbatim"] = variety.seen(texts, learned.exact)
            report[whose]["verbatim_pointers_alike"] = variety.seen(alike, learned.alike)
    return report


def learned_sentences(bundle: Bundle) -> Learned:
    """The sentences of the train split's reference narratives; none where the store has none."""
    users = frozenset(bundle.splits["train"])
    texts = [told.text for told in bundle.store.narratives() if told.user_id in users]
    return Learned(
        frozenset(each for text in texts for each in sentences(text)),
        frozenset(each for text in texts for each in sentences(variety.pointers_alike(text))),
    )


def first_tellings(told: Sequence[Told]) -> list[Told]:
    """One of each input: the same shopper asked again with another seed counts once."""
    inputs: dict[tuple[str, Task, str | None], Told] = {}
    for each in told:
        inputs.setdefault((each.occasion.user_id, each.occasion.task, each.occasion.target_id), each)
    return list(inputs.values())


def _texts(told: Sequence[Told]) -> dict[str, list[str]]:
    """The generated texts, and the references where every one of them has one."""
    references = [each.occasion.reference for each in told]
    generated = {"generated": [each.shown.text for each in told]}
    return {"references": references, **generated} if all(references) else generated


def _of_references(figures: Figures) -> Figures:
    """With the share of the references' score, where there is one above zero."""
    if figures.get("references"):
        return figures | {"of_references": figures["generated"] / figures["references"]}
    return figures
