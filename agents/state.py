"""What a conversation keeps between turns (plain data, checkpointed), and what lives for one turn only."""

from __future__ import annotations

import threading
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

from agents.comparison import Table
from agents.events import Answer
from agents.plan import Plan, Wishes
from knowledge.notes import Note
from knowledge.types import Interaction, Recommendation

if TYPE_CHECKING:
    from agents.people import Kept
    from knowledge.memory import Person


class Conversation(TypedDict, total=False):
    """One conversation as the checkpointer stores it; only the last step of a turn writes to it."""

    conversation_id: str
    user_id: str | None  # None: someone new, known only by what they state
    owner: str  # the key of the person who talks, for notes, consent and forgetting
    messages: list[dict[str, Any]]  # role, text, answer as JSON (None for the person's own)
    stated: list[dict[str, Any]]  # interactions told in words rather than bought here
    wishes: dict[str, Any]  # what is being looked for, as JSON
    shown: list[dict[str, Any]]  # the cards shown last: id and shares
    focus: str | None  # the product talked about last
    question: dict[str, Any] | None  # the plan that waits for "which one do you mean?"


@dataclass(slots=True)
class Turn:
    """One message on its way through the graph; each step fills in what the next ones need."""

    message: str
    seed: int
    stop: threading.Event
    attempt: int = 0
    plan: Plan = Plan("help")
    person: Person | None = None
    stated: list[Interaction] = field(default_factory=list)
    matched: list[tuple[str, str]] = field(default_factory=list)  # what was said, the item that stands for it
    unmatched: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)  # the person's, those of this message last
    noted: list[Note] = field(default_factory=list)  # those of this message
    forgotten: Note | None = None  # the note that this message takes back
    kept: Kept | None = None  # how much is kept of the person, where that is asked or to be deleted
    heeded: tuple[Note, ...] = ()  # the notes that changed what is shown
    wishes: Wishes = Wishes()
    recommendations: list[Recommendation] = field(default_factory=list)
    table: Table | None = None  # products set side by side
    later: tuple[str, ...] = ()  # what the message asks besides, in its own words
    missing: tuple[str, ...] = ()  # of several kinds wished for, those of which nothing fits
    asks: bool = False  # the answer is a clarifying question
    answer: Answer | None = None


def turn_seed(conversation_id: str, n_messages: int, attempt: int) -> int:
    """A seed that a turn can be told again with: the same place and attempt give the same one (31 bits)."""
    return zlib.crc32(f"{conversation_id}/{n_messages}/{attempt}".encode()) & 0x7FFFFFFF
