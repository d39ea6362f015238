"""What the page does, without a page: sessions, streaming, stop, retry, edit, ratings, the picker."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ui_fakes import FakeAssistant, FakeShop

from agents.events import Event
from crs.narrator.language_model import check_patience
from knowledge.errors import BusyError, NotFoundError
from ui import handlers
from ui.handlers import Session


@pytest.fixture
def shop() -> Any:
    return FakeShop()


@pytest.fixture
def assistant(shop: Any) -> Any:
    return FakeAssistant(shop)


def opened(assistant: Any, shop: Any, user_id: str | None = "s1") -> Session:
    return handlers.open_session(assistant, shop, user_id)


def say(assistant: Any, shop: Any, session: Session, text: str) -> int:
    return sum(1 for _ in handlers.converse(assistant, shop, session, text))


def html_of(shop: Any, session: Session) -> list[str]:
    return [message.content for message in handlers.transcript(shop, session, {})]


def test_an_answer_streams_in_growing_frames(
    shop: Any, assistant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "FRAME_S", 0.0)
    session = opened(assistant, shop)
    frames = handlers.converse(assistant, shop, session, "garden?")
    lengths = [len(html_of(shop, session)[-1]) for _ in frames]
    assert len(lengths) > 10
    assert lengths[:-1] == sorted(lengths[:-1])
    question, answer = handlers.transcript(shop, session, {"i6": 4.0})
    assert (question.role, question.content) == ("user", "garden?")
    for part in ("Here is what I found", "Watering Can, 5 L", "$27.00", "4 of 5 stars", "rc-cite", "rc-star"):
        assert part in answer.content
    assert answer.chips == ("Something cheaper", "Why the first one?", "Pitch me the second")


def test_who_waits_sees_their_place_until_words_come(
    shop: Any, assistant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "FRAME_S", 0.0)
    assistant.places_in_line = (3, 1)
    session = opened(assistant, shop)
    frames = handlers.converse(assistant, shop, session, "garden?")
    shown = [html_of(shop, session)[-1] for _ in frames]
    told = [
        next((words for words in ("2 before you", "you are next") if words in html), "") for html in shown
    ]
    assert [words for words, _ in itertools.groupby(told)] == ["", "2 before you", "you are next", ""]


def test_frames_are_paced(shop: Any, assistant: Any) -> None:
    session = opened(assistant, shop)
    assert say(assistant, shop, session, "garden?") < 10  # a fast narrator does not flood the page


def test_a_live_answer_cannot_be_rated_yet(shop: Any, assistant: Any) -> None:
    session = opened(assistant, shop)
    frames = handlers.converse(assistant, shop, session, "garden?")
    next(frames)
    assert "rc-star" not in html_of(shop, session)[-1] and "rc-live" in html_of(shop, session)[-1]
    handlers.rate_thumb(assistant, session, 1, 1)
    assert shop.feedback.rows == []
    for _ in frames:
        pass
    assert "rc-star" in html_of(shop, session)[-1]


def test_an_empty_message_is_no_turn(shop: Any, assistant: Any) -> None:
    session = opened(assistant, shop)
    assert say(assistant, shop, session, "  \n ") == 0
    assert session.exchanges == []


def test_stop_ends_the_answer_and_says_so(shop: Any, assistant: Any) -> None:
    assistant.pause_s = 0.005
    session = opened(assistant, shop)
    frames = handlers.converse(assistant, shop, session, "garden?")
    next(frames)
    next(frames)
    handlers.stop_reply(session)
    for _ in frames:
        pass
    answer = session.exchanges[-1].answer
    assert answer is not None and answer.stopped
    assert "already own" not in answer.text
    assert "Stopped." in html_of(shop, session)[-1]


def test_a_page_that_is_left_ends_its_reply(shop: Any, assistant: Any) -> None:
    session = opened(assistant, shop)
    frames = handlers.converse(assistant, shop, session, "garden?")
    next(frames)
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert assistant.abandoned == ["garden?"]
    assert not session.exchanges[-1].live
    assert say(assistant, shop, session, "again") > 0  # the turn was given back


def test_an_answer_that_took_too_long_says_so_below_what_was_told(
    shop: Any, assistant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tires(conversation_id: str, message: str, stop: threading.Event) -> Iterator[Event]:
        yield from itertools.islice(FakeAssistant._turn(assistant, conversation_id, message, stop), 12)
        check_patience(0.0)

    monkeypatch.setattr(assistant, "_turn", tires)
    session = opened(assistant, shop)
    say(assistant, shop, session, "garden?")
    html = html_of(shop, session)[-1]
    assert "Here is what I found" in html and "had no time left to finish this answer. Ask again" in html
    assert "rc-star" not in html  # half an answer is not rated
    monkeypatch.undo()
    assert say(assistant, shop, session, "garden?") > 0 and session.exchanges[-1].answer is not None


def test_a_new_message_stops_the_answer_before(shop: Any, assistant: Any) -> None:
    assistant.pause_s = 0.005
    session = opened(assistant, shop)
    first = handlers.converse(assistant, shop, session, "one")
    next(first)
    slow = threading.Thread(target=lambda: [None for _ in first])
    slow.start()
    say(assistant, shop, session, "two")
    slow.join()
    one, two = (exchange.answer for exchange in session.exchanges)
    assert one is not None and one.stopped
    assert two is not None and not two.stopped


def test_an_answer_that_does_not_end_is_reported(
    shop: Any, assistant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "HANDOVER_S", 0.01)
    session = opened(assistant, shop)
    stuck = handlers.converse(assistant, shop, session, "one")
    next(stuck)
    with pytest.raises(BusyError, match="try again"):
        say(assistant, shop, session, "two")
    assert len(session.exchanges) == 1


def test_two_sessions_share_nothing(shop: Any, assistant: Any) -> None:
    assistant.pause_s = 0.002
    anna, ben = opened(assistant, shop, "s1"), opened(assistant, shop, "s2")
    frames_a = handlers.converse(assistant, shop, anna, "from anna")
    frames_b = handlers.converse(assistant, shop, ben, "from ben")
    next(frames_a), next(frames_a), next(frames_b)
    handlers.stop_reply(anna)
    for frames in (frames_a, frames_b):
        for _ in frames:
            pass
    assert [e.message for e in anna.exchanges] == ["from anna"]
    assert [e.message for e in ben.exchanges] == ["from ben"]
    stopped = [session.exchanges[0].answer.stopped for session in (anna, ben)]  # type: ignore[union-attr]
    assert stopped == [True, False]


def test_an_error_of_ours_becomes_a_quiet_line(shop: Any, assistant: Any) -> None:
    session = opened(assistant, shop)
    say(assistant, shop, session, "break")
    html = html_of(shop, session)[-1]
    assert "the narrator cannot be loaded; run make setup" in html
    assert "rc-star" not in html and "rc-live" not in html


def test_retry_replaces_the_last_answer(shop: Any, assistant: Any) -> None:
    session = opened(assistant, shop)
    say(assistant, shop, session, "one")
    say(assistant, shop, session, "two")
    for _ in handlers.retry(assistant, shop, session):
        pass
    assert [e.message for e in session.exchanges] == ["one", "two"]
    assert len(assistant.history(session.conversation_id)) == 4


def test_retry_after_a_failure_asks_again(shop: Any, assistant: Any) -> None:
    session = opened(assistant, shop)
    say(assistant, shop, session, "one")
    say(assistant, shop, session, "break")
    for _ in handlers.retry(assistant, shop, session):
        pass
    assert [e.message for e in session.exchanges] == ["one", "break"]
    assert len(assistant.history(session.conversation_id)) == 2


def test_retry_of_nothing_does_nothing(shop: Any, assistant: Any) -> None:
    assert list(handlers.retry(assistant, shop, opened(assistant, shop))) == []


def test_edit_takes_back_what_followed(shop: Any, assistant: Any) -> None:
    session = opened(assistant, shop)
    for text in ("one", "break", "three"):
        say(assistant, shop, session, text)
    for _ in handlers.edit(assistant, shop, session, 4, "drei"):
        pass
    assert [e.message for e in session.exchanges] == ["one", "break", "drei"]
    kept = [m.text for m in assistant.history(session.conversation_id) if m.role == "user"]
    assert kept == ["one", "drei"]
    for _ in handlers.edit(assistant, shop, session, 0, "eins"):
        pass
    assert [e.message for e in session.exchanges] == ["eins"]


def test_a_conversation_is_taken_up_again_with_its_ratings(shop: Any, assistant: Any) -> None:
    first = opened(assistant, shop)
    say(assistant, shop, first, "one")
    say(assistant, shop, first, "two")
    handlers.rate_stars(assistant, first, first.exchanges[1].answer.message_id, 2)  # type: ignore[union-attr]
    handlers.rate_thumb(assistant, first, 3, -1)
    again = handlers.open_session(assistant, shop, "s1", first.conversation_id, first.visitor)
    assert [e.message for e in again.exchanges] == ["one", "two"]
    assert again.exchanges[0].verdict == handlers.Verdict()
    assert (again.exchanges[1].verdict.stars, again.exchanges[1].verdict.thumb) == (2, -1)
    assert handlers.thumbs(again) == [None, "Dislike"]
    assert "Here is what I found" in html_of(shop, again)[1]


def test_an_unknown_shopper_is_refused(shop: Any, assistant: Any) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        opened(assistant, shop, "nobody")


def test_another_shopper_under_the_same_id_begins_anew(shop: Any, assistant: Any) -> None:
    first = opened(assistant, shop)
    say(assistant, shop, first, "one")
    other = handlers.open_session(assistant, shop, "s2", first.conversation_id)
    assert other.exchanges == []


def test_a_rating_keeps_what_rebuilds_the_answer(shop: Any, assistant: Any) -> None:
    session = opened(assistant, shop)
    say(assistant, shop, session, "one")
    answer = session.exchanges[0].answer
    assert answer is not None
    handlers.rate_thumb(assistant, session, 1, 1)
    handlers.rate_stars(assistant, session, answer.message_id, 4)
    handlers.rate_reason(assistant, session, answer.message_id, "  warm tone ")
    last = shop.feedback.rows[-1]
    assert (last.thumb, last.stars, last.reason) == (1, 4, "warm tone")
    assert last.message_id == answer.message_id and last.conversation_id == session.conversation_id
    assert (last.seed, last.model, last.bundle) == (1, "fake", "b1")
    assert last.history_ids == answer.history_ids and last.text == answer.text
    assert "Saved, thank you." in html_of(shop, session)[-1]
    handlers.rate_thumb(assistant, session, 1, 0)
    assert shop.feedback.rows[-1].thumb == 0 and handlers.thumbs(session) == [None]


def test_nothing_is_acknowledged_that_is_not_on_disk(shop: Any, assistant: Any) -> None:
    session = opened(assistant, shop)
    say(assistant, shop, session, "one")
    shop.feedback.broken = True
    handlers.rate_stars(assistant, session, session.exchanges[0].answer.message_id, 5)  # type: ignore[union-attr]
    html = html_of(shop, session)[-1]
    assert "Not saved: feedback.sqlite" in html and "Saved, thank you." not in html
    assert session.exchanges[0].verdict.stars is None


@pytest.mark.parametrize("n_stars", [0, 6, -1])
def test_stars_out_of_range_are_ignored(shop: Any, assistant: Any, n_stars: int) -> None:
    session = opened(assistant, shop)
    say(assistant, shop, session, "one")
    handlers.rate_stars(assistant, session, session.exchanges[0].answer.message_id, n_stars)  # type: ignore[union-attr]
    assert shop.feedback.rows == []


def test_rating_an_unknown_answer_is_refused(shop: Any, assistant: Any) -> None:
    with pytest.raises(NotFoundError, match="reload"):
        handlers.rate_stars(assistant, opened(assistant, shop), "elsewhere", 5)


def test_shoppers_are_labelled_by_what_they_buy(shop: Any) -> None:
    choices = {user_id: label for label, user_id in handlers.shopper_choices(shop)}
    assert choices == {"s1": "s1 · 4 purchases, mostly Garden", "s2": "s2 · 1 purchase, mostly Camping"}


def test_a_large_store_lists_shoppers_spread_over_it() -> None:
    big = SimpleNamespace(
        user_ids=[f"u{n}" for n in range(4_000)], items={}, person=lambda user_id: SimpleNamespace(history=[])
    )
    listed = [user_id for _, user_id in handlers.shopper_choices(big)]  # type: ignore[arg-type]
    assert len(listed) == handlers.N_SHOPPERS_LISTED
    assert listed[0] == "u0" and int(listed[-1][1:]) > 3_900


def test_mean_stars_average_who_rated(shop: Any) -> None:
    assert handlers.mean_stars(shop) == {"i1": 5.0, "i2": 4.0, "i3": 5.0}


def test_the_strip_shows_a_shoppers_purchases_newest_first(shop: Any, assistant: Any) -> None:
    html = handlers.purchases_html(shop, opened(assistant, shop))
    assert html.index("Waxed Apron") < html.index("Camp Kettle")
    assert "Recent purchases" in html and "13 September 2020" in html


def test_a_newcomers_strip_shows_what_they_told(shop: Any, assistant: Any) -> None:
    session = opened(assistant, shop, None)
    assert "No purchases yet" in handlers.purchases_html(shop, session)
    say(assistant, shop, session, "I own a kettle")
    assert "No purchases yet" in handlers.purchases_html(shop, session)
    shop.user_ids.append("guest")  # the memory now knows them
    assert "What you told me" in handlers.purchases_html(shop, session)


def test_starters_fit_who_is_talking(shop: Any, assistant: Any) -> None:
    assert handlers.starters(opened(assistant, shop)) == handlers.STARTERS
    assert handlers.starters(opened(assistant, shop, None)) == handlers.NEWCOMER_STARTERS
