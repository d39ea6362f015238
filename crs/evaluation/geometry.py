"""How groups of vectors lie to each other: neighbours and clusters by cosine, t-SNE pictures, spreads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]

N_NEAREST = 10
PERPLEXITY, N_ITERATIONS = 30.0, 500


@dataclass(frozen=True)
class Spread:
    """How values are spread: mean, standard deviation and quartiles, of ``n``."""

    n: int
    mean: float
    sd: float
    quarter: float
    median: float
    three_quarters: float

    @classmethod
    def of(cls, values: np.ndarray) -> Spread:
        """Of ``values`` (n,), at least one."""
        quarters = np.quantile(values, (0.25, 0.5, 0.75))
        return cls(len(values), *(round(float(x), 5) for x in (values.mean(), values.std(), *quarters)))


@dataclass(frozen=True)
class Map:
    """A t-SNE picture: points (x, y) by kind, in the order of the drawn items and tokens."""

    points: dict[str, list[tuple[float, float]]]
    perplexity: float
    kl_divergence: float


@dataclass(frozen=True)
class Separation:
    """Item rows of one kind against token embeddings, by cosine in all dimensions (not in the picture).

    ``tokens_among_nearest``: share of tokens among the 10 nearest neighbours of an item's row;
    ``if_mixed``: what it would be if the two kinds lay alike. ``silhouette``: -1 to 1, of the two groups
    (Rousseeuw 1987). ``nearest_token``: cosine to the nearest token.
    """

    tokens_among_nearest: float
    if_mixed: float
    silhouette: float
    nearest_token: Spread


def unit(rows: Rows) -> Rows:
    """Rows (n, d) of length 1; a row of zeros stays one."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)


def separation(items: Rows, tokens: Rows) -> Separation:
    """How far unit rows ``items`` (n, d) lie from unit rows ``tokens`` (m, d)."""
    from sklearn.metrics import silhouette_score

    rows = np.concatenate([items, tokens])
    is_token = np.arange(len(rows)) >= len(items)
    _, neighbours = nearest(rows, N_NEAREST)
    return Separation(
        tokens_among_nearest=round(float(is_token[neighbours[: len(items)]].mean()), 5),
        if_mixed=round(len(tokens) / (len(rows) - 1), 5),
        silhouette=round(float(silhouette_score(rows, is_token, metric="cosine")), 5),
        nearest_token=Spread.of((items @ tokens.T).max(axis=1)),
    )


def neighbour_overlap(kinds: dict[str, Rows]) -> dict[str, float]:
    """For each pair of kinds the share of an item's 10 nearest items that both agree on, and chance's.

    ``kinds``: unit rows (n, d) of the same items. Empty for one kind or one item.
    """
    n = len(next(iter(kinds.values())))
    if len(kinds) < 2 or n < 2:
        return {}
    found = {kind: nearest(rows, N_NEAREST)[1] for kind, rows in kinds.items()}
    overlap = {}
    for i, a in enumerate(found):
        for b in list(found)[i + 1 :]:
            same = (found[a][:, :, None] == found[b][:, None, :]).any(axis=2)
            overlap[f"{a}, {b}"] = round(float(same.mean()), 5)
    return {**overlap, "chance": round(min(N_NEAREST, n - 1) / (n - 1), 5)}


def tsne(groups: dict[str, Rows], seed: int) -> Map:
    """All groups of rows (n, d) in one plane (van der Maaten and Hinton 2008); PCA's plane to begin with."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    rows = np.concatenate(list(groups.values()))
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    plane = TSNE(perplexity=perplexity, init="pca", max_iter=N_ITERATIONS, random_state=seed, n_jobs=1)
    with threadpool_limits(limits=1):  # sums over several threads are rounded in no fixed order
        points = np.round(plane.fit_transform(rows).astype(float), 3)
    starts = np.cumsum([len(found) for found in groups.values()])[:-1]
    return Map(
        {
            kind: [(x, y) for x, y in part.tolist()]
            for kind, part in zip(groups, np.split(points, starts), strict=True)
        },
        perplexity,
        round(float(plane.kl_divergence_), 5),
    )


def nearest(rows: Rows, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosine distances and places (n, k) of each row's nearest other rows; k is cut to the rows there are."""
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=min(k, len(rows) - 1), metric="cosine", n_jobs=1).fit(rows)
    distances, places = index.kneighbors()
    return np.asarray(distances), np.asarray(places)
