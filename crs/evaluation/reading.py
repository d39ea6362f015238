"""Does the narrator read its soft tokens, and is what it says in order? Measured on people it never saw.

Three questions, each with a figure that a narrator which ignores its soft tokens cannot reach:
* the swap gap: how much worse it foresees a reference when it is given another shopper's soft tokens;
* pointers: does the noun it says after a pointer name the kind of product pointed at (gate switched off);
* identification: from a long summary without product names, is the shopper found among 20, and when the
  soft tokens are another's, does the summary follow them?
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from crs.bundle import Bundle
from crs.content import TextEncoder
from crs.evaluation.identify import N_SHOPPERS, lineups, profiles, share_found, stripped
from crs.evaluation.telling import to_its_end
from crs.measures import reference_lessons, references
from crs.narrator.evidence import Evidence, StoreWords
from crs.narrator.gate import check
from crs.narrator.narrate import Narrated
from crs.rows import FusedRows
from crs.storyteller import Storyteller
from crs.tuning import Lesson, TunableNarrator
from knowledge.errors import InputError
from knowledge.types import MAX_HISTORY, TASKS, Narrative, Task

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Said:
    """A narrative that was generated for a reference's input, and what was counted in it."""

    reference: Narrative
    narrated: Narrated
    n_pointers: int
    n_wrong_nouns: int
    n_invalid: int


def swap_gap(bundle: Bundle, rows: FusedRows, users: Sequence[str], n: int) -> dict[str, float]:
    """Loss on ``n`` references with one's own soft tokens and with a stranger's, in nats a token."""
    narrator = TunableNarrator(bundle.narrator_dir)
    lessons = reference_lessons(references(bundle, users, n), bundle, rows)
    own = narrator.loss(lessons)
    swapped = narrator.loss(strangers_rows(lessons))
    return {"loss": own, "loss_swapped": swapped, "swap_gap": swapped - own, "n": float(len(lessons))}


def strangers_rows(lessons: Sequence[Lesson]) -> list[Lesson]:
    """Each lesson with the history rows of another shopper's; the target's row stays its own.

    The donor's history is the next longer one, so that every row is another's; the longest histories
    borrow from the longest below. Without any stranger a lesson keeps its rows.
    """
    by_length = sorted(lessons, key=lambda lesson: len(lesson.evidence.items))
    swapped: list[Lesson] = []
    for rank, lesson in enumerate(by_length):
        donors = [*by_length[rank + 1 :], *reversed(by_length[:rank])]
        donor = next((each for each in donors if not _same_shopper(each, lesson)), lesson)
        rows = lesson.rows.copy()
        n_borrowed = min(len(lesson.evidence.items), len(donor.evidence.items))
        rows[:n_borrowed] = donor.rows[:n_borrowed]
        swapped.append(replace(lesson, rows=rows))
    return swapped


def _same_shopper(one: Lesson, other: Lesson) -> bool:
    """Whether one history is the beginning of the other, as those of one shopper are."""
    n_common = min(len(one.evidence.items), len(other.evidence.items))
    return np.array_equal(one.rows[:n_common], other.rows[:n_common])


def narrate_references(
    bundle: Bundle,
    storyteller: Storyteller,
    told: Sequence[Narrative],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Said]:
    """Generate for the input of each reference; pointers and nouns are counted in the text as returned."""
    said = []
    words = StoreWords.of(bundle.store.items.values())
    for i, reference in enumerate(told):
        history = bundle.store.history(reference.user_id)[: reference.n_history]
        target = bundle.store.items[reference.target_id] if reference.target_id else None
        narrated = to_its_end(storyteller.tell(history, reference.task, target, seed=seed + i))
        evidence = Evidence.of(history, bundle.store.items, reference.task, target, words)
        claims = check(narrated.text, evidence)
        n_invalid = sum(claim.kind == "pointer" and not claim.holds for claim in claims)
        said.append(
            Said(
                reference,
                narrated,
                n_pointers=sum(claim.kind == "pointer" for claim in claims),
                n_wrong_nouns=n_invalid + sum(claim.kind == "noun" and not claim.holds for claim in claims),
                n_invalid=n_invalid,
            )
        )
        if progress:
            progress("narratives", i + 1, len(told))
    return said


