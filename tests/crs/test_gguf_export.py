"""GGUF export: the same numbers as transformers, the same token ids as tokenizers, and bad parts refused."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from narrator_folders import DIM, GREEDY, N_VOCAB, WORDS, is_varied, soft_prompt, write_narrator

from crs.narrator.engine import LlamaCppModel
from crs.narrator.gguf_export import cached_gguf, export_gguf, fingerprint
from crs.narrator.hf_model import HfModel
from crs.narrator.sampling import Constraints
from crs.narrator.tokenizer import NarratorTokenizer
from knowledge.errors import BundleError, ModelError, NotFoundError

EMBEDDED = Path(__file__).resolve().parents[2] / "assets" / "demo" / "narrator"

SHAPES: dict[str, dict[str, Any]] = {
    "as many kv heads as heads, tied": {},
    "grouped queries": {"n_heads": 4, "n_kv_heads": 2},
    "one kv head, untied": {"n_heads": 4, "n_kv_heads": 1, "tied": False},
    "bfloat16 weights": {"dtype": "bfloat16"},
    "float16 weights, untied": {"dtype": "float16", "tied": False},
}


@pytest.fixture
def narrator(shared_narrator: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    folder = tmp_path / "narrator"
    folder.mkdir()
    for part in shared_narrator.iterdir():
        (folder / part.name).write_bytes(part.read_bytes())
    return folder


@pytest.fixture(scope="module")
def shared_narrator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_narrator(tmp_path_factory.mktemp("narrator"))


@pytest.fixture(scope="module", params=SHAPES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_narrator(tmp_path_factory.mktemp("shape"), **SHAPES[request.param])


def assert_parity(folder: Path, gguf_path: Path, prompt: list[np.ndarray], *, tolerance: float) -> None:
    """llama.cpp on the f32 file = transformers on ``inputs_embeds``: logits and 64 greedy tokens."""
    export_gguf(folder, gguf_path, "f32")
    served = LlamaCppModel(gguf_path, kv_dtype="f32", flash_attn=False)
    reference = HfModel(folder)
    try:
        difference = np.abs(served.logits(prompt) - reference.logits(prompt)).max()
        assert difference < tolerance
        no_end = Constraints(frozenset({reference.eos_id}))  # so that there are 64 to compare
        tokens = list(served.generate(prompt, GREEDY, constraints=no_end))
        assert tokens == list(reference.generate(prompt, GREEDY, constraints=no_end))
        assert len(tokens) == 64
        assert is_varied(tokens)
    finally:
        served.close()
        reference.close()


@pytest.mark.parametrize("seed", [0, 1])
def test_llama_cpp_equals_transformers(folder: Path, tmp_path: Path, seed: int) -> None:
    assert_parity(folder, tmp_path / "narrator.gguf", soft_prompt(seed), tolerance=1e-4)


def test_the_embedded_narrator_equals_transformers(tmp_path: Path) -> None:
    if not (EMBEDDED / "model.safetensors").is_file():
        pytest.skip("assets/demo/narrator is not there yet; run: python -m crs train-narrator")
    tokenizer = NarratorTokenizer.load(EMBEDDED / "tokenizer.json")
    dim = json.loads((EMBEDDED / "config.json").read_text())["hidden_size"]
    prompt = [
        np.array([tokenizer.bos_id], dtype=np.int32),
        np.random.default_rng(0).normal(scale=0.1, size=(12, dim)).astype(np.float32),
        np.array([tokenizer.task_id("user_summary_long"), tokenizer.say_id], dtype=np.int32),
    ]
    assert_parity(EMBEDDED, tmp_path / "narrator.gguf", prompt, tolerance=1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), [("f16", 0.02), ("q8_0", 0.3)])
def test_smaller_types_stay_near(shared_narrator: Path, tmp_path: Path, dtype: Any, tolerance: float) -> None:
    logits, sizes = [], []
    for kind in ("f32", dtype):
        path = tmp_path / f"{kind}.gguf"
        export_gguf(shared_narrator, path, kind)
        model = LlamaCppModel(path)
        logits.append(model.logits(soft_prompt()))
        sizes.append(path.stat().st_size)
        model.close()
    assert 0 < np.abs(logits[0] - logits[1]).max() < tolerance
    assert sizes[1] < 0.6 * sizes[0]


class TestTokenizer:
    @pytest.fixture(scope="class")
    def tokenize(self, shared_narrator: Path) -> Iterator[Callable[[str], list[int]]]:
        """llama.cpp's own tokenisation, special tokens parsed."""
        import llama_cpp

        path = shared_narrator / "narrator.gguf"
        export_gguf(shared_narrator, path, "f32")
        params = llama_cpp.llama_model_default_params()
        params.vocab_only = True
        model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        vocab = llama_cpp.llama_model_get_vocab(model)

        def tokenize(text: str) -> list[int]:
            raw = text.encode()
            ids = (ctypes.c_int32 * (len(raw) + 8))()
            n = llama_cpp.llama_tokenize(vocab, raw, len(raw), ids, len(ids), True, True)
            return list(ids[:n])

        yield tokenize
        llama_cpp.llama_model_free(model)
        path.unlink()

    @pytest.mark.parametrize(
        "text",
        [
            WORDS,
            "kettles  with   spaces\n\nand lines",
            "it's 1234.50 dollars, isn't it? I'll say: don't!",
            "Größe, naïve café, 東京, 🫖",
            "<|purchase_reason|>kettle<say>tea<eos>",
            "the[3]kettle and the[target]tea",
            "[51] is no pointer, [0] neither",
        ],
    )
    def test_the_same_ids(
        self, shared_narrator: Path, tokenize: Callable[[str], list[int]], text: str
    ) -> None:
        tokenizer = NarratorTokenizer.load(shared_narrator / "tokenizer.json")
        assert tokenize(text) == tokenizer.encode(text)

    def test_the_metadata(self, shared_narrator: Path, tmp_path: Path) -> None:
        from gguf import GGUFReader, TokenType

        export_gguf(shared_narrator, tmp_path / "narrator.gguf")
        fields = GGUFReader(tmp_path / "narrator.gguf").fields
        tokenizer = NarratorTokenizer.load(shared_narrator / "tokenizer.json")
        types = fields["tokenizer.ggml.token_type"].contents()
        tokens = fields["tokenizer.ggml.tokens"].contents()
        assert len(tokens) == len(types) == N_VOCAB
        assert fields["tokenizer.ggml.add_bos_token"].contents() is False
        assert fields["tokenizer.ggml.eos_token_id"].contents() == tokenizer.eos_id
        assert types[tokenizer.bos_id] == TokenType.CONTROL
        assert types[tokenizer.pointer_id(3)] == TokenType.USER_DEFINED
        assert tokens[tokenizer.pointer_id(3)] == "[3]"
        assert types[N_VOCAB - 1] == TokenType.UNUSED


