"""The ranker: signals and their learned blend, fitted on a store's purchases, kept in one file.

What is kept is cut to what an app can hold and read at once: ties of items to the 64 strongest. Everything
scores a history as it comes, so a new purchase changes the list without anything being learned anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crs.adapter import SoftTokens
from crs.cf import fit_wals, turned
from crs.ranking.blend import Blend, candidates_of, even_blend, fit_blend
from crs.ranking.data import Queries, Rows, owned_matrix
from crs.ranking.links import Links, links_of
from crs.ranking.next_item import ItemRows, NextItem, train_on_trunk
from crs.ranking.pairs import ItemTies, Scores
from crs.ranking.sequential import SequentialScorer
from crs.ranking.signals import (
    Again,
    Alike,
    Nearness,
    Prior,
    Scorer,
    Signal,
    Walk,
    Wals,
    alike_items,
    fit_signals,
)
from crs.ranking.splits import last_hidden
from knowledge.types import Item, Signals

LENT = "together of alike"  # ties that content lends to items
N_TUNED = 6000  # users whose last purchase the blend is learned from, at most
N_WATCHED = 2000  # of them, those whose last purchase tells when a training has been long enough
N_MORE = 3  # epochs with what was hidden from the training that the blend was learned by
MAX_FORETOLD = 50_000  # items: a softmax over more takes hours to train

Progress = Callable[[str, int, int], None]  # stage, done, total


@dataclass(frozen=True)
class Ranker:
    """Signals and their learned blend: a scorer of histories.

    ``replaced``: how often what disappointed is followed by another of its kind (`replacement_rate`).
    """

    signals: list[Signal]
    blend: Blend
    replaced: float = 0.0

    def scores(self, histories: Sequence[Rows], among: Rows | None = None) -> Scores:
        """float32 (n, n_items)."""
        found = self.blend.scores(self.signals, histories)
        return found if among is None else found[:, among]

    def parts(self, history: Rows, among: Rows | None = None) -> dict[str, NDArray[np.float32]]:
        """See `Blend.parts`."""
        return self.blend.parts(self.signals, history, among)

    @property
    def again(self) -> NDArray[np.float32]:
        """The share of an item's buyers who bought it more than once, float32 (n_items,)."""
        return next(
            signal.scorer.again
            for signal in self.signals
            if isinstance(signal.scorer, Again) and signal.name == "bought again"
        )

    @property
    def next_item(self) -> NextItem | None:
        """The scorer that reads as the narrator does, where the ranker was fitted with one."""
        return next((each.scorer for each in self.signals if isinstance(each.scorer, NextItem)), None)


def fit_ranker(
    sequences: Sequence[Rows],
    items: Sequence[Item],
    content: NDArray[np.float32],
    factors: NDArray[np.float32],
    *,
    use: Signals = "fused",
    replaced: float = 0.0,
    soft_tokens: SoftTokens | None = None,
    heard: Signals = "fused",
    progress: Progress | None = None,
) -> Ranker:
    """Fit the signals on ``sequences`` (item rows, oldest first), the blend on their last items, hidden.

    ``content`` unit rows (n_items, 384); ``factors`` (n_items, 128) fitted on the same sequences; ``use``:
    which of the two the signals may read; ``replaced`` as of `Ranker`. ``soft_tokens``: a narrator's
    adapter, through whose trunk one more signal reads what the narrator has ``heard`` of items in training.
    """
    told = progress or (lambda stage, done, total: None)
    told("ranker", 0, 3)
    fold = last_hidden(sequences, at_most=N_TUNED)
    early = fit_wals(owned_matrix(fold.sequences, len(items)))
    listings = Listings.of(items, content)
    tuned = served_signals(fold.sequences, items, content, early, use=use, listings=listings)
    told("ranker", 1, 3)
    trained = None
    if soft_tokens is not None and use == "fused" and len(fold.queries) and len(items) <= MAX_FORETOLD:
        rows = ItemRows(turned(early, factors), content, heard)
        trained = train_on_trunk(
            fold.sequences, soft_tokens, rows,
            watched=fold.queries.spread(N_WATCHED), progress=_stage(told, "next item, tuned"),
        )  # fmt: skip
        tuned.append(sequence_signal(trained, soft_tokens, rows))
    blend = _learned(tuned, fold.queries)
    told("ranker", 2, 3)
    signals = served_signals(sequences, items, content, factors, use=use, listings=listings)
    if soft_tokens is not None and trained is not None:
        rows = ItemRows(factors, content, heard)
        trained = train_on_trunk(
            sequences, soft_tokens, rows,
            begun=trained, epochs=N_MORE, progress=_stage(told, "next item, with the last purchases"),
        )  # fmt: skip
        signals.append(sequence_signal(trained, soft_tokens, rows))
    told("ranker", 3, 3)
    return Ranker(signals, blend, replaced)


def sequence_signal(trained: SequentialScorer, soft_tokens: SoftTokens, rows: ItemRows) -> Signal:
    """What was trained on the trunk, as a signal."""
    return Signal("sequence", "sequence", NextItem.of(trained, soft_tokens, rows))


