"""Personalised PageRank against networkx, and what it picks as neighbours."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array

from crs.llmrec.pagerank import important_neighbours, personalized_pagerank


def reference(user_items: csr_matrix, seed: int, damping: float) -> np.ndarray:
    """The items' part of networkx's scores."""
    graph: nx.Graph = nx.Graph()
    graph.add_nodes_from(("item", i) for i in range(user_items.shape[1]))
    graph.add_nodes_from(("user", u) for u in range(user_items.shape[0]))
    for user, item in zip(*user_items.nonzero(), strict=True):
        graph.add_edge(("user", user), ("item", item), weight=user_items[user, item])
    told = nx.pagerank(graph, alpha=damping, personalization={("item", seed): 1.0}, tol=1e-14, max_iter=2000)
    return np.array([told["item", i] for i in range(user_items.shape[1])])


@pytest.mark.parametrize("damping", [0.3, 0.85, 0.97])
@pytest.mark.parametrize("density", [0.04, 0.3])  # sparse enough to fall apart and to leave lonely items
def test_all_items_score_as_with_networkx(damping: float, density: float) -> None:
    rng = np.random.default_rng(5)
    graph = csr_matrix(random_array((30, 22), density=density, rng=rng))
    graph.data = np.ceil(3 * graph.data)  # some are taken more than once
    scores = personalized_pagerank(graph, range(22), damping=damping)
    expected = np.stack([reference(graph, seed, damping) for seed in range(22)])
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-8)


def test_an_item_that_nobody_took_keeps_its_walk() -> None:
    graph = csr_matrix(np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]))
    assert personalized_pagerank(graph, [2]).tolist() == [[0.0, 0.0, 1.0]]
    assert important_neighbours(graph, 2)[2] == []


def two_circles() -> csr_matrix:
    """Items 0-3 of one circle, 4-7 of another; everybody takes item 8 as well."""
    rows = np.zeros((40, 9))
    for user in range(40):
        own = 4 * (user % 2)
        rows[user, [own + user // 2 % 4, own + (user // 2 + 1) % 4, 8]] = 1
    return csr_matrix(rows)


def test_neighbours_are_what_the_same_people_took_and_not_what_everybody_did() -> None:
    for item, neighbours in enumerate(important_neighbours(two_circles(), 2)[:8]):
        beside = {item // 4 * 4 + (item + step) % 4 for step in (1, -1)}
        assert set(neighbours) == beside  # item 8 scores higher with PageRank alone


def test_many_items_are_walked_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, seen = important_neighbours(two_circles(), 3), []
    monkeypatch.setattr("crs.llmrec.pagerank._BATCH", 4)
    batched = important_neighbours(two_circles(), 3, progress=lambda done, total: seen.append((done, total)))
    assert batched == whole and seen == [(4, 9), (8, 9), (9, 9)]
