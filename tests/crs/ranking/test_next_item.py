"""The signal that reads as the narrator does: the same hidden rows, one forward, cold items too."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from crs.adapter import AdapterKind, SoftTokens, build_adapter
from crs.ranking.data import Rows
from crs.ranking.next_item import ItemRows, NextItem, train_on_trunk
from crs.ranking.ranker import Ranker, fit_ranker, load_ranker, save_ranker
from crs.ranking.shortlist import Shortlist
from knowledge.errors import ModelError
from knowledge.types import Item

DIM = 32
N_SOLD, N_ITEMS = 20, 22  # the last two nobody bought
ITEMS = [Item(str(n), f"thing {n}", kind="thing") for n in range(N_ITEMS)]
# 60 users walk around one of two circles of ten items, so that what is next is certain.
SEQUENCES = [np.array([10 * (user % 2) + (user // 2 + step) % 10 for step in range(6)]) for user in range(60)]
HISTORIES = [np.array([3, 4, 5]), np.array([], dtype=np.int64), np.array([17, 18])]


def adapter(kind: AdapterKind, n_hidden: int = 64) -> SoftTokens:
    torch.manual_seed(0)
    places = np.random.default_rng(1).standard_normal((51, DIM)).astype(np.float32)
    return SoftTokens(build_adapter(kind, DIM, n_hidden), places)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def rows() -> ItemRows:
    random = np.random.default_rng(2)
    return ItemRows(
        random.standard_normal((N_ITEMS, 128), np.float32), unit(random.standard_normal((N_ITEMS, 384)))
    )


@pytest.fixture(scope="module", params=get_args(AdapterKind))
def scorer(request: pytest.FixtureRequest, rows: ItemRows) -> NextItem:
    soft_tokens = adapter(request.param)
    before = {name: value.clone() for name, value in soft_tokens.module.state_dict().items()}
    trained = train_on_trunk(SEQUENCES, soft_tokens, rows, epochs=60)
    for name, value in soft_tokens.module.state_dict().items():
        assert torch.equal(value, before[name]), name  # the narrator is not bent to ranking
    return NextItem.of(trained, soft_tokens, rows)


@pytest.fixture(scope="module")
def ranker(rows: ItemRows) -> Ranker:
    return fit_ranker(SEQUENCES, ITEMS, rows.content, rows.factors, soft_tokens=adapter("mlp"))


def test_it_learns_what_comes_next(scorer: NextItem) -> None:
    scores = scorer.scores(HISTORIES)
    assert scores.shape == (3, N_ITEMS) and scores.argmax(axis=1)[[0, 2]].tolist() == [6, 19]
    assert not scores[1].any()
    cold = scores[0, N_SOLD:]
    assert (cold > 0).all() and cold[0] != cold[1]  # told apart by what they are alone


def test_one_forward_gives_soft_tokens_and_the_ranking_signal(scorer: NextItem, rows: ItemRows) -> None:
    history, positions = HISTORIES[0], np.array([1, 2, 3])
    hidden = scorer.soft_tokens.hidden(rows.of(history))
    soft = scorer.soft_tokens.leaving(hidden, positions)
    np.testing.assert_array_equal(soft, scorer.soft_tokens(rows.of(history), positions))
    odds = scorer.odds(scorer.after(hidden[None], np.array([3])))
    np.testing.assert_allclose(odds, scorer.scores([history]), rtol=1e-5)


def test_some_items_score_as_among_all(scorer: NextItem) -> None:
    among = np.array([1, 6, 21])
    np.testing.assert_allclose(scorer.scores(HISTORIES, among), scorer.scores(HISTORIES)[:, among], rtol=1e-5)


def test_a_kept_scorer_scores_alike(scorer: NextItem, rows: ItemRows, tmp_path: Path) -> None:
    scorer.save(tmp_path / "kept")
    kept = NextItem.load(tmp_path / "kept", scorer.soft_tokens, rows)
    np.testing.assert_allclose(
        np.log(kept.scores(HISTORIES)[[0, 2]]), np.log(scorer.scores(HISTORIES)[[0, 2]]), atol=0.1
    )
    assert kept.epochs == scorer.epochs == 60
    with pytest.raises(ModelError, match=r"kept: .*22 items over 64 hidden columns.*fit the ranker again"):
        NextItem.load(tmp_path / "kept", adapter("mlp", 128), rows)
    (tmp_path / "kept").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="fit the ranker again"):
        NextItem.load(tmp_path / "kept", scorer.soft_tokens, rows)


def test_the_ranker_weighs_it(ranker: Ranker) -> None:
    assert ranker.next_item is not None and ranker.blend.names[-1] == "sequence"
    assert ranker.blend.weights[:, -2:].any()
    part = ranker.parts(HISTORIES[0])["sequence"]
    among: Rows = np.array([5, 6, 7])
    np.testing.assert_allclose(ranker.parts(HISTORIES[0], among)["sequence"], part[among], atol=1e-4)


def test_a_kept_ranker_ranks_with_it_and_without(ranker: Ranker, rows: ItemRows, tmp_path: Path) -> None:
    path = tmp_path / "ranker.npz"
    save_ranker(path, ranker)
    kept = load_ranker(path, rows.content, rows.factors, ranker.next_item)
    np.testing.assert_allclose(kept.scores(HISTORIES), ranker.scores(HISTORIES), atol=0.02)
    without = load_ranker(path, rows.content, rows.factors)
    assert without.next_item is None and without.blend.names == ranker.blend.names[:-1]
    both = [each.parts(HISTORIES[0]) for each in (kept, without)]
    for name, part in both[1].items():
        np.testing.assert_array_equal(part, both[0][name])


@pytest.mark.parametrize("use", ["cf", "content"])
def test_what_may_not_read_both_goes_without(rows: ItemRows, use: str) -> None:
    fitted = fit_ranker(SEQUENCES, ITEMS, rows.content, rows.factors, use=use, soft_tokens=adapter("mlp"))  # type: ignore[arg-type]
    assert fitted.next_item is None


def test_what_comes_next_is_listed(ranker: Ranker, rows: ItemRows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crs.ranking.shortlist.FEW", 3)
    monkeypatch.setattr("crs.ranking.shortlist.PER_SIGNAL", 1)
    only = Ranker(
        [each for each in ranker.signals if each.family in ("sequence", "popularity")], ranker.blend
    )
    allowed = np.ones(N_ITEMS, dtype=bool)
    listed = Shortlist(only, rows.content).rows(HISTORIES[0], np.empty((0, 384), np.float32), allowed, 1)
    assert 6 in listed
    allowed[6] = False
    listed = Shortlist(only, rows.content).rows(HISTORIES[0], np.empty((0, 384), np.float32), allowed, 1)
    assert 6 not in listed and len(listed)
