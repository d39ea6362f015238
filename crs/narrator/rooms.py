"""The rooms of llama.cpp's cache: who reads in which, and what is found there from before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from crs.narrator.llama_context import N_BATCH, LlamaContext
from crs.narrator.prefixes import Held, Parking, batch_key

MIN_KEPT = 8  # positions below which a beginning is sooner read anew than copied or parked


def batches_of(segments: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The segments, ids (n,) or soft rows (n, d), in pieces of at most `N_BATCH` for one decode each."""
    return [
        segment[start : start + N_BATCH] for segment in segments for start in range(0, len(segment), N_BATCH)
    ]


@dataclass(eq=False)
class Room:
    """One text's place in the cache. ``used``: when it was last taken, in turns."""

    seq: int
    held: Held = field(default_factory=Held)
    is_taken: bool = False
    used: int = 0


class Rooms:
    """All rooms of a context, and the parking beside them."""

    def __init__(self, context: LlamaContext, parking_bytes: int) -> None:
        self._context = context
        self.rooms = [Room(seq) for seq in range(context.n_seqs)]
        self.parking = Parking(parking_bytes)
        self._turn = 0

    @property
    def has_free(self) -> bool:
        """Whether another text can be read now."""
        return any(not room.is_taken for room in self.rooms)

    def take(self, segments: Sequence[np.ndarray]) -> tuple[Room, list[np.ndarray]]:
        """A room for the text that begins with ``segments``, and the batches still to be read in it.

        Its beginning is found where it stands, fetched from parking, or copied from another's room,
        whichever knows most of it. At least one batch is always read, for its logits.
        """
        batches = batches_of(segments)
        lengths = [len(batch) for batch in batches]
        known = [batch_key(batch) for batch in batches[:-1]]
        free = [room for room in self.rooms if not room.is_taken]
        own = max(free, key=lambda room: (room.held.in_common(known), room.used))
        n_own = own.held.in_common(known)
        n_parked, parked = self.parking.nearest(known)
        neighbour = max(self.rooms, key=lambda room: room.held.in_common(known))
        n_shared = neighbour.held.in_common(known)
        kept = sum(lengths[:n_own])
        goes_on = 2 * kept >= min(own.held.n_positions, sum(lengths)) and n_own >= n_parked
        room = own
        if not (n_own and goes_on):
            room = min(free, key=lambda room: (bool(room.held.keys), room.used))
            self._park(room)
            # Where there is no other room, what is in common stays and only the rest is given up.
            if room is not own or n_own < max(n_parked, 1):
                self.empty(room)
                if parked is not None and n_parked >= n_shared and sum(lengths[:n_parked]) >= MIN_KEPT:
                    self._restore(room, parked.held, self.parking.take(parked))
                elif room is not neighbour and sum(lengths[:n_shared]) >= MIN_KEPT:
                    self._restore(room, neighbour.held, self._context.state(neighbour.seq))
        self._trim(room, room.held.in_common(known))
        self._turn += 1
        room.is_taken, room.used = True, self._turn
        return room, batches[len(room.held.keys) :]

    def leave(self, room: Room) -> None:
        """The text is over; what was read stays until the room is needed."""
        room.is_taken = False

    def empty(self, room: Room) -> None:
        """Forget all that was read in ``room``."""
        self._context.empty(room.seq)
        room.held = Held()

    def clear(self) -> None:
        """Forget all that was read in any room, contents included."""
        self._context.clear()
        for room in self.rooms:
            room.held = Held()

    def _park(self, room: Room) -> None:
        if room.held.n_positions >= MIN_KEPT and self._context.state_bytes(room.seq) <= self.parking.budget:
            self.parking.park(room.held, self._context.state(room.seq))

    def _restore(self, room: Room, held: Held, state: bytes) -> None:
        if state and self._context.restore(room.seq, state):
            room.held = held.first(len(held.keys))

    def _trim(self, room: Room, n_batches: int) -> None:
        if n_batches == len(room.held.keys):
            return
        kept = room.held.first(n_batches)
        # Some architectures cannot be trimmed in part; those start afresh.
        if n_batches and self._context.trim(room.seq, kept.n_positions):
            room.held = kept
        else:
            self.empty(room)
