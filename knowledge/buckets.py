"""Token buckets: something may be done a few times at once, then only as often as the bucket fills again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable

_MANY = 1_000  # buckets after which the full ones are thrown away


class Buckets:
    """A bucket for each key, full at first; safe for many threads."""

    def __init__(self, size: int, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``size``: tokens in a full bucket; ``per_minute``: how many flow in. ``clock`` gives seconds."""
        self._size, self._per_s, self._clock = float(size), per_minute / 60, clock
        self._buckets: dict[Hashable, tuple[float, float]] = {}  # tokens left, and when
        self._lock = threading.Lock()

    def take(self, key: Hashable) -> float:
        """Take a token of ``key``: 0.0 where there was one, else the seconds until there will be."""
        with self._lock:
            now = self._clock()
            tokens = self._tokens(key, now)
            if tokens < 1:
                return (1 - tokens) / self._per_s
            self._buckets[key] = tokens - 1, now
            if len(self._buckets) > _MANY:
                self._buckets = {
                    each: left for each, left in self._buckets.items() if self._tokens(each, now) < self._size
                }
            return 0.0

    def _tokens(self, key: Hashable, now: float) -> float:
        tokens, then = self._buckets.get(key, (self._size, now))
        return min(self._size, tokens + (now - then) * self._per_s)
