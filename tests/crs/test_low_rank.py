"""A LoRA is trained with the adapter, for each kind of model, and served by llama.cpp as it was trained."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from crs.bundle import Bundle, install_narrator
from crs.narrator.engine import LlamaCppModel
from crs.narrator.foreign import ForeignModel
from crs.narrator.hf_model import HfModel
from crs.narrator.lora import LORA
from crs.storyteller import Storyteller
from crs.training.foreign import FOREIGN_SETTINGS, train_foreign_adapter
from crs.training.low_rank import LowRank
from crs.tuning import TunableNarrator
from knowledge.errors import ModelError
from tests.conftest import WordEncoder
from tests.crs.foreign_folders import ARCHS, TOLERANCE, Arch, write_gguf, write_llm
from tests.crs.narrator_folders import soft_prompt

SETTINGS = replace(FOREIGN_SETTINGS, n_positions=1500, batch_positions=260, prefit_steps=3)


@pytest.mark.parametrize("arch", ARCHS)
def test_what_is_written_is_what_was_trained(arch: Arch, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = write_llm(tmp_path / arch, arch=arch)
    llm = AutoModelForCausalLM.from_pretrained(folder).eval()
    rows = torch.from_numpy(soft_prompt()[1])[None]
    with torch.inference_mode():
        before = llm(inputs_embeds=rows).logits[0, -1].numpy()
        low_rank = LowRank(llm, rank=2)
        np.testing.assert_array_equal(llm(inputs_embeds=rows).logits[0, -1].numpy(), before)
        for parameter in low_rank.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=torch.manual_seed(3))
        trained = llm(inputs_embeds=rows).logits[0, -1].numpy()
    assert np.abs(trained - before).max() > 0.05
    low_rank.write(tmp_path / LORA)
    served = LlamaCppModel(
        write_gguf(folder, tmp_path / "model.gguf"),
        n_seqs=1,
        kv_dtype="f32",
        flash_attn=False,
        lora_path=tmp_path / LORA,
    )
    merged = HfModel(folder, lora_path=tmp_path / LORA)
    for model in (served, merged):
        assert np.abs(model.logits([rows[0].numpy()]) - trained).max() < TOLERANCE[arch]
        model.close()


@pytest.mark.parametrize("arch", ARCHS)
def test_a_whole_round_of_training_and_serving(
    small_bundle: Bundle, arch: Arch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = write_llm(tmp_path / arch, arch=arch, chat=True)
    gguf = write_gguf(llm, tmp_path / "model.gguf")
    work = tmp_path / "run"
    options = {"settings": SETTINGS, "encoder": WordEncoder(), "cache_dir": work, "say": lambda _: None}
    train_foreign_adapter(small_bundle.path, work, str(llm), gguf=gguf, lora_rank=2, **options)
    path = Path(shutil.copytree(small_bundle.path, tmp_path / "bundle"))
    bundle = install_narrator(path, work / "narrator")
    assert ForeignModel.read(bundle.narrator_dir).lora == LORA

    served = LlamaCppModel(
        gguf, n_seqs=1, kv_dtype="f32", flash_attn=False, lora_path=bundle.narrator_dir / LORA
    )
    by_gguf = Storyteller(bundle, WordEncoder(), served)
    reference = HfModel(llm, lora_path=bundle.narrator_dir / LORA)
    by_transformers = Storyteller(bundle, WordEncoder(), reference)
    told = []
    for storyteller in (by_gguf, by_transformers):
        stream = storyteller.narrate(bundle.store.history("u00"), "user_profile", seed=3)
        told.append(list(stream))
        assert told[-1] and stream.result.n_soft == 6
        storyteller.close()
    assert told[0] == told[1]
    untrained = HfModel(llm).logits(soft_prompt())
    tuned = HfModel(llm, lora_path=bundle.narrator_dir / LORA).logits(soft_prompt())
    assert np.abs(tuned - untrained).max() > 1e-4  # it has learned something

    opened = Storyteller.open(bundle, WordEncoder(), tmp_path)
    assert opened.model.name == "model with lora"
    opened.close()
    np.testing.assert_allclose(  # ratings teach the adapter through the same model
        TunableNarrator(bundle.narrator_dir)._model(torch.tensor([[1, 2]])).logits[0, -1].detach().numpy(),
        HfModel(llm, lora_path=bundle.narrator_dir / LORA).logits([np.array([1, 2], np.int32)]),
        atol=1e-3,
    )


def test_another_rank_is_another_run(small_bundle: Bundle, tmp_path: Path) -> None:
    llm = str(write_llm(tmp_path / "llm"))
    brief = replace(SETTINGS, n_positions=200)
    options = {"settings": brief, "encoder": WordEncoder(), "cache_dir": tmp_path, "say": lambda _: None}
    train_foreign_adapter(small_bundle.path, tmp_path, llm, lora_rank=1, **options)
    with pytest.raises(ModelError, match="another kind of run"):
        train_foreign_adapter(small_bundle.path, tmp_path, llm, **options)


def test_a_model_that_llama_cpp_lays_out_otherwise_is_refused_before_training(
    small_bundle: Bundle, tmp_path: Path
) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    llm = write_llm(tmp_path / "llm")
    GPT2LMHeadModel(GPT2Config(vocab_size=1000, n_embd=32, n_layer=1, n_head=1)).save_pretrained(llm)
    with pytest.raises(ModelError, match="LoRA of gpt2 models is not known here"):
        train_foreign_adapter(small_bundle.path, tmp_path / "run", str(llm), lora_rank=2)
