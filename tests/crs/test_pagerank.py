"""Personalised PageRank against networkx, whichever way two steps are taken, and cut short."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array

from crs.pagerank import UserItemGraph, personalized_pagerank, walk


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
def test_all_items_score_as_with_networkx(
    damping: float, density: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    graph = csr_matrix(random_array((30, 22), density=density, rng=rng))
    graph.data = np.ceil(3 * graph.data)  # some are taken more than once
    expected = np.stack([reference(graph, seed, damping) for seed in range(22)])
    for thick in (0, 50):  # both steps as one dense matrix, and as two sparse ones
        monkeypatch.setattr("crs.pagerank.THICK", thick)
        scores = personalized_pagerank(UserItemGraph.of(graph, np.float64), range(22), damping=damping)
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-8)


def test_an_item_that_nobody_took_keeps_its_walk() -> None:
    graph = csr_matrix(np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]))
    assert personalized_pagerank(UserItemGraph.of(graph), [2]).tolist() == [[0.0, 0.0, 1.0]]


def test_a_walk_of_few_steps_is_the_sum_of_its_ways() -> None:
    graph = UserItemGraph.of(csr_matrix(np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])), np.float64)
    start, home = np.array([[0.5, 0.5, 0.0]]), 0.3
    once, twice = graph.onward(start), graph.onward(graph.onward(start))
    expected = home * start + home * 0.7 * once + 0.7**2 * twice
    np.testing.assert_allclose(walk(graph, home * start, 0.7, n_steps=2), expected, atol=1e-12)
    assert walk(graph, home * start, 0.7, n_steps=2).sum() == pytest.approx(1.0)