class TestCache:
    def test_written_once(self, narrator: Path, tmp_path: Path) -> None:
        first = cached_gguf(narrator, tmp_path / "cache")
        written = first.stat().st_mtime_ns
        assert cached_gguf(narrator, tmp_path / "cache") == first
        assert first.stat().st_mtime_ns == written
        assert [path.name for path in first.parent.iterdir()] == [first.name]

    def test_types_do_not_share_a_file(self, narrator: Path, tmp_path: Path) -> None:
        assert cached_gguf(narrator, tmp_path, "f32") != cached_gguf(narrator, tmp_path, "f16")

    @pytest.mark.parametrize("part", ["config.json", "tokenizer.json", "model.safetensors"])
    def test_written_anew_when_a_part_changes(self, narrator: Path, tmp_path: Path, part: str) -> None:
        first = cached_gguf(narrator, tmp_path / "cache")
        if part == "model.safetensors":
            write_narrator(narrator, seed=1)
        else:
            (narrator / part).write_text((narrator / part).read_text() + " ")
        second = cached_gguf(narrator, tmp_path / "cache")
        assert second != first and second.is_file() and first.is_file()

    def test_changed_weights_are_what_the_new_file_holds(self, narrator: Path, tmp_path: Path) -> None:
        texts = []
        for seed in (0, 1):
            write_narrator(narrator, seed=seed)
            model = LlamaCppModel(cached_gguf(narrator, tmp_path / "cache", "f32"))
            texts.append(model.logits(soft_prompt()))
            model.close()
        assert np.abs(texts[0] - texts[1]).max() > 0.1

    def test_the_fingerprint_needs_every_part(self, narrator: Path) -> None:
        (narrator / "tokenizer.json").unlink()
        with pytest.raises(BundleError, match=r"tokenizer\.json"):
            fingerprint(narrator)