def spread(bundle: Bundle, users: Sequence[str], n: int, tasks: Sequence[Task] = TASKS) -> list[Narrative]:
    """Up to ``n`` references of ``users``, the same number of each task; InputError when there are none."""
    chosen = set(users)
    by_task: dict[Task, list[Narrative]] = {task: [] for task in tasks}
    for each in bundle.store.narratives():
        if each.user_id in chosen and each.task in by_task and each.n_history <= MAX_HISTORY:
            by_task[each.task].append(each)
    found = [each for told in by_task.values() for each in told[: -(-n // len(tasks))]][:n]
    if not found:
        raise InputError(bundle.path, "no reference narratives of these users; measure a bundle that has")
    return found


def order_report(said: Sequence[Said]) -> dict[str, float]:
    """Of generated narratives, the share of right nouns and of different texts; the rest are counts."""
    texts = [each.narrated.text for each in said]
    n_pointers = sum(each.n_pointers for each in said)
    return {
        "n": float(len(said)),
        "pointers": float(n_pointers),
        "invalid_pointers": float(sum(each.n_invalid for each in said)),
        "noun_right": 1 - sum(each.n_wrong_nouns for each in said) / max(1, n_pointers),
        "unique": len(set(texts)) / len(texts),
        "empty": float(sum(not text.strip() for text in texts)),
        "at_length_limit": float(sum(each.narrated.cut for each in said)),
        "sentences_rejected": float(sum(each.narrated.sentences_rejected for each in said)),
    }


def identification(
    bundle: Bundle,
    storyteller: Storyteller,
    encoder: TextEncoder,
    users: Sequence[str],
    *,
    n: int,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Share of long summaries, names stripped, that are nearest to their own shopper among 20.

    Nearness is the cosine of the summary's sentence embedding and the mean content row of the history.
    ``references``: the same test with the reference texts; ``follows_donor``: with another shopper's soft
    tokens, how often the summary is nearest to that donor. Raises InputError without long summaries.
    """
    told = spread(bundle, users, n, ("user_summary_long",))
    owners = [each.user_id for each in told]
    people = profiles(bundle, [bundle.store.history(each.user_id)[: each.n_history] for each in told])
    drawn = lineups(owners, N_SHOPPERS, random.Random(seed))
    donors = [*range(1, len(told)), 0]
    donor_drawn = [
        [donor, *[other for other in lineup if other != donor][: len(lineup) - 1]]
        for donor, lineup in zip(donors, drawn, strict=True)
    ]
    said = narrate_references(bundle, storyteller, told, seed=seed, progress=progress)
    swapped_texts = _swapped_texts(bundle, storyteller, told, [told[donor] for donor in donors], seed)

    def found(texts: Sequence[str], among: Sequence[Sequence[int]]) -> float:
        return share_found([stripped(text) for text in texts], people, among, encoder)

    return {
        "n": float(len(told)),
        "among": float(max(map(len, drawn))),
        "references": found([each.text for each in told], drawn),
        "generated": found([each.narrated.text for each in said], drawn),
        "follows_donor": found(swapped_texts, donor_drawn),
    }


def _swapped_texts(
    bundle: Bundle,
    storyteller: Storyteller,
    told: Sequence[Narrative],
    donors: Sequence[Narrative],
    seed: int,
) -> list[str]:
    """What is told of each when the soft tokens are the donor's, as many as both have purchases."""
    texts = []
    for i, (reference, donor) in enumerate(zip(told, donors, strict=True)):
        own = bundle.store.history(reference.user_id)[: reference.n_history]
        lent = bundle.store.history(donor.user_id)[: donor.n_history]
        n = min(len(own), len(lent))
        stream = storyteller.tell(lent[:n], reference.task, None, seed=seed + 10_000 + i)
        texts.append(to_its_end(stream).text)
    return texts
