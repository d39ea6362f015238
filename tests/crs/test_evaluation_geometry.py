"""Neighbours, clusters and pictures of vectors, against slow obvious versions and answers known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from crs.evaluation.geometry import (
    N_NEAREST,
    Rows,
    Spread,
    nearest,
    neighbour_overlap,
    separation,
    tsne,
    unit,
)


def random_rows(n: int, d: int = 12, seed: int = 0) -> Rows:
    return unit(np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32))


def nearest_by_hand(rows: Rows, k: int) -> list[set[int]]:
    """Each row's k nearest others, one pair at a time."""
    found = []
    for i, row in enumerate(rows):
        others = sorted((j for j in range(len(rows)) if j != i), key=lambda j: -float(row @ rows[j]))
        found.append(set(others[:k]))
    return found


def test_a_spread_by_hand() -> None:
    assert Spread.of(np.array([1.0, 2.0, 3.0, 4.0])) == Spread(4, 2.5, 1.11803, 1.75, 2.5, 3.25)
    assert Spread.of(np.array([7.0])) == Spread(1, 7.0, 0.0, 7.0, 7.0, 7.0)


def test_unit_rows_and_zeros() -> None:
    rows = unit(np.array([[3, 4], [0, 0]], dtype=np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0]], atol=1e-7)


@pytest.mark.parametrize("n", [2, 5, 30])
def test_the_nearest_are_those_found_one_by_one(n: int) -> None:
    rows = random_rows(n)
    distances, places = nearest(rows, N_NEAREST)
    assert places.shape == distances.shape == (n, min(N_NEAREST, n - 1))
    assert [set(row) for row in places.tolist()] == nearest_by_hand(rows, N_NEAREST)
    np.testing.assert_allclose(distances[0, 0], 1 - rows[0] @ rows[places[0, 0]], atol=1e-6)


def test_groups_on_two_axes_lie_wholly_apart() -> None:
    items = unit(np.array([[1, 0.01 * i] for i in range(12)], dtype=np.float32))
    tokens = unit(np.array([[-0.01 * i, 1] for i in range(12)], dtype=np.float32))
    found = separation(items, tokens)
    assert found.tokens_among_nearest == 0.0
    assert found.if_mixed == pytest.approx(12 / 23, abs=1e-5)
    assert found.silhouette > 0.98
    assert found.nearest_token.n == 12
    # The last item leans farthest to the first token: cos of (1, .11) with (0, 1).
    assert float((items @ tokens.T).max()) == pytest.approx(0.11 / np.hypot(1, 0.11), abs=1e-5)
    assert found.nearest_token.mean == pytest.approx(
        np.mean([0.01 * i / np.hypot(1, 0.01 * i) for i in range(12)]), abs=1e-5
    )


def test_groups_drawn_alike_are_mixed() -> None:
    found = separation(random_rows(150, seed=1), random_rows(300, seed=2))
    assert found.tokens_among_nearest == pytest.approx(found.if_mixed, abs=0.04)
    assert abs(found.silhouette) < 0.02


def test_overlap_is_what_two_sets_share() -> None:
    kinds = {"soft": random_rows(25, seed=3), "cf": random_rows(25, seed=4)}
    mine, theirs = (nearest_by_hand(rows, N_NEAREST) for rows in kinds.values())
    shared = np.mean([len(a & b) / N_NEAREST for a, b in zip(mine, theirs, strict=True)])
    assert neighbour_overlap(kinds) == {
        "soft, cf": pytest.approx(shared, abs=1e-5),
        "chance": pytest.approx(10 / 24, abs=1e-5),
    }


def test_overlap_of_the_same_of_one_kind_and_of_one_item() -> None:
    rows = random_rows(25)
    assert neighbour_overlap({"a": rows, "b": rows.copy()})["a, b"] == 1.0
    assert neighbour_overlap({"a": rows}) == {}
    assert neighbour_overlap({"a": rows[:1], "b": rows[:1]}) == {}


def test_a_picture_keeps_clusters_apart_and_is_drawn_the_same_twice() -> None:
    rng = np.random.default_rng(5)
    groups = {
        name: unit((center + 0.05 * rng.standard_normal((40, 6))).astype(np.float32))
        for name, center in (("a", np.eye(6)[0]), ("b", np.eye(6)[1]))
    }
    found = tsne(groups, seed=0)
    a, b = (np.asarray(found.points[name]) for name in groups)
    assert a.shape == b.shape == (40, 2)
    between = np.linalg.norm(a.mean(axis=0) - b.mean(axis=0))
    within = max(np.linalg.norm(part - part.mean(axis=0), axis=1).max() for part in (a, b))
    assert between > within
    assert found == tsne(groups, seed=0)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_perplexity_fits_the_fewest_points(n: int) -> None:
    found = tsne({"soft": random_rows(n), "tokens": random_rows(2)}, seed=0)
    assert found.perplexity == pytest.approx((n + 1) / 3)
    assert np.isfinite(np.asarray(found.points["soft"])).all()
