"""Splits that keep the test away, inputs put together from parts, and figures paired by split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from crs.llmrec.experiment import run_experiment
from crs.llmrec.inputs import (
    content_rows,
    default_inputs,
    engagement_text,
    item_parts,
    joined_texts,
    one_width,
)
from crs.llmrec.metrics import ranking_metrics
from crs.llmrec.report import config_of, summary, table
from crs.llmrec.splits import RANKINGS, deal, neighbours_of
from crs.llmrec.through import RankerPlan, ThroughRanker, ThroughTower
from crs.llmrec.tower import TowerPlan
from crs.ranking.blend import Candidates, candidates_of
from crs.ranking.data import Queries
from crs.ranking.sequential import SequentialConfig
from crs.ranking.signals import Signal, fit_signals
from knowledge.errors import InputError
from tests.conftest import WordEncoder
from tests.crs.llmrec.planted import planted_catalogue

CATALOGUE = planted_catalogue()
TOWER = ThroughTower(TowerPlan(n_hidden=16, n_factors=8, users_a_step=10, n_epochs=16, learning_rate=2e-2))
RANKER = ThroughRanker(RankerPlan(SequentialConfig(max_epochs=2, batch_size=32)))


def test_a_split_deals_every_pair_once_and_candidates_are_unseen() -> None:
    split = deal(CATALOGUE, 3)
    whole = CATALOGUE.matrix().toarray()
    np.testing.assert_array_equal((split.train + split.valid + split.test).toarray(), whole)
    assert split.test.nnz == split.valid.nnz == round(0.1 * len(CATALOGUE.pairs))
    candidates = split.candidates.toarray()
    test = split.test.toarray()
    assert (candidates[test > 0] == 1).all()
    assert not (candidates * (whole - test)).any()  # nothing of training or validation
    assert (deal(CATALOGUE, 3).test != split.test).nnz == 0
    assert (deal(CATALOGUE, 4).test != split.test).nnz > 0


def test_neighbours_come_from_training_pairs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = deal(CATALOGUE, 0)
    seen = []

    def walk(user_items: object, n: int, **_: object) -> list[list[int]]:
        seen.append(user_items)
        return [[1, 2]] * len(CATALOGUE.item_ids)

    monkeypatch.setattr("crs.llmrec.splits.important_neighbours", walk)
    assert neighbours_of(CATALOGUE, split, tmp_path)[0] == [1, 2]
    neighbours_of(CATALOGUE, split, tmp_path)  # kept
    assert len(seen) == 1 and seen[0] is split.train
    neighbours_of(CATALOGUE, None, tmp_path)
    assert len(seen) == 2 and (seen[1] != CATALOGUE.matrix()).nnz == 0


def test_an_input_is_its_parts_side_by_side() -> None:
    parts = item_parts(CATALOGUE, [[2, 3]] * len(CATALOGUE.item_ids))
    assert list(parts) == ["plain", "summary", "neighbours", "shuffled"]
    assert CATALOGUE.summaries is not None
    assert parts["shuffled"] != CATALOGUE.summaries and set(parts["shuffled"]) == set(CATALOGUE.summaries)
    assert parts["neighbours"][0] == "plain0 Taken by the same people: thing2; thing3."
    rows = content_rows("plain+neighbours", parts, WordEncoder())
    assert rows.shape == (60, 768)
    np.testing.assert_array_equal(rows[:, :384], WordEncoder().encode(CATALOGUE.texts))
    with pytest.raises(InputError, match="no texts called 'tags'; there are plain, summary, neigh"):
        content_rows("plain+tags", parts, WordEncoder())


def test_an_input_of_any_width_becomes_rows_of_one_whose_cosines_stay() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(30, 5)) @ rng.normal(size=(5, 500))  # of five directions: nothing is lost
    lengths = np.linalg.norm(rows, axis=1)
    cosines = rows @ rows.T / np.outer(lengths, lengths)
    for given in (rows, rows[:, :384], rows[:, :9]):
        found = one_width(given)
        assert found.shape == (30, 384) and found.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(one_width(rows) @ one_width(rows).T, cosines, atol=1e-4)


def test_through_the_ranker_texts_that_tell_the_taste_rank_better(tmp_path: Path) -> None:
    inputs = ("plain", "plain+summary")
    figures = run_experiment(CATALOGUE, inputs, RANKER, WordEncoder(), tmp_path, n_splits=2)
    for ranking in RANKINGS:
        assert 0 < figures[ranking]["plain"]["ndcg@10"] < figures[ranking]["plain+summary"]["ndcg@10"]
    kept = sorted(path.name for path in tmp_path.glob("ranker-*"))
    assert len(kept) == 4 and all(name.startswith("ranker-plain") for name in kept)
    config = config_of(CATALOGUE, inputs, RANKER, 2)
    assert config["ranker"]["transformer"]["max_epochs"] == 2 and "tower" not in config


def test_the_ranker_is_asked_for_what_it_was_not_fitted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    split = deal(CATALOGUE, 0)
    asked: list[Queries] = []

    def noted(signals: list[Signal], queries: Queries) -> Candidates:
        asked.append(queries)
        return candidates_of(signals, queries)

    monkeypatch.setattr("crs.llmrec.through.candidates_of", noted)
    tops: list[np.ndarray] = []

    def seen(top: np.ndarray, held_out: csr_matrix) -> dict[str, float]:
        tops.append(top)
        return ranking_metrics(top, held_out)

    monkeypatch.setattr("crs.llmrec.through.ranking_metrics", seen)
    parts = item_parts(CATALOGUE, [[]] * len(CATALOGUE.item_ids))
    RANKER.outcome(split, "plain", parts, WordEncoder())
    for user, history, target in zip(asked[0].users, asked[0].histories, asked[0].targets, strict=True):
        assert sorted(history) == sorted(split.train[user].indices)
        assert target in split.valid[user].indices
    known, candidates = (split.train + split.valid).toarray(), split.candidates.toarray()
    users = np.arange(CATALOGUE.n_users)[:, None]
    valid, *tested = tops
    assert not split.train.toarray()[users, valid].any()
    assert not any(known[users, top].any() for top in tested) and candidates[users, tested[1]].all()


def test_what_reads_no_text_is_fitted_once_a_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = []

    def counted(*given: Any, **options: Any) -> list[Signal]:
        fitted.append(given)
        return fit_signals(*given, **options)

    monkeypatch.setattr("crs.llmrec.through.fit_signals", counted)
    through = ThroughRanker(RANKER.plan)
    run_experiment(CATALOGUE, ("plain", "summary"), through, WordEncoder(), tmp_path, n_splits=2)
    assert len(fitted) == 2
    parts = item_parts(CATALOGUE, [[]] * len(CATALOGUE.item_ids))
    assert joined_texts("plain+summary", parts)[1] == "plain1 garden planting soil 1"


def test_an_item_without_neighbours_keeps_its_own_text() -> None:
    assert engagement_text("A lamp.", []) == "A lamp."


def test_all_inputs_are_compared_and_a_second_run_trains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = default_inputs(CATALOGUE)
    augmented = ("plain+summary", "plain+neighbours", "plain+summary+neighbours")
    assert inputs == ("plain", "plain+shuffled", *augmented)
    seen: list[tuple[str, int, int]] = []

    def progress(*told: Any) -> None:
        seen.append(told)

    figures = run_experiment(CATALOGUE, inputs, TOWER, WordEncoder(), tmp_path, n_splits=2, progress=progress)
    for ranking in RANKINGS:
        assert figures[ranking]["plain+summary"]["ndcg@10"] > figures[ranking]["plain"]["ndcg@10"]
        gain = figures[f"ndcg@10 over plain, {ranking}"]["plain+summary"]
        assert gain["gain %"] > 0 and gain["splits better"] == "2 of 2"
        assert figures[f"ndcg@10 over plain+shuffled, {ranking}"].keys() == set(augmented)
    assert [told for told in seen if told[0] == "towers"][-1] == ("towers", 10, 10)
    monkeypatch.setattr("crs.llmrec.through.train_tower", None)
    assert run_experiment(CATALOGUE, inputs, TOWER, WordEncoder(), tmp_path, n_splits=2) == figures
    lines = list(table(config_of(CATALOGUE, inputs, TOWER, 2), figures))
    assert lines[0] == "dataset\tplanted" and any(line.startswith("plain+summary\t") for line in lines)


def test_written_texts_are_a_part_and_must_be_there_for_every_split(tmp_path: Path) -> None:
    told = [f"told {row}" for row in range(60)]
    run = {"inputs": ("plain", "plain+tags"), "through": TOWER, "encoder": WordEncoder(), "cache": tmp_path}
    figures = run_experiment(CATALOGUE, **run, n_splits=1, written={"tags": {None: told}})  # type: ignore[arg-type]
    assert "plain+tags" in figures[RANKINGS[0]]
    with pytest.raises(InputError, match="no 'tags' for split 1; run `llmrec augment --split`"):
        run_experiment(CATALOGUE, **run, n_splits=2, written={"tags": {0: told}})  # type: ignore[arg-type]


def test_gains_are_paired_by_split() -> None:
    def run(value: float) -> dict[str, object]:
        return {"epochs": 1, "valid": value, **{name: {"ndcg@10": value} for name in RANKINGS}}

    runs = {"plain": [run(0.2), run(0.4)], "plain+x": [run(0.22), run(0.42)]}
    figures = summary(runs)
    assert figures[RANKINGS[0]]["plain"] == {
        "ndcg@10": pytest.approx(0.3),
        "ndcg@10 sd": pytest.approx(0.2 / np.sqrt(2)),
    }
    gain = figures[f"ndcg@10 over plain, {RANKINGS[0]}"]["plain+x"]
    assert gain["gain %"] == pytest.approx(7.5)  # the mean of 10 % and 5 %
    assert gain["sd"] == pytest.approx(5 / np.sqrt(2))
    half = 12.706 * 2.5  # Student's t at one degree of freedom, over the root of two
    assert gain["interval %"] == pytest.approx([7.5 - half, 7.5 + half], rel=1e-3)
