"""Which items of a large catalogue are worth scoring: the best of each signal, found without reading it all.

Content is compared in few dimensions (its principal components, Pearson 1901), what comes next has few of its
own, ties know whom they reach, the famous are known beforehand. What is listed is then scored exactly; what
is not allowed is never listed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crs.ranking.data import Rows
from crs.ranking.links import Links
from crs.ranking.ranker import Ranker
from crs.ranking.signals import RECENT, Nearness, Prior

FEW = 3_000  # allowed items that are all scored
PER_SIGNAL = 200  # best items of a signal that are listed
SKETCH_DIM = 48
N_SAMPLED = 20_000  # items that the principal components are found from


class Shortlist:
    """The best of a ranker's signals for a history; ``content`` float32 unit rows (n_items, 384)."""

    def __init__(self, ranker: Ranker, content: NDArray[np.float32]) -> None:
        scorers = [signal.scorer for signal in ranker.signals]
        self._links = [scorer for scorer in scorers if isinstance(scorer, Links)]
        self._next_item = ranker.next_item
        self._nearness = next((s for s in scorers if isinstance(s, Nearness) and not s.best), None)
        fame = next(scorer.values for scorer in scorers if isinstance(scorer, Prior))
        self._famous = np.argsort(-fame, kind="stable")
        self._content, self._axes, self._sketch = content, np.empty((384, 0), np.float32), content[:, :0]
        if len(content) > FEW:
            sampled = content[:: len(content) // N_SAMPLED + 1]
            _, axes = np.linalg.eigh(sampled.T @ sampled)
            self._axes = np.ascontiguousarray(axes[:, -SKETCH_DIM:])
            self._sketch = content @ self._axes

    def rows(self, history: Rows, asked: NDArray[np.float32], allowed: NDArray[np.bool_], k: int) -> Rows:
        """Allowed item rows in order, at least ``k`` if there are; all where they are few.

        ``asked`` (n, 384): where in content a wish points; ``allowed`` (n_items,).
        """
        if np.count_nonzero(allowed) <= FEW:
            return np.flatnonzero(allowed)
        size = max(k, PER_SIGNAL)
        listed = [self._most_famous(allowed, size)]
        for links in self._links:
            reached = np.flatnonzero(_marked(len(allowed), links.ids[history[-RECENT:]]) & allowed)
            listed.append(_top(links.scores([history], reached)[0], reached, size))
        everything = np.arange(len(allowed))
        if self._next_item is not None and len(history):
            odds = self._next_item.scores([history])[0]
            listed.append(_top(np.where(allowed, odds, -1.0), everything, size))
        pointed = list(asked)
        if self._nearness is not None and len(history):
            age = np.arange(len(history), dtype=np.float32)[::-1]
            pointed.append(self._nearness.decay**age @ self._content[history])
        for point in pointed:
            near = self._sketch @ (point @ self._axes)
            near[~allowed] = -np.inf
            listed.append(_top(near, everything, size))
        return np.flatnonzero(_marked(len(allowed), np.concatenate(listed)))

    def _most_famous(self, allowed: NDArray[np.bool_], k: int) -> Rows:
        first = self._famous[: 50 * k]  # a wish that leaves fewer of them is looked up in all
        found = first[allowed[first]]
        return found[:k] if len(found) >= k else self._famous[allowed[self._famous]][:k]


def _marked(n_items: int, rows: NDArray[np.integer]) -> NDArray[np.bool_]:
    """True at the ``rows``; to look these up is quicker than to sort the rows."""
    marked = np.zeros(n_items, dtype=bool)
    marked[rows] = True
    return marked


def _top(scores: NDArray[np.float32], rows: Rows, k: int) -> Rows:
    return rows if len(rows) <= k else rows[np.argpartition(-scores, k - 1)[:k]]
