"""Ties of items cut to the strongest of each: small on disk, read at once whatever the catalogue's size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crs.ranking.data import Rows
from crs.ranking.pairs import ItemTies, Scores
from crs.ranking.signals import Nearness, Walk

N_LINKS = 64  # ties kept of an item
CHUNK = 256  # items asked at once


@dataclass(frozen=True)
class Links:
    """Scores by each item's strongest ties: ``ids`` int32 and ``weights`` float32, (n_items, k), 0 for none.

    ``decay``: weight of an item against the one after it; ``last``: how many of the last items count, 0 all;
    ``best``: an item scores by its strongest tie to the history, else by their sum.
    """

    ids: NDArray[np.int32]
    weights: NDArray[np.float32]
    decay: float = 1.0
    last: int = 0
    best: bool = False

    def scores(self, histories: Sequence[Rows], among: Rows | None = None) -> Scores:
        """float32 (n, n_items), or of the rows ``among``."""
        n_items = len(self.ids)
        found = np.zeros((len(histories), n_items), dtype=np.float32)
        for row, history in enumerate(histories):
            known = history[-self.last :] if self.last else history
            age = np.arange(len(known), dtype=np.float32)[::-1, None]
            add = np.maximum if self.best else np.add
            add.at(found[row], self.ids[known], np.float32(self.decay) ** age * self.weights[known])
        return found if among is None else found[:, among]


def links_of(scorer: ItemTies | Nearness | Walk, n_items: int, k: int = N_LINKS) -> Links:
    """The ``k`` strongest ties of each item, over the strongest of all: the answers to single items."""
    ids, weights = [], []
    k = min(k, n_items)
    for start in range(0, n_items, CHUNK):
        ties = scorer.scores([np.array([row]) for row in range(start, min(start + CHUNK, n_items))])
        best = np.argpartition(-ties, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(ties, best, axis=1)
        order = np.lexsort((best, -found), axis=1)
        ids.append(np.take_along_axis(best, order, axis=1).astype(np.int32))
        weights.append(np.maximum(np.take_along_axis(found, order, axis=1), 0.0))
    last = scorer.last if isinstance(scorer, ItemTies) else 0
    best_only = isinstance(scorer, Nearness) and scorer.best
    strengths = np.concatenate(weights)
    strengths /= max(float(strengths.max(initial=0.0)), 1e-12)  # small numbers do not survive float16
    return Links(np.concatenate(ids), strengths, scorer.decay, last, best_only)
