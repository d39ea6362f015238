"""The narrator run by llama.cpp, for many people at once.

``LlamaCppModel`` is the face that any number of threads may call: requests go in through one queue, tokens
come back through a queue for each request. Behind it one thread owns the model: between two tokens it lets
newcomers in, and every token is drawn for all texts under way in one decode. Whoever stops listening leaves
within one token.
"""

from __future__ import annotations

import os
import queue
import threading
import weakref
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from crs.narrator.desk import Desk, Errand, Finished, Load, Outcome, Request
from crs.narrator.gguf_text import GgufText, Turn
from crs.narrator.language_model import ANYONE, Caller, Segment, check_segments, closed_error
from crs.narrator.llama_context import CacheType, LlamaContext
from crs.narrator.sampling import Constraints, Sampler, Sampling
from knowledge.errors import ModelError, NotFoundError

T = TypeVar("T")
_POLL_S = 0.1  # how long a waiting caller may take to notice its place in line; words wake it at once
N_SEQS = 8  # texts told at once
MAX_WAITING = 64  # requests in line; more are refused
MAX_WAITING_EACH = 8  # of one caller
PARKING_BYTES = 256 * 2**20

__all__ = ["CacheType", "LlamaCppModel", "Load", "default_threads"]


def default_threads(environment: Mapping[str, str] = os.environ) -> int:
    """Threads for decoding: RACONTEUR_THREADS, else 1, or 2 where OpenMP threads sleep while idle.

    Spinning OpenMP threads (the default policy) take the core that the other thread needs.
    Raises ModelError when RACONTEUR_THREADS is not a whole number of at least 1.
    """
    wish = environment.get("RACONTEUR_THREADS", "")
    if not wish:
        return 2 if environment.get("OMP_WAIT_POLICY", "").lower() == "passive" else 1
    if not wish.isdecimal() or int(wish) < 1:
        raise ModelError(f"RACONTEUR_THREADS is {wish!r}; set it to a whole number of at least 1")
    return int(wish)


