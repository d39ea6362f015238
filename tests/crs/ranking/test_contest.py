from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from typer.testing import CliRunner

from benchmarks.tables import section
from crs.cf import fit_bpr
from crs.cli.app import app
from crs.content import Encoder
from crs.ranking.baselines import BprConfig, fit_baselines
from crs.ranking.contest import ContestConfig, Outcome, hold_contest
from crs.ranking.data import RankingData
from crs.ranking.report import figures, table
from crs.ranking.sequential import SequentialConfig, train_scorer
from crs.ranking.splits import leave_last
from knowledge.store import Store
from knowledge.types import Item
from tests.conftest import WordEncoder

QUICK = SequentialConfig(width=64, max_epochs=2, batch_size=32)
SYSTEMS = ["random", "popularity", "item-kNN", "content", "WALS", "BPR", "SASRec", "fused"]


@pytest.fixture(scope="module")
def in_circles() -> RankingData:
    """60 users walk around one of two circles of ten items, so that what is next is certain."""
    items = {str(n): Item(str(n), f"{'red' if n < 10 else 'blue'} thing {n}") for n in range(20)}
    histories = {
        f"u{user}": [str(10 * (user % 2) + (user // 2 + step) % 10) for step in range(6)]
        for user in range(60)
    }
    data = leave_last("circles", items, histories)
    data.test.queries.histories[0] = np.array([], dtype=np.int64)  # one of whom nothing is known
    return data


@pytest.fixture(scope="module")
def outcome(in_circles: RankingData, word_encoder: WordEncoder) -> Outcome:
    return hold_contest(in_circles, word_encoder, ContestConfig(QUICK, QUICK), progress=lambda *_: None)


def test_ours_learns_what_baselines_without_order_cannot(in_circles: RankingData, outcome: Outcome) -> None:
    report = figures(in_circles, outcome)
    systems = report["systems"]
    assert list(systems) == SYSTEMS and report["n"] == 60 and report["test pairs in training"] == 0
    assert systems["fused"]["NDCG@3"] > 0.95
    assert all(system["Recall@5"] == system["HR@5"] for system in systems.values())
    assert report["groups"]["history length"]["fused"]["0"]["n"] == 1
    assert systems["fused"]["NDCG@10"] > systems["popularity"]["NDCG@10"]
    gain = report["differences"]["random"]["NDCG@10"]
    assert 0 < gain["95%"][0] <= gain["difference"] <= gain["95%"][1]
    assert report["ablation on valid"]["all"]["HR@10"] <= 1
    assert "without neighbours" in report["ablation on valid"]


def test_a_report_is_json_and_has_its_tables(in_circles: RankingData, outcome: Outcome) -> None:
    report = figures(in_circles, outcome)
    assert json.loads(json.dumps(report)) == report
    lines = list(table(report))
    assert len(lines) == 2 + len(SYSTEMS) + len(SYSTEMS) - 1
    record = {
        "config": {}, "commit": "abc", "day": "today", "figures": report,
        "hardware": {"cores": 2, "cpu": "some", "memory_gib": 1},
    }  # fmt: skip
    drawn = section("ranking_circles", record)
    assert "| 60 test rows |" in drawn and "| fused less |" in drawn and "| without cf |" in drawn


def test_both_transformers_learn_the_circle(in_circles: RankingData) -> None:
    sequences = in_circles.test.sequences
    config = SequentialConfig(width=64, max_epochs=25, batch_size=32, dropout=0.1)
    rows = np.eye(20, 512, dtype=np.float32)
    for scorer in (train_scorer(sequences, rows, config), train_scorer(sequences, 20, config)):
        scores = scorer.scores([np.array([3, 4, 5]), np.array([], dtype=np.int64), np.array([17, 18])])
        assert scores.argmax(axis=1)[[0, 2]].tolist() == [6, 19]
        assert scores.sum(axis=1) == pytest.approx([1, 0, 1], abs=1e-4)


def test_training_stops_where_the_watched_get_no_better(in_circles: RankingData) -> None:
    config = SequentialConfig(width=64, max_epochs=40, patience=1, batch_size=32)
    scorer = train_scorer(in_circles.valid.sequences, 20, config, watched=in_circles.valid.queries)
    assert 1 <= scorer.epochs < 40


def test_patience_is_told_in_passes_where_an_epoch_is_a_part_of_one(
    in_circles: RankingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold = in_circles.valid
    n_positions = sum(len(sequence) - 1 for sequence in fold.sequences)
    monkeypatch.setattr("crs.ranking.sequential.MAX_POSITIONS", n_positions // 2)
    monkeypatch.setattr("crs.ranking.sequential._ndcg", lambda *_: 0.5)
    seen: list[int] = []
    config = SequentialConfig(width=64, max_epochs=40, patience=2, batch_size=32)
    scorer = train_scorer(
        fold.sequences, 20, config, watched=fold.queries, progress=lambda done, _: seen.append(done)
    )
    assert scorer.epochs == 1 and seen[-1] == 1 + 2 * 2


def test_bpr_is_told_as_it_was_trained(in_circles: RankingData, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = (BprConfig(8, 0.01, 0.01, 5), BprConfig(8, 0.05, 0.01, 1000))
    monkeypatch.setattr("crs.ranking.baselines.BPR_TRIALS", trials)
    monkeypatch.setattr("crs.ranking.baselines.MAX_BPR_DRAWS", 20 * 60 * 6)
    trained: list[int] = []

    def counted(owned: csr_matrix, *, iterations: int, **config: Any) -> tuple[np.ndarray, np.ndarray]:
        trained.append(iterations)
        return fit_bpr(owned, iterations=iterations, **config)

    monkeypatch.setattr("crs.ranking.baselines.fit_bpr", counted)
    fitted = fit_baselines(
        in_circles, in_circles.test, np.eye(20, 384, dtype=np.float32), replace(QUICK, max_epochs=1)
    )
    assert trained[:2] == [5, 24] and fitted.bpr.iterations == trained[-1]


def test_the_command_prints_one_object(
    small_store: Store, word_encoder: WordEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Encoder, "encode", lambda _self, texts, progress=None: word_encoder.encode(texts))
    out = tmp_path / "record.json"
    command = ["evaluate", "ranking", "--data", str(small_store.path), "--cache", str(tmp_path), "--json"]
    command += ["--max-epochs", "2"]
    ran = CliRunner().invoke(app, [*command, "--out", str(out)])
    assert ran.exit_code == 0, ran.output
    printed = json.loads(ran.stdout.strip().splitlines()[-1])
    assert printed["dataset"] == "small" and printed["n"] == 40
    assert printed["systems"]["fused"]["HR@20"] >= printed["systems"]["fused"]["HR@10"]
    assert json.loads(out.read_text())["figures"]["systems"] == printed["systems"]
