"""A shop that recommends and recalls but tells nothing: for what is measured by the hundred conversations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from crs.bundle import Bundle
from crs.content import OnceEncoder, TextEncoder
from crs.shop import Shop
from knowledge.memory import Person
from knowledge.types import Task

if TYPE_CHECKING:
    from crs.narrator.narrate import NarrationStream, Piece
    from crs.storyteller import Storyteller
    from knowledge.feedback import FeedbackLog
    from knowledge.memory import Memory
    from knowledge.usage import UsageLog

SILENT = SimpleNamespace(model=SimpleNamespace(name="silent"), notes=[], reads_text=True, load=None)

UNRATED = SimpleNamespace(of=lambda conversation_ids: [])


class QuietShop(Shop):
    """`Shop` without language model, memory folder and feedback log; people are read from the store."""

    def __init__(self, bundle: Bundle, encoder: TextEncoder) -> None:
        storyteller, feedback = cast("Storyteller", SILENT), cast("FeedbackLog", UNRATED)
        memory, usage = cast("Memory", None), cast("UsageLog", None)
        super().__init__(bundle, OnceEncoder(encoder), memory, storyteller, feedback, usage)

    def person(self, user_id: str) -> Person:
        """As `Shop.person`. Raises NotFoundError for a stranger."""
        return self.newcomer(user_id, self.bundle.store.history(user_id))

    def remember(self, person: Person) -> None:
        """Nothing is kept."""

    def narrate(
        self,
        person: Person,
        task: Task,
        target_id: str | None = None,
        seed: int = 0,
        stop: threading.Event | None = None,
        *,
        caller: str | None = None,
        on_wait: Callable[[int], None] | None = None,
    ) -> NarrationStream:
        """A narrative of no words."""
        from crs.narrator.narrate import Narrated, NarrationStream

        return NarrationStream(_silence(), [Narrated("", (), 0, 0, 0.0, 0.0, 0, False)])

    def close(self) -> None:
        """There is nothing to free."""


def _silence() -> Iterator[Piece]:
    yield from ()
