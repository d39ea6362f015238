"""The sentence gate: a noun after a pointer must be the kind of what is pointed at."""

from __future__ import annotations

import pytest

from crs.narrator.gate import names_kind, resolver, wrong_nouns, wrong_prices
from knowledge.store import Store
from knowledge.types import Item

KETTLE, KNIFE = Item("a", "Copper kettle", kind="kettle"), Item("b", "Sharp", kind="chef's knife")
UNKNOWN = Item("c", "Something plain")
item_of = resolver([KETTLE, KNIFE, UNKNOWN], Item("t", "Mat", kind="Yoga mat"))


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("kettle", "kettle"),
        (" Kettles on the stove", "kettle"),
        ("kettle's lid", "kettle"),
        ("boxes of it", "box"),
        ("brushes", "brush"),
        ("berries", "berry"),
        ("berry", "berries"),
        ("knives", "knife"),
        ("shelves", "shelf"),
        ("glove", "gloves"),
        ("garden glove", "Garden Gloves"),
        ("chef's knives", "chef's knife"),
        ("c++ guide", "c++ guide"),
    ],
)
def test_a_kind_is_named_in_singular_or_plural(words: str, kind: str) -> None:
    assert names_kind(words, kind)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("kettlebell", "kettle"),
        ("copper kettle", "kettle"),
        ("gloves", "garden gloves"),
        ("garden hose", "garden gloves"),
        ("", "kettle"),
        ("s", "s mug"),
    ],
)
def test_other_words_do_not_name_it(words: str, kind: str) -> None:
    assert not names_kind(words, kind)


@pytest.mark.parametrize(
    ("sentence", "wrong"),
    [
        ("The [1] kettle and the [2] chef's knife, then a [target] yoga mat.", []),
        ("The [1] teapot and the [2] chef's knife.", ["[1]"]),
        ("The [2] kettle boils; the [target] kettle does not.", ["[2]", "[target]"]),
        ("The [3] whatever it is.", []),
        ("The [1].", ["[1]"]),
        ("The [1][2] kettle.", ["[1]", "[2]"]),
        ("The [4] kettle, the [0] kettle.", ["[4]", "[0]"]),
        ("No product at all.", []),
    ],
)
def test_wrong_nouns_are_found_in_order(sentence: str, wrong: list[str]) -> None:
    assert wrong_nouns(sentence, item_of) == wrong


def test_without_a_target_its_pointer_is_wrong() -> None:
    assert wrong_nouns("A [target] mat.", resolver([KETTLE], None)) == ["[target]"]


def test_the_demo_narratives_pass(demo_store: Store) -> None:
    n_pointers = 0
    for narrative in demo_store.narratives():
        history = demo_store.history(narrative.user_id)[: narrative.n_history]
        target = demo_store.items[narrative.target_id] if narrative.target_id else None
        owned = [demo_store.items[purchase.item_id] for purchase in history]
        assert wrong_nouns(narrative.text, resolver(owned, target)) == [], narrative.text
        n_pointers += narrative.text.count("[")
    assert n_pointers > 200


@pytest.mark.parametrize(
    ("sentence", "wrong"),
    [
        ("At $34.99 it is a fair one.", []),
        ("For $35, or $34 on a good day.", []),
        ("All that for $34.95.", ["$34.95"]),
        ("$14 buys a lot, $36 more.", ["$14", "$36"]),
        ("$1,234.00 is a lot to spend.", ["$1,234.00"]),
        ("No price is named.", []),
    ],
)
def test_a_price_must_be_the_targets(sentence: str, wrong: list[str]) -> None:
    assert wrong_prices(sentence, Item("i", "Lamp", price=34.99)) == wrong


def test_a_price_without_a_listed_one_is_wrong() -> None:
    assert wrong_prices("It costs $9.", Item("i", "Lamp")) == ["$9"] == wrong_prices("It costs $9.", None)
