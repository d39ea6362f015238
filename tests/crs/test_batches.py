"""A batch is ``[bos][soft rows][prompt][reply]`` an example: who predicts what, and what is where."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from crs.fusion import FUSED_DIM
from crs.training.batches import POOL, Batch, by_length, collate
from crs.training.examples import Example, Shelf
from knowledge.store import Store
from knowledge.types import Signals

BOS, PAD = 1, 2
Drawn = tuple[Shelf, Example, Signals]


@pytest.fixture(scope="module")
def shelf(small_store: Store) -> Shelf:
    """Rows that tell where they come from; an item's words are its row and the next number."""
    rng = np.random.default_rng(0)
    n_items = len(small_store.item_ids)
    lengths = {user_id: len(small_store.history(user_id)) for user_id in small_store.user_ids}
    return Shelf(
        small_store,
        {user_id: small_store.history(user_id) for user_id in small_store.user_ids},
        {user_id: rng.random((n, 384)).astype(np.float16) for user_id, n in lengths.items()},
        rng.random((n_items, 384)).astype(np.float32),
        rng.random((n_items, 128)).astype(np.float32),
        [np.asarray([1000 + i, 1001 + i]) for i in range(n_items)],
    )


def example(user: str, n_history: int, target: int, n_prompt: int, n_reply: int, task: str = "t") -> Example:
    prompt, reply = np.arange(100, 100 + n_prompt), np.arange(200, 200 + n_reply)
    return Example(user, n_history, target, task, prompt.astype(np.int32), reply.astype(np.int32))


EXAMPLES = (
    example("u00", 6, -1, 2, 5, "summary"),
    example("u01", 3, 7, 4, 9, "reason"),
    example("u02", 0, 5, 3, 2, "reason"),  # the first purchase: nothing came before it
)


def lay_out(shelf: Shelf, *examples: Example, signals: Signals = "fused") -> Batch:
    return collate([(shelf, each, signals) for each in examples], bos_id=BOS, pad_id=PAD)


def test_the_places_that_learn_foresee_exactly_the_reply(shelf: Shelf) -> None:
    batch = lay_out(shelf, *EXAMPLES)
    flat = batch.ids.ravel()
    np.testing.assert_array_equal(flat[batch.loss_places + 1], batch.loss_ids)
    for b, each in enumerate(EXAMPLES):
        own = batch.loss_owner == b
        np.testing.assert_array_equal(batch.loss_ids[own], each.reply)
        # The first of them is the word to speak, the last id of the prompt.
        assert flat[batch.loss_places[own][0]] == each.prompt[-1]
        assert set(batch.loss_places[own] // batch.ids.shape[1]) == {b}


def test_each_example_is_bos_rows_prompt_reply_and_padding(shelf: Shelf) -> None:
    batch = lay_out(shelf, *EXAMPLES)
    assert batch.ids.shape == (3, max(len(each) for each in EXAMPLES))
    assert batch.tasks == ["summary", "reason", "reason"]
    for line, each in zip(batch.ids.tolist(), EXAMPLES, strict=True):
        expected = [BOS, *[PAD] * each.n_soft, *each.prompt.tolist(), *each.reply.tolist()]
        assert len(expected) == len(each)
        assert line == expected + [PAD] * (len(line) - len(each))


def test_rows_stand_in_their_places_in_order(shelf: Shelf) -> None:
    batch = lay_out(shelf, *EXAMPLES)
    length = batch.ids.shape[1]
    assert batch.row_positions.tolist() == [1, 2, 3, 4, 5, 6, 1, 2, 3, 0, 0]
    places = [*range(1, 7), *(length + np.arange(1, 5)).tolist(), 2 * length + 1]
    assert batch.row_places.tolist() == places
    np.testing.assert_array_equal(batch.rows, np.concatenate([shelf.rows(each) for each in EXAMPLES]))


def test_rows_are_cf_and_content_of_the_same_purchase(shelf: Shelf) -> None:
    rows = shelf.rows(EXAMPLES[1])
    history = shelf.store.history("u01")[:3]
    items = [*(shelf.store.item_index[purchase.item_id] for purchase in history), 7]
    assert rows.shape == (4, FUSED_DIM) and rows.dtype == np.float32
    np.testing.assert_array_equal(rows[:, :128], shelf.item_cf[items])
    np.testing.assert_array_equal(rows[:3, 128:], shelf.purchase_content["u01"][:3].astype(np.float32))
    np.testing.assert_array_equal(rows[3, 128:], shelf.item_content[7])  # no review of the target


def test_every_row_comes_with_its_items_words(shelf: Shelf) -> None:
    batch = lay_out(shelf, *EXAMPLES)
    assert len(batch.words) == len(batch.rows)
    for words, cf in zip(batch.words, batch.rows[:, :128], strict=True):
        item = int(words[0]) - 1000
        np.testing.assert_array_equal(cf, shelf.item_cf[item])


@pytest.mark.parametrize(
    ("signals", "cf", "content"), [("fused", True, True), ("cf", True, False), ("content", False, True)]
)
def test_muting_zeroes_the_other_half(shelf: Shelf, signals: Signals, cf: bool, content: bool) -> None:
    batch = lay_out(shelf, *EXAMPLES, signals=signals)
    assert (batch.rows[:, :128] != 0).all() if cf else not batch.rows[:, :128].any()
    assert (batch.rows[:, 128:] != 0).any() if content else not batch.rows[:, 128:].any()


def endless(shelf: Shelf, lengths: list[int]) -> Iterator[Drawn]:
    rng = random.Random(1)
    while True:
        yield shelf, example("u00", 1, -1, 1, rng.choice(lengths) - 3), "fused"


def test_groups_keep_to_the_budget(shelf: Shelf) -> None:
    budget = 64
    groups = by_length(endless(shelf, [4, 9, 15, 30, 64, 100]), budget, random.Random(2))
    sizes = []
    for _ in range(200):
        group = next(groups)
        longest = max(len(each) for _, each, _ in group)
        assert len(group) * longest <= budget or len(group) == 1
        sizes.append(len(group))
    assert max(sizes) == budget // 4


def test_groups_hold_every_example_once(shelf: Shelf) -> None:
    drawn: list[int] = []

    def noting() -> Iterator[Drawn]:
        for entry in endless(shelf, [5, 8, 13]):
            drawn.append(id(entry[1]))
            kept.append(entry)
            yield entry

    kept: list[Drawn] = []
    groups = by_length(noting(), 40, random.Random(3))
    seen: list[int] = []
    first = next(groups)
    n_pooled = len(drawn)
    seen += [id(each) for _, each, _ in first]
    while len(seen) < n_pooled:
        seen += [id(each) for _, each, _ in next(groups)]
    assert sorted(seen) == sorted(drawn)
    assert sum(len(each) for _, each, _ in kept) >= POOL * 40


def test_groups_come_in_random_order_of_length(shelf: Shelf) -> None:
    groups = by_length(endless(shelf, [4, 9, 15, 30]), 64, random.Random(4))
    lengths = [len(next(groups)[0][1]) for _ in range(30)]
    assert lengths != sorted(lengths) and lengths != sorted(lengths, reverse=True)
