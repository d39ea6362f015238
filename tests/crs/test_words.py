"""The words that a soft token is to tell."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from crs.narrator.tokenizer import NarratorTokenizer
from crs.training.words import N_LISTED, N_TOLD, item_words, soft_words, told_words
from knowledge.store import Store
from knowledge.types import Item, Narrative


@pytest.fixture(scope="module")
def tokenizer() -> NarratorTokenizer:
    return NarratorTokenizer.train(
        ["They bought it for the rowing club and for the garden."] * 20, n_vocab=470
    )


def narrative(target_id: str | None, text: str) -> Narrative:
    return Narrative("u", "purchase_reason", text, 1, target_id)


def test_words_of_a_listing_come_once_and_are_not_endless(tokenizer: NarratorTokenizer) -> None:
    words = item_words(
        tokenizer, Item("a", "garden garden rowing " + "club bought they " * 40, kind="garden")
    )
    assert len(set(words.tolist())) == len(words) <= N_LISTED


def test_what_texts_on_an_item_say_more_often_than_others_is_told(tokenizer: NarratorTokenizer) -> None:
    texts = [narrative("a", "They bought it for the rowing club.") for _ in range(3)]
    texts += [narrative(f"b{i}", "They bought it for the garden.") for i in range(30)]
    told = told_words(tokenizer, texts)
    assert {token for word in (" rowing", " club") for token in tokenizer.encode(word)} == set(told["a"])
    assert all(not told[f"b{i}"] for i in range(30))


def test_one_text_is_chance(tokenizer: NarratorTokenizer) -> None:
    texts = [narrative("a", "They bought it for the rowing club.")]
    texts += [narrative(f"b{i}", "They bought it for the garden.") for i in range(30)]
    assert told_words(tokenizer, texts)["a"] == []


def test_texts_without_a_target_tell_of_no_item(tokenizer: NarratorTokenizer) -> None:
    assert told_words(tokenizer, [narrative(None, "They row.")] * 9) == {}


def test_told_words_weigh_as_much_as_the_listing(small_store: Store, tokenizer: NarratorTokenizer) -> None:
    first, *others = small_store.items
    texts = [narrative(first, "They bought it for the rowing club.") for _ in range(4)]
    texts += [narrative(other, "They bought it for the garden.") for other in others for _ in range(9)]
    own, *rest = soft_words(tokenizer, small_store, texts)
    listed = item_words(tokenizer, small_store.items[first])
    assert own[: len(listed)].tolist() == listed.tolist()
    told = Counter(own[len(listed) :].tolist())
    assert 0 < len(told) <= N_TOLD and not set(told) & set(listed.tolist())
    assert sum(told.values()) == len(listed) and max(told.values()) - min(told.values()) <= 1
    for words, item_id in zip(rest, others, strict=True):
        assert np.array_equal(words, item_words(tokenizer, small_store.items[item_id]))
