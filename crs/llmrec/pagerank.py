"""Personalised PageRank on the graph of who took what: which items matter most to those who took an item."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

DAMPING = 0.85  # the chance to walk on; otherwise back to the seed (Page et al. 1999)
_BATCH = 512  # seeds walked at a time: float32 (n_users + n_items, 512) in memory
_TOLERANCE = 1e-10
_NEIGHBOUR_TOLERANCE = 3e-4  # an order among the first few needs no more, so float32 does as well


def personalized_pagerank(
    user_items: csr_matrix,
    seeds: Sequence[int] | np.ndarray,
    *,
    damping: float = DAMPING,
    tolerance: float = _TOLERANCE,
    dtype: type[np.floating[Any]] = np.float64,
) -> np.ndarray:
    """Scores of all items, ``dtype`` (len(seeds), n_items), for a walk that returns to one item: the seed.

    ``user_items`` (n_users, n_items): weights of the edges between users and items, walked both ways. As in
    networkx's ``pagerank`` with ``personalization={seed: 1}``, of which this is the items' part (what is
    missing to 1 lies with the users); a seed without edges keeps everything. ``tolerance``: bound on the sum
    of a row's errors.
    """
    from scipy.sparse import csr_matrix, diags

    weights = csr_matrix(user_items, dtype=np.float64)
    to_users = (weights @ diags(_inverse(weights.sum(axis=0)))).tocsr().astype(dtype)  # (n_users, n_items)
    to_items = (weights.T @ diags(_inverse(weights.sum(axis=1)))).tocsr().astype(dtype)  # (n_items, n_users)
    lonely = np.asarray(weights.sum(axis=0)).ravel() == 0
    columns = np.arange(len(seeds))
    # Two steps at a time, item to user to item, shrink an error by damping^2 ...
    shrink = damping**2
    restart = np.zeros((weights.shape[1], len(seeds)), dtype=dtype)
    restart[seeds, columns] = np.where(lonely[list(seeds)], 1.0, 1.0 - damping)
    # ... and far more if the start has the items' share of the whole: then no error is left along the
    # stationary distribution.
    scores = restart / np.where(lonely[list(seeds)], 1.0, 1.0 - shrink).astype(dtype)
    while True:
        walked = restart + dtype(shrink) * (to_items @ (to_users @ scores))
        change = float(np.abs(walked - scores).sum(axis=0).max(initial=0.0))
        scores = walked
        if change * shrink / (1.0 - shrink) <= tolerance:
            return np.ascontiguousarray(scores.T)


def important_neighbours(
    user_items: csr_matrix, n: int, *, progress: Callable[[int, int], None] | None = None
) -> list[list[int]]:
    """For each item the ``n`` other items that matter most to it, the most important first; fewer if fewer.

    Famous items score high whatever the seed. So importance is what the personalised PageRank has above the
    item's share of all edges, over that share's root (Pearson's residual). Ties go to the earlier item.
    """
    n_items = user_items.shape[1]
    edges = np.asarray(user_items.sum(axis=0), dtype=np.float64).ravel()
    neighbours: list[list[int]] = []
    for start in range(0, n_items, _BATCH):
        seeds = np.arange(start, min(start + _BATCH, n_items))
        scores = personalized_pagerank(user_items, seeds, tolerance=_NEIGHBOUR_TOLERANCE, dtype=np.float32)
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


def _inverse(sums: np.ndarray) -> np.ndarray:
    """1 over each sum, 0 where there is nothing to divide."""
    flat = np.asarray(sums, dtype=np.float64).ravel()
    return np.divide(1.0, flat, out=np.zeros_like(flat), where=flat > 0)
