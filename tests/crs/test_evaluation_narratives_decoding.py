from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from crs.narrator.evidence import Evidence
from crs.narrator.tokenizer import NarratorTokenizer
from crs.training.batches import collate
from crs.training.decoding import Asked, sample
from crs.training.examples import Example, Shelf
from crs.training.student import Shape, Student
from knowledge.store import Store

SHAPE = Shape(hidden=64, n_layers=2, n_heads=1, n_kv_heads=1, ff=96)


@pytest.fixture(scope="module")
def tokenizer() -> NarratorTokenizer:
    return NarratorTokenizer.train(
        ["The kettle boils tea, and the rake is for the garden of the house."] * 9, 380
    )


@pytest.fixture(scope="module", params=["mlp", "causal"])
def student(tokenizer: NarratorTokenizer, request: pytest.FixtureRequest) -> Student:
    torch.manual_seed(1)
    shape = replace(SHAPE, n_vocab=tokenizer.n_vocab)
    student = Student(shape, tokenizer, request.param)
    with torch.no_grad():  # wide enough that text wanders and attention matters
        for weight in student.llm.parameters():
            weight.mul_(4)
    return student


@pytest.fixture(scope="module")
def shelf(small_store: Store) -> Shelf:
    rng = np.random.default_rng(0)
    users = small_store.user_ids[:4]
    histories = {user_id: small_store.history(user_id) for user_id in users}
    content = {u: rng.standard_normal((len(h), 384)).astype(np.float16) / 20 for u, h in histories.items()}
    n_items = len(small_store.item_ids)
    items = rng.standard_normal((n_items, 384)).astype(np.float32) / 20
    factors = rng.standard_normal((n_items, 128)).astype(np.float32) / 11
    words = [np.zeros(1, np.int64)] * n_items
    return Shelf(small_store, histories, content, items, factors, words)


def asked_of(shelf: Shelf, tokenizer: NarratorTokenizer, max_tokens: int = 12) -> list[Asked]:
    """Prompts of different lengths, with and without a target."""
    asked = []
    for turn, user_id in enumerate(shelf.histories):
        prompt = np.asarray(tokenizer.ask("purchase_reason", {}, "tea " * turn), np.int32)
        example = Example(
            user_id, turn + 2, 3 if turn % 2 else -1, "purchase_reason", prompt, np.zeros(0, np.int32)
        )
        evidence = Evidence(shelf.items(user_id)[: turn + 2], "purchase_reason")
        asked.append(Asked(example, tokenizer.constraints(evidence), max_tokens))
    return asked


def test_greedy_text_is_what_the_whole_forward_pass_would_say(
    student: Student, tokenizer: NarratorTokenizer, shelf: Shelf
) -> None:
    """The oracle: without cache, padding or batch, every token is the likeliest that is allowed."""
    asked = asked_of(shelf, tokenizer)
    said = sample(student, tokenizer, shelf, asked, n_samples=1, temperature=0)
    for each, (reply,) in zip(asked, said, strict=True):
        whole = replace(each.example, reply=np.asarray([*reply, tokenizer.eos_id], np.int32))
        batch = collate([(shelf, whole, "fused")], bos_id=tokenizer.bos_id, pad_id=tokenizer.pad_id)
        with torch.inference_mode():
            student.eval()
            ids, places = torch.from_numpy(batch.ids), torch.from_numpy(batch.row_places)
            length = ids.shape[1]
            _, placed = student.soft_rows(
                torch.from_numpy(batch.rows), torch.from_numpy(batch.row_positions),
                (places // length, places % length - 1),
            )  # fmt: skip
            inputs = student.llm.model.embed_tokens(ids)
            inputs = inputs.reshape(-1, inputs.shape[-1]).index_copy(0, places, placed).view_as(inputs)
            hidden = student.llm.model(inputs_embeds=inputs, use_cache=False).last_hidden_state[0]
            logits = hidden[torch.from_numpy(batch.loss_places)] @ student.embedding.T
        logits = logits.clone()
        logits[:, sorted(each.constraints.banned)] = -torch.inf
        expected = logits.argmax(1).tolist()
        assert expected[: len(reply)] == reply
        assert len(reply) == 12 or expected[len(reply)] == tokenizer.eos_id


def test_samples_are_many_varied_and_the_same_by_seed(
    student: Student, tokenizer: NarratorTokenizer, shelf: Shelf
) -> None:
    asked = asked_of(shelf, tokenizer)
    seen: list[tuple[int, int]] = []
    said = sample(
        student,
        tokenizer,
        shelf,
        asked,
        n_samples=6,
        temperature=1.0,
        seed=3,
        progress=lambda *at: seen.append(at),
    )
    assert [len(replies) for replies in said] == [6] * 4
    assert seen[-1] == (4, 4)
    assert all(len({tuple(reply) for reply in replies}) > 1 for replies in said)
    assert said == sample(student, tokenizer, shelf, asked, n_samples=6, temperature=1.0, seed=3)
    assert said != sample(student, tokenizer, shelf, asked, n_samples=6, temperature=1.0, seed=4)


def test_nothing_banned_is_said_and_the_limit_holds(
    student: Student, tokenizer: NarratorTokenizer, shelf: Shelf
) -> None:
    asked = asked_of(shelf, tokenizer, max_tokens=5)
    for each, replies in zip(asked, sample(student, tokenizer, shelf, asked, n_samples=4), strict=True):
        assert all(len(reply) <= 5 and each.constraints.banned.isdisjoint(reply) for reply in replies)
        assert all(tokenizer.eos_id not in reply for reply in replies)


def test_a_narrow_nucleus_is_greedy(student: Student, tokenizer: NarratorTokenizer, shelf: Shelf) -> None:
    asked = asked_of(shelf, tokenizer)
    greedy = sample(student, tokenizer, shelf, asked, n_samples=1, temperature=0)
    assert sample(student, tokenizer, shelf, asked, n_samples=1, top_p=1e-6) == greedy
