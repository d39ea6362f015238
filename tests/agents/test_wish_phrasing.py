"""Wishes in words: a phrase that can stand in any sentence, and what there is where nothing fits."""

from __future__ import annotations

import pytest
from fake_shop import ITEMS

from agents.plan import Wishes
from agents.wish_phrasing import describe, nothing_fits, relaxing_chips
from agents.words import plural
from knowledge.types import Constraints


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Constraints(), ""),
        (Constraints(kinds=("tent",), colors=("blue",), not_colors=("green",)), "blue tents"),
        (Constraints(colors=("red", "blue"), max_price=40), "red or blue things up to $40"),
        (Constraints(kinds=("lamp", "rug"), min_price=20, max_price=50), "lamps and rugs from $20 to $50"),
        (Constraints(brands=("acme",), max_price=111.48), "Acme things under $111.49"),
        (Constraints(min_price=19.51, departments=("home",)), "things in Home over $19.50"),
        (Constraints(not_brands=("acme",), not_colors=("red",)), "things, leaving out Acme and red"),
        (Constraints(words="lunch box"), "things close to \u201clunch box\u201d"),
        (Constraints(words="birthday present for a nephew of eight"), "gifts"),
        (Constraints(words="something to say that is too long"), ""),
    ],
)
def test_wishes_read_as_a_phrase(asked: Constraints, said: str) -> None:
    assert describe(Wishes(asked)) == said


def test_what_is_liked_and_avoided_is_named() -> None:
    said = describe(Wishes(Constraints(max_price=9), avoid=("glass",)), ["Round Teapot"])
    assert said == "things like the Round Teapot up to $9, leaving out glass"


def test_nothing_fits_tells_what_there_is() -> None:
    kettles = [ITEMS["i1"], ITEMS["i2"]]  # $39.00 and $24.50
    asked = Wishes(Constraints(kinds=("kettle",), colors=("white",), max_price=10))
    both = nothing_fits(asked, {("price",): kettles, ("color",): kettles, ("kind",): [ITEMS["i3"]]})
    assert both.startswith("I have no white kettles up to $10. They start at $24.50. There are some in ")
    assert relaxing_chips([("price",), ("kind",)]) == ["Forget the budget"]
    assert relaxing_chips([("kind",)]) == ["Forget the kind"]
    assert nothing_fits(asked, {("kind",): kettles}).endswith("Other things would fit.")
    seen = Wishes(Constraints(kinds=("kettle",), exclude_ids=("i1",)))
    assert nothing_fits(seen, {}).startswith("I have no more kettles.")


@pytest.mark.parametrize(
    ("one", "several"),
    [
        ("tent", "tents"),
        ("computer mouse", "computer mice"),
        ("chef's knife", "chef's knives"),
        ("compass", "compasses"),
        ("headphones", "headphones"),
        ("paint brush", "paint brushes"),
        ("plush toy", "plush toys"),
        ("puppy", "puppies"),
    ],
)
def test_plurals(one: str, several: str) -> None:
    assert plural(one) == several
