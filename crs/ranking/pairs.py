"""Items tied to items: matrices learned from sequences and texts, and one signal that reads them all.

A score is linear in the history: ``history_matrix @ ties``. So each tie's share of a score can be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crs.ranking.data import Rows, history_matrix, owned_matrix

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Scores = NDArray[np.float32]  # (n, n_items)


@dataclass(frozen=True)
class ItemTies:
    """Scores by ``ties`` (n_items, n_items), dense or CSR: from a history's item, to the item scored.

    ``decay``: weight of an item against the one after it; ``last``: how many of the last items count, 0 all.
    """

    ties: Any
    decay: float = 1.0
    last: int = 0

    def scores(self, histories: Sequence[Rows], among: Rows | None = None) -> Scores:
        """float32 (n, n_items), or of the rows ``among``."""
        known = history_matrix(histories, self.ties.shape[0], self.decay, self.last)
        found = known @ self.ties
        scores = np.asarray(found.toarray() if hasattr(found, "toarray") else found, dtype=np.float32)
        return scores if among is None else scores[:, among]


def follows(sequences: Sequence[Rows], n_items: int, *, window: int, decay: float) -> csr_matrix:
    """float32 (n_items, n_items): how often the column's item came after the row's, within ``window``.

    A pair ``lag`` apart weighs ``decay ** (lag - 1)``.
    """
    from scipy.sparse import csr_matrix

    items = np.concatenate([*sequences, np.empty(0, np.int64)])
    users = np.repeat(np.arange(len(sequences)), [len(sequence) for sequence in sequences])
    earlier, later, weight = [], [], []
    for lag in range(1, window + 1):
        same = users[:-lag] == users[lag:]
        earlier.append(items[:-lag][same])
        later.append(items[lag:][same])
        weight.append(np.full(int(same.sum()), decay ** (lag - 1), dtype=np.float32))
    pairs = (np.concatenate(earlier), np.concatenate(later))
    return csr_matrix((np.concatenate(weight), pairs), shape=(n_items, n_items), dtype=np.float32)


def over_fame(ties: csr_matrix, sequences: Sequence[Rows], power: float) -> csr_matrix:
    """``ties`` over the number of buyers of both items (plus 1) to the ``power``; .5 is nearly the cosine."""
    from scipy.sparse import diags

    fame = (n_buyers(sequences, ties.shape[0]) + 1.0) ** -power
    return (diags(fame) @ ties @ diags(fame)).tocsr().astype(np.float32)


def n_buyers(sequences: Sequence[Rows], n_items: int) -> NDArray[np.float32]:
    """How many users have the item, (n_items,)."""
    return np.asarray(owned_matrix(sequences, n_items).sum(axis=0), dtype=np.float32).ravel()


def cosine_ties(sequences: Sequence[Rows], n_items: int) -> csr_matrix:
    """Item-kNN: the cosine of the items' columns of buyers (n_items, n_items), the diagonal zero."""
    owned = owned_matrix(sequences, n_items)
    norm = np.sqrt(np.maximum(n_buyers(sequences, n_items), 1.0))
    from scipy.sparse import diags

    scaled = owned @ diags(1.0 / norm)
    ties = (scaled.T @ scaled).tocsr()
    ties.setdiag(0.0)
    return ties.astype(np.float32)


def linear_ties(sequences: Sequence[Rows], n_items: int, *, ridge: float) -> Scores:
    """EASE (Steck 2019, equation 8): the linear model of items from items without self-similarity."""
    from scipy.linalg.lapack import spotrf, spotri

    owned = owned_matrix(sequences, n_items)
    gram = np.asarray((owned.T @ owned).todense(), dtype=np.float32)
    gram[np.diag_indices(n_items)] += ridge
    # The inverse by Cholesky's factors, in place: half the work and a quarter of the memory of `inv`.
    factor, _ = spotrf(gram, lower=1, overwrite_a=1)
    inverse, _ = spotri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    ties = inverse / -np.diag(inverse)
    np.fill_diagonal(ties, 0.0)
    return np.asarray(ties, dtype=np.float32)


def nearest(vectors: Any, k: int) -> csr_matrix:
    """The ``k`` nearest other rows of each unit row, dense or CSR, by their cosine: float32 (n, n)."""
    from scipy.sparse import csr_matrix

    n = vectors.shape[0]
    k = min(k, max(n - 1, 0))
    ids, weights = [], []
    for start in range(0, n, 512):
        found = vectors[start : start + 512] @ vectors.T
        near = np.asarray(found.toarray() if hasattr(found, "toarray") else found)
        near[np.arange(len(near)), np.arange(start, start + len(near))] = -np.inf
        best = np.argpartition(-near, k - 1, axis=1)[:, :k] if k else np.empty((len(near), 0), np.int64)
        ids.append(best)
        weights.append(np.maximum(np.take_along_axis(near, best, axis=1), 0.0))
    indptr = np.arange(0, n * k + 1, k) if k else np.zeros(n + 1, np.int64)
    return csr_matrix((np.concatenate(weights).ravel(), np.concatenate(ids).ravel(), indptr), shape=(n, n))
