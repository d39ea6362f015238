"""The tally: what is counted of a shopper's purchases, and behind which mark each may stand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from crs.narrator.evidence import Evidence, StoreWords
from crs.narrator.tally import (
    CHEAPEST,
    COUNT,
    DEAREST,
    DISLIKED,
    ENJOYED,
    FAIR,
    FIRST,
    GENEROUS,
    GOODS,
    HUES,
    IN_HUES,
    LAST,
    LIKED,
    LOVED,
    MATCHING,
    N_DEPARTMENTS,
    STRICT,
    Tally,
)
from knowledge.types import Item, Task


def thing(name: str, color: str = "", price: float | None = None, department: str | None = None) -> Item:
    return Item(
        name,
        name.title(),
        price=price,
        department=department,
        kind=name,
        attributes={"color": color} if color else {},
    )


KETTLE = thing("kettle", "red", 40.0, "Kitchen")
RAKE = thing("rake", "green", 18.5, "Garden")
MUG = thing("mug", "navy", 9.99, "Kitchen")
TENT = thing("tent", "red", 149.0, "Outdoors")
HOSE = thing("hose", "green", 31.0, "Garden")
TEAPOT = thing("teapot", "red", 55.0, "Kitchen")
BOUGHT = [KETTLE, RAKE, MUG, TENT, HOSE]


def tally(items: Sequence[Item], *stars: float | None, target: Item | None = None) -> Tally:
    words = StoreWords.of([*items, TEAPOT])
    task: Task = "product_endorsement" if target else "user_summary_long"
    return Tally.of(Evidence(items, task, target, stars, words))


def test_purchases_and_departments_are_counted_in_words() -> None:
    slots = tally(BOUGHT).slots
    assert (slots[COUNT], slots[N_DEPARTMENTS]) == ("five", "three")


def test_one_purchase_counts_for_nothing() -> None:
    alone = tally([RAKE])
    assert COUNT not in alone.slots and N_DEPARTMENTS not in alone.slots
    assert alone.marks == dict.fromkeys((FIRST, LAST, DEAREST, CHEAPEST), (1,))


def test_nothing_is_said_of_nothing() -> None:
    nothing = tally([])
    assert (nothing.slots, nothing.marks, nothing.ratings, nothing.departments) == ({}, {}, (), ())
    assert nothing.note() == ""


def test_one_department_is_not_counted_but_named() -> None:
    slots = tally([KETTLE, MUG]).slots
    assert N_DEPARTMENTS not in slots and GOODS[0] in slots and GOODS[1] not in slots


def test_an_unknown_department_leaves_all_unsaid() -> None:
    told = tally([*BOUGHT, thing("whatnot")])
    assert told.departments == () and not {N_DEPARTMENTS, *GOODS} & set(told.slots)
    assert told.slots[COUNT] == "six"


def test_goods_are_those_of_the_departments_most_was_bought_from() -> None:
    told = tally([TENT, *BOUGHT, KETTLE, MUG])  # four, two and two: the one met first comes first
    assert told.departments == ("Kitchen", "Outdoors")
    assert [told.slots[slot] for slot in GOODS] == ["kitchenware", "outdoor gear"]


def test_the_names_of_a_departments_goods_take_turns() -> None:
    names = {n: tally([KETTLE] * n).slots[GOODS[0]] for n in (2, 3, 4)}
    assert names == {2: "kitchenware", 3: "things for the kitchen", 4: "kitchenware"}


def test_a_department_of_another_shop_lends_its_own_name_without_brackets() -> None:
    pens = [thing("pen", department="Writing [new] <b>")] * 2
    told = tally(pens)
    assert told.slots[GOODS[0]] == "writing new b"
    assert told.departments == ("Writing [new] <b>",)  # as listed, so that it can be looked up


def test_hues_are_colors_that_purchases_share() -> None:
    told = tally([*BOUGHT, HOSE])
    assert [told.slots[slot] for slot in HUES] == ["green", "red"]
    assert [told.marks[mark] for mark in IN_HUES] == [(2, 5, 6), (1, 4)]


def test_a_color_seen_once_is_no_hue() -> None:
    told = tally([KETTLE, MUG, thing("pan"), thing("pot")])  # nor is no color at all
    assert not {*HUES, *IN_HUES} & {*told.slots, *told.marks}


def test_what_matches_is_of_the_targets_color() -> None:
    assert tally(BOUGHT, target=TEAPOT).marks[MATCHING] == (1, 4)
    assert MATCHING not in tally(BOUGHT).marks
    assert MATCHING not in tally(BOUGHT, target=thing("whisk", "white")).marks
    assert MATCHING not in tally([thing("pan"), thing("pot")], target=thing("whisk")).marks


def test_stars_say_what_was_loved_and_what_was_not() -> None:
    marks = tally(BOUGHT, 5.0, 2.0, 4.0, None, 3.0).marks
    assert [marks[mark] for mark in (LOVED, LIKED, ENJOYED, DISLIKED)] == [(1,), (1, 3), (1, 3, 5), (2,)]


def test_without_stars_nothing_is_loved() -> None:
    told = tally(BOUGHT)
    assert not {LOVED, LIKED, ENJOYED, DISLIKED} & set(told.marks) and told.ratings == ()


def test_stars_beyond_the_purchases_mark_nothing() -> None:
    assert tally([KETTLE], 5.0, 5.0).marks[LOVED] == (1,)


def test_the_first_and_the_last_and_what_cost_most_and_least() -> None:
    marks = tally(BOUGHT).marks
    assert [marks[mark] for mark in (FIRST, LAST, DEAREST, CHEAPEST)] == [(1,), (5,), (4,), (3,)]


def test_one_unknown_price_leaves_the_dearest_and_the_cheapest_unsaid() -> None:
    marks = tally([*BOUGHT, thing("whatnot", price=None)]).marks
    assert DEAREST not in marks and CHEAPEST not in marks and marks[LAST] == (6,)


@pytest.mark.parametrize(
    ("stars", "marks"),
    [
        ((5.0, 5.0, 4.0), (GENEROUS,)),
        ((4.0, 5.0), (GENEROUS, FAIR)),
        ((4.0, 4.0), (GENEROUS, FAIR, STRICT)),  # the ranges overlap, as what people call strict does
        ((3.5, None), (FAIR, STRICT)),
        ((1.0, 2.0), (STRICT,)),
        ((None, None), ()),
    ],
)
def test_the_mean_says_how_the_shopper_gives_stars(
    stars: tuple[float | None, ...], marks: tuple[str, ...]
) -> None:
    assert tally([KETTLE] * len(stars), *stars).ratings == marks


def test_the_note_tells_each_slot_and_mark_with_what_stands_behind_it() -> None:
    assert tally(BOUGHT, 5.0, 2.0, 4.0, None, 3.0, target=TEAPOT).note() == (
        "[count] five [departments] three [goods1] things for the kitchen [goods2] gardening gear "
        "[hue1] red [hue2] green [loved] [1] [liked] [1] [3] [disliked] [2] [last] [5] [dearest] [4] "
        "[in-hue1] [1] [4] [in-hue2] [2] [5] [matching] [1] [4] [partner] [1] "
        "[fair] [strict]"
    )


def test_the_note_names_the_latest_where_there_are_many() -> None:
    told = tally([KETTLE] * 14, *[5.0] * 14)
    assert len(told.marks[LOVED]) == 14
    latest = " ".join(f"[{k}]" for k in range(5, 15))
    assert f"{LOVED} {latest} {LIKED} {latest} {LAST} [14]" in told.note()
