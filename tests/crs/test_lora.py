"""LoRA files: llama.cpp and transformers make the same of them, and what does not fit is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from crs.narrator.engine import LlamaCppModel
from crs.narrator.foreign import ForeignModel
from crs.narrator.hf_model import HfModel
from crs.narrator.lora import place_of, write_lora
from crs.narrator.narrator_folder import open_language_model
from knowledge.errors import ModelError, NotFoundError
from tests.crs.foreign_folders import ARCHS, TOLERANCE, Arch, write_gguf, write_llm
from tests.crs.narrator_folders import GREEDY, soft_prompt

RANK, ALPHA = 3, 6.0


@dataclass(frozen=True)
class Model:
    """A random model in both layouts, and a random LoRA of it."""

    arch: Arch
    folder: Path
    gguf: Path
    lora: Path

    def opened(self, lora: Path | None, scale: float = 1.0) -> LlamaCppModel:
        return LlamaCppModel(
            self.gguf, n_seqs=1, kv_dtype="f32", flash_attn=False, lora_path=lora, lora_scale=scale
        )


def write_model(folder: Path, arch: Arch, *, hidden: int = 128) -> Model:
    from transformers import AutoModelForCausalLM

    llm = write_llm(folder / arch, arch=arch, hidden=hidden)
    reference = AutoModelForCausalLM.from_pretrained(llm)
    random = np.random.default_rng(1)
    updates = {}
    for name, module in reference.named_modules():
        if place := place_of(name):
            n_rows, n_columns = module.weight.shape
            a, b = random.normal(size=(RANK, n_columns)), random.normal(scale=0.05, size=(n_rows, RANK))
            updates[place] = (a.astype(np.float32), b.astype(np.float32))
    assert len(updates) == 2 * 7
    write_lora(folder / "lora.gguf", updates, reference.config, alpha=ALPHA)
    return Model(arch, llm, write_gguf(llm, folder / "model.gguf"), folder / "lora.gguf")


@pytest.fixture(scope="module", params=ARCHS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return write_model(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return write_model(tmp_path_factory.mktemp("llama"), "llama")


def test_llama_cpp_and_transformers_make_the_same_of_it(model: Model) -> None:
    prompt = soft_prompt()
    bare = HfModel(model.folder).logits(prompt)
    reference = HfModel(model.folder, lora_path=model.lora)
    served = model.opened(model.lora)
    assert np.abs(served.logits(prompt) - reference.logits(prompt)).max() < TOLERANCE[model.arch]
    assert np.abs(served.logits(prompt) - bare).max() > 0.1
    assert list(served.generate(prompt, GREEDY)) == list(reference.generate(prompt, GREEDY))
    served.close()
    untouched = model.opened(model.lora, scale=0.0)
    assert np.abs(untouched.logits(prompt) - bare).max() < TOLERANCE[model.arch]
    untouched.close()


def test_two_models_of_one_file_do_not_share_it(llama: Model) -> None:
    prompt = soft_prompt()
    bare, tuned = llama.opened(None), llama.opened(llama.lora)
    before = bare.logits(prompt)
    assert np.abs(tuned.logits(prompt) - before).max() > 0.1
    np.testing.assert_array_equal(bare.logits(prompt), before)
    tuned.close()
    np.testing.assert_array_equal(bare.logits(prompt), before)
    assert (bare.name, tuned.name) == ("model", "model with lora")
    bare.close()


def test_a_file_that_is_no_lora_is_refused(llama: Model, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="none"):
        llama.opened(tmp_path / "none")
    with pytest.raises(NotFoundError, match="none"):
        HfModel(llama.folder, lora_path=tmp_path / "none")
    (tmp_path / "words").write_text("not a GGUF, whatever its name")
    for path in (tmp_path / "words", llama.gguf):
        with pytest.raises(ModelError, match=f"{path.name}: no LoRA of .*model.gguf"):
            llama.opened(path)
        with pytest.raises(ModelError, match=path.name):
            HfModel(llama.folder, lora_path=path)


@pytest.mark.parametrize(("arch", "hidden"), [("qwen2", 128), ("llama", 192)])
def test_a_lora_of_another_model_is_refused(llama: Model, tmp_path: Path, arch: Arch, hidden: int) -> None:
    other = write_model(tmp_path, arch, hidden=hidden)
    with pytest.raises(ModelError, match=r"(?i)mismatch|wrong base model"):
        llama.opened(other.lora)
    with pytest.raises(ModelError, match=r"not a LoRA of a llama|for another model"):
        HfModel(llama.folder, lora_path=other.lora)


def test_modules_are_known_by_their_names() -> None:
    assert place_of("model.layers.3.self_attn.o_proj") == "blk.3.attn_output"
    assert place_of("model.language_model.layers.0.mlp.up_proj") == "blk.0.ffn_up"
    assert place_of("model.vision_tower.encoder.layers.0.self_attn.q_proj") is None
    assert place_of("lm_head") is None


def test_the_narrator_is_served_with_the_lora_that_is_named(
    llama: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = soft_prompt()
    (tmp_path / "own.gguf").write_bytes(llama.lora.read_bytes())
    ForeignModel(str(llama.folder), 128, (1,), lora="own.gguf").write(tmp_path)
    tuned = HfModel(llama.folder, lora_path=llama.lora).logits(prompt)
    by_transformers = open_language_model(tmp_path, tmp_path)
    np.testing.assert_allclose(by_transformers.logits(prompt), tuned)
    monkeypatch.setenv("RACONTEUR_GGUF", str(llama.gguf))
    monkeypatch.setenv("RACONTEUR_LORA", str(llama.lora))
    by_llama_cpp = open_language_model(tmp_path, tmp_path)
    assert by_llama_cpp.name == "model with lora"
    by_llama_cpp.close()
    monkeypatch.setenv("RACONTEUR_VLLM", "http://127.0.0.1:9/v1")
    with pytest.raises(ModelError, match="unset RACONTEUR_VLLM"):
        open_language_model(tmp_path, tmp_path)
