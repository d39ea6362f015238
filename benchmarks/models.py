"""Random narrators of a given size, for measuring speed: what they say is noise, what it costs is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from crs.narrator.gguf_export import export_gguf
from crs.narrator.language_model import Segment
from crs.narrator.tokenizer import NarratorTokenizer

# Name -> (width, layers, feed-forward width); heads of 64, a key for two of them.
SIZES = {"60M": (512, 14, 2048), "135M": (768, 16, 3072)}
N_VOCAB = 8192
N_SOFT = 50  # rows of a person


def random_gguf(folder: Path, size: str, weights: str = "f16", *, n_ctx: int = 1024) -> Path:
    """A GGUF of a random Llama of ``size`` in ``folder``, made once; its weights as Hugging Face has them lie
    in the folder ``size`` beside it.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    path = folder / f"random-{size}-{weights}.gguf"
    if path.exists():
        return path
    hidden, n_layers, ff = SIZES[size]
    source = folder / size
    source.mkdir(parents=True, exist_ok=True)
    NarratorTokenizer.train(["Purchases tell of a person. " * 9], n_vocab=500).save(source / "tokenizer.json")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=N_VOCAB,
        hidden_size=hidden,
        intermediate_size=ff,
        num_hidden_layers=n_layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=hidden // 128,
        head_dim=64,
        max_position_embeddings=n_ctx,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(source)
    export_gguf(source, path, weights)  # type: ignore[arg-type]
    return path


def made_up_prompt(dim: int, n_question: int, person: int, turn: int) -> list[Segment]:
    """Fifty soft rows of a person and a question of a turn, the same for the same numbers."""
    rows = np.random.default_rng(person).normal(scale=0.05, size=(N_SOFT, dim))
    question = np.random.default_rng((person, turn)).integers(2, N_VOCAB, size=n_question)
    return [np.array([2], dtype=np.int32), rows.astype(np.float32), question.astype(np.int32)]
