"""Budgets, vocabulary, exclusions and slips, one message at a time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from fake_shop import FakeShop

from agents.filters import read_wish
from agents.introductions import parse_introduction
from agents.lexicon import Lexicon
from agents.parse_constraints import parse_constraints
from agents.plan import Stated, Wishes
from agents.words import edit_distance, in_digits, normalise, singular
from knowledge.types import Constraints, Item

VOCABULARY = SimpleNamespace(
    brands=("Acme", "Fern & Finch", "Brookline", "O'Dell"),
    colors=("red", "slate blue", "ink blue", "grey"),
    departments=("Kitchen & Dining", "Garden", "Office"),
    kinds=(
        "kettle",
        "gel pen",
        "fountain pen",
        "tent",
        "kitchen knife",
        "headphones",
        "watering can",
        "scarf",
    ),
)


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon(VOCABULARY, {"plastic", "leather", "steel", "house"})  # type: ignore[arg-type]


def wishes_of(text: str, lexicon: Lexicon) -> Wishes:
    return parse_constraints(lexicon.correct(text), lexicon)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a red kettle", {"colors": ("red",), "kinds": ("kettle",)}),
        ("kettles by fern and finch", {"brands": ("fern & finch",), "kinds": ("kettle",)}),
        ("O'Dell knives", {"brands": ("o'dell",), "kinds": ("kitchen knife",)}),
        ("scarves in gray", {"colors": ("grey",), "kinds": ("scarf",)}),
        ("something blue", {"colors": ("blue",)}),
        ("slate blue pens", {"colors": ("slate blue",), "kinds": ("pen",)}),
        ("for the kitchen", {"departments": ("kitchen & dining",)}),
        ("a tent for the garden", {"kinds": ("tent",), "words": "garden"}),
        ("a tent for camping with kids", {"kinds": ("tent",), "words": "camping kids"}),
        ("can you find a kettle", {"kinds": ("kettle",)}),
        ("not Acme", {"not_brands": ("acme",)}),
        ("anything but red", {"not_colors": ("red",)}),
        ("pens, but not fountain pens", {"kinds": ("pen",), "not_kinds": ("fountain pen",)}),
        ("except kettles and tents", {"not_kinds": ("kettle", "tent")}),
        ("not red, grey or slate blue", {"not_colors": ("red", "grey", "slate blue")}),
        ("not red, grey please", {"not_colors": ("red",), "colors": ("grey",)}),
        ("not Acme, a red one", {"not_brands": ("acme",), "colors": ("red",)}),
        ("nothing but red", {"colors": ("red",)}),
        ("I already have a kettle, show me a tent", {"not_kinds": ("kettle",), "kinds": ("tent",)}),
        ("a kettle, not sure about red", {"kinds": ("kettle",), "colors": ("red",)}),
        ("no hurry, a kettle", {"kinds": ("kettle",)}),
        (
            "a kettle under 40, red, not Acme",
            {"max_price": 40.0, "kinds": ("kettle",), "colors": ("red",), "not_brands": ("acme",)},
        ),
    ],
)  # fmt: skip
def test_wishes(text: str, expected: dict[str, Any], lexicon: Lexicon) -> None:
    assert wishes_of(text, lexicon).constraints == Constraints(**expected)


@pytest.mark.parametrize(
    ("text", "avoid"),
    [
        ("no plastic", ("plastic",)),
        ("a kettle without leather or plastic", ("leather", "plastic")),
        ("plastic-free", ("plastic",)),
        ("no nonsense", ()),  # the store's listings do not know the word
    ],
)
def test_words_to_avoid(text: str, avoid: tuple[str, ...], lexicon: Lexicon) -> None:
    assert wishes_of(text, lexicon).avoid == avoid


@pytest.mark.parametrize(
    ("slip", "meant"),
    [("kettel", "kettle"), ("headfones", "headphone"), ("foutain", "fountain"), ("recomend", "recommend")],
)
def test_slips_are_mended(slip: str, meant: str, lexicon: Lexicon) -> None:
    assert lexicon.correct(slip) == meant


@pytest.mark.parametrize("word", ["house", "least", "tents", "test", "tint", "settle", "pens"])
def test_real_words_are_left_alone(word: str, lexicon: Lexicon) -> None:
    assert lexicon.correct(word) == word


def test_short_forms_are_spelt_out(lexicon: Lexicon) -> None:
    said = Constraints(kinds=("pen", "kettle"), not_colors=("blue",), departments=("garden",))
    assert lexicon.spell_out(said) == Constraints(
        kinds=("gel pen", "fountain pen", "kettle"),
        not_colors=("slate blue", "ink blue"),
        departments=("garden",),
    )


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("I own a tent and I like gardening", [("tent", None), ("gardening", 4.0)]),
        ("I bought a kettle and love it", [("kettle", 5.0)]),
        (
            "I have a dog, a cat and enjoy hiking; I hate cleaning",
            [("dog", None), ("cat", None), ("hiking", 4.0), ("cleaning", 1.0)],
        ),
        ("my hobbies are painting and chess", [("painting", 4.0), ("chess", 4.0)]),
        ("I used to own a blender and it was awful", [("blender", 1.0)]),
        ("I own a bike. What should I get?", [("bike", None)]),
        ("I'm new here", []),
        ("", []),
    ],
)  # fmt: skip
def test_introductions(text: str, stated: list[tuple[str, float | None]]) -> None:
    assert parse_introduction(normalise(text)) == tuple(Stated(*each) for each in stated)


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("kettles", "kettle"), ("knives", "knife"), ("gloves", "glove"), ("brushes", "brush"),
        ("boxes", "box"), ("batteries", "battery"), ("glass", "glass"), ("bus", "bus"), ("pen", "pen"),
    ],
)  # fmt: skip
def test_singular(plural: str, one: str) -> None:
    assert singular(plural) == one


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [
        ("kettle", "kettle", 0), ("kettel", "kettle", 1), ("kettl", "kettle", 1), ("kitten", "sitting", 3),
        ("a", "abcd", 3),
    ],
)  # fmt: skip
def test_edit_distance_against_known_ones(left: str, right: str, distance: int) -> None:
    assert edit_distance(left, right, limit=5) == distance
    assert edit_distance(left, right, limit=0) == min(distance, 1)


def test_small_numbers_stay_words_unless_they_are_money() -> None:
    assert in_digits("the second one, not this one") == "the second one, not this one"
    assert in_digits("one dollar and twenty-five cents, ninety nine") == "1 dollar and 25 cents, 99"


def test_a_wish_alone_becomes_filters() -> None:
    shop = FakeShop()
    assert read_wish("blue kettles under $50, no plastic", shop.items, shop.vocabulary) == Constraints(
        max_price=50, colors=("ink blue", "slate blue"), kinds=("kettle",), exclude_ids=("i2",)
    )
    assert read_wish("a cheap tent", shop.items, shop.vocabulary).max_price == 129


def test_no_figure_for_cheap_in_a_store_without_prices() -> None:
    unpriced = {"a": Item("a", "Plain tape", kind="tape")}
    vocabulary = SimpleNamespace(brands=(), colors=(), departments=(), kinds=("tape",))
    wanted = read_wish("cheap tape", unpriced, vocabulary)  # type: ignore[arg-type]
    assert wanted == Constraints(kinds=("tape",))
