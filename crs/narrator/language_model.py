"""What a language model is here: segments of ids and soft rows in, token ids out.

``LlamaCppModel`` (engine.py) serves, ``HfModel`` (hf_model.py) is the reference it must agree with,
``FakeLanguageModel`` (here) keeps the same contract without any weights.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from crs.narrator.sampling import Constraints, Sampler, Sampling
from knowledge.errors import ModelError

__all__ = [
    "ANYONE",
    "Caller",
    "FakeLanguageModel",
    "LanguageModel",
    "Sampling",
    "Segment",
    "check_patience",
    "check_segments",
]

Segment = np.ndarray  # int32 (n,) token ids, or float32 (n, embedding_dim) soft rows


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, so that nobody takes all turns, and how many seconds they wait at most (None: forever).

    ``since_s``: when they came, in seconds of `time.monotonic`, where this is not their first request for
    the same text: they do not go to the end of the line again, and have waited since then.
    ``on_wait`` is told, in the asking thread, of the place in line (from 1) whenever it changes.
    """

    name: str = ""
    patience_s: float | None = None
    since_s: float | None = None
    on_wait: Callable[[int], None] | None = field(default=None, compare=False)

    def deadline(self) -> float | None:
        """When they give up, in seconds of `time.monotonic`; without ``since_s`` they begin to wait now."""
        if self.patience_s is None:
            return None
        return self.patience_s + (time.monotonic() if self.since_s is None else self.since_s)


ANYONE = Caller()


class LanguageModel(Protocol):
    """A causal language model that reads token ids and soft rows at consecutive positions."""

    name: str
    device: str  # "cpu", or "gpu ..." with what it is
    embedding_dim: int
    n_vocab: int
    context_length: int  # positions that prompt and answer share
    eos_id: int

    def generate(
        self,
        segments: Sequence[Segment],
        sampling: Sampling,
        *,
        constraints: Constraints | None = None,
        stop: threading.Event | None = None,
        caller: Caller = ANYONE,
    ) -> Generator[int, None, None]:
        """Token ids one by one, without the end token; ends at it, at ``max_tokens`` or a full context.

        Setting ``stop`` or closing the generator ends it within one token. Raises ModelError at the
        call when the input is refused, and while iterating when the model fails or ``caller`` has waited
        too long; BusyError while iterating when too many others wait.
        """
        ...

    def logits(self, segments: Sequence[Segment]) -> np.ndarray:
        """float32 (n_vocab,): the scores of what would follow the last position. Raises ModelError."""
        ...

    def close(self) -> None:
        """Free what is held; later calls raise ModelError. May be called twice."""
        ...


def closed_error() -> ModelError:
    """Of a model that is used after its end."""
    return ModelError("the language model is closed; open it again")


def check_patience(deadline: float | None) -> None:
    """Raises ModelError once ``deadline`` (seconds of `time.monotonic`) has passed."""
    if deadline is not None and time.monotonic() > deadline:
        raise ModelError(
            "The narrator had no time left to finish this answer. Ask again when it is less busy."
        )


def check_segments(
    segments: Sequence[Segment], *, embedding_dim: int, n_vocab: int, context_length: int
) -> list[Segment]:
    """The segments copied as int32 (n,) and float32 (n, embedding_dim) arrays, empty ones left out.

    Raises ModelError naming the segment and what is wrong with it: shape, dtype, an id outside the
    vocabulary, a soft value that is not finite, or a total that leaves no room for an answer.
    """
    checked: list[Segment] = []
    for place, segment in enumerate(segments):
        where = f"segment {place}"
        if np.issubdtype(segment.dtype, np.integer):
            _check_ids(segment, n_vocab, where)
            clean = np.array(segment, dtype=np.int32, order="C")
        else:
            _check_soft_rows(segment, embedding_dim, where)
            clean = np.array(segment, order="C")
        if len(clean):
            checked.append(clean)
    n_positions = sum(len(segment) for segment in checked)
    if n_positions == 0:
        raise ModelError("the prompt is empty; give at least one token id or soft row")
    if n_positions >= context_length:
        raise ModelError(
            f"the prompt takes {n_positions} positions, context and answer share {context_length}; shorten it"
        )
    return checked


