"""Notes in a conversation: they shape what is shown, can be told and taken back; consent; forgetting."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from fake_shop import ITEMS, FakeLog, FakeShop

from agents.conversation import Assistant
from agents.events import Answer, Done, Said
from agents.turns import Turns
from crs.recommender import color_of
from knowledge.errors import BusyError, ConsentError, NotFoundError
from knowledge.feedback import Rating


@pytest.fixture(scope="module")
def shared() -> Assistant:
    return Assistant(FakeShop())  # type: ignore[arg-type]


@pytest.fixture
def assistant(shared: Assistant, request: pytest.FixtureRequest) -> Iterator[Assistant]:
    """One assistant; every test is another person."""
    yield shared
    for owner in ("anna", "ben", None):
        shared.forget(key(request.node.name, owner))


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


def key(name: str, user_id: str | None) -> str:
    return f"{name}:{user_id}"


def say(
    assistant: Assistant, name: str, *messages: str, user_id: str | None = "anna", conversation: str = "1"
) -> Answer:
    conversation_id = f"{name}-{user_id}-{conversation}"
    assistant.open(conversation_id, user_id, key(name, user_id))
    for message in messages:
        *_, last = assistant.reply(conversation_id, message)
    assert isinstance(last, Done)
    return last.answer


def shown(answer: Answer) -> list[str]:
    return [card.id for card in answer.items]


def told(assistant: Assistant, name: str, user_id: str | None = "anna") -> list[str]:
    return [note.text for note in assistant.people.notebook.notes(key(name, user_id))]


# Notes


def test_a_dislike_is_noted_and_kept_out_in_the_next_conversation_too(
    assistant: Assistant, name: str
) -> None:
    before = say(assistant, name, "recommend something under 30", conversation="0")
    assert any(color_of(ITEMS[i]) == "rust red" for i in shown(before))
    noted = say(assistant, name, "I never wear red, and I hate nylon")
    assert noted.intent == "notes"
    assert "\u201cI never wear red\u201d" in noted.text and told(assistant, name) == [
        "I never wear red", "I hate nylon",
    ]  # fmt: skip
    after = say(assistant, name, "recommend something under 30", conversation="2")
    assert not any(color_of(ITEMS[i]) == "rust red" for i in shown(after))
    assert "what you told me: \u201cI never wear red\u201d" in after.text and "nylon" not in after.text
    nothing = say(assistant, name, "recommend me a lantern", conversation="3")
    assert not nothing.items and "would fit but for what you told me: \u201cI never wear red" in nothing.text
    asked_for = say(assistant, name, "show me red kettles", conversation="4")  # the latest word holds
    assert shown(asked_for) == ["i2"]


def test_a_fact_and_a_like_move_products_up_and_are_named(assistant: Assistant, name: str) -> None:
    plain = say(assistant, name, "recommend something", user_id="ben")
    say(assistant, name, "remember that I love gardening", user_id="ben")
    shaped = say(assistant, name, "recommend something", user_id="ben", conversation="2")
    gardening = {item_id for item_id, item in ITEMS.items() if "gardening" in item.description.lower()}
    assert len(gardening & set(shown(shaped))) > len(gardening & set(shown(plain)))
    assert "I love gardening" in shaped.text
    within = say(assistant, name, "show me something under 15", user_id="ben", conversation="3")
    assert all(card.price is not None and card.price <= 15 for card in within.items)  # wishes stay exact


def test_what_is_told_beside_a_wish_is_noted_too(assistant: Assistant, name: str) -> None:
    answer = say(assistant, name, "I'm left-handed. Recommend me a lamp")
    assert answer.intent == "recommend" and answer.items
    assert told(assistant, name) == ["I'm left-handed"]


def test_forget_that_takes_back_the_last_note_or_the_one_meant(assistant: Assistant, name: str) -> None:
    say(assistant, name, "I'm left-handed", "I hate plastic", "it's for my daughter")
    gone = say(assistant, name, "forget that")
    assert gone.intent == "forget" and "It's for my daughter" in gone.text
    say(assistant, name, "forget that I'm left-handed")
    assert told(assistant, name) == ["I hate plastic"]
    assert "nothing like that noted" in say(assistant, name, "forget that", "forget that").text


def test_answering_again_forgets_nothing_more(assistant: Assistant, name: str) -> None:
    say(assistant, name, "I'm left-handed", "I hate plastic", "forget that")
    list(assistant.reply(f"{name}-anna-1", "", retry=True))
    assert told(assistant, name) == ["I'm left-handed"]


def test_a_message_taken_back_takes_its_notes_along(assistant: Assistant, name: str) -> None:
    say(assistant, name, "I'm left-handed", "I hate plastic")
    assistant.rewind(f"{name}-anna-1", 2)
    assert told(assistant, name) == ["I'm left-handed"]


def test_what_is_known_is_told_in_plain_words(assistant: Assistant, name: str) -> None:
    say(assistant, name, "I'm left-handed")
    assistant.people.notebook.set_consent(key(name, "anna"), True)
    assistant.people.keep_rating(Rating(f"{name}-anna-1", "m1", "anna", stars=4))
    answer = say(assistant, name, "what do you know about me?")
    assert answer.intent == "about_me"
    for words in ("5 purchases", "Office", "I'm left-handed", "1 answer, with 4.0 stars"):
        assert words in answer.text, answer.text
    nobody = say(assistant, name, "what do you know about me?", user_id=None)
    assert "no purchases" in nobody.text and "nothing of yourself" in nobody.text


def test_two_people_with_one_shopper_have_notes_of_their_own(assistant: Assistant, name: str) -> None:
    say(assistant, name, "I hate plastic")
    assistant.open(f"{name}-other", "anna", f"{name}:other")
    assert assistant.people.notebook.notes(f"{name}:other") == []
    assert assistant.owner(f"{name}-other") == f"{name}:other"


def test_another_owner_does_not_get_the_conversation(assistant: Assistant, name: str) -> None:
    say(assistant, name, "I hate plastic")
    assistant.open(f"{name}-anna-1", "anna", "someone else")
    assert assistant.history(f"{name}-anna-1") == []


# Consent


def test_a_rating_is_kept_only_with_consent(assistant: Assistant, name: str) -> None:
    say(assistant, name, "hello")
    log, rating = assistant.shop.feedback, Rating(f"{name}-anna-1", "m1", "anna", stars=4)
    assert isinstance(log, FakeLog)
    with pytest.raises(ConsentError) as first:
        assistant.people.keep_rating(rating)
    assistant.people.notebook.set_consent(key(name, "anna"), False)
    with pytest.raises(ConsentError) as refused:
        assistant.people.keep_rating(rating)
    assert (first.value.was_asked, refused.value.was_asked) == (False, True)
    assert log.of([f"{name}-anna-1"]) == []
    assistant.people.notebook.set_consent(key(name, "anna"), True)
    assistant.people.keep_rating(rating)
    assert log.of([f"{name}-anna-1"]) == [rating]
    assistant.forget(key(name, "anna"))
    with pytest.raises(NotFoundError, match="forgotten"):
        assistant.people.keep_rating(rating)


# Forgetting (what is left in files: test_forget_me.py)


def test_forgetting_asks_first_and_says_what_went(assistant: Assistant, name: str) -> None:
    say(assistant, name, "I hate plastic", conversation="0")
    asked = say(assistant, name, "forget me")
    assert asked.intent == "forget_me" and "2 conversations and 1 note" in asked.text
    assert asked.chips[0] == "Yes, forget me" and not asked.forgotten
    kept = say(assistant, name, "no, keep it")
    assert "nothing was deleted" in kept.text and told(assistant, name)
    say(assistant, name, "forget me", "recommend me a pen")
    late = say(assistant, name, "yes")  # the question was about something else by then
    assert not late.forgotten and told(assistant, name)

    say(assistant, name, "forget me")
    *events, done = assistant.reply(f"{name}-anna-1", "yes")
    assert any(isinstance(event, Said) for event in events)
    assert isinstance(done, Done) and done.answer.forgotten
    assert "I deleted 2 conversations and 1 note" in done.answer.text
    assert told(assistant, name) == []
    for conversation in ("0", "1"):
        with pytest.raises(NotFoundError):
            assistant.history(f"{name}-anna-{conversation}")


def test_others_keep_what_they_told(assistant: Assistant, name: str) -> None:
    say(assistant, name, "I hate plastic", user_id="ben")
    say(assistant, name, "I hate wool", "forget me", "yes")
    assert told(assistant, name, "ben") == ["I hate plastic"]
    assert len(assistant.history(f"{name}-ben-1")) == 2


def test_a_newcomer_is_forgotten_in_the_memory_too(assistant: Assistant, name: str) -> None:
    shop = assistant.shop
    assert isinstance(shop, FakeShop)
    answer = say(assistant, name, "I own a tent", user_id=None)
    assert answer.user_id in shop.remembered
    say(assistant, name, "forget me", "yes", user_id=None)
    assert answer.user_id not in shop.remembered


def test_an_answer_under_way_is_stopped_first(assistant: Assistant, name: str) -> None:
    shop = assistant.shop
    assert isinstance(shop, FakeShop)
    telling, stop = threading.Event(), threading.Event()

    def wait() -> None:
        telling.set()
        assert stop.wait(30)

    say(assistant, name, "hello")
    conversation_id, events = f"{name}-anna-1", []
    thread = threading.Thread(
        target=lambda: events.extend(assistant.reply(conversation_id, "tell me about myself", stop))
    )
    shop.before_piece = wait
    try:
        thread.start()
        assert telling.wait(30)
        assert assistant.forget(key(name, "anna")).n_conversations == 1
        thread.join(30)
    finally:
        shop.before_piece = lambda: None
    assert isinstance(events[-1], Done) and events[-1].answer.stopped
    with pytest.raises(NotFoundError):
        assistant.history(conversation_id)


def test_two_who_look_around_as_one_shopper_take_turns_of_their_own(assistant: Assistant, name: str) -> None:
    shop = assistant.shop
    assert isinstance(shop, FakeShop)
    for visitor in ("one", "two"):
        assistant.open(f"{name}-{visitor}", "anna", f"{visitor}:anna")
        list(assistant.reply(f"{name}-{visitor}", "tell me about myself"))
    assert shop.callers[-2:] == ["one:anna", "two:anna"]


def test_an_answer_that_nobody_reads_on_holds_forgetting_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.turns.STOP_S", 0.01)
    turns = Turns()
    with turns.of("a"), pytest.raises(BusyError, match="still being written"), turns.stopped(["a"]):
        pass
    with turns.stopped(["a"]):
        with pytest.raises(BusyError), turns.of("a"):
            pass
        with turns.of("b"):  # somebody else's
            pass
    with turns.of("a"):
        pass
