"""How fast one person may send messages."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable

from knowledge.buckets import Buckets
from knowledge.errors import BusyError, InputError

VARIABLE = "RACONTEUR_MESSAGES_PER_MINUTE"
DEFAULT_PER_MINUTE = 20.0
BURST = 8  # messages at once


class Pace:
    """A bucket of messages for each person; safe for many threads. ``clock`` gives seconds."""

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = Buckets(BURST, per_minute, clock)

    @classmethod
    def from_environment(cls) -> Pace:
        """The pace that ``RACONTEUR_MESSAGES_PER_MINUTE`` sets. Raises InputError where that is no number."""
        told = os.environ.get(VARIABLE) or DEFAULT_PER_MINUTE
        try:
            per_minute = float(told)
        except ValueError:
            per_minute = math.nan
        if not (0 < per_minute < math.inf):
            raise InputError(VARIABLE, f"'{told}' is no pace; set it to a number above 0, such as 20")
        return cls(per_minute)

    def take(self, person: str) -> None:
        """Let one message through. Raises BusyError, which says when the next one will be."""
        if wait_s := self._buckets.take(person):
            seconds = math.ceil(wait_s)
            raise BusyError(
                f"That was a lot at once. I can listen again in {seconds} second{'s' * (seconds != 1)}."
            )
