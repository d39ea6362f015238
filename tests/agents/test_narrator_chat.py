"""NarratorChatModel: a narrative through LangChain's ways in, whole, streamed and stopped."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from fake_shop import ITEMS, FakeShop
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage

from agents.narrator_chat import NarratorChatModel, narration_of
from agents.render import plain, render
from crs.narrator.narrate import Narrated, NarrationStream, Piece
from knowledge.errors import InputError
from knowledge.types import Task

ASKED = [HumanMessage("Sell me this")]
TASK: Task = "product_endorsement"


def bound(shop: FakeShop, **more: Any) -> Any:
    settings = {"person": shop.person("anna"), "task": TASK, "target_id": "i5", "seed": 3, **more}
    return NarratorChatModel(shop=shop).bind(**settings)


def test_streamed_and_whole_narratives_are_the_same() -> None:
    shop = FakeShop()
    whole = bound(shop).invoke(ASKED)
    assert ITEMS["i5"].title.split(",")[0] in whole.content  # names, not pointers
    chunks = list(bound(shop).stream(ASKED))
    assert len(chunks) > 3 and "".join(str(chunk.content) for chunk in chunks) == whole.content
    assert shop.narrated == [("anna", TASK, "i5", 3)] * 2
    assert whole.additional_kwargs["narrated"]["n_soft"] == len(shop.person("anna").history)


def test_the_agent_hears_what_the_narrator_said() -> None:
    shop = FakeShop()
    direct = shop.narrate(shop.person("anna"), TASK, "i5", 3)
    heard = narration_of(bound(shop).stream(ASKED))
    assert list(heard) == list(direct)
    assert heard.result == direct.result


def test_closing_the_stream_ends_the_narrative() -> None:
    shop = FakeShop()
    ended = threading.Event()
    inner = shop._tell

    def tell(*args: Any) -> Any:
        try:
            yield from inner(*args)
        finally:
            ended.set()

    shop._tell = tell  # type: ignore[method-assign]
    stream = bound(shop).stream(ASKED)
    next(stream)
    assert not ended.is_set()
    stream.close()
    assert ended.is_set()


def test_a_stop_from_elsewhere_is_heeded() -> None:
    stop = threading.Event()
    stop.set()
    narration = narration_of(bound(FakeShop(), stop_event=stop).stream(ASKED))
    assert list(narration) == [] and narration.result.stopped


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [({"person": None}, "person and task"), ({"task": "a poem"}, "person and task"), ({"speed": 2}, "speed")],
)
def test_what_cannot_be_bound_is_named(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        bound(FakeShop(), **wrong).invoke(ASKED)


class Told(FakeShop):
    """Tells what it was given."""

    def __init__(self, pieces: list[Piece]) -> None:
        super().__init__()
        self.pieces = pieces

    def narrate(self, *_: Any, **__: Any) -> NarrationStream:
        return NarrationStream((piece for piece in self.pieces), [Narrated("", (), 0, 0, 0.0, 0.0, 0, False)])


WORDS = st.sampled_from(["Your ", "the", " tent", " gel pens", " and", ", ", ". ", "x", " "])
PIECES = st.lists(st.builds(Piece, WORDS) | st.builds(Piece, st.just(""), st.integers(0, 5)), max_size=8)


@settings(deadline=None)
@given(PIECES)
def test_any_pieces_stream_as_the_text_they_make(pieces: list[Piece]) -> None:
    shop = Told(pieces)
    history = shop.person("anna").history
    streamed = "".join(str(chunk.content) for chunk in bound(shop).stream(ASKED))
    assert streamed == plain(render(pieces, history, ITEMS["i5"], ITEMS))
