"""`python -m crs rate` start to finish: on a tiny GGUF of random weights, and on a loopback endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crs.bundle import Bundle
from crs.evaluation.rater.cases import ATTRIBUTES
from crs.narrator.gguf_export import export_gguf
from knowledge.store import Store
from tests.command_line import Run, called
from tests.conftest import WordEncoder
from tests.crs.llm.openai_server import Reply, Request, serving
from tests.crs.narrator_folders import write_narrator


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Exit code, standard output and standard error of ``crs rate ARGS``."""
    monkeypatch.setattr("crs.content.Encoder", WordEncoder)
    monkeypatch.setenv("RACONTEUR_VAR", str(tmp_path / "var"))

    def call(*args: object) -> tuple[int, str, str]:
        return called(monkeypatch, capsys, "rate", *args)

    return call


@pytest.fixture
def gguf_path(tmp_path: Path) -> Path:
    """Random weights with room for a prompt: every character is a token to them."""
    folder = write_narrator(tmp_path / "llm")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 12_000}))
    export_gguf(folder, folder / "tiny.gguf", "f32")
    return folder / "tiny.gguf"


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes seconds, and one test of it is enough."""
    monkeypatch.setattr("crs.evaluation.rater.report.draw", lambda figures, path: None)


def sound(request: Request) -> Reply:
    """Scores for what the request's schema names: 6, and 2 for foresight."""
    names = request.body["response_format"]["json_schema"]["schema"]["required"][1:]
    scores = {name: {"score": 2 if name == "foresight" else 6, "confidence": 5} for name in names}
    return Reply(json.dumps({"notes": "Seen.", **scores}))


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_tiny_gguf_rates_the_references_of_a_store(
    run: Run, small_store: Store, gguf_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = (small_store.path, "--references", "--llm", gguf_path, "-n", 1, "--runs", 2, "--parallel", 2)
    asked = (*asked, "--max-tokens", 3000, "--llm-context", 12_000, "--out", out, "--json")
    code, printed, _ = run(*asked)
    assert code == 0
    figures = json.loads(printed)
    assert list(figures["stages"]) == ["richness", "summaries"]  # this store's texts are summaries
    for stage, measured in figures["stages"].items():
        assert (measured["rated"], measured["missing_runs"]) == (1, 0)
        assert list(measured["attributes"]) == list(ATTRIBUTES[stage])
        assert all(sum(found["counts"]) == 1 for found in measured["attributes"].values())
    assert figures["replies"]["n"] >= 4 and figures["replies"]["cost_usd"] is None
    assert figures["config"]["llm"] == "tiny"
    for rating in rows(out / "ratings.jsonl"):
        assert all(1 <= vote <= 7 for votes in rating["votes"].values() for vote in votes)
        assert all(len(votes) == 2 for votes in rating["votes"].values())
    assert json.loads((out / "figures.json").read_text())["figures"] == {
        part: figures[part] for part in ("stages", "replies")
    }
    assert (out / "ratings.png").read_bytes().startswith(b"\x89PNG")

    replies = (out / "replies.jsonl").read_bytes()
    code, again, said = run(*asked)
    assert code == 0 and json.loads(again)["stages"] == figures["stages"]
    assert (out / "replies.jsonl").read_bytes() == replies  # no call was made twice
    assert f"{figures['replies']['n']} of the replies were kept" in said


@pytest.mark.usefixtures("undrawn")
def test_the_narrator_of_a_bundle_is_rated_by_an_endpoint(
    run: Run, small_narrating_bundle: Bundle, tmp_path: Path
) -> None:
    with serving(sound) as server:
        asked = (small_narrating_bundle.path, "--llm", f"{server.url}#rater", "-n", 1, "--runs", 3)
        asked = (*asked, "--llm-price", "1:10", "--split", "train")
        code, printed, said = run(*asked)
        assert code == 0, said
        lines = [line.split("\t") for line in printed.splitlines()]
        measured = {tuple(line[:2]): line[2:] for line in lines if len(line) == 10}
        assert measured["summaries", "veracity"] == ["6.00", "0", "0", "0", "0", "0", "1", "0"]
        assert measured["endorsement", "foresight"] == ["2.00", "0", "1", "0", "0", "0", "0", "0"]
        assert measured["reasons", "confidence"][0] == "5.00"
        assert "12 replies (1200 + 240 tokens, $0.0036)" in printed and "broken: none" in printed
        n_asked = len(server.requests)
        assert n_asked == 4 * 3
        assert run(*asked)[0] == 0 and len(server.requests) == n_asked
    folder = tmp_path / "var" / "ratings"
    (told,) = folder.glob("narratives-*-0.jsonl")
    assert len(rows(told)) == 6
    assert {rating["stage"] for rating in rows(folder / "ratings.jsonl")} == set(ATTRIBUTES)


@pytest.mark.usefixtures("undrawn")
def test_narratives_of_a_file(run: Run, small_store: Store, tmp_path: Path) -> None:
    path = tmp_path / "told.jsonl"
    told = [{"user_id": "u00", "task": "user_profile", "text": text} for text in ("Tea lover", " ")]
    path.write_text("".join(json.dumps(row) + "\n" for row in told))
    with serving(sound) as server:
        asked = (small_store.path, "--llm", server.url, "--llm-model", "m", "--runs", 1, "--json")
        code, printed, _ = run(*asked, "--narratives", path, "--stages", "summaries")
        figures = json.loads(printed)
        assert code == 0 and len(server.requests) == 1
        assert figures["config"]["empty_texts"] == 1
        code, _, said = run(*asked, "--narratives", path, "--stages", "endorsement")
        assert code == 1 and "--stages" in said


def test_a_dead_endpoint_is_one_line(run: Run, small_store: Store) -> None:
    def refuse(_request: Request) -> Reply:
        return Reply("no such key", status=401)

    with serving(refuse) as server:
        code, _, said = run(small_store.path, "--references", "--llm", f"{server.url}#m", "-n", 1)
    assert code == 1
    (line,) = (line for line in said.splitlines() if line.startswith("error: "))
    assert "RACONTEUR_LLM_KEY" in line


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        ((), 1, "has no narrator"),
        (("--references", "--narratives", "x.jsonl"), 1, "leave one of them out"),
        (("--narratives", "none.jsonl"), 1, "no such file of narratives"),
        (("--references", "--stages", "summaries,jokes"), 2, "no stage is called 'jokes'"),
        (("--llm-price", "free"), 1, "--llm-price"),
    ],
)
def test_what_cannot_be_asked(
    args: tuple[str, ...], code: int, message: str, run: Run, small_store: Store
) -> None:
    ended, _, said = run(small_store.path, "--llm", "http://127.0.0.1:9/v1#m", *args)
    assert ended == code and message in said


def test_a_store_without_texts(run: Run, tmp_path: Path) -> None:
    from knowledge.store import StoreWriter
    from knowledge.types import Interaction, Item

    with StoreWriter(tmp_path / "bare", name="bare", format="test") as writer:
        writer.add_item(Item("a", "Tea"))
        writer.add_interactions([Interaction("u", "a", 1)])
    code, _, said = run(tmp_path / "bare", "--references", "--llm", "http://127.0.0.1:9/v1#m")
    assert code == 1 and "has no texts" in said
