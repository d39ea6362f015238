"""Which beginnings of texts llama.cpp has read already: in the rooms of its cache, and parked in RAM.

A beginning is known by its content, batch by batch, so nobody has to say whose it is: the same shopper comes
back with the same soft tokens and finds them read. Whole batches are kept or dropped, never parts, for
rounding depends on how rows are batched.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


def batch_key(rows: np.ndarray) -> bytes:
    """What tells one batch from another: its kind and its bytes, in 16 bytes."""
    return hashlib.blake2b(rows.dtype.char.encode() + rows.tobytes(), digest_size=16).digest()


@dataclass
class Held:
    """The batches that one text consists of, in order; how many positions each takes, and all."""

    keys: list[bytes] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    n_positions: int = 0

    def add(self, rows: np.ndarray) -> None:
        """Note that ``rows`` follow."""
        self.keys.append(batch_key(rows))
        self.lengths.append(len(rows))
        self.n_positions += len(rows)

    def in_common(self, keys: Sequence[bytes]) -> int:
        """How many leading batches are those of ``keys``."""
        n = 0
        for own, other in zip(self.keys, keys, strict=False):
            if own != other:
                break
            n += 1
        return n

    def first(self, n_batches: int) -> Held:
        """The first ``n_batches``."""
        lengths = self.lengths[:n_batches]
        return Held(self.keys[:n_batches], lengths, sum(lengths))


@dataclass(frozen=True)
class Parked:
    """A text that left the cache, and what llama.cpp had made of it."""

    held: Held
    state: bytes


class Parking:
    """Texts in RAM, at most ``budget`` bytes of them; the least recently used go first."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._parked: OrderedDict[bytes, Parked] = OrderedDict()
        self.n_bytes = 0

    def __len__(self) -> int:
        return len(self._parked)

    def park(self, held: Held, state: bytes) -> None:
        """Keep a text, unless it is larger than the whole budget."""
        if not state or len(state) > self.budget:
            return
        name = b"".join(held.keys)
        self._drop(name)
        self._parked[name] = Parked(held, state)
        self.n_bytes += len(state)
        while self.n_bytes > self.budget:
            self._drop(next(iter(self._parked)))

    def nearest(self, keys: Sequence[bytes]) -> tuple[int, Parked | None]:
        """The text with most leading batches in common with ``keys``, and how many those are."""
        best: tuple[int, Parked | None] = (0, None)
        for parked in self._parked.values():
            n = parked.held.in_common(keys)
            if n > best[0]:
                best = (n, parked)
        return best

    def take(self, parked: Parked) -> bytes:
        """Its state; it is parked no more."""
        self._drop(b"".join(parked.held.keys))
        return parked.state

    def _drop(self, name: bytes) -> None:
        gone = self._parked.pop(name, None)
        self.n_bytes -= len(gone.state) if gone else 0
