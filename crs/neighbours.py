"""What is bought close together: decayed co-occurrence along histories, the k strongest an item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

WINDOW = 10  # purchases further apart say nothing of each other
PAIR_DECAY = 0.7  # for each purchase that lies between the two
BACKWARD = 0.5  # the pair in the other order, which was not seen
POPULARITY_POWER = 0.25  # of both items' buyers; 0 favours what everyone buys, 0.5 is the cosine
HISTORY_DECAY = 0.7  # weight of a purchase against the one after it when a history is scored
N_NEIGHBOURS = 64


@dataclass(frozen=True)
class Neighbours:
    """``ids`` int32 and ``weights`` float32, both (n_items, k): strongest first, weight 0 for none.

    ``rebought`` float32 (n_items,): the share of an item's buyers who bought it more than once.
    """

    ids: np.ndarray
    weights: np.ndarray
    rebought: np.ndarray

    def scores(self, item_rows: Sequence[int]) -> np.ndarray:
        """float32 (n_items,): how strongly each item is tied to a history of item rows, oldest first."""
        scores = np.zeros(len(self.ids), dtype=np.float32)
        for age, row in enumerate(reversed(item_rows)):
            np.add.at(scores, self.ids[row], HISTORY_DECAY**age * self.weights[row])
        return scores


def find_neighbours(sequences: Sequence[Sequence[int]], n_items: int, k: int = N_NEIGHBOURS) -> Neighbours:
    """Count pairs within ``WINDOW`` purchases of each sequence of item rows, oldest first.

    A pair ``lag`` apart weighs ``PAIR_DECAY ** (lag - 1)``, over the popularity of both its items.
    """
    from scipy.sparse import csr_matrix

    forward = follows(sequences, n_items, window=WINDOW, decay=PAIR_DECAY)
    bonds = (forward + BACKWARD * forward.T).tocoo()

    items, users = _purchases(sequences)
    bought = csr_matrix((np.ones(len(items), np.float32), (users, items)), shape=(len(sequences), n_items))
    bought.sum_duplicates()
    n_buyers = np.asarray((bought > 0).sum(axis=0)).ravel().astype(np.float32)
    n_again = np.asarray((bought > 1).sum(axis=0)).ravel().astype(np.float32)

    fame = (n_buyers + 1.0) ** POPULARITY_POWER
    weights = bonds.data / (fame[bonds.row] * fame[bonds.col])
    ids, strongest = _strongest(bonds.row, bonds.col, weights, n_items, k)
    return Neighbours(ids, strongest, n_again / np.maximum(n_buyers, 1.0))


def follows(
    sequences: Sequence[Sequence[int]] | Sequence[np.ndarray], n_items: int, *, window: int, decay: float
) -> csr_matrix:
    """float32 (n_items, n_items): how often the column's item came after the row's, within ``window``.

    A pair ``lag`` apart weighs ``decay ** (lag - 1)``.
    """
    from scipy.sparse import csr_matrix

    items, users = _purchases(sequences)
    earlier, later, weight = [], [], []
    for lag in range(1, window + 1):
        same = users[:-lag] == users[lag:]
        earlier.append(items[:-lag][same])
        later.append(items[lag:][same])
        weight.append(np.full(int(same.sum()), decay ** (lag - 1), dtype=np.float32))
    pairs = (np.concatenate(earlier), np.concatenate(later))
    return csr_matrix((np.concatenate(weight), pairs), shape=(n_items, n_items), dtype=np.float32)


def _purchases(sequences: Sequence[Sequence[int]] | Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The items of all sequences in a row, and whose sequence each is of, both int64 (n,)."""
    items = np.concatenate([np.asarray(sequence, dtype=np.int64) for sequence in (*sequences, ())])
    return items, np.repeat(np.arange(len(sequences)), [len(sequence) for sequence in sequences])


def _strongest(
    rows: np.ndarray, cols: np.ndarray, weights: np.ndarray, n_items: int, k: int
) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((cols, -weights, rows))  # by item, strongest first, ties by row
    rows, cols, weights = rows[order], cols[order], weights[order]
    starts = np.searchsorted(rows, np.arange(n_items))
    rank = np.arange(len(rows)) - starts[rows]
    kept = rank < k
    ids = np.zeros((n_items, k), dtype=np.int32)
    strongest = np.zeros((n_items, k), dtype=np.float32)
    ids[rows[kept], rank[kept]] = cols[kept]
    strongest[rows[kept], rank[kept]] = weights[kept]
    return ids, strongest
