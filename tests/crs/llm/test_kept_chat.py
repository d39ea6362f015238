"""Calls kept on disk: paid for once, whatever happens in between."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from crs.llm.chat import Completion, FakeChat, Message, Price
from crs.llm.kept import KeptChat
from knowledge.errors import InputError, ModelError

HELLO = [Message("user", "Hello?")]


def say(chat: KeptChat, seed: int = 0, **settings: object) -> Completion:
    return chat.complete(HELLO, seed=seed, **{"temperature": 0.5, "max_tokens": 9, **settings})  # type: ignore[arg-type]


def test_a_call_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "calls.jsonl"
    model = FakeChat(["Ja — “sí”\n", "two"], price=Price(1.0, 2.0))
    with KeptChat(model, path) as chat:
        assert chat.name == "fake"
        first = say(chat)
        assert say(chat) == first and len(model.calls) == 1
        assert say(chat, seed=1).text == "two"
        assert (chat.usage.n_asked, chat.usage.n_kept) == (2, 1)
        assert str(chat.usage) == "2 + 4 tokens, $0.0000"
        assert chat.usage.cost_usd == pytest.approx(1e-5)
    with KeptChat(FakeChat([]), path) as later:
        assert say(later) == first
        assert (later.usage.n_asked, later.usage.cost_usd) == (0, None)
        assert str(later.usage) == "0 + 0 tokens"


@pytest.mark.parametrize("changed", [{"temperature": 0.6}, {"max_tokens": 8}, {"schema": {"type": "object"}}])
def test_a_call_that_differs_is_another(tmp_path: Path, changed: dict[str, object]) -> None:
    with KeptChat(FakeChat(["one", "two"]), tmp_path / "calls.jsonl") as chat:
        say(chat)
        assert say(chat, **changed).text == "two"


def test_another_model_is_asked_anew(tmp_path: Path) -> None:
    for name in ("small", "large"):
        with KeptChat(FakeChat([name], name=name), tmp_path / "calls.jsonl") as chat:
            assert say(chat).text == name


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    with KeptChat(FakeChat(["one", "two"]), path) as chat:
        say(chat)
        say(chat, seed=1)
    whole = path.read_bytes()
    first, second = whole.splitlines(keepends=True)
    for torn in (second[:-1], second[:7], second[: len(second) // 2]):
        path.write_bytes(first + torn)
        with KeptChat(FakeChat(["two"]), path) as chat:
            assert say(chat).text == "one" and say(chat, seed=1).text == "two"
            assert chat.usage.n_kept == 1
        assert path.read_bytes() == whole


@pytest.mark.parametrize("broken", ["hello", "[]", "{}", json.dumps({"call": "x", "model": "m", "texts": 1})])
def test_any_other_broken_line_is_named(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "calls.jsonl"
    with KeptChat(FakeChat(["one"]), path) as chat:
        say(chat)
    path.write_text(path.read_text() + broken + "\n")
    with pytest.raises(InputError, match=r"calls\.jsonl, line 2: is no finished call"):
        KeptChat(FakeChat([]), path)


def test_failures_and_silence_are_not_kept(tmp_path: Path) -> None:
    replies = [ModelError("down"), Completion("", 7, ended="length"), "at last"]
    with KeptChat(FakeChat(replies), tmp_path / "calls.jsonl") as chat:
        with pytest.raises(ModelError, match="down"):
            say(chat)
        assert say(chat).ended == "length"
        assert say(chat).text == "at last"
        assert chat.usage.prompt_tokens == 8


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        KeptChat(FakeChat([]), tmp_path)


class HeldChat(FakeChat):
    """Answers only when let go, and says when it has begun."""

    def __init__(self) -> None:
        super().__init__(["one", "two"])
        self.begun, self.go = threading.Event(), threading.Event()

    def complete(self, *args: Any, **settings: Any) -> Completion:
        self.begun.set()
        assert self.go.wait(timeout=30)
        return super().complete(*args, **settings)


def test_the_same_call_from_two_threads_is_made_once(tmp_path: Path) -> None:
    model = HeldChat()
    with KeptChat(model, tmp_path / "calls.jsonl") as chat, ThreadPoolExecutor(2) as threads:
        first = threads.submit(say, chat)
        assert model.begun.wait(timeout=30)
        second = threads.submit(say, chat)
        model.go.set()
        assert first.result() == second.result() and len(model.calls) == 1
        assert (chat.usage.n_asked, chat.usage.n_kept) == (1, 1)


def test_a_call_that_failed_is_made_again(tmp_path: Path) -> None:
    with KeptChat(FakeChat([ModelError("gone"), "here"]), tmp_path / "calls.jsonl") as chat:
        with pytest.raises(ModelError, match="gone"):
            say(chat)
        assert say(chat).text == "here"