def _check_ids(ids: np.ndarray, n_vocab: int, where: str) -> None:
    if ids.ndim != 1:
        raise ModelError(f"{where}: token ids have shape {ids.shape}, they must be one-dimensional")
    odd = ids[(ids < 0) | (ids >= n_vocab)]
    if len(odd):
        raise ModelError(f"{where}: token id {odd[0]} is not in the vocabulary, 0 to {n_vocab - 1}")


def _check_soft_rows(rows: np.ndarray, embedding_dim: int, where: str) -> None:
    if rows.dtype != np.float32:
        raise ModelError(f"{where}: dtype is {rows.dtype}; soft rows are float32, token ids int32")
    if rows.ndim != 2 or rows.shape[1] != embedding_dim:
        raise ModelError(f"{where}: soft rows have shape {rows.shape}, the model reads (n, {embedding_dim})")
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise ModelError(f"{where}: soft row {int(np.argmin(finite))} holds a value that is not finite")


class FakeLanguageModel:
    """A language model without weights: deterministic, same contract, for tests and dry runs.

    Each request answers with the next of ``replies`` and then ends. When they are used up, logits
    are pseudo-random numbers made from the prompt and the tokens so far, so another prompt (or
    another soft row) gives another text. ``prompts`` keeps the segments of every request.
    """

    name = "fake"
    device = "cpu"

    def __init__(
        self,
        *,
        embedding_dim: int = 8,
        n_vocab: int = 64,
        eos_id: int = 0,
        context_length: int = 1024,
        replies: Iterable[Sequence[int]] = (),
    ) -> None:
        self.embedding_dim, self.n_vocab = embedding_dim, n_vocab
        self.eos_id, self.context_length = eos_id, context_length
        self.prompts: list[list[Segment]] = []
        self._replies = deque(tuple(reply) for reply in replies)
        self._closed = False

    def generate(
        self,
        segments: Sequence[Segment],
        sampling: Sampling,
        *,
        constraints: Constraints | None = None,
        stop: threading.Event | None = None,
        caller: Caller = ANYONE,
    ) -> Generator[int, None, None]:
        """See ``LanguageModel.generate``; it keeps nobody waiting."""
        prompt = self._accept(segments)
        reply = self._replies.popleft() if self._replies else None
        n_tokens = min(sampling.max_tokens, self.context_length - sum(map(len, prompt)))
        return self._tokens(prompt, reply, Sampler(sampling, constraints), n_tokens, stop)

    def logits(self, segments: Sequence[Segment]) -> np.ndarray:
        """See ``LanguageModel.logits``."""
        return self._pseudo_logits(self._accept(segments), [])

    def close(self) -> None:
        """See ``LanguageModel.close``."""
        self._closed = True

    def _accept(self, segments: Sequence[Segment]) -> list[Segment]:
        if self._closed:
            raise closed_error()
        prompt = check_segments(
            segments,
            embedding_dim=self.embedding_dim,
            n_vocab=self.n_vocab,
            context_length=self.context_length,
        )
        self.prompts.append(prompt)
        return prompt

    def _tokens(
        self,
        prompt: list[Segment],
        reply: tuple[int, ...] | None,
        sampler: Sampler,
        n_tokens: int,
        stop: threading.Event | None,
    ) -> Generator[int, None, None]:
        told: list[int] = []
        while len(told) < n_tokens and not (stop is not None and stop.is_set()):
            logits = self._pseudo_logits(prompt, told)
            if reply is not None:
                # a lead no temperature can overturn, yet a ban still can
                logits[reply[len(told)] if len(told) < len(reply) else self.eos_id] += 1e4
            token = sampler.pick(logits)
            if token == self.eos_id:
                return
            told.append(token)
            yield token

    def _pseudo_logits(self, prompt: list[Segment], told: list[int]) -> np.ndarray:
        digest = hashlib.sha256(repr(told).encode())
        for segment in prompt:
            digest.update(segment.tobytes())
        random = np.random.default_rng(int.from_bytes(digest.digest()[:8], "little"))
        return random.normal(scale=2.0, size=self.n_vocab).astype(np.float32)
