"""Personalised PageRank between users and items: walks that lead home now and then, told by their visits.

Walked from item to user to item, two steps at a time, so only items' visits are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

DAMPING = 0.85  # the chance to walk on; otherwise back home (Page et al. 1999)
THICK = 50  # edges an item has in the mean from which two steps are cheaper as one dense matrix
MAX_DENSE = 12_000  # items up to which that matrix may be made (600 MB)
_TOLERANCE = 1e-10


@dataclass(frozen=True)
class UserItemGraph:
    """Chances of a step: ``to_users`` CSR (n_items, n_users), ``to_items`` CSR (n_users, n_items).

    Rows sum to 1, or to 0 where there is no edge.
    """

    to_users: Any
    to_items: Any

    @classmethod
    def of(cls, user_items: csr_matrix, dtype: type[np.floating[Any]] = np.float32) -> UserItemGraph:
        """From weights of edges (n_users, n_items), walked both ways."""
        from scipy.sparse import csr_matrix, diags

        weights = csr_matrix(user_items, dtype=np.float64)
        to_users = (diags(_inverse(weights.sum(axis=0))) @ weights.T).tocsr().astype(dtype)
        to_items = (diags(_inverse(weights.sum(axis=1))) @ weights).tocsr().astype(dtype)
        return cls(to_users, to_items)

    @property
    def n_items(self) -> int:
        """Items, lonely ones too."""
        return int(self.to_users.shape[0])

    @property
    def thick(self) -> bool:
        """Whether two steps are one dense matrix."""
        return bool(self.to_users.nnz >= THICK * self.n_items and self.n_items <= MAX_DENSE)

    @cached_property
    def _two_steps(self) -> Any:
        return (self.to_users @ self.to_items).toarray()

    def onward(self, visits: NDArray[Any]) -> NDArray[Any]:
        """Where walkers at ``visits`` (n, n_items) are two steps later."""
        found = visits @ self._two_steps if self.thick else (visits @ self.to_users) @ self.to_items
        return np.asarray(found)


def walk(
    graph: UserItemGraph,
    home: NDArray[Any],
    walk_on: float,
    *,
    tolerance: float = 0.0,
    n_steps: int | None = None,
) -> NDArray[Any]:
    """Visits (n, n_items) after each ``x = home + walk_on * onward(x)``: ``n_steps`` times, or until settled.

    ``home`` (n, n_items) is what every step adds; the start is ``home`` at the total that is settled at, so
    that no error lies along the famous items. ``tolerance``: bound on the sum of a row's errors.
    """
    visits: NDArray[Any] = home / home.dtype.type(1.0 - walk_on)
    for _ in count() if n_steps is None else range(n_steps):
        walked = home + home.dtype.type(walk_on) * graph.onward(visits)
        change = float(np.abs(walked - visits).sum(axis=1).max(initial=0.0))
        visits = walked
        if change * walk_on / (1.0 - walk_on) <= tolerance:
            break
    return visits


def personalized_pagerank(
    graph: UserItemGraph,
    seeds: Sequence[int] | NDArray[Any],
    *,
    damping: float = DAMPING,
    tolerance: float = _TOLERANCE,
) -> NDArray[Any]:
    """Scores of all items (len(seeds), n_items) for a walk that returns to one item: the seed.

    As in networkx's ``pagerank`` with ``personalization={seed: 1}``, of which this is the items' part (what
    is missing to 1 lies with the users); a seed without edges keeps everything. ``tolerance``: bound on the
    sum of a row's errors; below 1e-6 the graph must be float64.
    """
    lonely = np.diff(graph.to_users.indptr)[np.asarray(seeds)] == 0
    home = np.zeros((len(seeds), graph.n_items), dtype=graph.to_users.dtype)
    home[np.arange(len(seeds)), seeds] = np.where(lonely, 1.0, 1.0 - damping)
    return walk(graph, home, damping**2, tolerance=tolerance)


def _inverse(sums: Any) -> NDArray[np.float64]:
    """1 over each sum, 0 where there is nothing to divide."""
    flat = np.asarray(sums, dtype=np.float64).ravel()
    found: NDArray[np.float64] = np.divide(1.0, flat, out=np.zeros_like(flat), where=flat > 0)
    return found
