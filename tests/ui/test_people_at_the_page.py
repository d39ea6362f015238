"""Who sits before the page: notes, consent before a rating is kept, how fast they may talk, forgetting."""

from __future__ import annotations

from typing import Any

import pytest
from ui_fakes import FakeAssistant, FakeShop

from agents.events import Done, Event
from agents.farewell import farewell
from agents.pace import BURST, Pace
from knowledge.errors import BusyError, InputError
from knowledge.notes import Note
from ui import handlers
from ui.handlers import Session
from ui.notes_panel import notes_html, save_note
from ui.visitor import Visitor


@pytest.fixture
def shop() -> Any:
    return FakeShop()


@pytest.fixture
def assistant(shop: Any) -> Any:
    assistant = FakeAssistant(shop)
    assistant.agreed = False
    return assistant


def opened(assistant: Any, shop: Any, user_id: str | None = "s1", visitor: Visitor | None = None) -> Session:
    return handlers.open_session(assistant, shop, user_id, visitor=visitor)


def say(assistant: Any, shop: Any, session: Session, text: str) -> None:
    for _ in handlers.converse(assistant, shop, session, text):
        pass


def last_html(shop: Any, session: Session) -> str:
    return handlers.transcript(shop, session, {})[-1].content


# Who it is


def test_a_visitor_is_a_login_or_what_the_browser_kept() -> None:
    assert Visitor.of("ann", "f" * 32).owner("s1") == "ann"
    kept = Visitor.of(None, "f" * 32)
    assert kept.owner("s1") == "f" * 32 + ":s1" and kept.owner(None) != kept.owner("s1")
    assert Visitor.of(None, kept.key) == kept
    for forged in ("ann", None, 5, "F" * 32, "f" * 31 + "\n"):
        assert Visitor.of(None, forged).key != forged


def test_nobody_opens_the_conversation_of_another(shop: Any, assistant: Any) -> None:
    mine = opened(assistant, shop, visitor=Visitor.of("ann"))
    say(assistant, shop, mine, "hello")
    for thief in (Visitor.of("ben"), Visitor.of(None, "f" * 32)):
        theirs = handlers.open_session(assistant, shop, "s1", mine.conversation_id, thief)
        assert theirs.conversation_id != mine.conversation_id and theirs.exchanges == []
    again = handlers.open_session(assistant, shop, "s1", mine.conversation_id, Visitor.of("ann"))
    assert [each.message for each in again.exchanges] == ["hello"]


# Consent


def test_the_first_rating_asks_once_and_is_kept_with_a_yes(shop: Any, assistant: Any) -> None:
    session = opened(assistant, shop)
    say(assistant, shop, session, "garden?")
    handlers.rate_thumb(assistant, session, 1, 1)
    assert shop.feedback.rows == [] and "May I keep your ratings" in last_html(shop, session)
    assert "rc-reason" not in last_html(shop, session)
    handlers.give_consent(assistant, session, True)
    assert [row.thumb for row in shop.feedback.rows] == [1] and "Saved, thank you." in last_html(
        shop, session
    )
    say(assistant, shop, session, "more")
    handlers.rate_thumb(assistant, session, 3, -1)
    assert [row.thumb for row in shop.feedback.rows] == [1, -1]
    another = opened(assistant, shop, visitor=session.visitor)  # remembered
    say(assistant, shop, another, "garden?")
    handlers.rate_thumb(assistant, another, 1, 1)
    assert len(shop.feedback.rows) == 3


def test_a_refusal_keeps_nothing_and_can_be_changed(shop: Any, assistant: Any) -> None:
    session = opened(assistant, shop)
    say(assistant, shop, session, "garden?")
    handlers.rate_thumb(assistant, session, 1, 1)
    handlers.give_consent(assistant, session, False)
    assert shop.feedback.rows == [] and "Nothing was kept." in last_html(shop, session)
    assert handlers.thumbs(session) == [None]
    handlers.rate_thumb(assistant, session, 1, -1)
    assert shop.feedback.rows == [] and "Not kept, as you wished." in last_html(shop, session)
    handlers.give_consent(assistant, session, True)
    assert [row.thumb for row in shop.feedback.rows] == [-1]


