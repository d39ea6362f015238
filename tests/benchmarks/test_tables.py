"""Records become tables: whatever their depth, every figure is in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import tables


def record(figures: dict[str, Any], **config: Any) -> dict[str, Any]:
    hardware = {"cpu": "Some CPU", "cores": 2, "memory_gib": 8.0}
    return {"config": config, "commit": "abc", "day": "2026-01-01", "hardware": hardware, "figures": figures}


def lines(figures: dict[str, Any]) -> list[str]:
    return "\n\n".join(tables.tables(figures)).splitlines()


def test_values_of_a_part_are_a_table() -> None:
    assert lines({"first": {"ms": 12.3456, "runs": 50}, "second": {"share": 0.5}}) == [
        "| first | value |", "| --- | --- |", "| ms | 12.35 |", "| runs | 50 |", "",
        "| second | value |", "| --- | --- |", "| share | 0.5 |",
    ]  # fmt: skip


def test_parts_of_a_part_are_rows() -> None:
    assert lines({"found": {"long": {"n": 3, "generated": 0.25}, "brief": {"n": 4.0, "references": 1}}}) == [
        "| found | n | generated | references |",
        "| --- | --- | --- | --- |",
        "| long | 3 | 0.25 |  |",
        "| brief | 4 |  | 1 |",
    ]


def test_deeper_rows_are_named_by_their_path() -> None:
    assert lines({"claims": {"reason": {"noun": {"wrong": 1}, "price": {"wrong": 0}}}}) == [
        "| claims |  | wrong |",
        "| --- | --- | --- |",
        "| reason | noun | 1 |",
        "| reason | price | 0 |",
    ]


def test_values_beside_parts_and_uneven_depths_are_kept() -> None:
    found = lines({"n": 7, "part": {"a": {"x": 1, "deep": {"y": 2}}, "z": None}})
    assert found == [
        "| figure | value |", "| --- | --- |", "| n | 7 |", "",
        "| part | value |", "| --- | --- |", "| z |  |", "",
        "| part | x |", "| --- | --- |", "| a | 1 |", "",
        "| part |  | y |", "| --- | --- | --- |", "| a | deep | 2 |",
    ]  # fmt: skip


def test_lists_are_intervals_words_or_rows() -> None:
    assert lines({"part": {"of": {"interval": [0.5, 12.0], "names": ["a", "b", "c|d"]}}})[2] == (
        "| of | 0.5 to 12 | a, b, c\\|d |"
    )
    assert lines({"runs": [{"x": 1}, {"x": 2}]})[2:] == ["| 1 | 1 |", "| 2 | 2 |"]


def test_the_document_is_written_from_the_records_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    measured = record({"part": {"x": 1}}, seed=3, scorer={"bleu": "13a", "seeds": [0, 1, 2]})
    (results / "b.json").write_text(json.dumps(measured))
    (results / "a.json").write_text(json.dumps(record({"part": {"y": 2}})))
    monkeypatch.setattr(tables, "RESULTS", results)
    monkeypatch.setattr(tables, "OUT", tmp_path / "results.md")
    tables.main()
    text = (tmp_path / "results.md").read_text()
    assert text.index("## a") < text.index("## b")
    assert "seed 3, scorer bleu 13a, scorer seeds 0, 1, 2. Commit abc, 2026-01-01, 2 cores of" in text
    assert "| part | value |\n| --- | --- |\n| x | 1 |\n" in text


def contest(bleu: float) -> dict[str, Any]:
    """Figures of one task, as `evaluate narratives` writes them; the fused system scores ``bleu``."""
    gain = {"difference": 1.0, "low": -0.5, "high": 2.5}
    scores = {"cf": 8.0, "content": 10.0, "fused": bleu, "nearest": 5.0}
    metrics = ("bleu", "rougeLsum", "similarity")
    return {
        "tasks": {
            "explanation": {system: {**dict.fromkeys(metrics, x), "n": 7} for system, x in scores.items()}
        },
        "gains": {
            "explanation": {rival: dict.fromkeys(metrics, gain) for rival in ("cf", "content", "nearest")}
        },
    }


def test_narratives_have_the_papers_table() -> None:
    reasons = {"fused": {"first": 0.5, "n": 9}, "cf": {"first": 0.25, "n": 9}}
    figures = {"dataset": "toy", **contest(12.0), "unseen_items": contest(11.0), "hidden_reason": reasons}
    text = tables.section("narratives_toy", record(figures, positions=100))
    assert "positions 100. Commit abc" in text
    row = "| explanation (7) | BLEU | 8.00 | 10.00 | 12.00 | +50.0% | +20.0% | 5.00 | +1.00 [-0.50, +2.50] |"
    assert row in text
    assert (
        "| explanation (7) | BLEU | 8.00 | 10.00 | 11.00 | +37.5% | +10.0% |" in text.split("nothing in")[1]
    )
    assert "| hidden_reason | first | n |\n| --- | --- | --- |\n| fused | 0.5 | 9 |" in text


def test_what_analyze_drew_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "analysis"
    folder.mkdir()
    kept = record({"separation": {"soft": 0.5}, "together": {"points": [[1, 2]]}}, bundle="b")
    (folder / "analysis.json").write_text(json.dumps(kept))
    (folder / "figure6_item_counts.png").write_bytes(b"")
    shown = tables.analysis_section(folder)
    assert "## What is in a soft token" in shown and "| soft | 0.5 |" in shown
    assert "![item counts](analysis/figure6_item_counts.png)" in shown and "points" not in shown
