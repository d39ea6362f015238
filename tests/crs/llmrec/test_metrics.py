"""Ranking metrics against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from crs.llmrec.metrics import ranking_metrics, top_items


def held_out(*items: list[int], n_items: int = 30) -> csr_matrix:
    rows = np.zeros((len(items), n_items))
    for row, own in zip(rows, items, strict=True):
        row[own] = 1
    return csr_matrix(rows)


def test_two_of_three_at_the_first_and_third_place() -> None:
    top = np.array([[4, 0, 7, *range(10, 17)]])
    measured = ranking_metrics(top, held_out([4, 7, 29]))
    ideal = 1 + 1 / np.log2(3) + 1 / 2
    assert measured == {
        "ndcg@10": pytest.approx((1 + 1 / 2) / ideal),
        "precision@10": pytest.approx(0.2),
        "recall@10": pytest.approx(2 / 3),
    }


def test_more_than_ten_held_out_can_still_be_perfect() -> None:
    measured = ranking_metrics(np.arange(10)[None], held_out(list(range(12))))
    assert measured["ndcg@10"] == pytest.approx(1.0)
    assert measured["recall@10"] == pytest.approx(10 / 12)


def test_users_without_held_out_items_do_not_count() -> None:
    top = np.tile(np.arange(10), (2, 1))
    assert ranking_metrics(top, held_out([0], []))["ndcg@10"] == pytest.approx(1.0)


def test_the_best_are_found_without_what_is_known_and_among_the_candidates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crs.llmrec.metrics._USERS_AT_ONCE", 2)
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(5, 4)), rng.normal(size=(30, 4))
    known = held_out(*[list(rng.choice(30, 5, replace=False)) for _ in range(5)])
    allowed = held_out(*[list(rng.choice(30, 20, replace=False)) for _ in range(5)])
    for candidates in (None, allowed):
        top = top_items(users, items, hidden=known, candidates=candidates)
        for user, row in enumerate(top):
            may = set(range(30)) - set(known[user].indices)
            may &= set(range(30) if candidates is None else allowed[user].indices)
            best = sorted(may, key=lambda item: -float(users[user] @ items[item]))[:10]
            assert list(row) == best
