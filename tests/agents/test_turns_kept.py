"""Turns under way and what is kept of them: told piece by piece, stopped, said again, never mixed."""

from __future__ import annotations

import json
import threading

import pytest
from fake_shop import FakeShop
from talking import Talk, ids

from agents.conversation import Assistant
from agents.events import Answer, Done, Said
from knowledge.errors import BusyError, ModelError, NotFoundError


def test_history_survives_and_comes_back_whole(talk: Talk, assistant: Assistant) -> None:
    answer = talk("anna", "recommend me a lamp")
    talk("anna", "thanks")
    messages = assistant.history(talk.id("anna"))
    assert [message.role for message in messages] == ["user", "assistant"] * 2
    assert messages[0].text == "recommend me a lamp"
    assert messages[1].answer == answer
    assert assistant.user_id(talk.id("anna")) == "anna"


def test_an_answer_survives_json(talk: Talk) -> None:
    answer = talk("anna", "recommend me a lamp")
    assert Answer.from_json(json.loads(json.dumps(answer.to_json()))).to_json() == answer.to_json()


def test_two_interleaved_conversations_never_mix(assistant: Assistant, shop: FakeShop) -> None:
    """Two threads talk in step: each piece of one answer waits for a piece of the other."""
    scripts = {
        "anna": ["recommend me a tent", "something cheaper", "why did I buy the kettle?", "who am I"],
        "ben": ["recommend me a pen", "a different brand", "why did I buy the leash?", "describe me"],
    }
    alone = {
        user: [_answer(assistant, f"alone-{user}", user, message) for message in script]
        for user, script in scripts.items()
    }
    step = threading.Barrier(2)

    def in_step() -> None:
        try:
            step.wait(timeout=0.05)
        except threading.BrokenBarrierError:
            step.reset()  # the other one has fewer pieces to say

    together: dict[str, list[Answer]] = {user: [] for user in scripts}

    def run(user: str) -> None:
        for message in scripts[user]:
            together[user].append(_answer(assistant, f"together-{user}", user, message))

    shop.before_piece = in_step
    threads = [threading.Thread(target=run, args=(user,)) for user in scripts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for user, other in (("anna", "ben"), ("ben", "anna")):
        for one, same in zip(alone[user], together[user], strict=True):
            assert (one.intent, one.constraints, ids(one)) == (same.intent, same.constraints, ids(same))
            assert same.user_id == user and other not in same.text
        assert [m.text for m in assistant.history(f"together-{user}")[::2]] == scripts[user]


def _answer(assistant: Assistant, conversation_id: str, user_id: str, message: str) -> Answer:
    assistant.open(conversation_id, user_id)
    done = list(assistant.reply(conversation_id, message))[-1]
    assert isinstance(done, Done)
    return done.answer


def test_pieces_come_while_the_narrator_is_still_telling(talk: Talk, shop: FakeShop) -> None:
    may_go_on = threading.Semaphore(1)
    shop.before_piece = lambda: _must(may_go_on.acquire(timeout=10))
    talk.assistant.open(talk.id("anna"), "anna")
    seen = 0
    for event in talk.assistant.reply(talk.id("anna"), "describe me"):
        if isinstance(event, Said):
            seen += 1
        may_go_on.release()  # the next piece exists only once this one has been read
    assert seen > 3


def _must(came: bool) -> None:
    assert came, "what was waited for never came"


def test_stop_keeps_what_was_said_so_far(talk: Talk, assistant: Assistant, shop: FakeShop) -> None:
    assistant.open(talk.id("anna"), "anna")
    stop = threading.Event()
    told: list[int] = []

    def stop_at_the_third_piece() -> None:
        told.append(1)
        if len(told) == 3:
            stop.set()

    shop.before_piece = stop_at_the_third_piece
    events = list(assistant.reply(talk.id("anna"), "describe me", stop))
    assert isinstance(events[-1], Done)
    answer = events[-1].answer
    assert answer.stopped and answer.told[0].stopped
    assert answer.text == assistant.history(talk.id("anna"))[-1].text
    shop.before_piece = lambda: None
    whole = talk("anna", "describe me")
    assert not whole.stopped and len(whole.text) > len(answer.text) > 0


def test_no_telling_begins_after_a_stop(talk: Talk, assistant: Assistant, shop: FakeShop) -> None:
    assistant.open(talk.id("anna"), "anna")
    stop = threading.Event()
    shop.before_piece = stop.set
    events = list(assistant.reply(talk.id("anna"), "why did I buy the tent?", stop))
    assert isinstance(events[-1], Done)
    assert [told.task for told in events[-1].answer.told] == ["purchase_reason"]


def test_leaving_in_the_middle_is_a_stop(talk: Talk, assistant: Assistant, shop: FakeShop) -> None:
    assistant.open(talk.id("anna"), "anna")
    stop = threading.Event()
    first_piece: list[bool] = []

    def wait_for_the_stop() -> None:
        if first_piece:
            _must(stop.wait(timeout=10))
        first_piece.append(True)

    shop.before_piece = wait_for_the_stop
    reply = assistant.reply(talk.id("anna"), "describe me", stop)
    for event in reply:
        if isinstance(event, Said):
            break
    reply.close()  # type: ignore[attr-defined]  # the iterator is a generator
    last = assistant.history(talk.id("anna"))[-1]
    assert last.answer is not None and last.answer.stopped


def test_retry_answers_again_with_another_seed(talk: Talk, assistant: Assistant) -> None:
    talk("anna", "hello")
    first = talk("anna", "recommend me a lamp")
    second = talk.events("anna", "", retry=True)[-1]
    third = talk.events("anna", "", retry=True)[-1]
    assert isinstance(second, Done) and isinstance(third, Done)
    assert ids(second.answer) == ids(first)
    assert len({first.seed, second.answer.seed, third.answer.seed}) == 3
    assert second.answer.text != first.text
    assert len(assistant.history(talk.id("anna"))) == 4


def test_rewind_takes_back_what_was_understood(talk: Talk, assistant: Assistant) -> None:
    first = talk("cleo", "recommend me a tent")
    talk("cleo", "under 150")
    talk("cleo", "not Ridgeway")
    assistant.rewind(talk.id("cleo"), 2)
    assert [message.text for message in assistant.history(talk.id("cleo"))[::2]] == ["recommend me a tent"]
    edited = talk("cleo", "only from Larkmoor")
    assert edited.constraints == {"kinds": ["tent"], "brands": ["larkmoor"]}
    assistant.rewind(talk.id("cleo"), 0)
    assert assistant.history(talk.id("cleo")) == []
    assert ids(talk("cleo", "recommend me a tent")) == ids(first)


def test_a_failed_turn_changes_nothing(talk: Talk, shop: FakeShop, assistant: Assistant) -> None:
    talk("anna", "recommend me a lamp")
    before = assistant.history(talk.id("anna"))

    def fail() -> None:
        raise ModelError("the narrator cannot be loaded; run make setup")

    shop.before_piece = fail
    with pytest.raises(ModelError):
        talk("anna", "I also own a tent")
    shop.before_piece = lambda: None
    assert assistant.history(talk.id("anna")) == before
    assert len(talk("anna", "describe me").history_ids) == 5


def test_one_turn_at_a_time(talk: Talk, assistant: Assistant) -> None:
    assistant.open(talk.id("anna"), "anna")
    reply = assistant.reply(talk.id("anna"), "describe me")
    next(reply)
    with pytest.raises(BusyError, match="still answering"):
        next(assistant.reply(talk.id("anna"), "hello"))
    list(reply)
    assert talk("anna", "hello").intent == "greeting"


def test_opening(talk: Talk, assistant: Assistant) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        assistant.open("new", "nobody")
    with pytest.raises(NotFoundError, match="open it first"):
        next(assistant.reply("never opened", "hello"))
    with pytest.raises(NotFoundError, match="open it first"):
        assistant.history("never opened")
    talk("anna", "hello")
    assistant.open(talk.id("anna"), "ben")  # another shopper begins anew
    assert assistant.history(talk.id("anna")) == []
    with pytest.raises(NotFoundError, match="no message to answer again"):
        list(assistant.reply(talk.id("anna"), "", retry=True))


# Odd messages
