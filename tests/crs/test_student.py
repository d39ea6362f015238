"""The narrator while it learns: what its soft rows see, what its losses are, what it writes and reports."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from crs.adapter import AdapterKind, SoftTokens
from crs.narrator.tokenizer import NarratorTokenizer
from crs.training.batches import collate
from crs.training.examples import (
    Example,
    Shelf,
    description,
    narrative_examples,
    reading_examples,
)
from crs.training.muon import Muon
from crs.training.reading import reading_report
from crs.training.student import Shape, Student
from crs.training.words import item_words
from knowledge.store import Store
from knowledge.types import Interaction, Item
from tests.conftest import WordEncoder

KINDS = get_args(AdapterKind)


@pytest.fixture(scope="module")
def tokenizer() -> NarratorTokenizer:
    words = "kettle teapot whisk skillet ladle mug trowel rake hose planter shears gloves. "
    return NarratorTokenizer.train([words + "Buys the things of one room."] * 20, n_vocab=450)


@pytest.fixture(scope="module")
def shelf(small_store: Store, tokenizer: NarratorTokenizer) -> Shelf:
    rng = np.random.default_rng(0)
    n_items = len(small_store.item_ids)
    encoder = WordEncoder()
    content = encoder.encode([item.title for item in small_store.items.values()])
    index = small_store.item_index
    return Shelf(
        small_store,
        {u: small_store.history(u) for u in small_store.user_ids},
        {
            u: content[[index[i.item_id] for i in small_store.history(u)]].astype(np.float16)
            for u in small_store.user_ids
        },
        content,
        rng.standard_normal((n_items, 128)).astype(np.float32) / 11,
        [item_words(tokenizer, item) for item in small_store.items.values()],
    )


def student(tokenizer: NarratorTokenizer, adapter: AdapterKind = "mlp") -> Student:
    torch.manual_seed(0)
    shape = Shape(hidden=64, n_layers=1, n_heads=1, n_kv_heads=1, ff=64, context=128)
    return Student(replace(shape, n_vocab=tokenizer.n_vocab), tokenizer, adapter)


def examples(shelf: Shelf, tokenizer: NarratorTokenizer) -> list[Example]:
    """Histories of several lengths, one of them with a target."""
    told = narrative_examples(shelf, tokenizer, shelf.store.narratives())
    return [replace(told[0], n_history=2), replace(told[1], target_row=4), told[2]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_reads_each_history_as_it_will_be_served(
    kind: AdapterKind, shelf: Shelf, tokenizer: NarratorTokenizer, tmp_path: Path
) -> None:
    learner = student(tokenizer, kind).eval()
    drawn = examples(shelf, tokenizer)
    batch = collate([(shelf, e, "fused") for e in drawn], bos_id=tokenizer.bos_id, pad_id=tokenizer.pad_id)
    length = batch.ids.shape[1]
    places = torch.from_numpy(batch.row_places)
    with torch.inference_mode():
        _, placed = learner.soft_rows(
            torch.from_numpy(batch.rows),
            torch.from_numpy(batch.row_positions),
            (places // length, places % length - 1),
        )
    learner.save(tmp_path)
    served = SoftTokens.load(tmp_path / "adapter.safetensors")
    start = 0
    for each in drawn:
        positions = np.asarray([*range(1, each.n_history + 1), *([0] if each.target_row >= 0 else [])])
        expected = served(shelf.rows(each), positions)
        np.testing.assert_allclose(placed[start : start + each.n_soft].numpy(), expected, atol=2e-3)
        start += each.n_soft
    assert start == len(placed)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_those_of_each_example_alone(
    kind: AdapterKind, shelf: Shelf, tokenizer: NarratorTokenizer
) -> None:
    learner = student(tokenizer, kind).eval()
    drawn = examples(shelf, tokenizer)
    lay_out = {"bos_id": tokenizer.bos_id, "pad_id": tokenizer.pad_id}
    with torch.inference_mode():
        together, greedy, _ = learner.token_losses(collate([(shelf, e, "fused") for e in drawn], **lay_out))
        alone = [learner.token_losses(collate([(shelf, e, "fused")], **lay_out)) for e in drawn]
    torch.testing.assert_close(together, torch.cat([losses for losses, _, _ in alone]), atol=1e-4, rtol=1e-4)
    assert greedy.tolist() == [token for _, own, _ in alone for token in own.tolist()]
    assert together.shape == (sum(len(each.reply) for each in drawn),)


def test_the_word_loss_is_the_mean_over_rows_and_words(tokenizer: NarratorTokenizer) -> None:
    learner = student(tokenizer)
    soft = torch.randn(3, 64)
    words = [np.asarray([5, 9]), np.asarray([7]), np.asarray([], dtype=np.int64)]
    log_probs = torch.log_softmax(soft @ learner.embedding.T, dim=-1)
    by_hand = -((log_probs[0, 5] + log_probs[0, 9]) / 2 + log_probs[1, 7]) / 3
    torch.testing.assert_close(learner.word_loss(soft, words), by_hand)


def test_what_is_saved_is_a_narrator_folder(tokenizer: NarratorTokenizer, tmp_path: Path) -> None:
    from transformers import LlamaForCausalLM

    learner = student(tokenizer)
    learner.save(tmp_path / "narrator")
    config = json.loads((tmp_path / "narrator" / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"] and config["head_dim"] == 64
    assert config["bos_token_id"] == tokenizer.bos_id and config["eos_token_id"] == tokenizer.eos_id
    loaded = LlamaForCausalLM.from_pretrained(tmp_path / "narrator", local_files_only=True).float().eval()
    ids = torch.tensor([tokenizer.encode("the kettle")])
    with torch.inference_mode():
        expected = learner.eval().llm(ids).logits
        torch.testing.assert_close(loaded(ids).logits, expected, atol=2e-2, rtol=2e-2)


def test_the_report_sees_whether_rows_are_read(shelf: Shelf, tokenizer: NarratorTokenizer) -> None:
    drawn = [
        replace(each, reply=each.reply[: 2 + i % 9])  # one text for all would only be shuffled by a swap
        for i, each in enumerate(narrative_examples(shelf, tokenizer, shelf.store.narratives()))
    ]
    learner = student(tokenizer)
    report = reading_report(learner, shelf, drawn, tokenizer, limit=10)
    assert report["n"] == 10 and 0 <= report["noun"] <= 1
    assert report["swap_gap"] != 0
    assert report["loss_user_summary_brief"] == report["loss"]
    with torch.no_grad():
        learner.adapter.get_parameter("output_scale").zero_()  # one who sees places, but nothing there
    assert reading_report(learner, shelf, drawn, tokenizer, limit=10)["swap_gap"] == 0
    assert learner.training


def test_attention_starts_out_at_what_is_alike(tokenizer: NarratorTokenizer) -> None:
    """A pointer finds the soft row that bears its embedding among rows that bear others'."""
    torch.manual_seed(0)
    shape = Shape(hidden=256, n_layers=2, n_heads=4, n_kv_heads=2, ff=64, context=128)
    learner = Student(replace(shape, n_vocab=tokenizer.n_vocab), tokenizer)
    learner.balance()
    learner.llm.set_attn_implementation("eager")
    places = learner.embedding[learner.pointer_ids[1:21]]
    rows = places + places.std() * torch.randn_like(places)
    for k in (2, 9, 17):
        with torch.no_grad():
            seen = learner.llm.model(
                inputs_embeds=torch.cat([rows, places[k : k + 1]])[None], output_attentions=True
            ).attentions[0]
        heads = seen[0, :: shape.n_heads // shape.n_kv_heads, -1, :20]  # those that share a key's weights
        assert heads.mean(dim=0).argmax() == k


def test_speech_starts_from_quiet_logits_and_loud_pointers(tokenizer: NarratorTokenizer) -> None:
    learner = student(tokenizer)
    with torch.no_grad():
        learner.embedding.mul_(30)  # as the pre-fit leaves them
        learner.adapter.get_parameter("output_scale").fill_(0.7)
        learner.balance()
        hidden = learner.llm.model(input_ids=torch.arange(60)[None], use_cache=False).last_hidden_state
        logits = hidden @ learner.embedding.T
        loudness = float(learner.embedding[learner.pointer_ids].std())
    assert float(logits.std()) < 1.0
    assert loudness == pytest.approx(0.7, rel=0.05)


def test_the_target_is_not_swapped(shelf: Shelf, tokenizer: NarratorTokenizer) -> None:
    told = narrative_examples(shelf, tokenizer, shelf.store.narratives())
    first_purchases = [replace(each, n_history=0, target_row=i) for i, each in enumerate(told)]
    assert reading_report(student(tokenizer), shelf, first_purchases, tokenizer, limit=8)["swap_gap"] == 0


def test_reading_practice_names_or_describes(shelf: Shelf, tokenizer: NarratorTokenizer) -> None:
    drawn = reading_examples(shelf, tokenizer, random.Random(0))
    n_listed = 0
    for _ in range(60):
        each = next(drawn)
        items = [shelf.store.items[i.item_id] for i in shelf.store.history(each.user_id)[: each.n_history]]
        reply = tokenizer.decode(each.reply.tolist())
        assert each.reply[-1] == tokenizer.eos_id and each.prompt[-1] == tokenizer.say_id
        first = next(k for k in range(1, 51) if tokenizer.pointer_id(k) == each.prompt[1])
        assert reply.startswith(f"[{first}] {items[first - 1].kind}")
        if ";" not in reply:
            expected = [f"[{k}] {items[k - 1].kind}" for k in range(first, len(items) + 1)]
            assert reply == " ".join(expected)
            n_listed += 1
    assert 0 < n_listed < 60


def test_narratives_that_cannot_be_told_are_left_out(shelf: Shelf, tokenizer: NarratorTokenizer) -> None:
    told = next(iter(shelf.store.narratives()))
    odd = [
        told,
        replace(told, n_history=51),
        replace(told, target_id="tape"),
        replace(told, task="purchase_reason"),
        replace(told, task="purchase_reason", target_id="tape"),
        replace(told, user_id="another"),
    ]
    kept = narrative_examples(shelf.of(["u00"]), tokenizer, odd)
    assert [(each.task, each.target_row >= 0) for each in kept] == [
        ("user_summary_brief", False),
        ("purchase_reason", True),
    ]


def test_a_target_may_be_seen_by_its_cf_alone(shelf: Shelf, tokenizer: NarratorTokenizer) -> None:
    told = replace(next(iter(shelf.store.narratives())), task="purchase_reason", target_id="tape")
    (example,) = narrative_examples(shelf, tokenizer, [told])
    blind = example.seen_by_cf()
    rows, seen = shelf.rows(blind), shelf.rows(example)
    np.testing.assert_array_equal(rows[:-1], seen[:-1])
    np.testing.assert_array_equal(rows[-1, :128], seen[-1, :128])
    assert not rows[-1, 128:].any() and seen[-1, 128:].any()
    assert "[noun]" not in tokenizer.decode(blind.prompt.tolist())
    assert "[noun]" in tokenizer.decode(example.prompt.tolist())
    (about_nobody,) = narrative_examples(shelf, tokenizer, [next(iter(shelf.store.narratives()))])
    assert about_nobody.seen_by_cf() is about_nobody


@pytest.mark.parametrize(
    ("item", "interaction", "said"),
    [
        (Item("a", "Big mug", kind="mug"), Interaction("u", "a", 0, rating=5.0, review="Ah"), "mug; loved"),
        (Item("a", "Big mug", kind="mug"), Interaction("u", "a", 0, rating=5.0), "mug"),
        (Item("a", "Mug, red"), Interaction("u", "a", 0, rating=2.8, review="Oh"), "mug; Mug, red; lukewarm"),
        (
            Item("a", "Mug", kind="mug", attributes={"color": "blue", "size": ""}, features=("deep", "wide")),
            Interaction("u", "a", 0),
            "mug; blue; deep",
        ),
    ],
)  # fmt: skip
def test_a_description_is_what_the_rows_can_tell(item: Item, interaction: Interaction, said: str) -> None:
    assert description(item, interaction) == said


def test_muon_moves_only_what_has_a_gradient() -> None:
    moved, kept = (torch.nn.Parameter(torch.eye(4)[:, :2].clone()) for _ in range(2))
    optimizer = Muon([moved, kept], lr=0.1, weight_decay=0.0)
    (moved * torch.randn(4, 2, generator=torch.Generator().manual_seed(0))).sum().backward()  # type: ignore[no-untyped-call]
    before = moved.detach().clone()
    optimizer.step()
    assert torch.equal(kept, torch.eye(4)[:, :2])
    # The step is near orthogonal, lr long, and longer by sqrt(rows / columns) for a tall matrix.
    steps = torch.linalg.svdvals(before - moved.detach()) / (0.1 * 2**0.5)
    assert steps.min() > 0.5 and steps.max() < 1.5
