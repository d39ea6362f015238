"""Models that are not ours: architectures with habits of their own, opened by the same engine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from narrator_folders import DIM, GREEDY, N_VOCAB, soft_prompt, write_narrator

from crs.narrator.engine import LlamaCppModel
from crs.narrator.gguf_export import LlamaShape
from crs.narrator.gguf_tokenizer import GgufTokenizer
from crs.narrator.hf_model import HfModel
from tests.crs.foreign_folders import SERVED, TOLERANCE, Arch, write_gguf, write_llm


def write_gemma(folder: Path) -> Path:
    """A random Gemma in both layouts; the GGUF next to the Hugging Face folder."""
    import gguf
    import torch
    from transformers import GemmaConfig, GemmaForCausalLM

    write_narrator(folder)  # for its tokenizer
    torch.manual_seed(0)
    config = GemmaConfig(
        vocab_size=N_VOCAB,
        hidden_size=DIM,
        intermediate_size=2 * DIM,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=64,
        max_position_embeddings=512,
        eos_token_id=1,
        initializer_range=0.1,
    )
    model = GemmaForCausalLM(config)
    model.save_pretrained(folder)

    shape = LlamaShape(
        n_vocab=N_VOCAB, hidden=DIM, n_layers=2, n_heads=2, n_kv_heads=1, head_dim=64, ff_dim=2 * DIM,
        context_length=512, rope_theta=10_000.0, rms_eps=config.rms_norm_eps, tied=True,
    )  # fmt: skip
    writer = gguf.GGUFWriter(folder / "gemma.gguf", "gemma")
    shape.write(writer)
    path = folder / "tokenizer.json"
    GgufTokenizer.parse(json.loads(path.read_text()), path, N_VOCAB).write(writer)
    weights = model.state_dict()
    for ours, theirs, size in shape.tensors():
        # Gemma stores norms as their distance from 1, and rotates halves as transformers does
        writer.add_tensor(theirs, weights[ours].numpy() + np.float32(len(size) == 1))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder / "gemma.gguf"


def test_a_model_that_scales_its_embeddings_reads_soft_rows_as_they_are(tmp_path: Path) -> None:
    gguf_path = write_gemma(tmp_path / "gemma")
    served = LlamaCppModel(gguf_path, kv_dtype="f32", flash_attn=False)
    reference = HfModel(tmp_path / "gemma")
    prompt = soft_prompt()
    prompt[1] *= 8  # as large as this model's scaled embeddings, so that they matter
    assert np.abs(served.logits(prompt) - reference.logits(prompt)).max() < 2e-3
    assert list(served.generate(prompt, GREEDY)) == list(reference.generate(prompt, GREEDY))
    served.close()


@pytest.mark.parametrize("arch", SERVED)
def test_soft_rows_mean_the_same_to_llama_cpp_and_transformers(arch: Arch, tmp_path: Path) -> None:
    folder = write_llm(tmp_path / arch, arch=arch)
    served = LlamaCppModel(
        write_gguf(folder, tmp_path / "model.gguf"), n_seqs=1, kv_dtype="f32", flash_attn=False
    )
    reference = HfModel(folder)
    prompt = soft_prompt()
    if arch.startswith("gemma"):
        prompt[1] *= 8  # as large as its scaled embeddings
    expected = reference.logits(prompt)
    assert np.abs(served.logits(prompt) - expected).max() < TOLERANCE[arch]
    prompt[1] *= -1
    assert np.abs(served.logits(prompt) - expected).max() > 0.1  # they are read
    served.close()


def test_a_windowed_cache_can_be_trimmed_past_its_window(tmp_path: Path) -> None:
    """With only the window kept, llama.cpp would say that it was trimmed and go on from the wrong cells."""
    gguf_path = write_gguf(write_llm(tmp_path / "llm", arch="gemma3"), tmp_path / "model.gguf")
    served = LlamaCppModel(gguf_path, n_seqs=1, kv_dtype="f32", flash_attn=False, parking_bytes=0)
    fresh = LlamaCppModel(gguf_path, n_seqs=1, kv_dtype="f32", flash_attn=False, parking_bytes=0)
    ids = np.resize(np.arange(10, 90, dtype=np.int32), 1000)
    beginning = [ids[:20], ids[20:40]]
    served.logits([*beginning, ids[40:500], ids[500:999], ids[999:]])  # more than a cache of windows holds
    again = [*beginning, ids[60:62]]
    np.testing.assert_allclose(served.logits(again), fresh.logits(again), atol=1e-4)
    served.close()
    fresh.close()
