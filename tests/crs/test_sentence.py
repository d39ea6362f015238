"""What the gate reads in a sentence: its mentions, their looks and nouns, and the skeleton."""

from __future__ import annotations

import pytest

from crs.narrator.evidence import Evidence, StoreWords, position_of, words_of
from crs.narrator.sentence import names_kind, read, sentences
from knowledge.types import Item

KETTLE = Item("a", "Kettle", kind="kettle", attributes={"colour": "Sage Green", "material": "steel"})
KNIFE = Item("b", "Sharp", kind="chef's knife", brand="Tarn & Wick")
TONER = Item("c", "HP 304XL Black Original Ink Cartridges, 2-Pack", "Prints 300 pages.")
EVIDENCE = Evidence(
    [KETTLE, KNIFE, TONER], "product_endorsement", KNIFE, words=StoreWords.of([KETTLE, KNIFE, TONER])
)


@pytest.mark.parametrize(
    ("text", "skeleton"),
    [
        ("They loved the sage green [1] kettle and the [2] chef's knife.", "They loved «0» and «1»."),
        ("A pair of [1] kettles, their trusty [2] chef's knife's edge.", "«0», «1»'s edge."),
        ("The steel sage green [1] kettle boils.", "«0» boils."),
        ("The Tarn [1] kettle.", "The Tarn «0»."),
        ("The [1] zither earned praise.", "«0» earned praise."),  # no noun of the store: one word is taken
        ("The [3] ink cartridges in black.", "«0» in black."),
        ("The [3] original ink cartridges print.", "«0» print."),
        ("The [3] earned praise.", "«0» earned praise."),
        ("[2][1] kettle, [9] thing", "«0»«1», «2»"),
        ("No “product” at all.", "No “product” at all."),
        ("A «7» of one's own, the [1] kettle.", 'A "7" of one\'s own, «0».'),
    ],
)
def test_the_skeleton_has_marks_for_mentions(text: str, skeleton: str) -> None:
    assert read(text, EVIDENCE).skeleton == skeleton


def test_a_mention_has_its_looks_and_its_noun() -> None:
    kettle, knife, nothing = read(
        "A steel grey [1] kettle by a [target] chef's knife, [4] oh.", EVIDENCE
    ).mentions
    assert (kettle.position, kettle.item, kettle.looks, kettle.noun) == (
        1,
        KETTLE,
        ("steel", "gray"),
        "kettle",
    )
    assert (knife.position, knife.item, knife.looks, knife.noun) == (0, KNIFE, (), "chef's knife")
    assert (nothing.position, nothing.item, nothing.noun, nothing.following) == (4, None, "", "oh")


def test_a_look_before_a_comma_belongs_to_something_else() -> None:
    assert read("They like steel, [1] kettle and all.", EVIDENCE).mentions[0].looks == ()


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("kettle", "kettle"),
        (" Kettles on the stove", "kettle"),
        ("kettle's lid", "kettle"),
        ("boxes of it", "box"),
        ("box", "boxes"),
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


def test_a_text_is_split_into_its_sentences() -> None:
    text = 'It cost $34.99. “Why not?” she asked. "Tea!" The [1] kettle? [2] it is.'
    assert sentences(text) == [
        "It cost $34.99.",
        "“Why not?” she asked.",
        '"Tea!"',
        "The [1] kettle?",
        "[2] it is.",
    ]
    assert sentences("") == []


def test_pointers_and_places() -> None:
    assert [position_of(pointer) for pointer in ("[12]", "[target]")] == [12, 0]
    assert EVIDENCE.item_of("[0]") is None and EVIDENCE.item_of("[4]") is None
    assert EVIDENCE.item_of("[target]") == KNIFE and EVIDENCE.stars_at(1) is None


def test_words_have_one_spelling() -> None:
    assert words_of("A grey, 1.7-l Chef's COLOUR!") == ["a", "gray", "1.7-l", "chef's", "color"]


def test_the_stores_words_are_filed() -> None:
    item = Item(
        "d", "D", brand="Tarn & Wick", department="Kitchen", kind="mug", features=("keeps tea warm", "x")
    )
    words = StoreWords.of([item, KETTLE, Item("e", "E", brand="generic"), Item("f", "F", brand="Tarn")])
    assert words.brands == {"Tarn": ("Tarn & Wick", "Tarn")}
    assert words.features == {("keeps", "tea"): ("keeps tea warm",)}
    assert words.looks["sage green"] == {"color"} and {"mug", "mugs", "kettles"} <= words.nouns
    assert words.departments["kitchenware"] == words.departments["kitchen"] == "Kitchen"
    assert "gardening gear" not in words.departments
