"""`python -m crs study` from a plan to a report and an export, as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crs.bundle import Bundle
from crs.studies.study import Study
from tests.command_line import Run, called
from tests.conftest import WordEncoder
from tests.crs.studies.tiny_study import answer_all, scores


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Exit code, standard output and standard error of ``crs study ARGS``."""
    monkeypatch.setattr("crs.content.Encoder", WordEncoder)
    monkeypatch.setenv("RACONTEUR_VAR", str(tmp_path / "var"))

    def call(*args: object) -> tuple[int, str, str]:
        return called(monkeypatch, capsys, "study", *args)

    return call


def test_a_study_from_its_file_to_its_exports(
    run: Run, small_narrating_bundle: Bundle, tmp_path: Path
) -> None:
    plan = {
        "name": "does CF help",
        "tasks": ["user_profile"],
        "n_per_task": 1,
        "checks": 1,
        "split": "train",
        "settings": [
            {"name": "all", "bundle": str(small_narrating_bundle.path)},
            {"name": "words", "bundle": str(small_narrating_bundle.path), "signals": "content"},
        ],
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    folder = tmp_path / "study"
    code, printed, said = run("new", tmp_path / "plan.json", folder)
    assert (code, printed.splitlines()) == (0, ["items\t2", "checks\t1"]), said
    assert run("report", folder)[0] == 1  # nobody has rated yet

    study = Study(folder)
    code_of_rater = study.join()
    answer_all(study, code_of_rater, {trial_id: scores(study, trial_id, 6) for trial_id in study.trials})
    study.close()
    code, printed, said = run("report", folder, "--json")
    assert code == 0, said
    assert json.loads(printed)["ratings"] == 2
    record = json.loads((folder / "report" / "report.json").read_text())
    assert record["config"]["plan"]["name"] == "does CF help" and record["figures"]["ratings"] == 2
    assert (folder / "report" / "report.md").read_text().startswith("# does CF help\n")
    assert (folder / "report" / "report.png").is_file()
    code, printed, _ = run("export", folder)
    assert code == 0 and "ratings\t3" in printed and "completions\t2" in printed
    assert run("forget", folder, code_of_rater)[1] == "answers deleted\t3\n"


def test_what_cannot_be_done_is_one_line(run: Run, tmp_path: Path) -> None:
    for args in (("new", tmp_path / "none.toml", tmp_path / "x"), ("report", tmp_path), ("serve", tmp_path)):
        code, _, said = run(*args)
        (line,) = (line for line in said.splitlines() if line.startswith("error: "))
        assert code == 1 and ("no such file" in line or "no study there" in line)
