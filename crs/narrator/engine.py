"""The narrator run by llama.cpp, through its low-level API: the high-level one cannot read soft rows.

``_Context`` is the model and its KV cache, touched by one thread only; ``LlamaCppModel`` is the face
that any number of threads may call: requests go in through one queue, tokens come back through a
queue for each request, and whoever stops listening frees the engine within one token.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import os
import queue
import threading
import weakref
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from crs.narrator.gguf_text import GgufText, Turn
from crs.narrator.language_model import Segment, check_segments
from crs.narrator.sampling import Constraints, Sampler, Sampling
from knowledge.errors import ModelError, NotFoundError

CacheType = Literal["f16", "f32"]

_N_BATCH = 512  # positions of one decode; a batch beyond it would abort the process
_POLL_S = 0.02  # how long a waiting caller may take to notice that it was stopped
# These scale whatever they read by sqrt(embedding_dim) as if it came from their embedding table.
_SCALES_SOFT_ROWS = ("gemma", "gemma2")
_log = logging.getLogger(__name__)


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

    Callers are served one at a time in order of arrival. The answer to a request does not depend
    on what was served before: a prefix is kept in the KV cache only batch by batch, so its numbers
    are those a fresh context would compute.
    """

    def __init__(
        self,
        gguf_path: str | Path,
        *,
        n_ctx: int = 1024,
        n_threads: int | None = None,
        n_gpu_layers: int | None = None,
        kv_dtype: CacheType = "f16",
        flash_attn: bool | None = None,
    ) -> None:
        """Open ``gguf_path``. ``n_ctx`` positions, at most as many as the model was trained for.

        ``n_threads`` None: ``default_threads()``. ``n_gpu_layers`` None: all of them when this build
        of llama.cpp can offload, else 0. ``flash_attn`` None: llama.cpp decides.
        Raises NotFoundError when there is no such file, ModelError when it cannot be opened.
        """
        path = Path(gguf_path)
        if not path.is_file():
            raise NotFoundError(f"{path}: no such GGUF file; export the narrator or give another path")
        context = _Context(
            path,
            n_ctx=n_ctx,
            n_threads=n_threads or default_threads(),
            n_gpu_layers=n_gpu_layers,
            kv_dtype=kv_dtype,
            flash_attn=flash_attn,
        )
        self.name = path.stem
        self.device = context.device
        self.embedding_dim, self.n_vocab = context.embedding_dim, context.n_vocab
        self.context_length, self.eos_id = context.context_length, context.eos_id
        self._requests: _RequestQueue = queue.SimpleQueue()
        self._closing = threading.Event()
        # The thread must not hold the model, or a forgotten one would never be freed.
        self._owner = threading.Thread(
            target=_serve, args=(context, self._requests, self._closing), name="narrator", daemon=True
        )
        self._owner.start()
        self._shut_down = weakref.finalize(self, _shut_down, self._owner, self._requests, self._closing)

    def generate(
        self,
        segments: Sequence[Segment],
        sampling: Sampling,
        *,
        constraints: Constraints | None = None,
        stop: threading.Event | None = None,
        json_schema: Mapping[str, Any] | None = None,
    ) -> Generator[int, None, None]:
        """See ``LanguageModel.generate``; the request takes its place in line at the first ``next``.

        ``json_schema`` holds the answer to JSON of that schema, as far as it gets before it is cut.
        """
        prompt = self._accept(segments)
        n_tokens = min(sampling.max_tokens, self.context_length - sum(map(len, prompt)))
        return self._listen(_Request(prompt, Sampler(sampling, constraints), n_tokens, stop, json_schema))

    def logits(self, segments: Sequence[Segment]) -> np.ndarray:
        """See ``LanguageModel.logits``."""
        logits: np.ndarray = self._answer_to(_Request(self._accept(segments)))
        return logits

    def chat_prompt(self, turns: Sequence[Turn]) -> np.ndarray:
        """Ids int32 (n,) that ask for the next turn of a chat, by the model's own vocabulary and template."""
        ids: np.ndarray = self._answer_to(_Errand(lambda context: context.text.chat_prompt(turns)))
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids`` by the model's own vocabulary, control tokens left out."""
        text: str = self._answer_to(_Errand(lambda context: context.text.decode(ids)))
        return text

    def close(self) -> None:
        """See ``LanguageModel.close``; a request under way ends with ModelError."""
        self._shut_down()

    def _accept(self, segments: Sequence[Segment]) -> list[Segment]:
        if self._closing.is_set():
            raise _closed()
        return check_segments(
            segments,
            embedding_dim=self.embedding_dim,
            n_vocab=self.n_vocab,
            context_length=self.context_length,
        )

    def _answer_to(self, request: _Request | _Errand) -> Any:
        """The one outcome of a request that has just one."""
        if self._closing.is_set():
            raise _closed()
        self._requests.put(request)
        while (outcome := self._next_outcome(request)) is None:
            pass
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _listen(self, request: _Request) -> Generator[int, None, None]:
        self._requests.put(request)
        try:
            while not request.is_abandoned():
                outcome = self._next_outcome(request)
                if isinstance(outcome, BaseException):
                    raise outcome
                if isinstance(outcome, _Finished) or request.is_abandoned():
                    return
                if isinstance(outcome, int):
                    yield outcome
        finally:
            request.abandoned.set()

    def _next_outcome(self, request: _Request | _Errand) -> _Outcome | None:
        """What the owner thread says next about ``request``; None when it has said nothing for a while."""
        try:
            return request.outcomes.get(timeout=_POLL_S)
        except queue.Empty:
            return None if self._owner.is_alive() or not request.outcomes.empty() else _closed()


