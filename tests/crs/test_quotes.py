"""Quoting a listing by slots: what may be quoted, and that hiding and filling undo each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crs.narrator.quotes import SLOTS, fill, hide, quotable
from knowledge.money import dollars
from knowledge.store import Store
from knowledge.types import Item

KETTLE = Item(
    "k",
    "Brindle Copper Kettle",
    brand="Brindle",
    price=34.5,
    kind="kettle",
    attributes={"color": "copper", "material": "steel", "lid": "flat"},
    features=("boils fast", "rests cool", "pours clean", "never quoted"),
)
FOLDERS = Item(
    "f",
    "Acme Folders, Acme, Letter Size, Pack of 25, 1,000 Sheets - Made to last (Assorted Colors)",
    brand="Acme",
    description="Holds up to 50 pages each. Good.",
)


def test_what_is_listed_may_be_quoted() -> None:
    told = quotable(KETTLE)
    assert tuple(told) == SLOTS
    assert list(told.values()) == [
        "kettle", "Brindle", "copper", "steel", "$34.50", "boils fast", "rests cool", "pours clean",
    ]  # fmt: skip
    assert quotable(Item("i", "Pen", brand="")) == {"[noun]": "pen"}


def test_a_real_title_is_quoted_in_segments_as_what_it_is() -> None:
    told = quotable(FOLDERS)
    assert told["[feature1]"] == 'are listed as "Letter Size"'
    assert told["[feature2]"] == 'are described as "Pack of 25"'
    assert told["[feature3]"] == 'are sold as "1,000 Sheets"'


def test_short_or_repeated_segments_are_not_features() -> None:
    told = quotable(replace(FOLDERS, title="Acme Folder, Acme, Red, holds UP to 50 pages each"))
    assert told["[feature1]"] == 'is listed as "holds UP to 50 pages each"'
    assert "[feature2]" not in told


@pytest.mark.parametrize(
    ("slots", "text"),
    [
        ("A [color] [target] [noun] by [brand].", "A copper [target] kettle by Brindle."),
        ("It [feature1], for [price].", "It boils fast, for $34.50."),
        ("It is good. [material] in [color].", "It is good. Steel in copper."),
        # The color before another purchase is that purchase's, and so is its noun.
        ("The copper [3] kettle, the [target] [noun].", "The copper [3] kettle, the [target] kettle."),
        ("Copperware by Brindleton", "Copperware by Brindleton"),
    ],
)
def test_hiding_and_filling_undo_each_other(slots: str, text: str) -> None:
    assert fill(slots, quotable(KETTLE)) == text
    assert hide(text, KETTLE) == slots


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("a [color] [target] [noun]", "an amber [target] urn"),
        ("An [material] one", "A steel one"),
        ("an [target] [noun]", "an [target] urn"),
    ],
)
def test_articles_suit_what_is_filled_in(said: str, shown: str) -> None:
    urn = replace(KETTLE, kind="urn", attributes={"color": "amber", "material": "steel"})
    assert fill(said, quotable(urn)) == shown


@pytest.mark.parametrize(
    ("said", "noun", "shown"),
    [
        ("It also [feature1].", "pens", "They also write softly."),
        ("Softly, it [feature1] and [feature2].", "pens", "Softly, they write softly and last."),
        ("They [feature1].", "pens", "They write softly."),
        ("They also [feature3].", "pen", "It also holds ink."),
        ("It [feature3].", "pen", "It holds ink."),
        ("It is small and [feature3].", "pens", "It is small and holds ink."),
        ("It [feature3].", "", "It holds ink."),
    ],
)
def test_a_pronoun_has_the_number_of_what_it_stands_for(said: str, noun: str, shown: str) -> None:
    facts = {
        "[feature1]": "write softly",
        "[feature2]": "last",
        "[feature3]": "holds ink",
        "[feature4]": "lasts",
    }
    assert fill(said, facts | ({"[noun]": noun} if noun else {})) == shown


def test_what_is_not_listed_vanishes() -> None:
    assert fill("by [brand].", quotable(Item("i", "Pen"))) == "by ."
    assert fill("[noun]", {}) == ""
    assert hide("the kettle", None) == "the kettle"


def test_demo_narratives_survive(demo_store: Store) -> None:
    told = [(n.text, demo_store.items[n.target_id]) for n in demo_store.narratives() if n.target_id]
    hidden = [hide(text, item) for text, item in told]
    assert [fill(text, quotable(item)) for text, (_, item) in zip(hidden, told, strict=True)] == [
        t for t, _ in told
    ]
    assert sum("[noun]" in text for text in hidden) > 0.9 * len(hidden)


@pytest.mark.parametrize(
    ("price", "said"), [(12.0, "$12"), (12.5, "$12.50"), (0.99, "$0.99"), (1250.0, "$1,250")]
)
def test_prices_read_as_in_narratives(price: float, said: str) -> None:
    assert dollars(price) == said
