"""Small random narrators for tests: a folder with the same three files that a trained one has."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from crs.narrator.sampling import Sampling
from crs.narrator.tokenizer import NarratorTokenizer

DIM = 128
N_VOCAB = 512  # more than the tokenizer has: the last ids are never written
CONTEXT_LENGTH = 640  # more than one decode takes
WORDS = "The kettle boils, a 12-cup kettle for tea; it's hers because tea keeps the rain out! "
GREEDY = Sampling(temperature=0, repeat_penalty=1, max_tokens=64)


def write_narrator(
    folder: Path,
    *,
    hidden: int = DIM,
    n_heads: int = 2,
    n_kv_heads: int = 2,
    tied: bool = True,
    dtype: str = "float32",
    seed: int = 0,
) -> Path:
    """A random two-layer ``LlamaForCausalLM`` with head_dim 64, saved as Hugging Face does."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = NarratorTokenizer.train([WORDS] * 20, n_vocab=400)
    tokenizer.save(folder / "tokenizer.json")
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=N_VOCAB,
        hidden_size=hidden,
        intermediate_size=2 * DIM,
        num_hidden_layers=2,
        num_attention_heads=n_heads,
        num_key_value_heads=n_kv_heads,
        head_dim=64,
        max_position_embeddings=CONTEXT_LENGTH,
        tie_word_embeddings=tied,
        bos_token_id=tokenizer.bos_id,
        eos_token_id=tokenizer.eos_id,
        initializer_range=0.15,  # wide enough that greedy text wanders and attention matters
    )
    LlamaForCausalLM(config).to(getattr(torch, dtype)).save_pretrained(folder)
    return folder


def soft_prompt(seed: int = 0, *, n_soft: int = 7, dim: int = DIM, n_vocab: int = 300) -> list[np.ndarray]:
    """[one id] [soft rows] [more ids], as the narrator is prompted."""
    random = np.random.default_rng(seed)
    return [
        np.array([2], dtype=np.int32),
        random.normal(scale=0.15, size=(n_soft, dim)).astype(np.float32),
        random.integers(2, n_vocab, size=9).astype(np.int32),
    ]


def is_varied(tokens: list[int]) -> bool:
    """Whether a text is more than one token, or one short loop, said again and again."""
    longest_run = max(len(list(run)) for _, run in itertools.groupby(tokens))
    return len(set(tokens)) > len(tokens) // 4 and longest_run < len(tokens) // 4
