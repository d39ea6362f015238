"""llama.cpp through its low-level API, for the use of one thread at a time: a model and its KV cache.

The cache has a room for each of ``n_seqs`` texts. What may abort the process or poison a neighbour cannot be
asked for here: positions follow one another by construction, a decode is never over `N_BATCH`, texts
are copied by way of RAM, and rooms share no cells.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from crs.narrator.gguf_text import GgufText
from knowledge.errors import ModelError

CacheType = Literal["f16", "f32"]

N_BATCH = 512  # positions of one decode; a batch beyond it would abort the process
# These scale whatever they read by sqrt(embedding_dim) as if it came from their embedding table, and
# transformers does not. (A granite's embedding_scale both apply to soft rows: there is nothing to undo.)
_SCALES_SOFT_ROWS = ("gemma", "gemma2")
_log = logging.getLogger(__name__)
_ERROR_LEVEL = 4  # ggml_log_level
_errors: deque[str] = deque(maxlen=1)  # what llama.cpp logged last as an error


class LlamaContext:
    """A GGUF model with a KV cache of ``n_seqs`` rooms of ``context_length`` positions each."""

    def __init__(
        self,
        path: Path,
        *,
        n_ctx: int,
        n_seqs: int,
        n_threads: int,
        n_gpu_layers: int | None,
        kv_dtype: CacheType,
        flash_attn: bool | None,
        lora: Path | None = None,
        lora_scale: float = 1.0,
    ) -> None:
        """See ``LlamaCppModel``. Raises ModelError when a file cannot be opened or there is no memory."""
        self._path = path
        self._llama = llama = llama_cpp_module()
        can_offload = bool(llama.llama_supports_gpu_offload())
        if n_gpu_layers is None:
            n_gpu_layers = -1 if can_offload else 0  # negative: every layer
        model_params = llama.llama_model_default_params()
        model_params.n_gpu_layers = n_gpu_layers
        self._model = llama.llama_model_load_from_file(os.fsencode(path), model_params)
        if not self._model:
            raise ModelError(f"{path}: llama.cpp cannot open it as a model; it may be damaged, make it anew")
        # llama.cpp rounds the context up; past the trained positions a model only babbles
        n_ctx = min(n_ctx, int(llama.llama_model_n_ctx_train(self._model)))
        self._context = llama.llama_init_from_model(
            self._model, self._params(n_ctx, n_seqs, n_threads, kv_dtype, flash_attn)
        )
        if not self._context:
            llama.llama_model_free(self._model)
            raise ModelError(
                f"{path}: no memory for {n_seqs} texts at once with a context of {n_ctx} positions each; "
                "ask for fewer or for a smaller one"
            )
        self.device = "gpu (llama.cpp offload)" if can_offload and n_gpu_layers else "cpu"
        self._memory = llama.llama_get_memory(self._context)
        if not self._memory:
            llama.llama_free(self._context)
            llama.llama_model_free(self._model)
            raise ModelError(f"{path}: this model does not write text; take a causal language model")
        if lora is not None:
            self._add_lora(lora, lora_scale)
        self._vocab = llama.llama_model_get_vocab(self._model)
        self.text = GgufText(llama, self._model)
        self.n_seqs = n_seqs
        self.n_vocab = int(llama.llama_vocab_n_tokens(self._vocab))
        self.eos_id = int(llama.llama_vocab_eos(self._vocab))
        self.embedding_dim = int(llama.llama_model_n_embd(self._model))
        self.context_length = n_ctx
        self._soft_scale = np.float32(1.0)
        if self._metadata("general.architecture") in _SCALES_SOFT_ROWS:
            self._soft_scale = np.float32(self.embedding_dim**-0.5)
        self._token_batch = _Batch(llama, embedding_dim=0)
        self._soft_batch = _Batch(llama, embedding_dim=self.embedding_dim)

    def _params(
        self, n_ctx: int, n_seqs: int, n_threads: int, kv_dtype: CacheType, flash_attn: bool | None
    ) -> Any:
        llama = self._llama
        params = llama.llama_context_default_params()
        params.n_ctx = n_ctx * n_seqs  # shared out evenly
        params.n_batch = params.n_ubatch = N_BATCH
        params.n_seq_max = n_seqs
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

    def _add_lora(self, path: Path, scale: float) -> None:
        """Add the updates in ``path`` to all that this context decodes; they are freed with the model."""
        llama = self._llama
        _errors.clear()
        lora = llama.llama_adapter_lora_init(self._model, os.fsencode(path))
        loras, scales = (llama.llama_adapter_lora_p_ctypes * 1)(lora), (ctypes.c_float * 1)(scale)
        if not lora or llama.llama_set_adapters_lora(self._context, loras, 1, scales):
            llama.llama_free(self._context)
            llama.llama_model_free(self._model)
            reason = _errors[-1] if _errors else "llama.cpp does not say why"
            raise ModelError(f"{path}: no LoRA of {self._path} ({reason}); give the one made for this model")

    def _metadata(self, key: str) -> str:
        """A text of the GGUF's metadata, "" when it has none by that name."""
        buffer = ctypes.create_string_buffer(128)
        self._llama.llama_model_meta_val_str(self._model, key.encode(), buffer, len(buffer))
        return buffer.value.decode(errors="replace")

    def read(self, seq: int, rows: np.ndarray, position: int) -> np.ndarray:
        """Append ids (n,) or soft rows (n, d), at most N_BATCH, from ``position`` on.

        The logits after the last of them, float32 (n_vocab,), llama.cpp's own memory: valid until the next
        decode. Raises ModelError, and the room must then be emptied.
        """
        batch = self._token_batch if rows.ndim == 1 else self._soft_batch
        places = [(seq, position + i) for i in range(len(rows))]
        batch.fill(rows if rows.ndim == 1 else rows * self._soft_scale, places, logits_of_all=False)
        self._decode(batch, f"{len(rows)} positions after {position}")
        return self._logits(-1)

    def step(self, tokens: Sequence[tuple[int, int, int]]) -> list[np.ndarray]:
        """Append one token to each of several texts: (seq, position, token); the logits after each.

        As those of `read`. Raises ModelError, and all of these rooms must then be emptied.
        """
        seqs_and_positions = [(seq, position) for seq, position, _ in tokens]
        ids = np.array([token for _, _, token in tokens], dtype=np.int32)
        self._token_batch.fill(ids, seqs_and_positions, logits_of_all=True)
        self._decode(self._token_batch, f"a token of each of {len(tokens)} texts")
        return [self._logits(row) for row in range(len(tokens))]

    def _decode(self, batch: _Batch, what: str) -> None:
        status = self._llama.llama_decode(self._context, batch.raw)
        if status != 0:
            raise ModelError(f"llama.cpp could not decode {what} (status {status}); try a shorter prompt")

    def _logits(self, row: int) -> np.ndarray:
        found = self._llama.llama_get_logits_ith(self._context, row)
        return np.ctypeslib.as_array(found, shape=(self.n_vocab,))

    def check(self, logits: np.ndarray) -> np.ndarray:
        """``logits`` as they are. Raises ModelError when they are not finite."""
        if not np.isfinite(logits).all():
            raise ModelError(f"{self._path}: its logits are not finite; the file is damaged, make it anew")
        return logits

    def is_end(self, token: int) -> bool:
        """Whether ``token`` ends an answer (a chat model may have several such tokens)."""
        return bool(self._llama.llama_vocab_is_eog(self._vocab, token))

    def trim(self, seq: int, n_positions: int) -> bool:
        """Keep the first ``n_positions``; False where this architecture cannot, and then nothing is done."""
        return bool(self._llama.llama_memory_seq_rm(self._memory, seq, n_positions, -1))

    def empty(self, seq: int) -> None:
        """Take everything out of a room."""
        self._llama.llama_memory_seq_rm(self._memory, seq, -1, -1)

    def clear(self) -> None:
        """Empty every room, contents included: a value that is not finite must not linger."""
        self._llama.llama_memory_clear(self._memory, True)

    def state_bytes(self, seq: int) -> int:
        """How large `state` of a room is."""
        return int(self._llama.llama_state_seq_get_size(self._context, seq))

    def state(self, seq: int) -> bytes:
        """What a room holds, to be put back by `restore` there or in another; b"" when it cannot be had.

        llama.cpp's own copy of a text is not used: it is put off to the next decode, and whatever is done to
        the room before that is undone by it.
        """
        size = self.state_bytes(seq)
        buffer = (ctypes.c_uint8 * size)()
        n_bytes = int(self._llama.llama_state_seq_get_data(self._context, buffer, size, seq))
        return bytes(memoryview(buffer)[:n_bytes])

    def restore(self, seq: int, state: bytes) -> bool:
        """Put `state` into the empty room ``seq``; False when it does not fit, and the room stays empty."""
        buffer = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        if self._llama.llama_state_seq_set_data(self._context, buffer, len(state), seq):
            return True
        self.empty(seq)
        return False

    def free(self) -> None:
        """Give everything back to llama.cpp."""
        self._token_batch.free()
        self._soft_batch.free()
        self._llama.llama_free(self._context)
        self._llama.llama_model_free(self._model)


