"""An adapter is trained in front of a foreign language model and serves from both forms of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crs.adapter import SoftTokens
from crs.bundle import Bundle, install_narrator
from crs.narrator.engine import LlamaCppModel
from crs.narrator.evidence import Evidence
from crs.narrator.foreign import ForeignModel
from crs.narrator.gguf_export import export_gguf
from crs.narrator.hf_model import HfModel
from crs.narrator.narrate import Narrator
from crs.narrator.narrator_folder import open_tokenizer
from crs.narrator.sampling import Sampling
from crs.rows import FusedRows
from crs.shop import Shop
from crs.storyteller import Storyteller
from crs.training import foreign
from crs.training.foreign import FOREIGN_SETTINGS, train_foreign_adapter
from crs.training.loop import CHECKPOINT
from crs.training.preference import Judged, TuningSettings, tune
from crs.tuning import Lesson, TunableNarrator
from knowledge.errors import ModelError
from tests.conftest import WordEncoder, items_of
from tests.crs.foreign_folders import write_llm

SETTINGS = replace(FOREIGN_SETTINGS, n_positions=14_000, batch_positions=260, prefit_steps=100, other_lr=4e-3)


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llm(tmp_path_factory.mktemp("llms") / "tiny", chat=True)


@pytest.fixture(scope="module")
def gguf(llm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    export_gguf(llm, path, "f32")
    return path


@pytest.fixture(scope="module")
def trained(small_bundle: Bundle, llm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work folder of a finished run. Along the way: the language model itself must not have changed."""
    work = tmp_path_factory.mktemp("run")
    opened: list[Any] = []

    def open_and_keep(folder: Path) -> Any:
        opened.append(open_frozen(folder))
        return opened[0]

    open_frozen = foreign._open_frozen
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(foreign, "_open_frozen", open_and_keep)
        train(small_bundle, work, llm)
    before = open_frozen(llm).state_dict()
    assert all(torch.equal(weight, before[name]) for name, weight in opened[0].state_dict().items())
    assert not opened[0].training
    return work


def train(bundle: Bundle, work: Path, llm: Path, **options: Any) -> list[str]:
    said: list[str] = []
    options = {
        "settings": SETTINGS,
        "encoder": WordEncoder(),
        "cache_dir": work,
        "say": said.append,
    } | options
    train_foreign_adapter(bundle.path, work, str(llm), **options)
    return said


