"""The tower learns what its input tells, keeps its best epoch, and is the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from crs.llmrec.splits import deal
from crs.llmrec.tower import Tower, TowerPlan, train_tower
from tests.conftest import WordEncoder
from tests.crs.llmrec.planted import CIRCLES, planted_catalogue

PLAN = TowerPlan(n_hidden=16, n_factors=8, users_a_step=20, n_epochs=30, learning_rate=1e-2)
CATALOGUE = planted_catalogue()
SPLIT = deal(CATALOGUE, 0)


def trained(texts: tuple[str, ...], seed: int = 0) -> Tower:
    return train_tower(WordEncoder().encode(texts), SPLIT.train, SPLIT.valid, PLAN, seed=seed)


def test_texts_that_tell_the_taste_rank_better() -> None:
    assert CATALOGUE.summaries is not None
    telling, plain = trained(CATALOGUE.summaries), trained(CATALOGUE.texts)
    assert telling.valid_ndcg > plain.valid_ndcg * 1.2
    scores = telling.user_vectors @ telling.item_vectors.T
    own = np.arange(len(scores))[:, None] % 2 == np.arange(len(CATALOGUE.item_ids)) % 2
    assert scores[own].mean() > scores[~own].mean()
    assert len(CIRCLES) == 2


def test_the_same_seed_gives_the_same_tower() -> None:
    first, again, other = (trained(CATALOGUE.texts, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.item_vectors, again.item_vectors)
    assert first.epochs == again.epochs and not np.array_equal(first.user_vectors, other.user_vectors)


def test_the_best_epoch_is_kept_and_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([0.1, 0.3, 0.2])
    monkeypatch.setattr("crs.llmrec.tower.ranking_metrics", lambda top, valid: {"ndcg@10": next(looks)})
    epochs: list[int] = []
    plan = TowerPlan(n_hidden=4, n_factors=2, n_epochs=5, epochs_a_look=2)
    rows = WordEncoder().encode(CATALOGUE.texts)
    tower = train_tower(
        rows, SPLIT.train, SPLIT.valid, plan, seed=0, progress=lambda epoch, total: epochs.append(epoch)
    )
    assert tower.epochs == 4 and tower.valid_ndcg == 0.3  # looked at after 2, 4 and the last
    assert epochs == [1, 2, 3, 4, 5]
