"""What ranking learns from and what it is asked: two folds of one data set, all items by their row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from knowledge.types import Item

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Rows = NDArray[np.int64]  # item rows, oldest first where the data set knows an order


@dataclass(frozen=True)
class Queries:
    """What is asked: ``targets[i]`` is to be found by ``histories[i]`` of the user ``users[i]``."""

    users: NDArray[np.int64]  # rows of the fold's sequences
    histories: list[Rows]
    targets: Rows

    def __len__(self) -> int:
        return len(self.targets)

    def at(self, rows: Sequence[int] | NDArray[np.int64]) -> Queries:
        """Some of them."""
        chosen = np.asarray(rows, dtype=np.int64)
        return Queries(self.users[chosen], [self.histories[row] for row in chosen], self.targets[chosen])

    def spread(self, n: int) -> Queries:
        """About ``n`` of them, spread evenly."""
        return self.at(range(0, len(self), max(1, len(self) // n)))


@dataclass(frozen=True)
class Fold:
    """``sequences``: one a user, all that may be learned from; no query's (user, target) pair is in it."""

    sequences: list[Rows]
    queries: Queries

    def leaked(self) -> int:
        """How many queries have a target that their user's sequence holds: 0 in an honest fold."""
        held = [set(sequence.tolist()) for sequence in self.sequences]
        asked = zip(self.queries.users.tolist(), self.queries.targets.tolist(), strict=True)
        return sum(target in held[user] for user, target in asked)


@dataclass(frozen=True)
class RankingData:
    """A data set: what is tuned is tuned on ``valid``, then fitted anew and measured on ``test``.

    ``ordered``: sequences and histories are in the order of time; else they are sets in no order.
    """

    name: str
    items: list[Item]
    valid: Fold
    test: Fold
    ordered: bool = True

    @property
    def n_items(self) -> int:
        return len(self.items)


def history_matrix(histories: Sequence[Rows], n_items: int, decay: float = 1.0, last: int = 0) -> csr_matrix:
    """Histories as rows, float32 (n, n_items): an item weighs ``decay ** (items after it)``, summed.

    ``last`` > 0: only so many of the most recent items count.
    """
    from scipy.sparse import csr_matrix

    kept = [history[-last:] if last else history for history in histories]
    lengths = np.array([len(history) for history in kept], dtype=np.int64)
    indices = np.concatenate([*kept, np.empty(0, np.int64)])
    age = np.repeat(np.cumsum(lengths), lengths) - 1 - np.arange(len(indices))
    weights = (decay**age).astype(np.float32) if decay != 1.0 else np.ones(len(indices), np.float32)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    matrix = csr_matrix((weights, indices, indptr), shape=(len(kept), n_items))
    matrix.sum_duplicates()
    return matrix


def owned_matrix(histories: Sequence[Rows], n_items: int) -> csr_matrix:
    """float32 (n, n_items): 1.0 where the history holds the item, however often."""
    matrix = history_matrix(histories, n_items)
    matrix.data[:] = 1.0
    return matrix