@pytest.fixture(scope="module")
def bundle(small_bundle: Bundle, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """`small_bundle` with the foreign narrator in it."""
    path = Path(shutil.copytree(small_bundle.path, tmp_path_factory.mktemp("bundles") / "foreign"))
    return install_narrator(path, trained / "narrator")


def logged(work: Path, name: str) -> list[Any]:
    lines = [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


def tokens_of(work: Path) -> dict[str, int]:
    content = json.loads((work / "narrator" / "tokenizer" / "tokenizer.json").read_text())
    tokens: dict[str, int] = content["model"]["vocab"]
    return tokens


def test_the_loss_falls(trained: Path) -> None:
    losses = logged(trained, "loss")
    assert len(losses) >= 2 and losses[-1] < 0.95 * losses[0]
    after_prefit = logged(trained, "words")[0]
    assert after_prefit < 0.6 * np.log(len(tokens_of(trained)))  # of a guess among all tokens
    assert {"loss", "swap_gap", "noun"} <= logged(trained, "held_out")[-1].keys()


def test_a_stopped_run_goes_on_where_it_was(
    small_bundle: Bundle, llm: Path, trained: Path, tmp_path: Path
) -> None:
    train(small_bundle, tmp_path, llm, settings=replace(SETTINGS, n_positions=800))
    done = logged(tmp_path, "positions")[-1]
    said = train(small_bundle, tmp_path, llm, settings=replace(SETTINGS, n_positions=1600))
    assert any(f"{done:,} of 1,600 positions done" in line for line in said)
    assert len(logged(tmp_path, "prefit_step")) == 1 and logged(tmp_path, "positions")[-1] >= 1600

    shutil.copy(trained / CHECKPOINT, tmp_path)
    train(small_bundle, tmp_path, llm)
    finished = (tmp_path / "narrator" / "adapter.safetensors").read_bytes()
    assert finished == (trained / "narrator" / "adapter.safetensors").read_bytes()


def test_a_checkpoint_of_another_model_is_refused(
    small_bundle: Bundle, trained: Path, tmp_path: Path
) -> None:
    shutil.copy(trained / CHECKPOINT, tmp_path)
    with pytest.raises(ModelError, match="another kind of run"):
        train(small_bundle, tmp_path, write_llm(tmp_path / "wide", hidden=192))


def test_both_forms_of_the_model_tell_the_same(bundle: Bundle, llm: Path, gguf: Path) -> None:
    history = bundle.store.history("u00")
    rows = FusedRows(bundle, WordEncoder()).of(history)
    items = [bundle.store.items[i.item_id] for i in history]
    soft_tokens = SoftTokens.load(bundle.narrator_dir / "adapter.safetensors")
    end_ids = ForeignModel.read(bundle.narrator_dir).end_ids
    told = []
    for model in (HfModel(llm, end_ids=end_ids), LlamaCppModel(gguf, kv_dtype="f32", flash_attn=False)):
        greedy = Sampling(temperature=0, repeat_penalty=1.1)
        narrator = Narrator(model, open_tokenizer(bundle.narrator_dir), soft_tokens, greedy, gated=False)
        stream = narrator.narrate(rows, "user_summary_brief", history=items)
        told.append("".join(piece.text for piece in stream))
        assert stream.result.n_soft == len(history)
        model.close()
    assert told[0] == told[1] and len(told[0]) > 10


def test_a_shop_serves_it_and_says_how(
    bundle: Bundle, gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_transformers = Shop.open(bundle.path, data_dir=tmp_path, encoder=WordEncoder())
    try:
        assert any("RACONTEUR_GGUF" in note for note in by_transformers.notes)
        stream = by_transformers.narrate(by_transformers.person("u00"), "user_profile")
        text = "".join(piece.text or f"[{piece.cite}]" for piece in stream)
        assert text and stream.result.tokens
    finally:
        by_transformers.close()
    monkeypatch.setenv("RACONTEUR_GGUF", str(gguf))
    storyteller = Storyteller.open(bundle, WordEncoder(), tmp_path)
    assert isinstance(storyteller.model, LlamaCppModel) and len(storyteller.notes) == 1
    storyteller.close()


def test_a_gguf_of_another_width_is_refused(
    small_bundle: Bundle, bundle: Bundle, llm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = tmp_path / "narrow.gguf"
    export_gguf(write_llm(tmp_path / "narrow", hidden=64), narrow, "f32")
    monkeypatch.setenv("RACONTEUR_GGUF", str(narrow))
    with pytest.raises(ModelError, match=r"128 dimensions.*narrow reads 64"):
        Storyteller.open(bundle, WordEncoder(), tmp_path)
    with pytest.raises(ModelError, match=r"narrow\.gguf reads 64 dimensions, .*tiny 128"):
        train(small_bundle, tmp_path / "run", llm, gguf=narrow)


def test_the_gguf_given_at_training_is_served(
    small_bundle: Bundle, llm: Path, gguf: Path, trained: Path, tmp_path: Path
) -> None:
    shutil.copy(trained / CHECKPOINT, tmp_path)
    train(small_bundle, tmp_path, llm, gguf=gguf)
    assert ForeignModel.read(tmp_path / "narrator").gguf == str(gguf)


def test_its_adapter_learns_preferences_and_the_model_stands_still(bundle: Bundle, tmp_path: Path) -> None:
    rows = FusedRows(bundle, WordEncoder()).of(bundle.store.history("u00"))
    lesson = Lesson(rows, Evidence(items_of(bundle.store, "u00"), "user_profile"), "Tea, the [1] kettle.")
    narrator, in_use = TunableNarrator(bundle.narrator_dir), TunableNarrator(bundle.narrator_dir)
    assert list(narrator.parts) == ["adapter"]
    judged = [Judged(lesson, replace(lesson, text="A [2] person."))]
    settings = TuningSettings(learning_rate=1e-3, epochs=100, batch=1, max_steps=8)
    tune(narrator, in_use, judged, [], settings, tmp_path / "work")
    texts = [each for each in (judged[0].liked, judged[0].disliked) if each]
    liked, disliked = narrator.log_probs(texts) - in_use.log_probs(texts)
    assert liked > disliked
    narrator.save(tmp_path / "tuned")
    assert np.isclose(TunableNarrator(tmp_path / "tuned").loss([lesson]), narrator.loss([lesson]), atol=1e-2)


@pytest.mark.parametrize(
    ("missing", "problem"),
    [("config.json", "no language model"), ("tokenizer.json", "no tokenizer"), (None, "hf download")],
)
def test_what_is_no_model_is_refused(
    small_bundle: Bundle, llm: Path, tmp_path: Path, missing: str | None, problem: str
) -> None:
    folder = tmp_path / "llm"
    if missing:
        shutil.copytree(llm, folder)
        (folder / missing).unlink()
    with pytest.raises(ModelError, match=problem):
        train(small_bundle, tmp_path / "run", folder)


def test_a_model_without_an_end_is_refused(small_bundle: Bundle, tmp_path: Path) -> None:
    folder = write_llm(tmp_path / "llm")
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        fields = json.loads((folder / name).read_text())
        fields.pop("eos_token", None)
        (folder / name).write_text(json.dumps(fields | {"eos_token_id": None}))
    with pytest.raises(ModelError, match="no end token"):
        train(small_bundle, tmp_path / "run", folder)


def test_the_command_trains_and_installs(
    small_bundle: Bundle,
    llm: Path,
    gguf: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from crs.cli.app import main

    monkeypatch.setattr(foreign, "Encoder", WordEncoder)
    monkeypatch.setattr(foreign, "FOREIGN_SETTINGS", replace(SETTINGS, prefit_steps=2))
    monkeypatch.chdir(tmp_path)
    path = shutil.copytree(small_bundle.path, tmp_path / "bundle")
    options = ["--llm", str(llm), "--gguf", str(gguf), "--positions", "500", "--lora-rank", "1"]
    monkeypatch.setattr("sys.argv", ["crs", "train-narrator", str(path), *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code, capsys.readouterr().err
    model = ForeignModel.read(Bundle.open(path).narrator_dir)
    assert (model.gguf, model.lora) == (str(gguf), "lora.gguf")
    assert (tmp_path / ".cache" / "narrator-tiny" / CHECKPOINT).exists()
    for option in (["--gguf", str(gguf)], ["--lora-rank", "1"]):
        monkeypatch.setattr("sys.argv", ["crs", "train-narrator", str(path), *option])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 1 and f"{option[0]}: belongs" in capsys.readouterr().err
