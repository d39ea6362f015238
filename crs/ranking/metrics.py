"""How well targets are ranked among all items, and how sure a figure or a difference is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crs.ranking.data import Queries, Rows

CUTOFFS = (3, 5, 10, 20)
N_RESAMPLES = 2000
LENGTHS = (
    (0, 0),
    (1, 3),
    (4, 6),
    (7, 10),
    (11, None),
)  # items in the history; of an open range the end is None

Ranks: TypeAlias = NDArray[np.float64]


def ranks(scores: NDArray[np.float32], targets: Rows) -> Ranks:
    """0 for the best: how many items score higher than each row's target, ties counted half, (n,).

    ``scores`` (n, n_items). Half a tie is the expected rank when ties are broken by chance.
    """
    own = scores[np.arange(len(targets)), targets][:, None]
    above = (scores > own).sum(axis=1)
    tied = (scores == own).sum(axis=1) - 1
    return np.asarray(above + tied / 2, dtype=np.float64)


def figures_of(found: Ranks) -> dict[str, NDArray[np.float64]]:
    """Each metric of each query, (n,): HR@k, Recall@k (equal, for there is one target), NDCG@k and MRR@k."""
    values = {}
    for k in CUTOFFS:
        hit = found <= k - 1
        values[f"HR@{k}"] = values[f"Recall@{k}"] = hit.astype(np.float64)
        values[f"NDCG@{k}"] = np.where(hit, 1.0 / np.log2(found + 2.0), 0.0)
        values[f"MRR@{k}"] = np.where(hit, 1.0 / (found + 1.0), 0.0)
    return values


def interval(values: NDArray[np.float64], users: NDArray[np.int64], *, seed: int = 0) -> list[float]:
    """95 % bootstrap interval of the mean of ``values`` (n,): [low, high].

    Users are drawn with replacement, with all their queries: rows of one user are not independent.
    """
    _, owner = np.unique(users, return_inverse=True)
    n_users = int(owner.max()) + 1
    sums = np.bincount(owner, weights=values, minlength=n_users)
    counts = np.bincount(owner, minlength=n_users)
    rng = np.random.default_rng(seed)
    means = np.empty(N_RESAMPLES)
    for row in range(N_RESAMPLES):
        drawn = rng.integers(n_users, size=n_users)
        means[row] = sums[drawn].sum() / counts[drawn].sum()
    low, high = np.quantile(means, (0.025, 0.975))
    return [float(low), float(high)]


def coverage(top: NDArray[np.int64], n_items: int) -> float:
    """Share of the catalogue that stands in anybody's list; ``top`` (n, k) item rows."""
    return len(np.unique(top)) / n_items


def novelty(top: NDArray[np.int64], buyers: NDArray[np.float32], n_users: int) -> float:
    """Mean self-information of what is listed, in bits: -log2 of an item's share of the users.

    ``top`` (n, k) item rows, ``buyers`` (n_items,) how many users have each. As in Zhou et al. 2010; an item
    that nobody has counts as one that one user has.
    """
    share = np.maximum(buyers, 1.0) / max(n_users, 1)
    return float(-np.log2(share)[top].mean())


def by_length(queries: Queries) -> dict[str, NDArray[np.bool_]]:
    """Range of history lengths -> which queries (n,) fall into it; ranges without any are left out."""
    lengths = np.array([len(history) for history in queries.histories])
    groups = {}
    for low, high in LENGTHS:
        name = f"{low}+" if high is None else f"{low}-{high}" if high else str(low)
        groups[name] = (lengths >= low) & (lengths <= (np.inf if high is None else high))
    return {name: chosen for name, chosen in groups.items() if chosen.any()}


def by_popularity(queries: Queries, buyers: NDArray[np.float32]) -> dict[str, NDArray[np.bool_]]:
    """Group -> which queries (n,) are in it, by how many have bought the target: none, then thirds.

    ``buyers`` (n_items,): how many users have each item.
    """
    asked = buyers[queries.targets]
    known = asked[asked > 0]
    groups = {"new": asked == 0}
    if len(known):
        low, high = np.quantile(known, (1 / 3, 2 / 3))
        groups |= {
            "rare": (asked > 0) & (asked <= low),
            "middle": (asked > low) & (asked <= high),
            "popular": (asked > 0) & (asked > high),
        }
    return {name: chosen for name, chosen in groups.items() if chosen.any()}


def grouped(
    values: Mapping[str, NDArray[np.float64]],
    groups: Mapping[str, NDArray[np.bool_]],
    metrics: Sequence[str] = ("HR@10", "NDCG@10"),
) -> dict[str, dict[str, float]]:
    """Means of some metrics (n,) within each group (n,), with the group's size ``n``."""
    return {
        name: {"n": int(chosen.sum())} | {metric: float(values[metric][chosen].mean()) for metric in metrics}
        for name, chosen in groups.items()
    }
