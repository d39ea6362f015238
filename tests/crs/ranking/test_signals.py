from __future__ import annotations

import numpy as np
import pytest

from crs.cf import fold_in
from crs.ranking.blend import FLOOR, N_CANDIDATES, Blend, candidates_of, fit_blend, views
from crs.ranking.data import Queries, Rows, history_matrix
from crs.ranking.pairs import ItemTies, cosine_ties, follows, linear_ties, nearest, over_fame
from crs.ranking.signals import Again, Nearness, Prior, Signal, Walk, Wals, again_rate, fit_signals, walk
from knowledge.types import Item
from tests.conftest import WordEncoder

SEQUENCES = [np.array(rows) for rows in ([0, 1, 2], [0, 1], [2, 1, 1], [3], [])]


def rows(*items: int) -> Rows:
    return np.array(items, dtype=np.int64)


def test_a_history_decays_with_the_items_after_it() -> None:
    known = history_matrix([rows(0, 2, 0), rows(), rows(1)], 4, 0.5).toarray()
    assert known.tolist() == [[1.25, 0, 0.5, 0], [0] * 4, [0, 1, 0, 0]]
    assert history_matrix([rows(0, 2, 1)], 4, 0.5, last=1).toarray().tolist() == [[0, 1, 0, 0]]


def test_pairs_weigh_by_what_lies_between() -> None:
    after = follows(SEQUENCES, 4, window=2, decay=0.5).toarray()
    assert after[0].tolist() == [0, 2, 0.5, 0]
    assert after[2].tolist() == [0, 1.5, 0, 0] and after[1, 1] == 1
    buyers = np.array([2, 3, 2, 1])
    expected = after / np.sqrt((buyers + 1)[:, None] * (buyers + 1)[None])
    found = over_fame(follows(SEQUENCES, 4, window=2, decay=0.5), SEQUENCES, 0.5)
    assert found.toarray() == pytest.approx(expected)


def test_item_knn_is_the_cosine_of_buyers() -> None:
    ties = cosine_ties(SEQUENCES, 4).toarray()
    assert ties[0, 1] == pytest.approx(2 / np.sqrt(2 * 3)) and ties[0, 3] == 0 and ties[1, 1] == 0
    scores = ItemTies(ties, decay=0.5).scores([rows(2, 0)])
    assert scores[0] == pytest.approx(0.5 * ties[2] + ties[0])


def test_the_linear_model_solves_its_own_problem() -> None:
    rng = np.random.default_rng(0)
    sequences = [np.flatnonzero(rng.random(6) < 0.5) for _ in range(40)]
    ties = linear_ties(sequences, 6, ridge=2.0).astype(np.float64)
    owned = history_matrix(sequences, 6).toarray().astype(np.float64)
    for item in range(6):  # ridge regression of each column on all others
        others = [each for each in range(6) if each != item]
        x, y = owned[:, others], owned[:, item]
        expected = np.linalg.solve(x.T @ x + 2.0 * np.eye(5), x.T @ y)
        assert ties[others, item] == pytest.approx(expected, abs=1e-5) and ties[item, item] == 0


def test_the_walk_is_pagerank_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    found = walk(SEQUENCES, 4, decay=1.0)
    assert isinstance(found, Walk)
    step = np.asarray((found.to_users @ found.to_items).todense(), dtype=np.float64)
    start = np.array([0.5, 0.5, 0, 0])
    settled = np.linalg.solve(np.eye(4) - 0.7 * step.T, 0.3 * start) - 0.3 * start
    assert found.scores([rows(0, 1)])[0] == pytest.approx(settled, abs=0.7**5)
    assert found.scores([rows(0, 1)])[0, 3] == 0  # nobody leads there
    monkeypatch.setattr("crs.ranking.signals.THICK", 0)
    worked_out = walk(SEQUENCES, 4, decay=1.0)
    assert isinstance(worked_out, ItemTies)
    assert worked_out.scores([rows(0, 1)])[0] / 2 == pytest.approx(found.scores([rows(0, 1)])[0], abs=1e-6)