class LlamaCppModel:
    """A GGUF model as a ``LanguageModel`` (language_model.py); safe to call from several threads.

    Up to ``n_seqs`` texts are told at once, a token of each in one decode, first sentences first; others wait
    in line, and whose caller has fewest texts under way comes first. What a person's prompt begins with is
    read once: it stays in the cache, and when its room is needed in RAM. With f32 weights and cache the
    answer to a request does not depend on what is or was served beside it.
    """

    def __init__(
        self,
        gguf_path: str | Path,
        *,
        n_ctx: int = 1024,
        n_seqs: int = N_SEQS,
        n_threads: int | None = None,
        n_gpu_layers: int | None = None,
        kv_dtype: CacheType = "f16",
        flash_attn: bool | None = None,
        lora_path: str | Path | None = None,
        lora_scale: float = 1.0,
        max_waiting: int = MAX_WAITING,
        max_waiting_each: int = MAX_WAITING_EACH,
        parking_bytes: int = PARKING_BYTES,
    ) -> None:
        """Open ``gguf_path``. ``n_ctx`` positions a text, at most as many as the model was trained for.

        ``n_threads`` None: ``default_threads()``. ``n_gpu_layers`` None: all of them when this build
        of llama.cpp can offload, else 0. ``flash_attn`` None: llama.cpp decides. ``lora_path``: a
        LoRA of this model as GGUF, added ``lora_scale`` times. ``max_waiting_each``: requests of one caller
        that may be in line. ``parking_bytes`` of RAM keep what was read
        for people who are silent.
        Raises NotFoundError when there is no such file, ModelError when it cannot be opened.
        """
        path = Path(gguf_path)
        if not path.is_file():
            raise NotFoundError(f"{path}: no such GGUF file; export the narrator or give another path")
        lora = None if lora_path is None else Path(lora_path)
        if lora is not None and not lora.is_file():
            raise NotFoundError(f"{lora}: no such LoRA file; train one or give another path")
        context = LlamaContext(
            path,
            n_ctx=n_ctx,
            n_seqs=n_seqs,
            n_threads=n_threads or default_threads(),
            n_gpu_layers=n_gpu_layers,
            kv_dtype=kv_dtype,
            flash_attn=flash_attn,
            lora=lora,
            lora_scale=lora_scale,
        )
        self.name = path.stem if lora is None else f"{path.stem} with {lora.stem}"
        self.device = context.device
        self.embedding_dim, self.n_vocab = context.embedding_dim, context.n_vocab
        self.context_length, self.eos_id = context.context_length, context.eos_id
        self._requests: _RequestQueue = queue.SimpleQueue()
        self._closing = threading.Event()
        desk = Desk(
            context,
            max_waiting=max_waiting,
            max_waiting_each=max_waiting_each,
            parking_bytes=parking_bytes,
        )
        self._load = _LoadBox()
        # The thread must not hold the model, or a forgotten one would never be freed.
        self._owner = threading.Thread(
            target=_serve,
            args=(context, desk, self._requests, self._closing, self._load),
            name="narrator",
            daemon=True,
        )
        self._owner.start()
        self._shut_down = weakref.finalize(self, _shut_down, self._owner, self._requests, self._closing)

    @property
    def load(self) -> Load:
        """What the engine was busy with when it last looked up."""
        return self._load.load

    def generate(
        self,
        segments: Sequence[Segment],
        sampling: Sampling,
        *,
        constraints: Constraints | None = None,
        stop: threading.Event | None = None,
        caller: Caller = ANYONE,
        json_schema: Mapping[str, Any] | None = None,
    ) -> Generator[int, None, None]:
        """See ``LanguageModel.generate``; the request takes its place in line at the first ``next``.

        ``json_schema`` holds the answer to JSON of that schema, as far as it gets before it is cut.
        """
        prompt = self._accept(segments)
        n_tokens = min(sampling.max_tokens, self.context_length - sum(map(len, prompt)))
        sampler = Sampler(sampling, constraints)
        return self._listen(Request(prompt, sampler, n_tokens, stop, json_schema, caller))

    def logits(self, segments: Sequence[Segment]) -> np.ndarray:
        """See ``LanguageModel.logits``."""
        logits: np.ndarray = self._answer_to(Request(self._accept(segments)))
        return logits

    def chat_prompt(self, turns: Sequence[Turn]) -> np.ndarray:
        """Ids int32 (n,) that ask for the next turn of a chat, by the model's own vocabulary and template."""
        return self.ask_text(lambda text: text.chat_prompt(turns))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids`` by the model's own vocabulary, control tokens left out."""
        return self.ask_text(lambda text: text.decode(ids))

    def ask_text(self, ask: Callable[[GgufText], T]) -> T:
        """What ``ask`` makes of the model's own vocabulary and chat template, in the owner's thread."""
        answer: T = self._answer_to(Errand(lambda context: ask(context.text)))
        return answer

    def close(self) -> None:
        """See ``LanguageModel.close``; a request under way ends with ModelError."""
        self._shut_down()

    def _accept(self, segments: Sequence[Segment]) -> list[Segment]:
        if self._closing.is_set():
            raise closed_error()
        return check_segments(
            segments,
            embedding_dim=self.embedding_dim,
            n_vocab=self.n_vocab,
            context_length=self.context_length,
        )

    def _answer_to(self, request: Request | Errand) -> Any:
        """The one outcome of a request that has just one."""
        if self._closing.is_set():
            raise closed_error()
        self._requests.put(request)
        while (outcome := self._next_outcome(request)) is None:
            pass
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _listen(self, request: Request) -> Generator[int, None, None]:
        request.deadline = request.caller.deadline()
        self._requests.put(request)
        place = 0
        try:
            while not request.is_abandoned():
                outcome = self._next_outcome(request)
                if outcome is None and request.place != place and request.caller.on_wait is not None:
                    place = request.place
                    if place:
                        request.caller.on_wait(place)
                if isinstance(outcome, BaseException):
                    raise outcome
                if isinstance(outcome, Finished) or request.is_abandoned():
                    return
                if isinstance(outcome, int):
                    yield outcome
        finally:
            request.abandoned.set()

    def _next_outcome(self, request: Request | Errand) -> Outcome | None:
        """What the owner thread says next about ``request``; None when it has said nothing for a while."""
        try:
            return request.outcomes.get(timeout=_POLL_S)
        except queue.Empty:
            return None if self._owner.is_alive() or not request.outcomes.empty() else closed_error()


@dataclass
class _LoadBox:
    """Where the owner thread leaves word of its load: the thread must not hold the model."""

    load: Load = field(default_factory=Load)


_RequestQueue = queue.SimpleQueue[Request | Errand | None]


def _serve(
    context: LlamaContext, desk: Desk, requests: _RequestQueue, closing: threading.Event, box: _LoadBox
) -> None:
    """The owner thread: works at the desk until it is told to close, then frees the context."""
    while not closing.is_set():
        box.load = desk.load
        try:
            for request in _arrived(requests, wait=desk.is_idle):
                if request is not None:
                    desk.accept(request)
            if not closing.is_set():
                desk.step()
        except Exception as error:  # whatever it is belongs to the callers, not to this thread
            desk.fail_all(error)
    desk.fail_all(closed_error())
    context.free()


def _arrived(requests: _RequestQueue, *, wait: bool) -> list[Request | Errand | None]:
    """What has come in; ``wait`` for something to come."""
    arrived = [requests.get()] if wait else []
    while True:
        try:
            arrived.append(requests.get_nowait())
        except queue.Empty:
            return arrived


def _shut_down(owner: threading.Thread, requests: _RequestQueue, closing: threading.Event) -> None:
    closing.set()
    requests.put(None)
    if owner is not threading.current_thread():  # the garbage collector may run in any thread
        owner.join()
