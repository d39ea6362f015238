"""The training loop on a store small enough for seconds: it learns, resumes and writes what can be served."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from crs.adapter import SoftTokens
from crs.bundle import Bundle, build_bundle
from crs.narrator.markup import MARKUP
from crs.narrator.tokenizer import NarratorTokenizer
from crs.training.loop import CHECKPOINT, Settings
from crs.training.material import draw, gather, items_held_out
from crs.training.muon import orthogonal
from crs.training.student import Shape, Student
from crs.training.train import train_narrator
from knowledge.errors import InputError, ModelError
from knowledge.store import StoreWriter
from knowledge.types import Interaction, Item, Narrative

pytestmark = pytest.mark.slow

KINDS = ("kettle", "tent", "notebook", "kite", "lamp")
SHAPE = Shape(hidden=128, n_layers=2, n_heads=2, n_kv_heads=1, ff=256, n_vocab=512, context=256)
SETTINGS = Settings(n_positions=64_000, batch_positions=384, prefit_steps=300, warm_up=0.05, report_s=1e9)


class HashEncoder:
    """Unit rows that depend on the words alone."""

    def encode(self, texts, progress=None):
        rows = np.zeros((len(texts), 384), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row += np.random.default_rng(sum(map(ord, word))).standard_normal(384)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def write_store(path: Path, *, narratives: bool = True) -> Path:
    rng = random.Random(5)
    with StoreWriter(path, name="tiny", format="test") as store:
        items = [
            Item(f"i{k}-{n}", f"Plain {kind}", kind=kind) for k, kind in enumerate(KINDS) for n in range(4)
        ]
        for item in items:
            store.add_item(item)
        for u in range(80):
            bought = rng.sample(items, 5)
            user_id = f"u{u:03d}"
            store.add_interactions(
                [Interaction(user_id, item.item_id, 1000 + t) for t, item in enumerate(bought)]
            )
            if narratives:
                told = " and ".join(f"the [{k}] {item.kind}" for k, item in enumerate(bought, start=1))
                store.add_narrative(Narrative(user_id, "user_summary_brief", f"They bought {told}.", 5))
                store.add_narrative(
                    Narrative(
                        user_id,
                        "purchase_reason",
                        f"To own a [target] {bought[4].kind}.",
                        4,
                        bought[4].item_id,
                    )
                )
    return path


@pytest.fixture(scope="module")
def bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    build_bundle(
        write_store(folder / "store"), folder / "bundle", encoder=HashEncoder(), narrator=folder / "none"
    )
    return folder / "bundle"


@pytest.fixture(scope="module")
def trained(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("run")
    train_narrator(
        bundle_path,
        work,
        settings=SETTINGS,
        shape=SHAPE,
        encoder=HashEncoder(),
        cache_dir=work,
        say=lambda _: None,
    )
    return work


def test_it_learns_to_read_its_soft_tokens(trained: Path) -> None:
    held_out = json.loads((trained / "narrator" / "training.json").read_text())["held_out"]
    assert held_out["swap_gap"] > 0.3
    assert held_out["noun"] > 0.6  # a guess among five kinds would reach 0.2


def test_the_log_keeps_loss_and_rate(trained: Path) -> None:
    lines = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < losses[0]


def test_a_stopped_run_goes_on_where_it_was(bundle_path: Path, trained: Path, tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / CHECKPOINT).write_bytes((trained / CHECKPOINT).read_bytes())
    (tmp_path / "narrator").mkdir()
    (tmp_path / "narrator" / "tokenizer.json").write_text(
        (trained / "narrator" / "tokenizer.json").read_text()
    )
    again = train_narrator(
        bundle_path, tmp_path, settings=SETTINGS, shape=SHAPE, encoder=HashEncoder(), cache_dir=tmp_path,
        say=said.append,
    )  # fmt: skip
    assert not any("prefit_step" in line for line in said)
    assert (again / "model.safetensors").read_bytes() == (
        trained / "narrator" / "model.safetensors"
    ).read_bytes()


def without_last_mark(narrator: Path, copy: Path) -> Path:
    """``copy``: the narrator as it would be had its last mark not been thought of."""
    shutil.copytree(narrator, copy)
    told = json.loads((copy / "tokenizer.json").read_text())
    assert told["added_tokens"].pop()["content"] == MARKUP[-1]
    (copy / "tokenizer.json").write_text(json.dumps(told))
    state = load_file(str(copy / "model.safetensors"))
    state["model.embed_tokens.weight"] = state["model.embed_tokens.weight"][:-1].contiguous()
    save_file(state, str(copy / "model.safetensors"), metadata={"format": "pt"})
    return copy


def test_a_trained_narrator_goes_on_and_learns_new_marks(
    bundle_path: Path, trained: Path, tmp_path: Path
) -> None:
    start = without_last_mark(trained / "narrator", tmp_path / "start")
    further = train_narrator(
        bundle_path, tmp_path / "run", settings=replace(SETTINGS, n_positions=1), start=start,
        encoder=HashEncoder(), cache_dir=tmp_path, say=lambda _: None,
    )  # fmt: skip
    training, before = (json.loads((f / "training.json").read_text()) for f in (further, start))
    assert training["shape"] == before["shape"]  # as it was, whatever shape is asked for
    assert before["n_positions"] < training["n_positions"] < before["n_positions"] + 1000
    assert training["held_out"]["noun"] > 0.6  # a step from where it was, not from nothing
    assert f"{training['n_positions']:,} positions in all" in (further / "README.md").read_text()
    tokenizer = NarratorTokenizer.load(further / "tokenizer.json")
    assert tokenizer.n_vocab == training["shape"]["n_vocab"]
    assert (
        tokenizer.decode(tokenizer.encode(f"the {MARKUP[-1]} [1] kettle")) == f"the {MARKUP[-1]} [1] kettle"
    )


@pytest.mark.parametrize("broken", ["training.json", "model.safetensors", "adapter.safetensors"])
def test_what_cannot_be_gone_on_from_is_named(
    bundle_path: Path, trained: Path, tmp_path: Path, broken: str
) -> None:
    shutil.copytree(trained / "narrator", tmp_path / "start")
    (tmp_path / "start" / broken).write_bytes(b"{}")
    with pytest.raises(ModelError, match=str(tmp_path / "start")):
        train_narrator(
            bundle_path, tmp_path / "run", settings=replace(SETTINGS, n_positions=1), encoder=HashEncoder(),
            start=tmp_path / "start", cache_dir=tmp_path, say=lambda _: None,
        )  # fmt: skip


def test_what_is_written_gives_the_same_soft_tokens(bundle_path: Path, trained: Path) -> None:
    tokenizer = NarratorTokenizer.load(trained / "narrator" / "tokenizer.json")
    student = Student(replace(SHAPE, n_vocab=tokenizer.n_vocab), tokenizer)
    student.load_state_dict(torch.load(trained / CHECKPOINT, weights_only=True)["student"])
    served = SoftTokens.load(trained / "narrator" / "adapter.safetensors")
    rows = np.random.default_rng(0).standard_normal((3, 512)).astype(np.float32)
    positions = np.asarray([1, 2, 0])
    with torch.inference_mode():
        _, expected = student.soft_rows(torch.from_numpy(rows), torch.from_numpy(positions))
    np.testing.assert_allclose(served(rows, positions), expected.numpy(), atol=5e-3)


def test_real_products_and_a_causal_adapter(bundle_path: Path, tmp_path: Path) -> None:
    build_bundle(
        write_store(tmp_path / "store", narratives=False),
        tmp_path / "real",
        encoder=HashEncoder(),
        narrator=tmp_path / "none",
    )
    settings = replace(
        SETTINGS,
        adapter="causal",
        n_positions=1_500,
        prefit_steps=3,
        real_share=0.5,
        checkpoint_s=0.0,
        report_s=0.0,
    )
    said: list[str] = []
    folder = train_narrator(
        bundle_path,
        tmp_path / "run",
        settings=settings,
        shape=SHAPE,
        real_bundle=tmp_path / "real",
        encoder=HashEncoder(),
        cache_dir=tmp_path,
        say=said.append,
    )
    assert sum("held_out" in line for line in said) > 1  # on the way, and at the end
    soft = SoftTokens.load(folder / "adapter.safetensors")
    rows = np.random.default_rng(0).standard_normal((2, 512)).astype(np.float32)
    alone, after_another = soft(rows[1:], np.asarray([2])), soft(rows, np.asarray([1, 2]))
    assert np.abs(alone[0] - after_another[1]).max() > 1e-4


def test_splits_share_no_user_and_examples_keep_to_theirs(
    bundle_path: Path, trained: Path, tmp_path: Path
) -> None:
    bundle = Bundle.open(bundle_path)
    tokenizer = NarratorTokenizer.load(trained / "narrator" / "tokenizer.json")
    train = frozenset(bundle.splits["train"])
    assert not train & set(bundle.splits["test"])
    material = gather(
        bundle, None, tokenizer, HashEncoder(), max_users=None, cache_dir=tmp_path, say=lambda _: None
    )
    assert {e.user_id for e in material.examples} <= train
    assert material.valid and {e.user_id for e in material.valid} <= set(bundle.splits["valid"])


def test_titles_and_endorsements_are_drawn_oftener_than_they_come(bundle_path: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(bundle_path)
    tokenizer = NarratorTokenizer.train(["a kettle"], 512)
    material = gather(
        bundle, None, tokenizer, HashEncoder(), max_users=None, cache_dir=tmp_path, say=lambda line: None
    )
    tasks = ("user_profile", "purchase_reason", "product_endorsement")
    examples = [replace(material.examples[k], task=task) for k, task in enumerate(tasks)]
    settings = replace(SETTINGS, reading_share=0.0, content_only=0.0, cf_only=0.0, blind_target=0.0)
    drawn = draw(replace(material, examples=examples), tokenizer, settings, random.Random(0))
    counts = Counter(example.task for _, example, _ in itertools.islice(drawn, 7 * 10))
    assert counts == {"user_profile": 40, "purchase_reason": 10, "product_endorsement": 20}


def test_items_of_whole_shoppers_are_held_out(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", name="wide", format="test") as store:
        for n in range(200):
            store.add_item(Item(f"i{n}", f"Plain {KINDS[n % 5]} {n}"))
        for u in range(30):
            bought = [f"i{(6 * u + t) % 200}" for t in range(6)]
            store.add_interactions([Interaction(f"u{u}", i, 1000 + t) for t, i in enumerate(bought)])
    build_bundle(tmp_path / "store", tmp_path / "b", encoder=HashEncoder(), narrator=tmp_path / "none")
    bundle = Bundle.open(tmp_path / "b")
    held_out = items_held_out(bundle)
    whole = [
        user_id
        for user_id in bundle.splits["test"]
        if {purchase.item_id for purchase in bundle.store.history(user_id)} <= held_out
    ]
    assert whole and 0 < len(held_out) <= 30


def test_a_store_without_narratives_is_refused(tmp_path: Path) -> None:
    build_bundle(
        write_store(tmp_path / "s", narratives=False),
        tmp_path / "b",
        encoder=HashEncoder(),
        narrator=tmp_path,
    )
    with pytest.raises(InputError, match="no narratives"):
        train_narrator(
            tmp_path / "b", tmp_path / "run", settings=SETTINGS, encoder=HashEncoder(), cache_dir=tmp_path
        )


def test_orthogonal_has_singular_values_near_one() -> None:
    matrix = torch.randn(40, 16, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonal(matrix))
    assert values.min() > 0.5 and values.max() < 1.5
