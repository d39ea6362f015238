"""Finding whom a text is about: what is stripped, who stands in a line-up, who is found."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from crs.bundle import Bundle
from crs.evaluation.identify import item_lineups, lineups, profiles, share_found, stripped, unquoted
from knowledge.types import Item


class Fixed:
    """An encoder with a row for each text that is known."""

    def __init__(self, rows: dict[str, Sequence[float]]) -> None:
        self._rows = rows

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        return np.asarray([self._rows[text] for text in texts], dtype=np.float32)


KETTLE = Item(
    "k",
    "Hollowbrook Oriel Kettle, Gooseneck Spout",
    "Pours a thin and steady stream over any filter.",
    brand="Hollowbrook",
    price=30.0,
    kind="kettle",
    attributes={"color": "sage green"},
    features=("boils a liter in four minutes",),
)


def test_pointers_are_stripped_and_words_stay() -> None:
    assert stripped("The [1] kettle, a [target] mug; [12] tea [x] [2]") == "The kettle, a mug; tea [x]"
    assert stripped("") == ""


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("This [target] kettle is yours.", "This is yours."),
        ("A sage green one by Hollowbrook.", "A one by."),
        ("It boils a liter in four minutes, for $30.", "It, for."),
        ("It POURS A THIN, and steady stream daily.", "It , daily."),
        ("It pours a lot.", "It pours a lot."),  # two words in a row are a coincidence
        ("Your [2] kettle is old.", "Your kettle is old."),  # another product's noun is no quote
    ],
)
def test_what_a_listing_says_word_for_word_is_no_evidence(text: str, bare: str) -> None:
    assert unquoted(text, KETTLE) == bare


def test_a_line_up_holds_one_place_of_each_owner() -> None:
    owners = ["a", "a", "b", "c", "c", "c", "d"]
    for place, lineup in enumerate(lineups(owners, 3, random.Random(1))):
        assert lineup[0] == place and len(lineup) == 3
        assert len({owners[other] for other in lineup}) == 3
    assert all(len(lineup) == 4 for lineup in lineups(owners, 20, random.Random(1)))  # all there are


def test_line_ups_are_drawn_by_the_seed_from_everybody() -> None:
    owners = list(range(30))
    drawn = lineups(owners, 20, random.Random(4))
    assert drawn == lineups(owners, 20, random.Random(4)) != lineups(owners, 20, random.Random(5))
    assert {other for lineup in drawn for other in lineup[1:]} == set(owners)


def test_items_stand_among_others_of_the_catalogue(small_bundle: Bundle) -> None:
    ids = small_bundle.store.item_ids
    drawn = item_lineups(small_bundle, ["tape", ids[0]], 10, random.Random(2))
    assert [ids[lineup[0]] for lineup in drawn] == ["tape", ids[0]]
    assert all(len(set(lineup)) == 10 for lineup in drawn)
    everything = item_lineups(small_bundle, ["tape"], 100, random.Random(2))
    assert sorted(everything[0]) == list(range(len(ids)))


def test_a_profile_is_the_unit_mean_of_what_was_bought(small_bundle: Bundle) -> None:
    history = small_bundle.store.history("u00")
    rows = [small_bundle.item_content[small_bundle.store.item_index[each.item_id]] for each in history]
    mean = np.mean(rows, axis=0)
    (profile,) = profiles(small_bundle, [history])
    np.testing.assert_allclose(profile, mean / np.linalg.norm(mean), rtol=1e-5)


def test_the_nearest_of_a_line_up_is_found_and_a_tie_is_not() -> None:
    candidates = np.asarray([[1, 0], [0, 1], [1, 0]], dtype=np.float32)
    encoder = Fixed({"east": [0.9, 0.1], "north": [0.1, 0.9]})
    assert share_found(["east", "north"], candidates, [[0, 1], [0, 1]], encoder) == 0.5
    assert share_found(["east"], candidates, [[0, 2]], encoder) == 0.0
    assert share_found(["east", "north"], candidates, [[2, 1], [1, 0]], encoder) == 1.0