class _Batch:
    """A reusable ``llama_batch``, for ids or for soft rows: never for both at once."""

    def __init__(self, llama: ModuleType, *, embedding_dim: int) -> None:
        self._llama = llama
        self.raw = llama.llama_batch_init(N_BATCH, embedding_dim, 1)
        if embedding_dim:
            self._rows = np.ctypeslib.as_array(self.raw.embd, shape=(N_BATCH, embedding_dim))
        else:
            self._rows = np.ctypeslib.as_array(self.raw.token, shape=(N_BATCH,))
        self._positions = np.ctypeslib.as_array(self.raw.pos, shape=(N_BATCH,))
        self._wants_logits = np.ctypeslib.as_array(self.raw.logits, shape=(N_BATCH,))
        for row in range(N_BATCH):
            self.raw.n_seq_id[row] = 1

    def fill(self, rows: np.ndarray, places: Sequence[tuple[int, int]], *, logits_of_all: bool) -> None:
        """Hold ``rows`` (at most N_BATCH), each at its (seq, position); logits of all or of the last."""
        n_rows = len(rows)
        assert n_rows <= N_BATCH
        self.raw.n_tokens = n_rows
        self._rows[:n_rows] = rows
        for row, (seq, position) in enumerate(places):
            self.raw.seq_id[row][0] = seq
            self._positions[row] = position
        self._wants_logits[:n_rows] = logits_of_all
        self._wants_logits[n_rows - 1] = 1

    def free(self) -> None:
        self._llama.llama_batch_free(self.raw)


@functools.cache
def llama_cpp_module() -> ModuleType:
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
        told = text.decode(errors="replace").rstrip()
        _log.debug("llama.cpp: %s", told)
        if level == _ERROR_LEVEL:
            _errors.append(told)

    return llama_log_callback(to_logging)
