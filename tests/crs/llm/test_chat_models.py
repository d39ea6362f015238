"""The fake chat model, prices, reading JSON replies, and which model a name opens."""

from __future__ import annotations

from pathlib import Path

import pytest

from crs.llm.chat import Call, Completion, FakeChat, Message, Price
from crs.llm.endpoint import EndpointChat
from crs.llm.json_reply import BrokenReply, read_json
from crs.llm.open import open_chat_model
from knowledge.errors import BusyError, InputError, ModelError, NotFoundError

HELLO = [Message("user", "Hello out there?")]
SCHEMA = {
    "type": "object",
    "properties": {
        "why": {"type": "string", "maxLength": 10},
        "score": {"type": "integer", "enum": [1, 2, 3]},
        "more": {"type": "object", "properties": {"deep": {"enum": [1, 2]}}},
    },
    "required": ["why", "score"],
    "additionalProperties": False,
}


def complete(chat: FakeChat, seed: int = 0) -> Completion:
    return chat.complete(HELLO, schema=SCHEMA, temperature=0.3, seed=seed, max_tokens=9)


class TestFakeChat:
    def test_replies_in_order_and_what_was_asked(self) -> None:
        chat = FakeChat(["one two", Completion("cut", 5, 6, ended="length"), BusyError("later")])
        assert complete(chat) == Completion("one two", 3, 2)
        assert complete(chat, seed=4).ended == "length"
        with pytest.raises(BusyError, match="later"):
            complete(chat)
        with pytest.raises(ModelError, match="no reply left"):
            complete(chat)
        assert chat.calls[1] == Call(tuple(HELLO), SCHEMA, 0.3, 4, 9)

    def test_replies_made_from_the_call(self) -> None:
        chat = FakeChat(lambda call: f"seed {call.seed}", price=Price(1e6, 2e6))
        assert complete(chat, seed=3) == Completion("seed 3", 3, 2, 7.0)

    def test_closed(self) -> None:
        chat = FakeChat(["never said"])
        chat.close()
        with pytest.raises(ModelError, match="closed"):
            complete(chat)


class TestPrice:
    def test_of_a_million_tokens(self) -> None:
        assert Price.parse("0.15:0.60").of(2_000_000, 1_000_000) == pytest.approx(0.9)

    @pytest.mark.parametrize("text", ["", "1", "1:2:3", "a:b", "-1:2", "nan:1", "1:inf"])
    def test_that_is_none(self, text: str) -> None:
        with pytest.raises(InputError, match="--llm-price"):
            Price.parse(text)


class TestReadJson:
    @pytest.mark.parametrize(
        "text",
        [
            '{"why": "so", "score": 2}',
            'Here you are:\n```json\n{"why": "so", "score": 2}\n```',
            '<think>a {brace} and {"why": 1}</think>\n{"why": "so", "score": 2} Anything else?',
        ],
    )
    def test_the_object_whatever_stands_around_it(self, text: str) -> None:
        assert read_json(Completion(text), SCHEMA) == {"why": "so", "score": 2}

    def test_a_whole_object_though_the_reply_was_cut_after_it(self) -> None:
        cut = Completion('{"why": "so", "score": 2}', ended="length")
        assert read_json(cut, SCHEMA) == {"why": "so", "score": 2}

    @pytest.mark.parametrize(
        ("text", "flaw", "detail"),
        [
            ("", "not JSON", ""),
            ("Sorry, I cannot\n rate.", "not JSON", "Sorry, I cannot rate."),
            ('[{"why": "so"', "not JSON", ""),
            ('{"why": "so", "score": 2', "not JSON", ""),
            ('{"why": "\\ud800", "score": 2}', "not JSON", ""),
            ('{"why": "so"}', "field missing", "'score' is a required property"),
            ('{"why": "so", "score": 8}', "value not allowed", "score: 8 is not one of"),
            ('{"why": "so", "score": "2"}', "value not allowed", "score: '2'"),
            ('{"why": "so", "score": true}', "value not allowed", "score: True"),
            ('{"why": "far too long", "score": 1}', "value not allowed", "why: 'far too long' is too long"),
            ('{"why": "so", "score": 2, "x": 1}', "value not allowed", "'x' was unexpected"),
            ('{"why": "so", "score": 2, "more": {"deep": 3}}', "value not allowed", "more/deep: 3"),
        ],
    )
    def test_what_is_wrong_with_it(self, text: str, flaw: str, detail: str) -> None:
        broken = read_json(Completion(text), SCHEMA)
        assert isinstance(broken, BrokenReply)
        assert broken.flaw == flaw and detail in broken.detail

    def test_cut_short_and_refused(self) -> None:
        cut = read_json(Completion('{"why": "so', ended="length"), SCHEMA)
        refused = read_json(Completion('{"why": "so", "score": 2}', ended="refused"), SCHEMA)
        assert isinstance(cut, BrokenReply) and cut.flaw == "cut short"
        assert isinstance(refused, BrokenReply) and refused.flaw == "refused"

    def test_a_long_reply_is_told_in_short(self) -> None:
        broken = read_json(Completion("word " * 100), SCHEMA)
        assert isinstance(broken, BrokenReply) and len(broken.detail) == 200 and broken.detail[-1] == "…"


class TestOpening:
    @pytest.mark.parametrize(
        ("spec", "model"), [("http://127.0.0.1:9/v1#tiny", None), ("http://127.0.0.1:9/v1", "tiny")]
    )
    def test_an_endpoint(self, spec: str, model: str | None) -> None:
        chat = open_chat_model(spec, model=model)
        assert isinstance(chat, EndpointChat) and chat.name == "tiny"
        chat.close()

    def test_an_endpoint_without_a_model(self) -> None:
        with pytest.raises(InputError, match="#MODEL"):
            open_chat_model("http://127.0.0.1:9/v1")

    def test_a_file_with_the_name_of_a_model(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="--llm-model"):
            open_chat_model(str(tmp_path / "some.gguf"), model="tiny")

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError, match=r"some\.gguf"):
            open_chat_model(str(tmp_path / "some.gguf"))
