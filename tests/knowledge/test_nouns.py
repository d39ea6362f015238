"""The noun of a product: its kind, or what can be made of its title."""

from __future__ import annotations

import pytest

from knowledge.nouns import is_plural, noun_of
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
