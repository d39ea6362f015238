"""Conversations on disk: taken up after a restart, kept apart, and clear about what goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_shop import FakeShop

from agents.checkpoints import FILE_NAME, conversations_in
from agents.conversation import Assistant
from agents.events import Done
from knowledge.errors import ConversationError, NotFoundError


def said(assistant: Assistant, conversation_id: str, message: str) -> str:
    *_, last = assistant.reply(conversation_id, message)
    assert isinstance(last, Done)
    return last.answer.text


def test_a_conversation_goes_on_after_a_restart(tmp_path: Path) -> None:
    with conversations_in(tmp_path / "new") as kept:
        before = Assistant(FakeShop(), kept)  # type: ignore[arg-type]
        before.open("a", "anna")
        before.open("b", "ben")
        first = said(before, "a", "Recommend something for the garden")
        said(before, "b", "Tell me about myself as a shopper")
    with conversations_in(tmp_path / "new") as kept:
        after = Assistant(FakeShop(), kept)  # type: ignore[arg-type]
        texts = [message.text for message in after.history("a")]
        assert texts == ["Recommend something for the garden", first]
        assert after.user_id("b") == "ben"
        shown = after.history("a")[-1].answer
        assert shown is not None and shown.items[0].price is not None
        after.open("a", "anna")  # as a page does that was reloaded
        *_, cheaper = after.reply("a", "cheaper")
        assert isinstance(cheaper, Done)
        assert cheaper.answer.items and cheaper.answer.constraints["max_price"] < shown.items[0].price
        after.rewind("a", 2)
        assert [message.text for message in after.history("a")][1:] == [first]


def test_one_that_is_begun_anew_leaves_nothing_behind(tmp_path: Path) -> None:
    with conversations_in(tmp_path) as kept:
        assistant = Assistant(FakeShop(), kept)  # type: ignore[arg-type]
        assistant.open("a", "anna")
        said(assistant, "a", "Recommend something for the garden")
        assistant.open("a", "ben")
        assert assistant.history("a") == []


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("not a database, " * 100)
    with pytest.raises(ConversationError, match=FILE_NAME), conversations_in(tmp_path):
        pass


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConversationError, match="name another folder"), conversations_in(tmp_path / "file"):
        pass


def test_what_cannot_be_kept_is_said(tmp_path: Path) -> None:
    with conversations_in(tmp_path) as kept:
        assistant = Assistant(FakeShop(), kept)  # type: ignore[arg-type]
        assistant.open("a", "anna")
        kept.conn.execute("PRAGMA query_only=ON")  # as on a disk that is full
        with pytest.raises(ConversationError, match="could not be read or kept"):
            list(assistant.reply("a", "Recommend something"))
        kept.conn.execute("PRAGMA query_only=OFF")
        assert assistant.history("a") == []
        assert said(assistant, "a", "Recommend something")
        with pytest.raises(NotFoundError):
            assistant.history("b")
