from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crs.cf import fit_wals
from crs.ranking.data import Rows, owned_matrix
from crs.ranking.links import Links, links_of
from crs.ranking.pairs import ItemTies
from crs.ranking.ranker import Ranker, fit_ranker, load_ranker, save_ranker
from crs.ranking.signals import Nearness, fit_signals, walk
from crs.ranking.splits import last_hidden
from knowledge.types import Item
from tests.conftest import WordEncoder

ITEMS = [Item(str(n), f"{'red' if n < 10 else 'blue'} thing {n}") for n in range(20)]
# 60 users walk around one of two circles of ten items, so that what is next is certain.
SEQUENCES = [np.array([10 * (user % 2) + (user // 2 + step) % 10 for step in range(6)]) for user in range(60)]


@pytest.fixture(scope="module")
def content(word_encoder: WordEncoder) -> np.ndarray:
    return word_encoder.encode([item.title for item in ITEMS])


@pytest.fixture(scope="module")
def factors() -> np.ndarray:
    return fit_wals(owned_matrix(SEQUENCES, 20))


@pytest.fixture(scope="module")
def ranker(content: np.ndarray, factors: np.ndarray) -> Ranker:
    return fit_ranker(SEQUENCES, ITEMS, content, factors, replaced=0.25)


def rows(*items: int) -> Rows:
    return np.array(items, dtype=np.int64)


@pytest.mark.parametrize("last", [0, 2])
def test_links_of_all_ties_are_the_ties(last: int) -> None:
    ties = np.random.default_rng(0).random((7, 7)).astype(np.float32)
    links = links_of(ItemTies(ties, 0.5, last), 7, k=7)
    histories = [rows(0, 3, 3, 6), rows(), rows(2)]
    expected = ItemTies(ties, 0.5, last).scores(histories) / ties.max()
    assert links.scores(histories) == pytest.approx(expected, abs=1e-6)
    assert links.scores(histories, rows(5, 1)) == pytest.approx(expected[:, [5, 1]], abs=1e-6)


def test_links_of_the_nearest_and_of_a_walk(content: np.ndarray) -> None:
    nearness, walker = Nearness(content, 0.9, best=True), walk(SEQUENCES, 20, 0.7)
    for scorer, histories in ((nearness, [rows(0, 15), rows()]), (walker, [rows(4, 5)])):
        found, expected = (each.scores(histories) for each in (links_of(scorer, 20, k=20), scorer))
        assert found / max(found.max(), 1e-9) == pytest.approx(expected / max(expected.max(), 1e-9), abs=1e-5)


def test_only_the_strongest_links_are_kept() -> None:
    links = links_of(ItemTies(np.array([[0, 1, 4], [2, 0, -1], [0, 0, 0]], np.float32)), 3, k=1)
    assert links.ids[:2, 0].tolist() == [2, 0] and links.weights[:, 0].tolist() == [1, 0.5, 0]


def test_some_items_score_as_among_all(content: np.ndarray, ranker: Ranker) -> None:
    among, histories = rows(1, 4, 11, 19), [rows(3, 4, 5), rows()]
    for signal in [*fit_signals(SEQUENCES, ITEMS, content), *ranker.signals]:
        found = signal.scorer.scores(histories, among)
        assert found == pytest.approx(signal.scorer.scores(histories)[:, among], abs=1e-5), signal.name


def test_the_ranker_finds_what_comes_next(ranker: Ranker) -> None:
    scores = ranker.scores([rows(2, 3, 4), rows(17, 18)])
    assert scores.argmax(axis=1).tolist() == [5, 19]
    parts = ranker.parts(rows(2, 3, 4))
    assert sum(parts.values()) == pytest.approx(scores[0], abs=1e-4)


def test_a_kept_ranker_ranks_alike(
    ranker: Ranker, content: np.ndarray, factors: np.ndarray, tmp_path: Path
) -> None:
    save_ranker(tmp_path / "ranker.npz", ranker)
    kept = load_ranker(tmp_path / "ranker.npz", content, factors)
    histories = [rows(2, 3, 4), rows(), rows(12)]
    assert kept.scores(histories) == pytest.approx(ranker.scores(histories), abs=0.02)
    assert kept.again == pytest.approx(ranker.again) and kept.replaced == 0.25
    assert [each.name for each in kept.signals] == [each.name for each in ranker.signals]


def test_nothing_to_learn_from_weighs_all_alike(content: np.ndarray, factors: np.ndarray) -> None:
    ranker = fit_ranker([rows(0, 1), rows(1)], ITEMS, content, factors)
    assert set(ranker.blend.weights[0].tolist()) == {0.0, 1.0}
    assert np.isfinite(ranker.scores([rows(0), rows()])).all()


def test_a_ranker_reads_what_it_may(content: np.ndarray, factors: np.ndarray) -> None:
    told = {
        use: {signal.name for signal in fit_ranker(SEQUENCES, ITEMS, content, factors, use=use).signals}
        for use in ("fused", "cf", "content")
    }
    assert told["cf"] | told["content"] < told["fused"]
    assert {"popular", "owned"} <= told["cf"] & told["content"]
    assert not {"content", "words", "together of alike words"} & told["cf"]
    assert not {"wals", "walk", "together", "together of alike words"} & told["content"]


def test_the_last_items_are_hidden_from_the_fold() -> None:
    sequences = [rows(0, 1, 0), rows(2, 3), rows(4, 5, 6)]
    fold = last_hidden(sequences, at_most=5)
    assert fold.leaked() == 0 and [each.tolist() for each in fold.sequences] == [[1], [2, 3], [4, 5]]
    assert fold.queries.targets.tolist() == [0, 6] and fold.queries.histories[0].tolist() == [0, 1]
    assert len(last_hidden(sequences, at_most=1).queries) == 1


def test_links_are_cut_to_what_there_is() -> None:
    links = links_of(ItemTies(np.eye(3, dtype=np.float32)), 3)
    assert isinstance(links, Links) and links.ids.shape == (3, 3)
