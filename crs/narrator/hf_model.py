"""A Hugging Face causal LM as a ``LanguageModel``: the reference for the engine's numbers.

It also stands in for a foreign model that has no GGUF yet; slower than llama.cpp on a CPU.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crs.narrator.language_model import ANYONE, Caller, Segment, check_patience, check_segments, closed_error
from crs.narrator.lora import merge_lora
from crs.narrator.sampling import Constraints, Sampler, Sampling
from knowledge.errors import ModelError, NotFoundError
from knowledge.types import TARGET_POINTER


class HfModel:
    """Any causal LM that transformers opens from a local folder, read through ``inputs_embeds``.

    Safe to call from several threads: every request has a KV cache of its own.
    """

    def __init__(
        self,
        model_dir: str | Path,
        *,
        dtype: str = "float32",
        device: str = "cpu",
        name: str | None = None,
        end_ids: Sequence[int] = (),
        lora_path: str | Path | None = None,
    ) -> None:
        """Open ``model_dir``; ``dtype`` and ``device`` are torch's names.

        ``name``: the folder's by default. ``end_ids``: the tokens that end an answer, where the folder does
        not say it rightly. ``lora_path``: a LoRA of this model (lora.py), added to its weights.
        Raises NotFoundError when there is no such folder, ModelError when transformers cannot open it.
        """
        folder = Path(model_dir)
        if not folder.is_dir():
            raise NotFoundError(f"{folder}: no such model folder; download the model first")
        import torch
        from transformers import AutoModelForCausalLM

        try:
            opened: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=getattr(torch, dtype), local_files_only=True
            )
        except Exception as exc:  # transformers raises whatever the broken part raised
            reason = (str(exc) or repr(exc)).splitlines()[0]
            raise ModelError(f"{folder}: transformers cannot open it ({reason})") from exc
        if lora_path is not None:
            merge_lora(opened, lora_path)
        self._model = opened.eval().to(device)
        self._embed: Any = self._model.get_input_embeddings()
        self._closed = False
        config = self._model.config
        self.name = name or folder.name
        self.device = device if device == "cpu" else f"gpu ({device})"
        self.n_vocab, self.embedding_dim = map(int, self._embed.weight.shape)
        self.context_length = int(config.max_position_embeddings)
        self.end_ids = end_ids or end_ids_of(folder, configured_ends(self._model))
        self.eos_id = self.end_ids[0]

    def generate(
        self,
        segments: Sequence[Segment],
        sampling: Sampling,
        *,
        constraints: Constraints | None = None,
        stop: threading.Event | None = None,
        caller: Caller = ANYONE,
    ) -> Generator[int, None, None]:
        """See ``LanguageModel.generate``; whoever comes is served at once, in their own thread."""
        prompt = self._accept(segments)
        n_tokens = min(sampling.max_tokens, self.context_length - sum(map(len, prompt)))
        return self._tokens(prompt, Sampler(sampling, constraints), n_tokens, stop, caller)

    def logits(self, segments: Sequence[Segment]) -> np.ndarray:
        """See ``LanguageModel.logits``."""
        return self._forward(self._accept(segments), None)[0]

    def close(self) -> None:
        """See ``LanguageModel.close``."""
        self._closed = True
        self._model = self._embed = None

    def _accept(self, segments: Sequence[Segment]) -> list[Segment]:
        if self._closed:
            raise closed_error()
        return check_segments(
            segments,
            embedding_dim=self.embedding_dim,
            n_vocab=self.n_vocab,
            context_length=self.context_length,
        )

    def _tokens(
        self,
        prompt: list[Segment],
        sampler: Sampler,
        n_tokens: int,
        stop: threading.Event | None,
        caller: Caller,
    ) -> Generator[int, None, None]:
        rows, cache = prompt, None
        deadline = caller.deadline()
        for _ in range(n_tokens):
            if stop is not None and stop.is_set():
                return
            check_patience(deadline)
            logits, cache = self._forward(rows, cache)
            token = sampler.pick(logits)
            if token in self.end_ids:
                return
            yield token
            rows = [np.array([token], dtype=np.int32)]

    def _forward(self, segments: list[Segment], cache: Any) -> tuple[np.ndarray, Any]:
        """Logits after the last position, float32 (n_vocab,), and the KV cache with these rows in it."""
        import torch

        if self._closed:
            raise closed_error()
        weight = self._embed.weight
        with torch.inference_mode():
            rows = [
                self._embed(torch.from_numpy(segment.astype(np.int64)).to(weight.device))
                if segment.ndim == 1
                else torch.from_numpy(segment).to(weight.device, weight.dtype)
                for segment in segments
            ]
            out = self._model(
                inputs_embeds=torch.cat(rows)[None],  # (1, n, d)
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            return out.logits[0, -1].float().cpu().numpy(), out.past_key_values


def configured_ends(model: Any) -> list[int]:
    """The tokens that end a reply, as the model is configured: a chat model may have several."""
    found: list[int | None] = []
    for configured in (model.config.eos_token_id, model.generation_config.eos_token_id):
        found += configured if isinstance(configured, list) else [configured]
    return list(dict.fromkeys(token_id for token_id in found if token_id is not None))


def end_ids_of(folder: Path, configured: int | list[int] | None) -> list[int]:
    """The ids that end an answer: "<eos>" of our own tokenizer, else what the configuration says."""
    tokenizer = folder / "tokenizer.json"
    if tokenizer.is_file():
        added = json.loads(tokenizer.read_bytes()).get("added_tokens", [])
        by_name = {token["content"]: token["id"] for token in added}
        if TARGET_POINTER in by_name:  # others have an "<eos>" too, and chats that end otherwise
            return [by_name["<eos>"]]
    if configured in (None, []):
        raise ModelError(f"{folder}: no end token is named; set eos_token_id in config.json")
    return configured if isinstance(configured, list) else [configured]
