from __future__ import annotations

import numpy as np
import pytest

from crs.ranking.data import Queries
from crs.ranking.metrics import (
    by_length,
    by_popularity,
    coverage,
    figures_of,
    grouped,
    interval,
    novelty,
    ranks,
)


def test_ranks_count_what_is_above_and_half_of_what_is_level() -> None:
    scores = np.array([[3.0, 2.0, 1.0], [1.0, 1.0, 1.0], [0.0, 5.0, 0.0]], np.float32)
    assert ranks(scores, np.array([1, 0, 0])).tolist() == [1.0, 1.0, 1.5]


def test_figures_by_hand() -> None:
    values = figures_of(np.array([0.0, 2.0, 3.0, 25.0]))
    assert values["HR@3"].tolist() == [1, 1, 0, 0]
    assert values["HR@5"].tolist() == [1, 1, 1, 0]
    assert values["MRR@5"].tolist() == pytest.approx([1, 1 / 3, 1 / 4, 0])
    # 1 / log2(rank + 2): 1, 1 / 2, 1 / log2(5) = 0.430677, and nothing behind the cut
    assert values["NDCG@10"].tolist() == pytest.approx([1, 0.5, 0.430677, 0], abs=1e-6)
    assert values["NDCG@3"].tolist() == pytest.approx([1, 0.5, 0, 0])
    assert values["HR@20"].mean() == 0.75


def test_an_interval_holds_the_mean_and_counts_people_not_rows() -> None:
    rng = np.random.default_rng(0)
    one_each = rng.random(400)
    low, high = interval(one_each, np.arange(400))
    assert low < one_each.mean() < high
    # The same rows four times over, as rows of the same people, say nothing new.
    repeated = interval(np.repeat(one_each, 4), np.repeat(np.arange(400), 4))
    assert repeated == pytest.approx([low, high])
    assert interval(np.full(5, 0.3), np.arange(5)) == pytest.approx([0.3, 0.3])


def test_coverage_and_novelty_by_hand() -> None:
    top = np.array([[0, 1], [0, 2]])
    assert coverage(top, 6) == 0.5
    # Of 8 users 4, 2 and none have the items: 1, 2 and, as if one had it, 3 bits.
    assert novelty(top, np.array([4, 2, 0], np.float32), 8) == pytest.approx((1 + 2 + 1 + 3) / 4)


def test_groups_cover_every_query_once() -> None:
    histories = [np.arange(n) for n in (0, 3, 4, 8, 40)]
    queries = Queries(np.arange(5), histories, np.array([0, 1, 2, 3, 4]))
    lengths = by_length(queries)
    assert {name: int(chosen.sum()) for name, chosen in lengths.items()} == {
        "0": 1, "1-3": 1, "4-6": 1, "7-10": 1, "11+": 1
    }  # fmt: skip
    fame = by_popularity(queries, np.array([0, 1, 2, 3, 9], np.float32))
    assert np.sum(list(fame.values()), axis=0).tolist() == [1] * 5
    assert fame["new"].tolist() == [True, False, False, False, False]
    values = {"HR@10": np.array([1.0, 0, 1, 0, 0]), "NDCG@10": np.zeros(5)}
    assert grouped(values, lengths)["0"] == {"n": 1, "HR@10": 1.0, "NDCG@10": 0.0}
