"""Who is forgotten leaves no byte of their texts in any file: all that a shop keeps on disk is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from agents.checkpoints import conversations_in
from agents.conversation import Assistant
from agents.events import Answer, Done
from crs.bundle import Bundle
from crs.narrator.narrate import Narrated, NarrationStream, Piece
from crs.shop import Shop, fill_memory
from knowledge.errors import NotFoundError
from knowledge.feedback import FeedbackLog, Rating
from knowledge.memory import Memory
from knowledge.notes import FILE_NAME, Notebook
from knowledge.types import Interaction
from knowledge.usage import UsageLog
from tests.conftest import WordEncoder

MINE, THEIRS = b"quokkafern", b"wombatmoss"  # words that no file of ours has by itself


@pytest.fixture
def var(tmp_path: Path) -> Path:
    return tmp_path / "var"


class Silent:
    """A storyteller that tells one word; what is kept does not depend on what is told."""

    model = SimpleNamespace(name="silent")
    reads_text = True

    def narrate(self, history: Sequence[Interaction], *_: object, **__: object) -> NarrationStream:
        result: list[Narrated] = []

        def told() -> Iterator[Piece]:
            yield Piece("This.")
            result.append(Narrated("This.", (), 0, len(history), 1.0, 1.0, 1, False))

        return NarrationStream(told(), result)

    def close(self) -> None:
        pass


@pytest.fixture
def assistant(small_bundle: Bundle, var: Path) -> Iterator[Assistant]:
    memory, feedback = Memory.open(var / "memory"), FeedbackLog(var / "feedback.sqlite")
    fill_memory(memory, small_bundle)
    usage = UsageLog(var / "usage.sqlite")
    shop = Shop(small_bundle, WordEncoder(), memory, Silent(), feedback, usage)  # type: ignore[arg-type]
    with conversations_in(var) as conversations, Notebook(var / FILE_NAME) as notebook:
        yield Assistant(shop, conversations, notebook)
    shop.close()


def say(assistant: Assistant, conversation_id: str, message: str) -> Answer:
    *_, last = assistant.reply(conversation_id, message)
    assert isinstance(last, Done)
    return last.answer


def live(assistant: Assistant, conversation_id: str, user_id: str | None, owner: str, word: str) -> None:
    """All that a person's words get into: messages, notes, a newcomer's statements, a rating's reason."""
    assistant.open(conversation_id, user_id, owner)
    say(assistant, conversation_id, f"I own a kettle, says {word}")
    say(assistant, conversation_id, f"I hate {word} things")
    answer = say(assistant, conversation_id, f"recommend me a {word} rake")
    list(assistant.reply(conversation_id, "", retry=True))
    assistant.rewind(conversation_id, 4)
    say(assistant, conversation_id, f"My name is {word}")
    assistant.people.notebook.set_consent(owner, True)
    assistant.people.keep_rating(
        Rating(conversation_id, answer.message_id, answer.user_id, stars=5, reason=word, text=f"For {word}.")
    )


def files_with(word: bytes, folder: Path) -> set[str]:
    everything = [path for path in folder.rglob("*") if path.is_file()]
    assert len(everything) > 5
    return {path.name.split("-")[0] for path in everything if word in path.read_bytes().lower()}


def test_no_byte_is_left_and_others_lose_nothing(assistant: Assistant, var: Path) -> None:
    live(assistant, "m1", None, "me", MINE.decode())
    live(assistant, "m2", "u02", "me", MINE.decode())
    live(assistant, "t1", None, "them", THEIRS.decode())
    live(assistant, "t2", "u02", "them", THEIRS.decode())
    before = {each: files_with(each, var) for each in (MINE, THEIRS)}
    assert {"conversations.sqlite", "notes.sqlite", "feedback.sqlite"} <= before[MINE]

    asked = say(assistant, "m1", "please forget me")
    assert "2 conversations, 2 notes and 2 ratings" in asked.text
    done = say(assistant, "m1", "yes")
    assert done.forgotten and "2 conversations, 2 notes and 2 ratings" in done.text

    assert files_with(MINE, var) == set()
    assert files_with(THEIRS, var) == before[THEIRS]
    assert len(assistant.history("t1")) == 6 and len(assistant.people.notebook.notes("them")) == 2
    assert [rating.reason for rating in assistant.shop.feedback.ratings()] == [THEIRS.decode()] * 2
    with pytest.raises(NotFoundError):
        assistant.history("m2")
    with pytest.raises(NotFoundError):
        assistant.shop.person("guest-m1")
    assert assistant.shop.person("guest-t1").history  # what the other newcomer named is still remembered


def test_it_goes_on_with_nothing_known(assistant: Assistant, var: Path) -> None:
    live(assistant, "m1", None, "me", MINE.decode())
    assistant.forget("me")
    assistant.open("m1", None, "me")
    assert assistant.history("m1") == []
    assert assistant.people.notebook.consent("me") is None
    assert say(assistant, "m1", "recommend me a rake").items
    assert files_with(MINE, var) == set()


def test_forgetting_that_was_cut_short_is_done_by_asking_again(
    assistant: Assistant, var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(assistant, "m1", None, "me", MINE.decode())

    def fail(*_: object) -> None:
        raise OSError("the power went")

    with monkeypatch.context() as cut:
        cut.setattr(assistant.shop.memory, "forget", fail)
        with pytest.raises(OSError):
            assistant.forget("me")
    assert assistant.people.notebook.conversations("me") == ["m1"]
    assistant.forget("me")
    assert files_with(MINE, var) == set()
