"""The one answer of which nothing is kept: that someone is forgotten."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agents.events import Answer, Done, Event, Said, Understood
from agents.notes import is_yes
from agents.people import guest_id
from agents.plan import Plan
from agents.render import Segment
from agents.state import Conversation
from crs.narrator.narrate import Piece

if TYPE_CHECKING:
    from crs.shop import Shop


def agrees_to_be_forgotten(conversation: Conversation, message: str) -> bool:
    """Whether a message says yes to "shall I forget you?"."""
    question = conversation["question"]
    return question is not None and question["intent"] == "forget_me" and is_yes(message)


def farewell(conversation: Conversation, text: str, shop: Shop) -> Iterator[Event]:
    """The events of the answer ``text``, after which the conversation is gone."""
    conversation_id = conversation["conversation_id"]
    segments = (Segment(text),)
    answer = Answer(
        message_id=uuid.uuid4().hex,
        conversation_id=conversation_id,
        user_id=conversation["user_id"] or guest_id(conversation_id),
        intent="forget_me",
        constraints={},
        items=(),
        text=text,
        segments=segments,
        cites=(),
        chips=(),
        told=(),
        history_ids=(),
        seed=0,
        model=shop.storyteller.model.name,
        bundle=shop.bundle.version,
        stopped=False,
        created_s=time.time(),
        forgotten=True,
    )
    yield Understood(Plan("forget_me"))
    yield Said(Piece(text), segments)
    yield Done(answer)
