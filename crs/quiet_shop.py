"""A shop that recommends and recalls but tells nothing: for what is measured by the hundred conversations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np

from crs.bundle import Bundle
from crs.content import TextEncoder
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
        super().__init__(bundle, PreparedEncoder(encoder), memory, storyteller, feedback, usage)

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
        on_wait: Callable[[int], None] | None = None,
    ) -> NarrationStream:
        """A narrative of no words."""
        from crs.narrator.narrate import Narrated, NarrationStream

        return NarrationStream(_silence(), [Narrated("", (), 0, 0, 0.0, 0.0, 0, False)])

    def close(self) -> None:
        """There is nothing to free."""


def _silence() -> Iterator[Piece]:
    yield from ()


class PreparedEncoder:
    """An encoder that keeps every row: texts prepared in one batch cost far less than one by one."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._rows: dict[str, np.ndarray] = {}

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        """As `crs.content.Encoder.encode`."""
        new = list(dict.fromkeys(text for text in texts if text not in self._rows))
        if new:
            self._rows.update(zip(new, self._encoder.encode(new, progress), strict=True))
        if not texts:
            return np.zeros((0, 384), dtype=np.float32)
        return np.stack([self._rows[text] for text in texts])
