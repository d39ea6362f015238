"""Neighbours by what the same people took, and not by fame."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from crs.llmrec.engagement import important_neighbours


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
    monkeypatch.setattr("crs.llmrec.engagement._BATCH", 4)
    batched = important_neighbours(two_circles(), 3, progress=lambda done, total: seen.append((done, total)))
    assert batched == whole and seen == [(4, 9), (8, 9), (9, 9)]


def test_an_item_that_nobody_took_has_no_neighbours() -> None:
    graph = csr_matrix(np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]))
    assert important_neighbours(graph, 2)[2] == []
