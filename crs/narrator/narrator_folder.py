"""A narrator's folder, opened: with a language model of its own, or an adapter for a foreign one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from crs.narrator import foreign
from crs.narrator.foreign import ForeignModel, ForeignTokenizer, is_foreign, local_folder
from crs.narrator.prompt import PromptTokenizer
from crs.narrator.tokenizer import NarratorTokenizer

if TYPE_CHECKING:
    from crs.narrator.language_model import LanguageModel

OWN_PARTS = ("config.json", "tokenizer.json", "model.safetensors", "adapter.safetensors")


def missing_parts(narrator_dir: Path) -> list[str]:
    """Names of the files that a narrator's folder should hold and this one does not."""
    parts = foreign.PARTS if is_foreign(narrator_dir) else OWN_PARTS
    return [part for part in parts if not (narrator_dir / part).is_file()]


def open_tokenizer(narrator_dir: Path) -> PromptTokenizer:
    """The tokenizer that the narrator is asked through. Raises ModelError when it cannot be read."""
    if is_foreign(narrator_dir):
        end_ids = ForeignModel.read(narrator_dir).end_ids
        return ForeignTokenizer.load(narrator_dir / foreign.TOKENIZER, end_ids)
    return NarratorTokenizer.load(narrator_dir / "tokenizer.json")


def open_language_model(narrator_dir: Path, cache_dir: Path) -> LanguageModel:
    """The narrator's language model, ready to serve.

    Our own is written to ``cache_dir`` as GGUF at the first use. A foreign one is that of the vLLM server
    which RACONTEUR_VLLM names (a URL), else opened from the GGUF that RACONTEUR_GGUF or ``foreign.json``
    names, by transformers where none does.
    """
    from crs.narrator.engine import LlamaCppModel
    from crs.narrator.gguf_export import cached_gguf
    from crs.narrator.hf_model import HfModel
    from crs.narrator.vllm_model import VllmModel

    if not is_foreign(narrator_dir):
        cache_dir.mkdir(parents=True, exist_ok=True)
        return LlamaCppModel(cached_gguf(narrator_dir, cache_dir))
    model = ForeignModel.read(narrator_dir)
    if url := os.environ.get("RACONTEUR_VLLM"):
        return VllmModel(url, model.llm, local_folder(model.llm), end_ids=model.end_ids)
    gguf = os.environ.get("RACONTEUR_GGUF") or model.gguf
    if gguf:
        return LlamaCppModel(gguf)
    return HfModel(local_folder(model.llm), name=model.llm, end_ids=model.end_ids)


def weights_dir(narrator_dir: Path) -> Path:
    """The folder, in Hugging Face's layout, that the narrator's language model lies in."""
    return local_folder(ForeignModel.read(narrator_dir).llm) if is_foreign(narrator_dir) else narrator_dir
