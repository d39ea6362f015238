"""`llmrec augment` and `llmrec evaluate` in process, on a small store and a loopback endpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from knowledge.store import Store
from tests.command_line import Run, called
from tests.conftest import WordEncoder
from tests.crs.llm.openai_server import Reply, serving


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.setattr("crs.content.Encoder", WordEncoder)
    monkeypatch.chdir(tmp_path)

    def call(*args: object) -> tuple[int, str, str]:
        return called(monkeypatch, capsys, "llmrec", *args)

    return call


def test_texts_are_written_and_then_compared(run: Run, small_store: Store, tmp_path: Path) -> None:
    with serving(lambda _: Reply('{"text": "Something for the home."}')) as server:
        asked = ("--llm", f"{server.url}#m", "--out", "told.jsonl")
        code, out, err = run("augment", small_store.path, *asked, "--strategy", "engagement", "--split", 0)
        assert code == 0, err
    assert out.startswith("written\t36\n") and (tmp_path / "told.jsonl.calls.jsonl").exists()
    shown = server.requests[0].body["messages"][-1]["content"]
    assert "<related>" in shown and "(none yet)" not in shown

    compared = ("evaluate", "--data", small_store.path, "--splits", 1, "--epochs", 2, "--texts", "told.jsonl")
    code, out, err = run(*compared, "--json", "--out", "figures.json")
    assert code == 0, err
    figures = json.loads(out)
    assert figures["config"]["inputs"] == ["plain", "plain+shuffled", "plain+neighbours", "plain+engagement"]
    assert json.loads((tmp_path / "figures.json").read_text())["figures"]["all items"].keys() == set(
        figures["config"]["inputs"]
    )
    code, out, _ = run(*compared)
    assert code == 0 and "\nall items\tndcg@10\tndcg@10 sd" in out


def test_the_same_inputs_go_through_the_ranker(run: Run, small_store: Store, tmp_path: Path) -> None:
    asked = ("--splits", 1, "--epochs", 1, "--input", "plain", "--input", "plain+neighbours")
    code, out, err = run("evaluate", "--data", small_store.path, "--through", "ranker", *asked, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["config"]["ranker"]["transformer"]["max_epochs"] == 1
    assert found["all items"].keys() == {"plain", "plain+neighbours"}
    assert "rankers" in err
    assert run("evaluate", "--data", small_store.path, "--through", "elsewhere")[0] == 2


def test_wrong_usage_is_told(run: Run, small_store: Store) -> None:
    code, _, err = run("augment", small_store.path, "--llm", "x.gguf", "--strategy", "praise")
    assert code == 2 and "no strategy is called 'praise'" in err
    code, _, err = run("evaluate", "--data", small_store.path, "--input", "plain+tags", "--splits", 1)
    assert code == 1 and "no texts called 'tags'" in err
