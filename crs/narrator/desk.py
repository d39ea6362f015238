"""Continuous batching: which text is read, and of which the next token is drawn, step by step.

For the use of the thread that owns the model (engine.py). In every step newcomers' prompts are read, as far
as others can wait, and one token is decoded for all texts that are being told, together; while some are at
their first sentence, the others rest most of the time.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crs.narrator.gguf_text import Grammar
from crs.narrator.language_model import ANYONE, Caller, Segment, check_patience
from crs.narrator.llama_context import LlamaContext
from crs.narrator.rooms import Room, Rooms, batches_of
from crs.narrator.sampling import Sampler
from knowledge.errors import BusyError, ModelError

READ_AHEAD = 192  # positions of newcomers' prompts from which on the others' next tokens come first
OPENING = 32  # tokens, about a sentence: who has been told fewer goes before who has something to read
MAX_RESTED = 7  # steps in a row that the others let them go first
MAX_REBUILT = 3  # how often a text is read anew because a decode failed


class Finished:
    """Says that no more tokens follow."""


Outcome = int | str | np.ndarray | BaseException | Finished


@dataclass(eq=False)
class Request:
    """One prompt. Without a ``sampler`` it asks for the logits after its last position.

    ``deadline``: when it must have ended, in seconds of `time.monotonic`; None for whenever. ``place``: in
    line, from 1; 0 once it is under way.
    """

    segments: list[Segment]
    sampler: Sampler | None = None
    n_tokens: int = 0
    stop: threading.Event | None = None
    json_schema: Mapping[str, Any] | None = None
    caller: Caller = ANYONE
    deadline: float | None = None
    place: int = 0
    came_s: float = field(default_factory=time.monotonic)
    abandoned: threading.Event = field(default_factory=threading.Event)
    outcomes: queue.SimpleQueue[Outcome] = field(default_factory=queue.SimpleQueue)

    def is_abandoned(self) -> bool:
        """Whether nobody listens any more."""
        return self.abandoned.is_set() or (self.stop is not None and self.stop.is_set())

    def verdict(self) -> ModelError | Finished | None:
        """What ends it before its time: that nobody listens any more, or that its deadline has passed."""
        if self.is_abandoned():
            return Finished()
        try:
            check_patience(self.deadline)
        except ModelError as error:
            return error
        return None


@dataclass(eq=False)
class Errand:
    """Something small that only the thread which owns the model may do; it leaves the KV cache alone."""

    run: Callable[[LlamaContext], Any]  # what it returns, which is never None
    outcomes: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)


@dataclass(frozen=True, slots=True)
class Load:
    """What an engine is busy with: texts under way and in line, positions kept in rooms, texts parked."""

    n_rooms: int = 0
    n_live: int = 0
    n_waiting: int = 0
    positions_held: int = 0
    n_parked: int = 0
    parked_bytes: int = 0


@dataclass(eq=False)
class _Live:
    """A text under way: ``unread`` batches of its prompt, then token by token."""

    request: Request
    room: Room
    unread: list[np.ndarray]
    grammar: Grammar | None = None
    token: int = -1  # drawn and not yet decoded
    told: list[int] = field(default_factory=list)
    n_rebuilt: int = 0


class Desk:
    """All requests of one context: in line, being read, being told."""

    def __init__(
        self, context: LlamaContext, *, max_waiting: int, max_waiting_each: int, parking_bytes: int
    ) -> None:
        self._context = context
        self._rooms = Rooms(context, parking_bytes)
        self._max_waiting, self._max_waiting_each = max_waiting, max_waiting_each
        self._waiting: list[Request] = []
        self._live: list[_Live] = []
        self._n_rested = 0  # steps since a token of every text was drawn

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._waiting and not self._live

    @property
    def load(self) -> Load:
        """What is under way."""
        parking = self._rooms.parking
        return Load(
            n_rooms=len(self._rooms.rooms),
            n_live=len(self._live),
            n_waiting=len(self._waiting),
            positions_held=sum(room.held.n_positions for room in self._rooms.rooms),
            n_parked=len(parking),
            parked_bytes=parking.n_bytes,
        )

    def accept(self, request: Request | Errand) -> None:
        """Take a request into the line, or refuse it with BusyError; run an errand at once."""
        if isinstance(request, Errand):
            try:
                request.outcomes.put(request.run(self._context))
            except Exception as error:  # whatever it is belongs to the caller, not to this thread
                request.outcomes.put(error)
        elif len(self._waiting) >= self._max_waiting:
            request.outcomes.put(
                BusyError(f"{len(self._waiting)} others are waiting for the narrator; try again in a minute")
            )
        elif self._n_waiting(request.caller) >= self._max_waiting_each:
            request.outcomes.put(
                BusyError(
                    f"{self._max_waiting_each} answers of yours are in line already; wait for one of them"
                )
            )
        else:
            self._waiting.append(request)

    def step(self) -> None:
        """Let newcomers in, read on in their prompts, draw one token of every text whose turn it is."""
        self._see_off()
        while self._waiting and self._rooms.has_free:
            self._admit(self._line()[0])
        for place, request in enumerate(self._line(), start=1):
            request.place = place
        n_read = 0
        while n_read < READ_AHEAD and (reading := next((each for each in self._live if each.unread), None)):
            n_read += len(reading.unread[0])
            self._read(reading)
        if telling := self._whose_turn([live for live in self._live if live.token >= 0]):
            self._tell(telling)

    def fail_all(self, error: BaseException) -> None:
        """End every request with ``error``, and forget what was read: it may be half of something."""
        for request in self._waiting:
            request.outcomes.put(error)
        self._waiting.clear()
        for live in list(self._live):
            self._end(live, error)
        self._rooms.clear()

    def _see_off(self) -> None:
        """End what nobody waits for any more, in line or under way."""
        for request in list(self._waiting):
            if (verdict := request.verdict()) is not None:
                self._waiting.remove(request)
                request.outcomes.put(verdict)
        for live in list(self._live):
            if (verdict := live.request.verdict()) is not None:
                self._end(live, verdict)

    def _n_waiting(self, caller: Caller) -> int:
        """How many requests of a caller are in line; 0 for one without a name."""
        return sum(bool(caller.name) and each.caller.name == caller.name for each in self._waiting)

    def _line(self) -> list[Request]:
        """Who waits, in the order of their turns: those first who have fewest texts under way."""
        busy = Counter(live.request.caller.name for live in self._live)

        def turn(request: Request) -> tuple[int, float]:
            caller = request.caller
            came_s = request.came_s if caller.since_s is None else caller.since_s
            return busy[caller.name] if caller.name else 0, came_s

        return sorted(self._waiting, key=turn)

    def _whose_turn(self, telling: Sequence[_Live]) -> Sequence[_Live]:
        """First sentences first: people read slower than the narrator writes."""
        opening = [live for live in telling if len(live.told) < OPENING]
        if opening and len(opening) < len(telling) and self._n_rested < MAX_RESTED:
            self._n_rested += 1
            return opening
        self._n_rested = 0
        return telling

    def _admit(self, request: Request) -> None:
        self._waiting.remove(request)
        request.place = 0
        room, unread = self._rooms.take(request.segments)
        live = _Live(request, room, unread)
        self._live.append(live)
        if request.json_schema is not None:
            try:
                live.grammar = self._context.text.json_grammar(request.json_schema)
            except ModelError as error:
                self._end(live, error)

    def _read(self, live: _Live) -> None:
        batch = live.unread.pop(0)
        try:
            logits = self._context.read(live.room.seq, batch, live.room.held.n_positions)
            self._context.check(logits)
        except ModelError as error:
            self._rebuild(error, culprit=live)
            return
        live.room.held.add(batch)
        if not live.unread:
            if live.request.sampler is None:
                live.request.outcomes.put(logits.copy())
                self._end(live)
            elif live.told:  # it was rebuilt in mid-text
                live.token = live.told[-1]
            else:
                self._draw(live, logits)

    def _tell(self, telling: Sequence[_Live]) -> None:
        # llama.cpp decodes rooms together only where they follow one another.
        telling = sorted(telling, key=lambda live: live.room.seq)
        tokens = [(live.room.seq, live.room.held.n_positions, live.token) for live in telling]
        try:
            rows = self._context.step(tokens)
        except ModelError as error:
            self._rebuild(error, culprit=telling[0] if len(telling) == 1 else None)
            return
        for live, logits in zip(telling, rows, strict=True):
            try:
                self._context.check(logits)
            except ModelError as error:
                self._rebuild(error, culprit=live)
                return
            live.room.held.add(np.array([live.token], dtype=np.int32))
            live.token = -1
            self._draw(live, logits)

    def _draw(self, live: _Live, logits: np.ndarray) -> None:
        """The next token of a text, told at once; decoded with those of others in the next step."""
        request, grammar = live.request, live.grammar
        assert request.sampler is not None
        try:
            token = request.sampler.pick(logits)
            # One token is checked in microseconds, a vocabulary in milliseconds: mask only when needed.
            if grammar is not None and not grammar.allows(token):
                token = request.sampler.pick(grammar.masked(logits))
        except ModelError as error:
            self._end(live, error)
            return
        if self._context.is_end(token):
            self._end(live, Finished())
            return
        if grammar is not None:
            grammar.accept(token)
        live.told.append(token)
        request.outcomes.put(token)
        if len(live.told) >= request.n_tokens:
            self._end(live, Finished())
        else:
            live.token = token

    def _rebuild(self, error: ModelError, *, culprit: _Live | None) -> None:
        """After a failed decode: end what failed, and read everything else anew in an emptied cache.

        A decode of many does not say whose fault it was; each is then read by itself and fails by itself.
        """
        if culprit is not None:
            self._end(culprit, error)
        self._rooms.clear()
        for live in list(self._live):
            live.n_rebuilt += 1
            if live.n_rebuilt > MAX_REBUILT:
                self._end(live, error)
                continue
            told = [np.array([token], dtype=np.int32) for token in live.told[:-1]]
            live.unread = [*batches_of(live.request.segments), *told]
            live.token = -1

    def _end(self, live: _Live, outcome: BaseException | Finished | None = None) -> None:
        if outcome is not None:
            live.request.outcomes.put(outcome)
        if live.grammar is not None:
            live.grammar.free()
        self._live.remove(live)
        self._rooms.leave(live.room)