def test_a_reason_has_an_end(shop: Any, assistant: Any) -> None:
    assistant.agreed = True
    session = opened(assistant, shop)
    say(assistant, shop, session, "garden?")
    handlers.rate_thumb(assistant, session, 1, 1)
    answer = session.exchanges[0].answer
    assert answer is not None
    handlers.rate_reason(assistant, session, answer.message_id, "x" * 10_000)
    assert len(shop.feedback.rows[-1].reason) == handlers.MAX_REASON


# Pace


def test_who_talks_too_fast_is_told_when(shop: Any, assistant: Any) -> None:
    now = 0.0
    assistant.people.pace = Pace(30, clock=lambda: now)
    session, other = opened(assistant, shop), opened(assistant, shop)
    for n in range(BURST):
        say(assistant, shop, session, f"message {n}")
    say(assistant, shop, session, "one too many")
    assert "I can listen again in 2 seconds." in last_html(shop, session)
    assert session.exchanges[-1].answer is None
    say(assistant, shop, other, "somebody else")
    assert other.exchanges[-1].answer is not None
    now = 2.0
    say(assistant, shop, session, "now")
    assert session.exchanges[-1].answer is not None


def test_a_bucket_fills_to_the_brim_and_no_further() -> None:
    now = 0.0
    pace = Pace(60, clock=lambda: now)
    now = 10_000.0
    for person in ("ann", *map(str, range(1_100))):
        pace.take(person)
    for _ in range(BURST - 1):
        pace.take("ann")
    with pytest.raises(BusyError, match="in 1 second"):
        pace.take("ann")


@pytest.mark.parametrize("told", ["many", "0", "-2", "nan", "inf"])
def test_a_pace_that_is_none_is_named(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RACONTEUR_MESSAGES_PER_MINUTE", told)
    with pytest.raises(InputError, match="RACONTEUR_MESSAGES_PER_MINUTE"):
        Pace.from_environment()


# Notes and forgetting


def test_the_panel_shows_escaped_notes_that_can_be_changed(shop: Any, assistant: Any) -> None:
    session = opened(assistant, shop)
    save_note(assistant, session, 0, 'I hate <script>alert(1)</script> "wool"')
    (note,) = assistant.people.notebook.notes(session.owner)
    html = notes_html([note])
    assert "<script>" not in html and "&lt;script&gt;" in html and 'value="I hate &lt;' in html
    save_note(assistant, session, note.note_id, "I love wool")
    assert [(each.kind, each.text) for each in assistant.people.notebook.notes(session.owner)] == [
        ("like", "I love wool")
    ]
    save_note(assistant, session, note.note_id, "  ")
    assert assistant.people.notebook.notes(session.owner) == []
    assert "Nothing yet." in notes_html([])


def test_the_page_goes_on_after_the_farewell(
    shop: Any, assistant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(assistant, shop)
    say(assistant, shop, session, "hello")
    assistant.people.notebook.add(session.owner, Note("fact", "tall", "tall"))

    def forgets(conversation_id: str, *_: Any, **__: Any) -> Any:
        state = {"conversation_id": conversation_id, "user_id": "s1"}
        assistant.forget(session.owner)
        shop.storyteller = type("S", (), {"model": type("M", (), {"name": "fake"})})
        shop.bundle.version = "b1"
        events: list[Event] = list(farewell(state, "Done. I deleted it.", shop))  # type: ignore[arg-type]
        assert isinstance(events[-1], Done)
        yield from events

    with monkeypatch.context() as patched:
        patched.setattr(assistant, "reply", forgets)
        say(assistant, shop, session, "yes")
    assert [each.message for each in session.exchanges] == ["yes"]  # what was said before is off the page too
    assert "Done. I deleted it." in last_html(shop, session) and "rc-star" not in last_html(shop, session)
    assert assistant.people.notebook.notes(session.owner) == []
    say(assistant, shop, session, "hello again")
    assert session.exchanges[-1].answer is not None
    assert [message.text for message in assistant.history(session.conversation_id)][:1] == ["hello again"]


def test_a_rating_after_that_is_not_kept(shop: Any, assistant: Any) -> None:
    assistant.agreed = True
    session = opened(assistant, shop)  # a tab that was left open
    say(assistant, shop, session, "hello")
    assistant.forget(session.owner)
    handlers.rate_thumb(assistant, session, 1, 1)
    assert shop.feedback.rows == [] and "Not saved" in last_html(shop, session)
