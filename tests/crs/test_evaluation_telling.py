"""Generating for a measurement: side by side, kept line by line; and the command, start to finish."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crs.bundle import Bundle, derive_bundle
from crs.evaluation.occasions import Occasion, occasions
from crs.evaluation.telling import tell_all
from knowledge.types import TASKS, Task
from tests.command_line import called
from tests.conftest import WordEncoder


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crs.narrator.narrate.MAX_TOKENS", dict.fromkeys(TASKS, 24))  # nonsense has no end


def ask(bundle: Bundle, n: int, *tasks: Task) -> dict[Task, list[Occasion]]:
    drawn = occasions(bundle, bundle.store.user_ids, n)
    return {task: drawn[task] for task in tasks}


def kept_in(folder: Path) -> Path:
    (path,) = folder.glob("narratives-*.jsonl")
    return path


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("nothing is left to tell")


def test_every_occasion_is_told_twice_and_found_again(
    small_narrating_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(small_narrating_bundle, 2, "user_profile", "purchase_reason")
    seen: list[tuple[str, int, int]] = []
    told = tell_all(
        small_narrating_bundle, WordEncoder(), asked, tmp_path, lambda *at: seen.append(at), n_ungated=9
    )
    assert seen == [(task, done, 2) for task in asked for done in (1, 2)]
    for task, parts in told.items():
        assert [each.occasion for each in parts] == asked[task]
        assert all(0 <= each.shown.gate_s <= each.shown.seconds for each in parts)
        assert not any(each.ungated.rejected or each.ungated.is_plain for each in parts)
    monkeypatch.setattr("crs.evaluation.telling.Storyteller.open", refuse)
    assert tell_all(small_narrating_bundle, WordEncoder(), asked, tmp_path, n_ungated=9) == told


def test_a_killed_run_goes_on_after_what_it_kept(small_narrating_bundle: Bundle, tmp_path: Path) -> None:
    bundle, encoder = small_narrating_bundle, WordEncoder()
    told = tell_all(bundle, encoder, ask(bundle, 2, "user_profile"), tmp_path, n_ungated=9)
    path = kept_in(tmp_path)
    path.write_text(path.read_text()[:-20])  # killed while it wrote the second
    more = tell_all(bundle, encoder, ask(bundle, 3, "user_profile"), tmp_path, n_ungated=9)
    assert more["user_profile"][0] == told["user_profile"][0]  # its times too: it was not told again
    assert more["user_profile"][1].shown.text == told["user_profile"][1].shown.text
    kept = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}}")]
    assert len(kept) == 3


def test_only_as_many_as_asked_are_told_with_the_gate_open(
    small_narrating_bundle: Bundle, tmp_path: Path
) -> None:
    bundle, encoder = small_narrating_bundle, WordEncoder()
    asked = ask(bundle, 2, "user_profile")
    one = tell_all(bundle, encoder, asked, tmp_path, n_ungated=1)["user_profile"]
    assert [each.ungated is None for each in one] == [False, True]
    both = tell_all(bundle, encoder, asked, tmp_path, n_ungated=2)["user_profile"]
    assert all(each.ungated for each in both)
    assert both[0] == one[0] and both[1].shown.text == one[1].shown.text


def test_another_bundle_or_other_code_is_told_anew(
    small_narrating_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(small_narrating_bundle, 1, "user_profile")
    tell_all(small_narrating_bundle, WordEncoder(), asked, tmp_path, n_ungated=9)
    factors = 2 * small_narrating_bundle.item_factors
    other = derive_bundle(
        small_narrating_bundle.path, tmp_path / "other", reads_factors=True, item_factors=factors
    )
    tell_all(other, WordEncoder(), asked, tmp_path, n_ungated=9)
    assert len(list(tmp_path.glob("narratives-*.jsonl"))) == 2
    code = tmp_path / "narrator" / "gate.py"
    code.parent.mkdir()
    code.write_text("changed")
    monkeypatch.setattr("crs.narrator.__file__", str(code.parent / "__init__.py"))
    tell_all(small_narrating_bundle, WordEncoder(), asked, tmp_path, n_ungated=9)
    assert len(list(tmp_path.glob("narratives-*.jsonl"))) == 3


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *args: object) -> str:
    monkeypatch.setattr("crs.content.Encoder", WordEncoder)
    code, out, err = called(monkeypatch, capsys, "evaluate", "faithfulness", *args)
    assert not code, err
    return out


def test_the_command_measures_from_start_to_finish(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], demo_bundle: Bundle, tmp_path: Path
) -> None:
    options = (demo_bundle.path, "-n", 2, "--seed", 5, "--cache", tmp_path / "cache")
    out = tmp_path / "figures.json"
    figures: dict[str, Any] = json.loads(run(monkeypatch, capsys, *options, "--json", "--out", out))
    assert figures["sentences"]["all"]["n"] == 2 * len(TASKS)
    assert figures["sentences"]["all"]["wrong_after"] == 0  # the gate's promise
    assert figures["shopper among 20"]["user_profile"]["references"] >= 0
    assert set(figures["endorsed item among 100"]) == {"quoted facts kept", "quoted facts stripped"}
    assert figures["time of the gate"]["all"]["median_ratio"] > 0
    assert figures["variety"]["all"]["generated"]["n"] == 12
    record = json.loads(out.read_text())
    assert record["figures"] == figures and record["config"]["shoppers"] == "all"
    printed = run(monkeypatch, capsys, *options)
    assert "\nshopper among 20 / user_summary_brief\tn 2, among 2, references " in printed


def test_a_store_without_references_can_be_measured(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    small_narrating_bundle: Bundle,
    tmp_path: Path,
) -> None:
    items = small_narrating_bundle.store.items.values()
    kitchen = tmp_path / "items.txt"
    kitchen.write_text("\n".join(each.item_id for each in items if each.department == "Kitchen"))
    out = tmp_path / "figures.json"
    options = ("-n", 2, "--cache", tmp_path, "--items-file", kitchen, "--out", out, "--json")
    figures = json.loads(run(monkeypatch, capsys, small_narrating_bundle.path, *options))
    assert "references" not in figures["shopper among 20"]["user_profile"]
    assert "references" not in figures["variety"]["user_profile"]
    config = json.loads(out.read_text())["config"]
    assert config["shoppers"] == "all items held out of the narrator's training"