@pytest.mark.parametrize("kept_whole", [True, False])
def test_nearness_sparse_is_nearness_dense(kept_whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crs.ranking.signals.MAX_DENSE", 12_000 if kept_whole else 0)
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(1)
    vectors = rng.random((5, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = vectors @ vectors.T
    histories = [rows(0, 3), rows(), rows(4)]
    best = np.stack([np.maximum(0.5 * near[0], near[3]), np.zeros(5), near[4]])
    total = np.stack([0.5 * near[0] + near[3], np.zeros(5), near[4]])
    for kept in (vectors, csr_matrix(vectors)):
        assert Nearness(kept, 0.5, best=True).scores(histories) == pytest.approx(best, abs=1e-6)
        assert Nearness(kept, 0.5).scores(histories) == pytest.approx(total, abs=1e-6)
        others = np.where(np.eye(5, dtype=bool), -1, near).argmax(axis=1)
        assert nearest(kept, 1).indices.tolist() == others.tolist()


def test_wals_folds_everyone_in() -> None:
    factors = np.random.default_rng(2).normal(size=(6, 4)).astype(np.float32)
    histories = [rows(0, 1, 1), rows(), rows(5)]
    expected = np.stack([factors @ fold_in(factors, history) for history in histories])
    assert Wals(factors).scores(histories) == pytest.approx(expected, abs=1e-5)


def test_what_is_bought_again() -> None:
    rate = again_rate(SEQUENCES, 4)  # one of eight pairs bought again: item 1, one of its three
    assert rate == pytest.approx([(1 / 8) / 3, (1 + 1 / 8) / 4, (1 / 8) / 3, (1 / 8) / 2])
    scores = Again(rate, 0.5).scores([rows(1, 1, 0)])
    assert scores[0] == pytest.approx([rate[0], 0.5 * rate[1], 0, 0])


def test_what_is_of_a_kind_is_bought_again_alike() -> None:
    rate = again_rate(SEQUENCES, 4, ["ink", "ink", "", "desk"])
    ink = (1 + 5 / 8) / (5 + 5)  # one of five pairs, and five more of the mean
    assert rate == pytest.approx([5 * ink / 7, (1 + 5 * ink) / 8, (1 / 8) / 3, 5 * (5 / 8 / 6) / 6])


def test_views_are_shares_of_the_best() -> None:
    share, logarithm = views(np.array([[0, 1, 4], [0, 0, 0], [-2, -1, -2]], np.float32))
    assert share.tolist() == [[0, 0.25, 1], [0, 0, 0], [0, 1, 0]]
    assert views(np.array([[0, 0.5]], np.float32), absolute=True)[0].tolist() == [[0, 0.5]]
    assert logarithm[0] == pytest.approx([0, 1 - np.log(0.25) / np.log(FLOOR), 1], abs=1e-6)


def test_the_blend_finds_the_signal_that_tells() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(20, size=200)
    told = np.roll(np.eye(20, dtype=np.float32), 1, axis=1)  # what follows the last item is the target
    noise = rng.random(20).astype(np.float32)
    signals = [Signal("told", "cf", ItemTies(told, last=1)), Signal("noise", "popularity", Prior(noise))]
    queries = Queries(np.arange(200), [rows((target - 1) % 20) for target in targets], targets)
    blend = fit_blend(signals, candidates_of(signals, queries))
    assert blend.weights[0, :2].sum() > 5 * np.abs(blend.weights[0, 2:]).sum()
    scores = blend.scores(signals, queries.histories)
    assert (scores.argmax(axis=1) == targets).all()
    parts = blend.parts(signals, queries.histories[3])
    assert sum(parts.values()) == pytest.approx(scores[3], abs=1e-5) and list(parts) == ["told", "noise"]


@pytest.mark.parametrize("ordered", [True, False])
def test_every_signal_scores_newcomers_and_items_nobody_bought(
    ordered: bool, word_encoder: WordEncoder
) -> None:
    items = [Item(str(row), f"{color} {noun}") for row, (color, noun) in enumerate(
        (color, noun) for color in ("red", "blue") for noun in ("pen", "ink", "desk", "lamp")
    )]  # fmt: skip
    content = word_encoder.encode([item.title for item in items])
    sequences = [rows(0, 1, 0), rows(2, 3), rows(0, 1, 4), rows()]
    for signal in fit_signals(sequences, items, content, ordered=ordered):
        scores = signal.scorer.scores([rows(0, 1), rows(), rows(7)])
        assert scores.shape == (3, 8) and scores.dtype == np.float32, signal.name
        assert np.isfinite(scores).all(), signal.name


def test_what_is_owned_is_left_to_the_signals_of_repeats() -> None:
    fame = np.array([4, 3, 2, 1], np.float32)
    again = Again(np.array([1, 0, 0, 1], np.float32), 1.0)
    signals = [Signal("popular", "popularity", Prior(fame)), Signal("again", "repeat", again)]
    parts = Blend(("popular", "again"), np.array([[1, 0, 2, 0], [0, 0, 0, 0]], np.float32)).parts(
        signals, rows(0, 1)
    )
    assert parts["popular"].tolist() == [0, 0, 0.5, 0.25] and parts["again"].tolist() == [2, 0, 0, 0]


def test_candidates_are_chosen_without_a_look_at_the_target() -> None:
    signals = [Signal("popular", "popularity", Prior(np.arange(500, dtype=np.float32)))]
    queries = Queries(np.arange(2), [rows(1), rows(1)], rows(499, 300))
    found = candidates_of(signals, queries)
    # 20 are named and the rest of the row is drawn: item 300 may only be there by that chance.
    assert len(found.features) in (1, 2) and found.features[0, 0, 0] == 1.0
    assert found.features.shape[1] == N_CANDIDATES


def test_newcomers_are_shown_what_is_popular_whatever_was_learned() -> None:
    fame = np.array([1, 5, 3], np.float32)
    signals = [Signal("popular", "popularity", Prior(fame)), Signal("noise", "cf", Prior(fame[::-1].copy()))]
    blend = Blend(("popular", "noise"), np.array([[-4, 0, 9, 9], [0, 0, 0, 0]], np.float32))
    scores = blend.scores(signals, [rows(), rows(0)])
    assert np.argsort(-scores[0]).tolist() == [1, 2, 0]
    assert scores[1] == pytest.approx(sum(blend.parts(signals, rows(0)).values()))
