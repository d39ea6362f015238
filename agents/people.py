"""What is kept of a person: tells it, asks before a rating is kept, and forgets it.

A person is known by an *owner* key (see knowledge/notes.py). Texts of theirs lie in three files, those of
conversations, notes and ratings; the memory in Chroma knows only which products a newcomer named.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.checkpoints import delete_threads
from agents.pace import Pace
from knowledge.errors import ConsentError, NotFoundError
from knowledge.feedback import Rating
from knowledge.notes import Notebook

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from crs.shop import Shop


@dataclass(frozen=True, slots=True)
class Kept:
    """How much is kept of a person, or was until it was forgotten."""

    n_conversations: int = 0
    n_notes: int = 0
    n_ratings: int = 0
    mean_stars: float | None = None


class People:
    """The notebook with the ratings, conversations and memory of the same people."""

    def __init__(self, shop: Shop, notebook: Notebook, checkpointer: BaseCheckpointSaver[Any]) -> None:
        self.notebook = notebook
        self._shop, self._checkpointer = shop, checkpointer
        self.pace = Pace.from_environment()
        # What else is kept by conversation: called with the ids of those that are forgotten.
        self.also_forget: list[Callable[[Sequence[str]], object]] = []
        self._ratings = threading.Lock()  # no rating is written behind the back of `forget`

    def kept(self, owner: str) -> Kept:
        """What is kept of a person now."""
        conversation_ids = self.notebook.conversations(owner)
        ratings = self._shop.feedback.of(conversation_ids)
        stars = [rating.stars for rating in ratings if rating.stars is not None]
        mean = sum(stars) / len(stars) if stars else None
        return Kept(len(conversation_ids), len(self.notebook.notes(owner)), len(ratings), mean)

    def keep_rating(self, rating: Rating) -> None:
        """Write a rating to the log, if its person has agreed to that.

        Raises ConsentError where they were not asked yet or refused, NotFoundError where they are forgotten.
        """
        with self._ratings:
            owner = self.notebook.owner(rating.conversation_id)
            if owner is None:
                raise NotFoundError("this conversation is forgotten; nothing of it is kept any more")
            given = self.notebook.consent(owner)
            if not given:
                raise ConsentError(
                    "may your ratings be kept?" if given is None else "not kept, as you wished",
                    was_asked=given is not None,
                )
            self._shop.feedback.append(rating)

    def forget(self, owner: str, conversation_ids: Sequence[str]) -> Kept:
        """Delete a person's ratings, conversations and notes to the last byte; returns what there was.

        Nobody may be answering in these conversations. The names of the conversations go last, so that what
        was interrupted can be done again.
        """
        with self._ratings:
            kept = self.kept(owner)
            self._shop.feedback.forget(conversation_ids)
            delete_threads(self._checkpointer, conversation_ids)
            for forget in self.also_forget:
                forget(conversation_ids)
            self._shop.memory.forget([guest_id(each) for each in conversation_ids])
            self.notebook.forget(owner, conversation_ids)
        return kept


def guest_id(conversation_id: str) -> str:
    """The id under which someone new is remembered."""
    return f"guest-{conversation_id}"
