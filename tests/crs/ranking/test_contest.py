from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.tables import section
from crs.cli.app import app
from crs.content import Encoder
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
    return leave_last("circles", items, histories)


@pytest.fixture(scope="module")
def outcome(in_circles: RankingData, word_encoder: WordEncoder) -> Outcome:
    return hold_contest(in_circles, word_encoder, ContestConfig(QUICK, QUICK), progress=lambda *_: None)


def test_ours_learns_what_baselines_without_order_cannot(in_circles: RankingData, outcome: Outcome) -> None:
    report = figures(in_circles, outcome)
    systems = report["systems"]
    assert list(systems) == SYSTEMS and report["n"] == 60 and report["test pairs in training"] == 0
    assert systems["fused"]["NDCG@3"] > 0.95
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
