"""What a study hands on: the layouts that trainers read, read the way they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crs.studies.export import SCHEMAS, export
from crs.studies.study import Study
from knowledge.errors import InputError
from knowledge.store import Store
from tests.crs.studies.tiny_study import answer_all, make_study, scores, side_of


def loaded(path: Path, cache: Path) -> Any:
    """The file as `datasets` gives it to a trainer."""
    from datasets import load_dataset

    layout = {".jsonl": "json", ".parquet": "parquet"}[path.suffix]
    return load_dataset(layout, data_files=str(path), split="train", cache_dir=str(cache))


@pytest.fixture
def rated(small_store: Store, tmp_path: Path) -> Study:
    """ "fused" is far better on u00 and a little on u01; u02's texts are middling."""
    study = make_study(tmp_path / "study", small_store, n_shoppers=3, n_checks=2, task="purchase_reason")
    marks = {"u00-fused": 7, "u00-content": 2, "u01-fused": 6, "u01-content": 5}
    marks |= {"u02-fused": 4, "u02-content": 4}
    for _ in range(2):
        given = {
            trial_id: scores(study, trial_id, marks.get(trial_id, 1), foresight=8 - marks.get(trial_id, 1))
            for trial_id in study.trials
        }
        answer_all(study, study.join(), given)
    return study


def test_all_layouts_load_as_they_are(rated: Study, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written = export(rated, out, margin=1.5)
    assert written == {"ratings": 16, "preferences": 1, "completions": 3}
    for name, n_rows in written.items():
        for suffix in (".jsonl", ".parquet"):
            rows = loaded(out / f"{name}{suffix}", tmp_path / "cache")
            assert rows.column_names == SCHEMAS[name].names and len(rows) == n_rows
    (row,) = loaded(out / "preferences.jsonl", tmp_path / "cache")
    assert row == loaded(out / "preferences.parquet", tmp_path / "cache")[0]
    assert row["chosen"].endswith("says f.") and row["rejected"].endswith("says c.")
    history = rated.trials["u00-fused"].history
    assert row["history_ids"] == [purchase.item_id for purchase in history]
    assert (row["task"], row["user_id"], row["seed_chosen"]) == ("purchase_reason", "u00", 0)
    assert row["target_id"] == rated.trials["u00-fused"].target_id
    assert "[1] " in row["prompt"] and "why the shopper bought [target]" in row["prompt"]
    assert rated.items[row["target_id"]].kind in row["prompt"]
    labels = loaded(out / "completions.parquet", tmp_path / "cache")["label"]
    assert sorted(labels) == [False, True, True]  # the others are neither good nor bad
    rated.close()


def test_a_smaller_margin_prefers_more(rated: Study, tmp_path: Path) -> None:
    assert export(rated, tmp_path / "out", margin=1.0)["preferences"] == 2
    with pytest.raises(InputError, match="cannot be written to"):
        export(rated, tmp_path / "study" / "study.json")
    rated.close()


def test_most_votes_decide_what_was_compared(small_store: Store, tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", small_store, mode="compare", n_shoppers=2, n_checks=0, raters=3)
    for votes in (("first", "second"), ("first", "second"), ("second", "first"), ("tie", "tie")):
        code = study.join()
        while (at := study.sitting(code)).trial is not None:
            choice = votes[0] if at.trial.trial_id == "u00-pair" else votes[1]
            side = choice if choice == "tie" else side_of(study, code, choice)
            study.answer(code, at.trial.trial_id, {"choice": side, "confidence": 4})
    written = export(study, tmp_path / "out")
    assert written == {"ratings": 6, "preferences": 2, "completions": 4}  # the fourth found nothing to do
    rows = list(loaded(tmp_path / "out" / "preferences.parquet", tmp_path / "cache"))
    assert [row["chosen"][-2] for row in rows] == ["f", "c"]
    assert rows[0]["target_id"] is None
    said = [row["chosen"] for row in loaded(tmp_path / "out" / "ratings.parquet", tmp_path / "cache")]
    assert sorted(said) == ["content"] * 3 + ["fused"] * 3
    study.close()


def test_a_study_that_nobody_rated_has_empty_tables(small_store: Store, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    study = make_study(tmp_path / "study", small_store)
    assert export(study, tmp_path / "out") == {"ratings": 0, "preferences": 0, "completions": 0}
    assert pq.read_table(tmp_path / "out" / "preferences.parquet").column_names[:3] == [
        "prompt", "chosen", "rejected",
    ]  # fmt: skip
    study.close()
