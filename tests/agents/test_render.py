"""Pointers become names and citations, also while the text is still coming."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from fake_shop import HISTORIES, ITEMS

from agents.render import Segment, plain, render, short_title
from crs.narrator.narrate import Piece
from knowledge.types import Item

ANNA = HISTORIES["anna"]  # 1 kettle, 2 tent, 3 gel pens, 4 watering can, 5 fountain pen


def rendered(*pieces: str | int, target: str | None = None) -> list[Segment]:
    made = [Piece("", piece) if isinstance(piece, int) else Piece(piece) for piece in pieces]
    return render(made, ANNA, ITEMS[target] if target else None, ITEMS)


def test_a_citation_covers_the_noun_after_its_pointer() -> None:
    assert rendered("You use the ", 1, " kettle daily.") == [
        Segment("You use the "),
        Segment("kettle", "i1", 1),
        Segment(" daily."),
    ]


def test_words_before_the_noun_belong_to_it() -> None:
    segments = rendered("the ", 4, " big green watering can works")
    assert segments[1] == Segment("big green watering can", "i14", 4)


def test_the_targets_first_mention_is_its_title() -> None:
    segments = rendered("This ", 0, " kettle suits you. The ", 0, " kettle pours.", target="i2")
    assert segments[1] == Segment("Tarnwick Electric Kettle", "i2", 0)
    assert segments[3] == Segment("kettle", "i2", 0)
    assert plain(segments) == "This Tarnwick Electric Kettle suits you. The kettle pours."


def test_a_pointer_without_a_noun_is_given_one() -> None:
    assert plain(rendered("You liked ", 2, ".")) == "You liked tent."
    assert plain(rendered("You liked ", 2, " and ", 1, " was next")) == "You liked tent and kettle was next"


def test_a_pointer_to_nothing_is_dropped() -> None:
    assert rendered("The ", 17, " kettle and the ", 0, " tent") == [Segment("The kettle and the tent")]


@pytest.mark.parametrize("n_pieces", range(6))
def test_the_text_so_far_is_a_beginning_of_the_whole(n_pieces: int) -> None:
    pieces: list[str | int] = ["The ", 1, " kettle and the ", 3, " gel pens work."]
    assert plain(rendered(*pieces)).startswith(plain(rendered(*pieces[:n_pieces])).removesuffix("gel pen"))


def test_text_is_left_as_it_is() -> None:
    markup = "<b>5 > 3</b> & [2]"
    assert rendered(markup) == [Segment(markup)]


@pytest.mark.parametrize(
    ("title", "short"),
    [
        ("Tarnlow Enamel Camp Kettle, 1.5 L", "Tarnlow Enamel Camp Kettle"),
        ("Desk Lamp - Warm White", "Desk Lamp"),
        ("One two three four five six seven eight", "One two three four five six seven"),
        ("(Pack of 3) Pens", "(Pack of 3) Pens"),
    ],
)
def test_short_titles(title: str, short: str) -> None:
    assert short_title(Item("x", title)) == short


def test_an_item_the_store_lost_is_passed_over() -> None:
    gone = [SimpleNamespace(item_id="gone")]
    assert render([Piece("a "), Piece("", 1), Piece(" b")], gone, None, ITEMS) == [Segment("a b")]  # type: ignore[arg-type]
