"""One turn at a time in a conversation, and none while it is being forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from knowledge.errors import BusyError

STOP_S = 10.0  # a told answer ends at the narrator's next token; this is for one that nobody reads on


class Turns:
    """The turns under way, each with what stops it; safe for many threads."""

    def __init__(self) -> None:
        self._under_way: dict[str, threading.Event] = {}
        self._changed = threading.Condition()

    @contextmanager
    def of(self, conversation_id: str, stop: threading.Event | None = None) -> Iterator[None]:
        """A turn; BusyError where one is under way, for a second would answer from half a state."""
        with self._changed:
            if conversation_id in self._under_way:
                raise BusyError(f"conversation '{conversation_id}' is still answering; stop it or wait")
            self._under_way[conversation_id] = stop or threading.Event()
        try:
            yield
        finally:
            self._end([conversation_id])

    @contextmanager
    def stopped(self, conversation_ids: Sequence[str]) -> Iterator[None]:
        """None of these conversations has a turn: those under way are stopped and waited for, others refused.

        Raises BusyError where a turn does not end.
        """
        with self._changed:
            for conversation_id in conversation_ids:
                if conversation_id in self._under_way:
                    self._under_way[conversation_id].set()
            if not self._changed.wait_for(
                lambda: not any(each in self._under_way for each in conversation_ids), STOP_S
            ):
                raise BusyError("an answer of yours is still being written; stop it, then ask again")
            self._under_way.update((each, threading.Event()) for each in conversation_ids)
        try:
            yield
        finally:
            self._end(conversation_ids)

    def between(self, do: Callable[[], None], patience_s: float) -> None:
        """Call ``do``, which must be quick, while no turn is under way, or after ``patience_s``."""
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way, patience_s)
            do()

    def _end(self, conversation_ids: Sequence[str]) -> None:
        with self._changed:
            for conversation_id in conversation_ids:
                self._under_way.pop(conversation_id, None)
            self._changed.notify_all()
