"""Which items matter most to those who took an item: Personalised PageRank above what chance would give."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from crs.pagerank import UserItemGraph, personalized_pagerank

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_BATCH = 512  # seeds walked at a time: float32 (512, n_users + n_items) in memory
_TOLERANCE = 3e-4  # an order among the first few needs no more, so float32 does as well


def important_neighbours(
    user_items: csr_matrix, n: int, *, progress: Callable[[int, int], None] | None = None
) -> list[list[int]]:
    """For each item the ``n`` other items that matter most to it, the most important first; fewer if fewer.

    Famous items score high whatever the seed. So importance is what the personalised PageRank has above the
    item's share of all edges, over that share's root (Pearson's residual). Ties go to the earlier item.
    """
    graph, n_items = UserItemGraph.of(user_items), user_items.shape[1]
    edges = np.asarray(user_items.sum(axis=0), dtype=np.float64).ravel()
    neighbours: list[list[int]] = []
    for start in range(0, n_items, _BATCH):
        seeds = np.arange(start, min(start + _BATCH, n_items))
        scores = personalized_pagerank(graph, seeds, tolerance=_TOLERANCE)
        scores[np.arange(len(seeds)), seeds] = 0.0
        others = np.maximum(edges.sum() - edges[seeds], 1.0)
        by_chance = scores.sum(axis=1, keepdims=True) * edges / others[:, None]  # (b, n_items)
        residual = (scores - by_chance) / np.sqrt(np.maximum(by_chance, 1e-12))
        residual[np.arange(len(seeds)), seeds] = 0.0
        first = np.argsort(-residual, axis=1, kind="stable")[:, :n]
        neighbours += [[int(i) for i in row if own[i] > 0] for row, own in zip(first, residual, strict=True)]
        if progress:
            progress(len(neighbours), n_items)
    return neighbours