def _stage(progress: Progress, stage: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(stage, done, total)


@dataclass(frozen=True)
class Listings:
    """What does not change with who bought what: which items are ``alike``, and links by their words."""

    alike: Alike
    links: Links

    @classmethod
    def of(cls, items: Sequence[Item], content: NDArray[np.float32]) -> Listings:
        """From the items and their unit ``content`` (n_items, 384)."""
        alike = alike_items(items, content)
        return cls(alike, links_of(Nearness(alike.words, 1.0), len(items)))


def served_signals(
    sequences: Sequence[Rows],
    items: Sequence[Item],
    content: NDArray[np.float32],
    factors: NDArray[np.float32],
    *,
    use: Signals = "fused",
    listings: Listings | None = None,
) -> list[Signal]:
    """The signals of `fit_signals`, ties cut to the strongest.

    ``content`` (n_items, 384) unit rows, ``factors`` (n_items, 128); ``use``: which of the two are heard.
    ``listings``: what the same items and content gave before.
    """
    listings = listings or Listings.of(items, content)

    def cut(scorer: Scorer) -> Scorer:
        if isinstance(scorer, Nearness) and scorer.vectors is listings.alike.words:
            return replace(listings.links, decay=scorer.decay, best=scorer.best)
        return links_of(scorer, len(items)) if isinstance(scorer, ItemTies | Walk) else scorer

    fitted = fit_signals(sequences, items, content, factors=factors, alike=listings.alike)
    return [replace(each, scorer=cut(each.scorer)) for each in fitted if _reads(each, use)]


def _reads(signal: Signal, use: Signals) -> bool:
    """Whether the signal keeps to what ranking may use; popularity and repeats are neither's."""
    if use == "content":
        return signal.family in ("content", "popularity", "repeat")
    return use == "fused" or (signal.family != "content" and not signal.name.startswith(LENT))


def _learned(signals: Sequence[Signal], queries: Queries) -> Blend:
    """The blend for the queries; all signals alike where none of their targets can be found."""
    candidates = candidates_of(signals, queries) if len(queries) else None
    if candidates is None or not len(candidates.features):
        return even_blend(signals)
    return fit_blend(signals, candidates)


def save_ranker(path: Path, ranker: Ranker) -> None:
    """Write the ranker into one npz: all but what its bundle has anyway, and `Ranker.next_item`."""
    arrays: dict[str, NDArray[Any]] = {
        "blend": ranker.blend.weights,
        "replaced": np.array(ranker.replaced),
    }
    told = []
    for at, signal in enumerate(ranker.signals):
        scorer = signal.scorer
        made: dict[str, Any] = {"kind": type(scorer).__name__, "name": signal.name, "family": signal.family}
        if isinstance(scorer, Links):
            narrow = np.uint16 if len(scorer.ids) <= 2**16 else np.int32
            arrays[f"{at}/ids"] = scorer.ids.astype(narrow)
            arrays[f"{at}/weights"] = scorer.weights.astype(np.float16)
            made |= {"decay": scorer.decay, "last": scorer.last, "best": scorer.best}
        elif isinstance(scorer, Nearness):
            made |= {"decay": scorer.decay, "best": scorer.best}
        elif isinstance(scorer, Prior):
            arrays[f"{at}/values"] = scorer.values
        elif isinstance(scorer, Again):
            arrays[f"{at}/values"] = scorer.again
            made |= {"decay": scorer.decay}
        told.append(made)
    np.savez_compressed(path, allow_pickle=False, signals=np.array(json.dumps(told)), **arrays)


def load_ranker(
    path: Path,
    content: NDArray[np.float32],
    factors: NDArray[np.float32],
    next_item: NextItem | None = None,
) -> Ranker:
    """Read what `save_ranker` wrote; ``content`` (n_items, 384), ``factors`` (n_items, 128) as then.

    Without the ``next_item`` that it was fitted with, the other signals rank by the weights they have.
    """
    with np.load(path, allow_pickle=False) as arrays:
        signals, columns = [], []
        for at, made in enumerate(json.loads(str(arrays["signals"]))):
            scorer: Scorer
            if made["kind"] == "Links":
                ids, weights = arrays[f"{at}/ids"], arrays[f"{at}/weights"].astype(np.float32)
                scorer = Links(ids.astype(np.int32), weights, made["decay"], made["last"], made["best"])
            elif made["kind"] == "Nearness":
                scorer = Nearness(content, made["decay"], made["best"])
            elif made["kind"] == "Prior":
                scorer = Prior(arrays[f"{at}/values"])
            elif made["kind"] == "Again":
                scorer = Again(arrays[f"{at}/values"], made["decay"])
            elif made["kind"] == "NextItem":
                if next_item is None:
                    continue
                scorer = next_item
            else:
                scorer = Wals(factors)
            signals.append(Signal(made["name"], made["family"], scorer))
            columns += [2 * at, 2 * at + 1]
        blend = Blend(tuple(signal.name for signal in signals), arrays["blend"][:, columns])
        return Ranker(signals, blend, float(arrays["replaced"]))
