"""The noun of a product: its kind, or what can be made of its title."""

from __future__ import annotations

from pathlib import Path

import pytest

from knowledge.nouns import is_plural, noun_of, nouns_of
from knowledge.store import Store, StoreWriter
from knowledge.types import Item


@pytest.mark.parametrize(
    ("title", "noun"),
    [
        ("Two-Pocket Folders, Green, Pack of 25", "folders"),
        ("HP 61 Ink Cartridge (Black)", "cartridge"),
        ("Desk Lamp for Kids with Clamp", "lamp"),
        ("Acme Stapler - 20 Sheets", "stapler"),
        ("3-Ring Binder/Folder", "binder"),
        ("Markers by Acme", "markers"),
        ("Envelopes pack of 100", "envelopes"),
        ("(Old) Atlas", "atlas"),  # nothing stands before the bracket, so the whole title is read
        ("Gel Pen 0.7 mm Black", "pen"),  # neither measure nor color is a kind of thing
        ("Large, black", "product"),
        ("300 x 400", "product"),
        ("", "product"),
    ],
)
def test_the_noun_is_the_head_of_the_title(title: str, noun: str) -> None:
    assert noun_of(Item("i", title)) == noun


def test_a_known_kind_is_the_noun() -> None:
    assert noun_of(Item("k", "Brindle Copper Pot", kind="Kettle")) == "kettle"


@pytest.mark.parametrize(
    ("noun", "plural"),
    [("folders", True), ("scissors", True), ("pen", False), ("glass", False), ("cactus", False)],
)
def test_verbs_agree_with_the_ending(noun: str, plural: bool) -> None:
    assert is_plural(noun) is plural


def test_words_that_often_stand_together_are_one_name() -> None:
    makers = ("Pilot", "Uni", "Zebra", "Pentel", "Nib")
    titles = [f"{maker} Gel Ink Pens, Fine" for maker in makers]
    assert nouns_of(titles) == ["gel ink pens"] * 5
    assert nouns_of(titles[:4]) == ["pens"] * 4


def test_what_it_is_a_thing_of_belongs_to_the_name() -> None:
    pencils = ["Acme Pencil", "Inkwell Pencil", "Uni Pencil, HB"]
    cups = ["Mesh Jumbo Pencil Cup, Black", "Acme Cup", "Glass Cup", "Cup of Glass"]
    assert nouns_of([*pencils, *cups])[3:] == ["pencil cup", "cup", "cup", "cup"]
    points = ["Fine Point", "Sharp Point", "Bold Point"]
    assert nouns_of([*points, "Acme Point Pencil", *pencils])[3] == "pencil"  # a point is no part of a name


def test_a_third_word_belongs_only_where_most_have_it() -> None:
    plain = ["Pilot Ink Pens", "Uni Ink Pens"]
    gel = ["Zebra Gel Ink Pens", "Pentel Gel Ink Pens", "Nib Gel Ink Pen"]
    assert nouns_of([*plain, *gel]) == ["ink pens"] * 2 + ["gel ink pens"] * 2 + ["gel ink pen"]
    assert nouns_of([*plain, "Quill Ink Pens", *gel])[3:] == ["ink pens", "ink pens", "ink pen"]


def test_neither_looks_nor_makers_belong_to_a_name() -> None:
    assert nouns_of(["Black Pens"] * 6) == ["pens"] * 6
    others = [f"Acme {thing}" for thing in ("Tape", "Glue", "Ruler", "Lamp", "Desk", "Chair", "Fan")]
    assert nouns_of([*["Acme Pens"] * 6, *others])[:6] == ["pens"] * 6


def test_a_title_speaks_of_the_last_kind_of_thing_in_its_head() -> None:
    title, refills = "Noodler's Bottle Refill Baystate", ["Blue Refill", "Black Refill", "Parker Refills"]
    assert nouns_of([title, *refills]) == ["refill", "refill", "refill", "refills"]
    assert nouns_of([title, *refills[:2]])[0] == "baystate"  # two titles tell too little


def test_a_maker_that_begins_titles_is_no_kind_of_thing() -> None:
    by_acme = ["Acme Tape", "Acme Glue", "Acme Ruler", "Acme Lamp"]
    staplers = ["Red Stapler Acme", "Blue Stapler Acme", "Old Stapler Acme"]
    known = ["Bostitch Stapler", "Swingline Stapler", "Mini Stapler"]
    assert nouns_of([*by_acme, *staplers, *known])[4:] == ["stapler"] * 6


def test_the_whole_title_is_read_where_its_head_names_nothing_known() -> None:
    staplers = ["Red Stapler", "My Stapler", "Big Stapler"]
    assert nouns_of([*staplers, "Metal Body, Stapler with Staples"])[-1] == "stapler"
    assert nouns_of([*staplers, "(Pack of 3) Large Stapler"])[-1] == "stapler"


def test_what_names_nothing_is_a_product() -> None:
    assert nouns_of(["12 x 12", "", "Large, black", "Pen"]) == ["product", "product", "product", "pen"]
    assert nouns_of([]) == []


def test_a_store_tells_the_noun_of_items_without_a_kind(tmp_path: Path) -> None:
    refills = ["Blue Refill", "Black Refill", "Parker Refill", "Noodler's Bottle Refill Baystate"]
    with StoreWriter(tmp_path / "store", name="pens", format="test") as writer:
        for title in refills:
            writer.add_item(Item(title, title))
        writer.add_item(Item("k", "Parker Quink Refill", kind="Ink"))
    items = Store.open(tmp_path / "store").items
    assert list(items) == [*refills, "k"]
    assert [items[title].noun for title in refills] == ["refill"] * 4
    assert noun_of(items[refills[3]]) == "refill" and noun_of(Item("n", refills[3])) == "baystate"
    assert items["k"].noun == "" and noun_of(items["k"]) == "ink"
    assert items[refills[0]] == Item(refills[0], refills[0])  # it is told, not listed
