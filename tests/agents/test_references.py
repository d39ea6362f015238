"""What words point at: cards, purchases, dates, names."""

from __future__ import annotations

import pytest
from fake_shop import HISTORIES, ITEMS

from agents.catalogue import Catalogue
from agents.plan import Reference
from agents.references import InSight, resolve, resolve_several, spelt_places
from agents.words import normalise

ANNA = HISTORIES["anna"]  # i1 kettle, i6 tent, i10 gel pens, i14 watering can, i11 fountain pen
CARDS = ("i2", "i5", "i12", "i9")  # electric kettle, coffee grinder, desk lamp, hammock


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue(ITEMS)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("the second one", ["i5"]),
        ("the 3rd", ["i12"]),
        ("number four", ["i9"]),
        ("#1", ["i2"]),
        ("the last one", ["i9"]),
        ("that last one", ["i9"]),
        ("the second to last", ["i12"]),
        ("last but one", ["i12"]),
        ("the penultimate one", ["i12"]),
        ("the middle one", ["i5"]),  # of four, the earlier of the two in the middle
        ("no. 2", ["i5"]),
        ("nr 3", ["i12"]),
        ("3 it is", ["i12"]),
        ("i'll take 2", ["i5"]),
        ("the second, my dishwasher is broken", ["i5"]),
        ("the first two", ["i2", "i5"]),
        ("the last two", ["i12", "i9"]),
        ("the first and the third", ["i2", "i12"]),
        ("number 2 and the last one", ["i5", "i9"]),
        ("the cheapest", ["i2"]),
        ("the cheaper of the first two", ["i2"]),
        ("the most expensive one", ["i5"]),
        ("the top pick", ["i2"]),
        ("it", ["i12"]),
        ("why this one", ["i12"]),
        ("that lamp", ["i12"]),
        ("the kettle", ["i2"]),
        ("my kettle", ["i1"]),
        ("the brookline one", ["i5"]),
        ("the tent", ["i6"]),  # no card, but a purchase
        ("the cat tree", ["i18"]),  # neither
        ("the spaceship", []),
    ],
)
def test_with_cards_on_the_screen(words: str, meant: list[str], catalogue: Catalogue) -> None:
    sight = InSight(CARDS, "i12", ANNA)
    assert resolve(Reference(normalise(words), owned=words.startswith("my ")), sight, catalogue) == meant


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("why did i buy my kettle", ["i1"]),
        ("my last purchase", ["i11"]),
        ("the first thing i bought", ["i1"]),
        ("my third order", ["i10"]),
        ("what i bought last spring", ["i14"]),  # before June 2021, the latest purchase
        ("what i bought in march 2020", ["i1"]),
        ("what i got in 2020", ["i10", "i6", "i1"]),
        ("the pen i bought in 2020", ["i10"]),
        ("what i ordered last year", ["i10", "i6", "i1"]),
        ("the thing i bought two months ago", ["i14"]),
        ("what i bought last winter", []),
        ("what i bought this month", ["i11"]),
        ("the thing i bought last week", ["i11"]),
        ("my pen", ["i11", "i10"]),
        ("my spaceship", []),
    ],
)
def test_purchases(words: str, meant: list[str], catalogue: Catalogue) -> None:
    sight = InSight(history=ANNA)
    assert sorted(resolve(Reference(words, owned=True), sight, catalogue)) == sorted(meant)


@pytest.mark.parametrize(
    ("words", "spelt"),
    [
        ("would no. 2 work", "would the second one work"),
        ("2nd", "the second one"),
        ("how heavy is number two", "how heavy is the second one"),
        ("#1 vs #3", "the first one vs the third one"),
        ("compare the first two", "compare the first two"),
        ("in the first place", "in the first place"),
        ("no one else makes it", "no one else makes it"),
    ],
)
def test_places_in_one_form(words: str, spelt: str) -> None:
    assert spelt_places(words) == spelt


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("compare the last two", ["i12", "i9"]),
        ("first vs last", ["i2", "i9"]),
        ("1 vs 3", ["i2", "i12"]),
        ("the first and the middle one", ["i2", "i5"]),
    ],
)
def test_several_cards(words: str, meant: list[str], catalogue: Catalogue) -> None:
    sight = InSight(CARDS, "i12", ANNA)
    assert resolve_several(Reference(words), sight, catalogue, most=3) == meant


def test_nothing_in_sight_points_nowhere(catalogue: Catalogue) -> None:
    assert resolve(Reference("it"), InSight(), catalogue) == []
    assert resolve(Reference("the second one"), InSight(), catalogue) == []


def test_a_rarer_word_weighs_more(catalogue: Catalogue) -> None:
    assert catalogue.match("the family tent")[0] == "i7"
    assert set(catalogue.match("tent")) == {"i6", "i7"}


def test_avoided_words_are_found_in_any_number(catalogue: Catalogue) -> None:
    assert catalogue.saying("palm") == {"i16"}
    assert catalogue.saying("plastics") == {"i2"}
    assert catalogue.saying("uranium") == set()