class _Finished:
    """Says that no more tokens follow."""


_Outcome = int | str | np.ndarray | BaseException | _Finished


@dataclass(frozen=True, eq=False)
class _Request:
    """One prompt in line. Without a ``sampler`` it asks for the logits after its last position."""

    segments: list[Segment]
    sampler: Sampler | None = None
    n_tokens: int = 0
    stop: threading.Event | None = None
    json_schema: Mapping[str, Any] | None = None
    abandoned: threading.Event = field(default_factory=threading.Event)
    outcomes: queue.SimpleQueue[_Outcome] = field(default_factory=queue.SimpleQueue)

    def is_abandoned(self) -> bool:
        return self.abandoned.is_set() or (self.stop is not None and self.stop.is_set())


@dataclass(frozen=True, eq=False)
class _Errand:
    """Something small that only the thread which owns the model may do; it leaves the KV cache alone."""

    run: Callable[[_Context], str | np.ndarray]
    outcomes: queue.SimpleQueue[_Outcome] = field(default_factory=queue.SimpleQueue)


_RequestQueue = queue.SimpleQueue[_Request | _Errand | None]


def _closed() -> ModelError:
    return ModelError("the language model is closed; open it again")


def _serve(context: _Context, requests: _RequestQueue, closing: threading.Event) -> None:
    """The owner thread: answers requests in order until None arrives, then frees the context."""
    while (request := requests.get()) is not None:
        try:
            if isinstance(request, _Errand):
                request.outcomes.put(request.run(context))
            else:
                _answer(request, context, closing)
        except Exception as error:  # whatever it is belongs to the caller, not to this thread
            context.forget()
            request.outcomes.put(error)
    context.free()


def _answer(request: _Request, context: _Context, closing: threading.Event) -> None:
    def is_over() -> bool:
        if closing.is_set():
            raise _closed()
        return request.is_abandoned()

    logits = None
    for batch in context.missing_batches(request.segments):
        if is_over():
            return
        logits = context.decode(batch)
    assert logits is not None  # at least the last batch of a prompt is always decoded
    if request.sampler is None:
        request.outcomes.put(logits.copy())
        return
    with contextlib.ExitStack() as held:
        grammar = None
        if request.json_schema is not None:
            grammar = context.text.json_grammar(request.json_schema)
            held.callback(grammar.free)
        for n_told in range(1, request.n_tokens + 1):
            if is_over():
                return
            token = request.sampler.pick(logits)
            # One token is checked in microseconds, a vocabulary in milliseconds: mask only when needed.
            if grammar is not None and not grammar.allows(token):
                token = request.sampler.pick(grammar.masked(logits))
            if context.is_end(token):
                break
            if grammar is not None:
                grammar.accept(token)
            request.outcomes.put(token)
            if n_told < request.n_tokens:
                logits = context.decode(np.array([token], dtype=np.int32))
    request.outcomes.put(_Finished())


def _shut_down(owner: threading.Thread, requests: _RequestQueue, closing: threading.Event) -> None:
    closing.set()
    requests.put(None)
    if owner is not threading.current_thread():  # the garbage collector may run in any thread
        owner.join()


