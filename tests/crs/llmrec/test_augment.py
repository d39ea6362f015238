"""Texts written after a strategy: by recorded replies, a loopback endpoint and a tiny GGUF."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from crs.llm.chat import Call, Completion, FakeChat, Reply
from crs.llm.endpoint import EndpointChat
from crs.llm.gguf import GgufChat
from crs.llmrec.augment import ATTEMPTS, Report, augment, read_texts, report_lines
from crs.llmrec.prompts import SCHEMA, Strategy
from crs.narrator.gguf_export import export_gguf
from knowledge.errors import InputError, ModelError
from tests.crs.foreign_folders import write_llm
from tests.crs.llm.openai_server import Reply as Served
from tests.crs.llm.openai_server import Request, serving
from tests.crs.llmrec.planted import N_ITEMS, planted_catalogue

CATALOGUE = planted_catalogue()


def told(call: Call) -> str:
    return json.dumps({"text": f"On {call.messages[-1].content.splitlines()[1]}."})


def write(
    folder: Path,
    reply: Callable[[Call], Reply] = told,
    strategy: Strategy = "paraphrase",
    **options: object,
) -> tuple[Report, FakeChat]:
    model = FakeChat(reply)
    report = augment(CATALOGUE, strategy, model, folder / "out.jsonl", folder / "calls.jsonl", **options)  # type: ignore[arg-type]
    return report, model


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]


def test_every_item_gets_a_text_in_order(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    report, model = write(tmp_path, parallel=4, progress=lambda done, total, _: seen.append((done, total)))
    written = lines(tmp_path)
    assert [line["item_id"] for line in written] == list(CATALOGUE.item_ids)
    assert written[3] == {
        "item_id": "i3",
        "strategy": "paraphrase",
        "split": None,
        "model": "fake",
        "text": "On plain3.",
    }
    assert seen == [(done, N_ITEMS) for done in range(1, N_ITEMS + 1)]
    assert report.n_written == N_ITEMS and len(model.calls) == report.usage.n_asked == 7  # distinct prompts
    assert {call.schema == SCHEMA for call in model.calls} == {True}
    assert next(report_lines(report)) == "written\t60"


def test_a_stopped_run_goes_on_and_a_changed_prompt_is_asked_anew(tmp_path: Path) -> None:
    replies = [told, told, told]

    def breaks(call: Call) -> Reply:
        return replies.pop()(call) if replies else ModelError("gone")

    with pytest.raises(ModelError, match="gone"):
        write(tmp_path, breaks)
    assert not (tmp_path / "out.jsonl").exists() and list(tmp_path.glob(".out*")) == []
    report, model = write(tmp_path)
    assert len(model.calls) == 4 and report.n_written == N_ITEMS  # three of seven were kept
    assert write(tmp_path)[1].calls == []
    assert len(write(tmp_path, strategy="tags")[1].calls) == 7


def test_guided_prompts_show_the_neighbours_and_are_marked_with_their_split(tmp_path: Path) -> None:
    neighbours = [[(row + 1) % N_ITEMS] for row in range(N_ITEMS)]
    _, model = write(
        tmp_path, strategy="recommendation-engagement", neighbours=neighbours, split=2, max_items=5
    )
    assert [call.messages[-1].content.count("- thing") for call in model.calls] == [1] * 5
    assert "- thing1 (1901)" in model.calls[0].messages[-1].content
    assert {line["split"] for line in lines(tmp_path)} == {2}
    texts = read_texts(tmp_path / "out.jsonl", CATALOGUE)
    assert texts["recommendation-engagement"][2][:2] == ["On plain0.", "On plain1."]
    assert texts["recommendation-engagement"][2][5:] == list(CATALOGUE.texts[5:])  # none was written


def test_broken_replies_are_asked_again_with_another_seed_then_left_out(tmp_path: Path) -> None:
    replies = iter(["no", '{"text": " "}', Completion('{"te', ended="length"), '{"text": "At last."}'])
    report, model = write(tmp_path, lambda _: next(replies, "no"), max_items=2, seed=5)
    assert [call.seed for call in model.calls] == [5, 6, 7, 8] * 2
    assert ATTEMPTS == 4 and [line["text"] for line in lines(tmp_path)] == ["At last."]
    assert report.left_out == {"not JSON": 1}
    assert report.rejected == {"not JSON": 5, "empty": 1, "cut short": 1}
    assert "left out: not JSON\t1" in list(report_lines(report))


def test_texts_that_know_the_test_are_refused(tmp_path: Path) -> None:
    write(tmp_path, strategy="engagement", neighbours=[[0]] * N_ITEMS, max_items=1)
    with pytest.raises(InputError, match="line 1, field 'split': its neighbours saw all pairs"):
        read_texts(tmp_path / "out.jsonl", CATALOGUE)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ({"item_id": "i0", "strategy": "praise", "text": "x"}, "there is no 'praise'"),
        ({"item_id": "else", "strategy": "tags", "text": "x"}, "planted has no item else"),
    ],
)
def test_lines_that_are_no_texts_are_named(tmp_path: Path, line: dict[str, str], problem: str) -> None:
    (tmp_path / "wrong.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(InputError, match=problem):
        read_texts(tmp_path / "wrong.jsonl", CATALOGUE)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        augment(CATALOGUE, "tags", FakeChat(told), tmp_path / "file" / "out.jsonl", tmp_path / "calls.jsonl")


def test_an_endpoint_writes_several_at_a_time(tmp_path: Path) -> None:
    def answer(request: Request) -> Served:
        assert request.body["response_format"]["json_schema"]["schema"] == SCHEMA
        return Served('{"text": "Written over HTTP."}')

    with serving(answer) as server:
        model = EndpointChat(server.url, "some-model")
        report = augment(
            CATALOGUE, "inference", model, tmp_path / "out.jsonl", tmp_path / "calls.jsonl", parallel=3
        )
        model.close()
    assert report.n_written == N_ITEMS and len(server.requests) <= 9  # 7 prompts; two may be asked twice
    assert lines(tmp_path)[0]["model"] == "some-model"


def test_a_tiny_gguf_is_held_to_a_text(tmp_path: Path) -> None:
    write_llm(tmp_path / "llm")
    export_gguf(tmp_path / "llm", tmp_path / "tiny.gguf", "f32")
    model = GgufChat(tmp_path / "tiny.gguf", n_ctx=1024)
    report = augment(CATALOGUE, "tags", model, tmp_path / "out.jsonl", tmp_path / "calls.jsonl", max_items=2)
    model.close()
    assert report.n_written + sum(report.left_out.values()) == 2
    assert report.usage.n_asked >= 1