def change_config(**fields: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return change


def change_tokenizer(edit: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "tokenizer.json"
        content = json.loads(path.read_text())
        edit(content)
        path.write_text(json.dumps(content))

    return change


def change_weights(edit: Callable[[dict[str, np.ndarray]], object]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        from safetensors.numpy import load_file, save_file

        weights = load_file(folder / "model.safetensors")
        edit(weights)
        save_file(weights, folder / "model.safetensors")

    return change


def write_part(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def remove_config_field(folder: Path) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    del config["intermediate_size"]
    path.write_text(json.dumps(config))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no weights": (lambda f: (f / "model.safetensors").unlink(), r"model\.safetensors: cannot be read"),
    "no config": (lambda f: (f / "config.json").unlink(), r"config\.json: cannot be read"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), r"tokenizer\.json: cannot be read"),
    "weights cut short": (cut_weights, r"model\.safetensors: damaged"),
    "config not JSON": (write_part("config.json", b"{"), r"config\.json: not JSON"),
    "config a list": (write_part("config.json", b"[]"), r"config\.json: not a JSON object"),
    "config incomplete": (remove_config_field, "intermediate_size"),
    "another architecture": (change_config(model_type="gpt2"), "model_type"),
    "another activation": (change_config(hidden_act="gelu"), "hidden_act"),
    "scaled rope": (change_config(rope_parameters={"rope_type": "yarn", "rope_theta": 1e4}), "rope type"),
    "more layers than weights": (change_config(num_hidden_layers=3), r"layers\.2\..* is missing"),
    "fewer layers than weights": (change_config(num_hidden_layers=1), r"layers\.1\..* is not part"),
    "another width": (change_config(intermediate_size=300), r"mlp\.\w+\.weight has shape"),
    "integer weights": (
        change_weights(lambda w: w.update({"model.norm.weight": np.ones(DIM, dtype=np.int32)})),
        r"model\.norm\.weight is I32",
    ),
    "a weight that is not a number": (
        change_weights(lambda w: w["model.norm.weight"].__setitem__(0, np.nan)),
        r"model\.norm\.weight: not finite",
    ),
    "a weight too large for f16": (
        change_weights(lambda w: w["model.embed_tokens.weight"].__setitem__((0, 0), 1e6)),
        r"embed_tokens\.weight: not finite as f16",
    ),
    "tokenizer without its model": (write_part("tokenizer.json", b"{}"), "not a tokenizer"),
    "tokenizer of another kind": (
        change_tokenizer(lambda t: t["model"].update(type="WordLevel")),
        "byte-level BPE",
    ),
    "tokenizer that splits otherwise": (
        change_tokenizer(lambda t: t["pre_tokenizer"].update(add_prefix_space=True)),
        "byte-level BPE",
    ),
    "tokenizer beyond the vocabulary": (
        change_tokenizer(lambda t: t["added_tokens"][0].update(id=9999)),
        "do not fit",
    ),
    "tokenizer without an end token": (
        change_tokenizer(lambda t: t["added_tokens"].__delitem__(slice(0, 2))),
        "<eos>",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_part_is_named_and_nothing_is_left_behind(
    narrator: Path, tmp_path: Path, damage: str
) -> None:
    apply, message = DAMAGE[damage]
    apply(narrator)
    with (
        np.errstate(over="ignore"),
        pytest.raises(BundleError, match=message) as caught,
    ):
        export_gguf(narrator, tmp_path / "out" / "narrator.gguf", "f16")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.glob("out/*")) == []


def test_q8_0_needs_rows_of_whole_blocks(tmp_path: Path) -> None:
    folder = write_narrator(tmp_path / "narrator", hidden=DIM + 8)
    with pytest.raises(BundleError, match="q8_0"):
        export_gguf(folder, tmp_path / "narrator.gguf", "q8_0")


class TestHfModel:
    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError, match="nowhere"):
            HfModel(tmp_path / "nowhere")

    def test_a_folder_that_holds_no_model(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="transformers cannot open it") as caught:
            HfModel(tmp_path)
        assert "\n" not in str(caught.value)

    def test_without_our_tokenizer_the_configuration_names_the_end(self, narrator: Path) -> None:
        (narrator / "tokenizer.json").unlink()
        change_config(eos_token_id=[7, 9])(narrator)
        model = HfModel(narrator)
        assert model.eos_id == 7
        ends = frozenset(range(N_VOCAB)) - {9}
        assert list(model.generate(soft_prompt(), GREEDY, constraints=Constraints(ends))) == []

    def test_a_model_without_any_end_is_refused(self, narrator: Path) -> None:
        (narrator / "tokenizer.json").unlink()
        (narrator / "generation_config.json").unlink()
        change_config(eos_token_id=None)(narrator)
        with pytest.raises(ModelError, match="eos_token_id"):
            HfModel(narrator)
