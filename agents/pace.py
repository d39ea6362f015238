"""How fast one person may send messages: a bucket of tokens each, filled again as time goes by."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable

from knowledge.errors import BusyError, InputError

VARIABLE = "RACONTEUR_MESSAGES_PER_MINUTE"
DEFAULT_PER_MINUTE = 20.0
BURST = 8  # messages at once
_MANY = 1_000  # buckets after which the full ones are thrown away


class Pace:
    """Buckets by person; safe for many threads. ``clock`` gives seconds."""

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._clock = per_minute / 60, clock
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens left, and when
        self._lock = threading.Lock()

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
        with self._lock:
            now = self._clock()
            tokens = self._tokens(person, now)
            if tokens < 1:
                seconds = math.ceil((1 - tokens) / self._per_s)
                raise BusyError(
                    f"That was a lot at once. I can listen again in {seconds} second{'s' * (seconds != 1)}."
                )
            self._buckets[person] = tokens - 1, now
            if len(self._buckets) > _MANY:
                self._buckets = {
                    each: bucket for each, bucket in self._buckets.items() if self._tokens(each, now) < BURST
                }

    def _tokens(self, person: str, now: float) -> float:
        tokens, then = self._buckets.get(person, (float(BURST), now))
        return min(float(BURST), tokens + (now - then) * self._per_s)
