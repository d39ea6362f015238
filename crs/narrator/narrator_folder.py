"""A narrator, opened: from its folder, which has a language model of its own or an adapter for a foreign one,
or just a foreign model, which reads the purchases as text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from crs.adapter import ADAPTER
from crs.narrator import foreign
from crs.narrator.foreign import ForeignModel, ForeignTokenizer, is_foreign, local_folder
from crs.narrator.prompt import PromptTokenizer
from crs.narrator.tokenizer import NarratorTokenizer
from crs.narrator.vocabulary import GgufVocabulary, HfVocabulary
from knowledge.errors import ModelError

if TYPE_CHECKING:
    from crs.narrator.language_model import LanguageModel

# Of a model that reads purchases as text: 50 of them are long, and every room of the cache takes memory.
TEXT_CONTEXT, TEXT_SEQS = 4096, 4
OWN_SEQS = 32  # of our own, which is small: as many as the page answers at once, so nobody waits for a room
OWN_PARTS = ("config.json", "tokenizer.json", "model.safetensors", ADAPTER)


def missing_parts(narrator_dir: Path) -> list[str]:
    """Names of the files that a narrator's folder should hold and this one does not."""
    parts = foreign.PARTS if is_foreign(narrator_dir) else OWN_PARTS
    return [part for part in parts if not (narrator_dir / part).is_file()]


def open_tokenizer(narrator_dir: Path) -> PromptTokenizer:
    """The tokenizer that the narrator is asked through. Raises ModelError when it cannot be read."""
    if is_foreign(narrator_dir):
        end_ids = ForeignModel.read(narrator_dir).end_ids
        return ForeignTokenizer(HfVocabulary.load(narrator_dir / foreign.TOKENIZER, end_ids))
    return NarratorTokenizer.load(narrator_dir / "tokenizer.json")


def open_language_model(narrator_dir: Path, cache_dir: Path) -> LanguageModel:
    """The narrator's language model, ready to serve.

    Our own is written to ``cache_dir`` as GGUF at the first use. A foreign one is that of the vLLM server
    which RACONTEUR_VLLM names (a URL), else opened from the GGUF that RACONTEUR_GGUF or ``foreign.json``
    names, by transformers where none does. A LoRA is added that RACONTEUR_LORA names, else the one that the
    adapter was trained with.
    """
    from crs.narrator.engine import LlamaCppModel
    from crs.narrator.gguf_export import cached_gguf
    from crs.narrator.hf_model import HfModel
    from crs.narrator.vllm_model import VllmModel

    lora: str | Path | None = os.environ.get("RACONTEUR_LORA") or None
    if not is_foreign(narrator_dir):
        cache_dir.mkdir(parents=True, exist_ok=True)
        return LlamaCppModel(cached_gguf(narrator_dir, cache_dir), n_seqs=OWN_SEQS, lora_path=lora)
    model = ForeignModel.read(narrator_dir)
    lora = lora or model.lora_path(narrator_dir)
    if url := os.environ.get("RACONTEUR_VLLM"):
        if lora:
            raise ModelError(f"{lora}: a LoRA cannot be sent to a vLLM server; unset RACONTEUR_VLLM")
        return VllmModel(url, model.llm, local_folder(model.llm), end_ids=model.end_ids)
    gguf = os.environ.get("RACONTEUR_GGUF") or model.gguf
    if gguf:
        return LlamaCppModel(gguf, lora_path=lora)
    return HfModel(local_folder(model.llm), name=model.llm, end_ids=model.end_ids, lora_path=lora)


def text_model(narrator_dir: Path) -> str | None:
    """RACONTEUR_LLM: the model that reads purchases as text; None where it is not set.

    Nor where the folder's adapter is trained for that very model.
    """
    llm = os.environ.get("RACONTEUR_LLM")
    if not llm or not is_foreign(narrator_dir):
        return llm or None
    trained_for = ForeignModel.read(narrator_dir)
    names = [Path(name).resolve() for name in (trained_for.llm, trained_for.gguf) if name]
    return None if Path(llm).resolve() in names else llm


def open_text_model(llm: str) -> tuple[LanguageModel, ForeignTokenizer]:
    """A foreign model that reads purchases as text, and how it is asked.

    ``llm``: a GGUF file; else a folder in Hugging Face's layout, or a repository downloaded before, run by
    transformers. RACONTEUR_LORA is added to it. Raises NotFoundError or ModelError when it is none of these
    or cannot be opened.
    """
    from crs.narrator.engine import LlamaCppModel
    from crs.narrator.hf_model import HfModel

    lora = os.environ.get("RACONTEUR_LORA") or None
    if Path(llm).suffix == ".gguf" or Path(llm).is_file():
        served = LlamaCppModel(llm, n_ctx=TEXT_CONTEXT, n_seqs=TEXT_SEQS, lora_path=lora)
        try:
            return served, ForeignTokenizer(GgufVocabulary(served), reads_text=True)
        except ModelError:
            served.close()
            raise
    folder = local_folder(llm)
    model = HfModel(folder, name=Path(llm).name, lora_path=lora)
    return model, ForeignTokenizer(HfVocabulary.load(folder, model.end_ids), reads_text=True)


def weights_dir(narrator_dir: Path) -> Path:
    """The folder, in Hugging Face's layout, that the narrator's language model lies in."""
    return local_folder(ForeignModel.read(narrator_dir).llm) if is_foreign(narrator_dir) else narrator_dir