class _Context:
    """A llama.cpp model with one sequence in its KV cache; for the use of one thread at a time."""

    def __init__(
        self,
        path: Path,
        *,
        n_ctx: int,
        n_threads: int,
        n_gpu_layers: int | None,
        kv_dtype: CacheType,
        flash_attn: bool | None,
    ) -> None:
        self._path = path
        self._llama = llama = _llama_cpp()
        can_offload = bool(llama.llama_supports_gpu_offload())
        if n_gpu_layers is None:
            n_gpu_layers = -1 if can_offload else 0  # negative: every layer
        model_params = llama.llama_model_default_params()
        model_params.n_gpu_layers = n_gpu_layers
        self._model = llama.llama_model_load_from_file(os.fsencode(path), model_params)
        if not self._model:
            raise ModelError(f"{path}: llama.cpp cannot open it as a model; it may be damaged, make it anew")
        self._context = llama.llama_init_from_model(
            self._model, self._context_params(n_ctx, n_threads, kv_dtype, flash_attn)
        )
        if not self._context:
            llama.llama_model_free(self._model)
            raise ModelError(f"{path}: no memory for a context of {n_ctx} positions; ask for a smaller one")
        self.device = "gpu (llama.cpp offload)" if can_offload and n_gpu_layers else "cpu"
        self._memory = llama.llama_get_memory(self._context)
        if not self._memory:
            llama.llama_free(self._context)
            llama.llama_model_free(self._model)
            raise ModelError(f"{path}: this model does not write text; take a causal language model")
        self._vocab = llama.llama_model_get_vocab(self._model)
        self.text = GgufText(llama, self._model)
        self.n_vocab = int(llama.llama_vocab_n_tokens(self._vocab))
        self.eos_id = int(llama.llama_vocab_eos(self._vocab))
        self.embedding_dim = int(llama.llama_model_n_embd(self._model))
        # llama.cpp rounds the context up; past the trained positions a model only babbles
        self.context_length = min(n_ctx, int(llama.llama_model_n_ctx_train(self._model)))
        self._soft_scale = np.float32(1.0)
        if self._metadata("general.architecture") in _SCALES_SOFT_ROWS:
            self._soft_scale = np.float32(self.embedding_dim**-0.5)
        self._token_batch = _Batch(llama, embedding_dim=0)
        self._soft_batch = _Batch(llama, embedding_dim=self.embedding_dim)
        self._held: list[bytes] = []  # the batches in the KV cache, in order
        self._n_held = 0  # and the positions they take

    def _context_params(
        self, n_ctx: int, n_threads: int, kv_dtype: CacheType, flash_attn: bool | None
    ) -> Any:
        llama = self._llama
        params = llama.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_batch = params.n_ubatch = _N_BATCH
        params.n_seq_max = 1
        params.n_threads = params.n_threads_batch = n_threads
        params.type_k = params.type_v = llama.GGML_TYPE_F32 if kv_dtype == "f32" else llama.GGML_TYPE_F16
        params.flash_attn_type = {
            None: llama.LLAMA_FLASH_ATTN_TYPE_AUTO,
            True: llama.LLAMA_FLASH_ATTN_TYPE_ENABLED,
            False: llama.LLAMA_FLASH_ATTN_TYPE_DISABLED,
        }[flash_attn]
        params.kv_unified = False  # one bad row would poison every sequence of a unified cache
        params.swa_full = True  # a windowed cache cannot be trimmed past its window
        return params

    def _metadata(self, key: str) -> str:
        """A text of the GGUF's metadata, "" when it has none by that name."""
        buffer = ctypes.create_string_buffer(128)
        self._llama.llama_model_meta_val_str(self._model, key.encode(), buffer, len(buffer))
        return buffer.value.decode(errors="replace")

    def missing_batches(self, segments: Sequence[Segment]) -> list[np.ndarray]:
        """The batches of ``segments`` still to decode, at least one; what does not fit them is dropped.

        Whole batches are kept or dropped, never parts: rounding depends on how rows are batched.
        """
        batches = [
            segment[start : start + _N_BATCH]
            for segment in segments
            for start in range(0, len(segment), _N_BATCH)
        ]
        n_kept = 0
        for batch, held in zip(batches[:-1], self._held, strict=False):
            if _key(batch) != held:
                break
            n_kept += 1
        n_positions = sum(len(batch) for batch in batches[:n_kept])
        # Some architectures cannot be trimmed in part; those start afresh.
        if n_positions == 0 or not self._llama.llama_memory_seq_rm(self._memory, 0, n_positions, -1):
            self.forget()
            return batches
        del self._held[n_kept:]
        self._n_held = n_positions
        return batches[n_kept:]

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Append ids (n,) or soft rows (n, d), at most _N_BATCH; the logits after the last of them.

        float32 (n_vocab,), llama.cpp's own memory: valid until the next decode. Raises ModelError.
        """
        batch = self._token_batch if rows.ndim == 1 else self._soft_batch
        batch.fill(rows if rows.ndim == 1 else rows * self._soft_scale, first_position=self._n_held)
        status = self._llama.llama_decode(self._context, batch.raw)
        if status != 0:
            where = f"{len(rows)} positions after {self._n_held}"
            raise ModelError(f"llama.cpp could not decode {where} (status {status}); try a shorter prompt")
        self._held.append(_key(rows))
        self._n_held += len(rows)
        row = self._llama.llama_get_logits_ith(self._context, -1)
        logits = np.ctypeslib.as_array(row, shape=(self.n_vocab,))
        if not np.isfinite(logits).all():
            raise ModelError(f"{self._path}: its logits are not finite; the file is damaged, make it anew")
        return logits

    def is_end(self, token: int) -> bool:
        """Whether ``token`` ends an answer (a chat model may have several such tokens)."""
        return bool(self._llama.llama_vocab_is_eog(self._vocab, token))

    def forget(self) -> None:
        """Empty the KV cache, contents included: a value that is not finite must not linger."""
        self._llama.llama_memory_clear(self._memory, True)
        self._held.clear()
        self._n_held = 0

    def free(self) -> None:
        """Give everything back to llama.cpp."""
        self._token_batch.free()
        self._soft_batch.free()
        self._llama.llama_free(self._context)
        self._llama.llama_model_free(self._model)


class _Batch:
    """A reusable ``llama_batch`` of one sequence, for ids or for soft rows: never for both at once."""

    def __init__(self, llama: ModuleType, *, embedding_dim: int) -> None:
        self._llama = llama
        self.raw = llama.llama_batch_init(_N_BATCH, embedding_dim, 1)
        if embedding_dim:
            self._rows = np.ctypeslib.as_array(self.raw.embd, shape=(_N_BATCH, embedding_dim))
        else:
            self._rows = np.ctypeslib.as_array(self.raw.token, shape=(_N_BATCH,))
        self._positions = np.ctypeslib.as_array(self.raw.pos, shape=(_N_BATCH,))
        self._wants_logits = np.ctypeslib.as_array(self.raw.logits, shape=(_N_BATCH,))
        for row in range(_N_BATCH):
            self.raw.n_seq_id[row] = 1
            self.raw.seq_id[row][0] = 0

    def fill(self, rows: np.ndarray, *, first_position: int) -> None:
        """Hold ``rows`` (at most _N_BATCH) at consecutive positions, logits asked for the last."""
        n_rows = len(rows)
        self.raw.n_tokens = n_rows
        self._rows[:n_rows] = rows
        self._positions[:n_rows] = np.arange(first_position, first_position + n_rows)
        self._wants_logits[:n_rows] = 0
        self._wants_logits[n_rows - 1] = 1

    def free(self) -> None:
        self._llama.llama_batch_free(self.raw)


def _key(rows: np.ndarray) -> bytes:
    """What tells one batch from another: its kind and its bytes."""
    return rows.dtype.char.encode() + rows.tobytes()


@functools.cache
def _llama_cpp() -> ModuleType:
    """The llama_cpp module, its log sent to Python's ``logging`` instead of the screen."""
    try:
        import llama_cpp
    except (ImportError, OSError) as exc:  # OSError: its shared library does not load here
        raise ModelError(f"llama-cpp-python cannot be loaded ({exc}); install requirements.txt") from exc
    llama_cpp.llama_log_set(_log_callback(), ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    return llama_cpp


@functools.cache  # llama.cpp keeps only the address, so this cache is what keeps the function alive
def _log_callback() -> Any:
    from llama_cpp import llama_log_callback

    def to_logging(level: int, text: bytes, user_data: object) -> None:
        _log.debug("llama.cpp: %s", text.decode(errors="replace").rstrip())

    return llama_log_callback(to_logging)
