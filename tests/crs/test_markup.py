"""Markup: what is true is written as slots and marks, what is false is left alone; both are shown again."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from crs.narrator.claims import TABLE
from crs.narrator.evidence import Evidence, StoreWords
from crs.narrator.gate import check, wordings
from crs.narrator.markup import MARKUP, Markup
from crs.narrator.sentence import read, sentences
from crs.narrator.tally import (
    AIMINGS,
    AIMS,
    CHEAPEST,
    CIRCLE,
    COUNT,
    DEAREST,
    DISLIKED,
    EARLIER,
    ENJOYED,
    FAIR,
    FIRST,
    FOR_AIMS,
    GAINS,
    GENEROUS,
    GOODS,
    HUES,
    IN_HUES,
    LAST,
    LATER,
    LIKED,
    LOVED,
    MARKS,
    MATCHING,
    N_DEPARTMENTS,
    NEED,
    NEEDING,
    PARTNER,
    PURPOSES,
    SAME_KIND,
    STRICT,
    TALLY_SLOTS,
)
from knowledge.demo.grammar import gerund
from knowledge.store import Store
from knowledge.types import Item
from tests.crs.planted import evidence_for, planted


def thing(kind: str, price: float, color: str, material: str, department: str) -> Item:
    attributes = {"color": color, "material": material}
    return Item(
        kind, f"Orrin {kind.title()}", "", None, price, department, kind, attributes, ("pours slowly",)
    )


KETTLE = thing("kettle", 40.0, "sage green", "stainless steel", "Kitchen")
RAKE = thing("rake", 18.5, "red", "ash wood", "Garden")
MUG = thing("mug", 9.99, "navy", "stoneware", "Kitchen")
TENT = thing("tent", 149.0, "orange", "ripstop nylon", "Outdoors")
SHEARS = thing("shears", 31.0, "red", "carbon steel", "Garden")
BOWL = thing("bowl", 12.0, "sage green", "beech", "Kitchen")
TEAPOT = thing("teapot", 55.49, "navy", "stoneware", "Kitchen")
BOUGHT = (KETTLE, RAKE, MUG, TENT, SHEARS, BOWL)
WORDS = StoreWords.of([*BOUGHT, TEAPOT])
SHOPPER = Evidence(BOUGHT, "user_summary_long", None, (5.0, 2.0, 4.0, None, 3.0, 5.0), WORDS)
OFFER = replace(SHOPPER, task="product_endorsement", target=TEAPOT)
REASON = replace(OFFER, task="purchase_reason")
ANOTHER_MUG = replace(REASON, target=thing("mug", 12.5, "cream", "stoneware", "Kitchen"))
PROFILE = replace(SHOPPER, task="user_profile")
EASY = replace(SHOPPER, stars=(5.0,) * 6)
HARD = replace(SHOPPER, stars=(2.0,) * 6)

# A true sentence as it is written, and one that is false of the same or of another shopper.
SAID: list[tuple[Evidence, str, str, Evidence, str]] = [
    (SHOPPER, "They loved the [1] kettle.", f"They loved the {LOVED} [1] kettle.",
     SHOPPER, "They loved the [3] mug."),
    (SHOPPER, "They were pleased with the [3] mug.", f"They were pleased with the {LIKED} [3] mug.",
     SHOPPER, "They were pleased with the [5] shears."),
    (SHOPPER, "Nothing was wrong with the [5] shears.", f"Nothing was wrong with the {ENJOYED} [5] shears.",
     SHOPPER, "Nothing was wrong with the [2] rake."),
    (SHOPPER, "The [2] rake fell short.", f"The {DISLIKED} [2] rake fell short.",
     SHOPPER, "The [1] kettle fell short."),
    (EASY, "They give stars freely.", f"They {GENEROUS} give stars freely.", HARD, "They give stars freely."),
    (SHOPPER, "They rate with a level head.", f"They {FAIR} rate with a level head.",
     EASY, "They rate with a level head."),
    (HARD, "Ratings are mixed.", f"{STRICT} Ratings are mixed.", EASY, "Ratings are mixed."),
    (SHOPPER, "It began with the [1] kettle.", f"It began with the {FIRST} [1] kettle.",
     SHOPPER, "It began with the [2] rake."),
    (SHOPPER, "The [6] bowl came last.", f"The {LAST} [6] bowl came last.",
     SHOPPER, "The [5] shears came last."),
    (SHOPPER, "Six purchases tell a lot.", f"{COUNT} purchases tell a lot.",
     SHOPPER, "Five purchases tell a lot."),
    (SHOPPER, "They shop in three departments.", f"They shop in {N_DEPARTMENTS} departments.",
     SHOPPER, "They shop in four departments."),
    (SHOPPER, "They are at ease among kitchenware.", f"They are at ease among {GOODS[0]}.",
     SHOPPER, "They are at ease among garden goods."),
    (SHOPPER, "Kitchenware and garden goods make up most.", f"{GOODS[0]} and {GOODS[1]} make up most.",
     SHOPPER, "Kitchenware and outdoor gear make up most."),
    (SHOPPER, "The [4] tent cost the most.", f"The {DEAREST} [4] tent cost the most.",
     SHOPPER, "The [1] kettle cost the most."),
    (SHOPPER, "The [3] mug was the cheapest.", f"The {CHEAPEST} [3] mug was the cheapest.",
     SHOPPER, "The [2] rake was the cheapest."),
    (OFFER, "The [3] mug comes in navy.", f"The {MATCHING} [3] mug comes in [color].",
     OFFER, "The [1] kettle comes in navy."),
    (SHOPPER, "Red runs through the [2] rake and the [5] shears.",
     f"{HUES[1]} runs through the {IN_HUES[1]} [2] rake and the {IN_HUES[1]} [5] shears.",
     SHOPPER, "Red runs through the [2] rake and the [1] kettle."),
    (OFFER, "It picks up the navy of the [3] mug.", f"It picks up the [color] of the {MATCHING} [3] mug.",
     OFFER, "It picks up the navy of the [1] kettle."),
    (SHOPPER, "The [5] shears followed after the [2] rake.",
     f"The [5] shears followed after the {EARLIER} [2] rake.",
     SHOPPER, "The [2] rake followed after the [5] shears."),
    (SHOPPER, "The [2] rake gave way to the [5] shears.", f"The [2] rake gave way to the {LATER} [5] shears.",
     SHOPPER, "The [5] shears gave way to the [2] rake."),
    (ANOTHER_MUG, "They had to replace the [3] mug.", f"They had to replace the {SAME_KIND} [3] mug.",
     REASON, "They had to replace the [3] mug."),
    (REASON, "It was to round out the [1] kettle.", f"It was to round out the {PARTNER} [1] kettle.",
     REASON, "It was to round out the [4] tent."),
]  # fmt: skip


@pytest.mark.parametrize(("evidence", "text", "written", "other", "false"), SAID)
def test_what_is_true_gets_its_slot_or_mark_and_what_is_false_none(
    evidence: Evidence, text: str, written: str, other: Evidence, false: str
) -> None:
    markup = Markup(evidence)
    assert markup.write(text) == written
    assert markup.render(written) == text
    left = Markup(other).write(false)
    assert not [token for token in (*TALLY_SLOTS, *MARKS) if token in left]
    assert Markup(other).render(left) == false
    assert any(not claim.holds for claim in check(false, other))  # it is false indeed


def test_every_row_that_has_markup_is_tried_both_ways() -> None:
    def rows(evidence: Evidence, text: str) -> set[int]:
        skeleton = read(text, evidence).skeleton.lower()
        return {TABLE.index(row) for row, pattern in wordings() if row.markup and pattern.search(skeleton)}

    with_markup = {i for i, row in enumerate(TABLE) if row.markup}
    assert with_markup == set().union(*(rows(evidence, text) for evidence, text, *_ in SAID))
    assert with_markup == set().union(*(rows(evidence, text) for *_, evidence, text in SAID))


@pytest.mark.parametrize(
    ("evidence", "text", "written"),
    [
        # Every product of a list gets the mark, or none does.
        (SHOPPER, "They loved the [1] kettle and the [6] bowl.",
         "They loved the [loved] [1] kettle and the [loved] [6] bowl."),
        (SHOPPER, "They loved the [1] kettle and the [3] mug.", "They loved the [1] kettle and the [3] mug."),
        # Two claims in one sentence; the first row that has a mark for a product keeps it.
        (SHOPPER, "They liked the [3] mug, but the [2] rake disappointed.",
         "They liked the [liked] [3] mug, but the [disliked] [2] rake disappointed."),
        (SHOPPER, "They loved the [6] bowl, which came last.",
         "They loved the [loved] [6] bowl, which came last."),
        # A denial is no claim, and digits are no words.
        (SHOPPER, "They were not happy with the [1] kettle.", "They were not happy with the [1] kettle."),
        (SHOPPER, "They placed 6 orders.", "They placed 6 orders."),
        # Nothing can be looked up of the target's stars.
        (OFFER, "You loved the [target] teapot.", "You loved the [target] [noun]."),
        # The same sentence twice, and what is between sentences.
        (SHOPPER, "Six orders.  Six orders.\n", "[count] orders.  [count] orders.\n"),
        (SHOPPER, "", ""),
        # A letter that is two in lower case: no place could be trusted.
        (SHOPPER, "İ, six orders.", "İ, six orders."),
    ],
)  # fmt: skip
def test_a_sentence_is_marked_as_a_whole(evidence: Evidence, text: str, written: str) -> None:
    markup = Markup(evidence)
    assert markup.write(text) == written
    assert markup.render(written) == text


@pytest.mark.parametrize(
    ("evidence", "text", "written"),
    [
        (SHOPPER, "The navy [3] mug.", "The [color] [3] mug."),
        (SHOPPER, "The stoneware [3] mug.", "The [material] [3] mug."),
        (SHOPPER, "The navy stoneware [3] mug.", "The [color] [material] [3] mug."),
        (SHOPPER, "The stoneware navy [3] mug.", "The [material] [color] [3] mug."),
        (SHOPPER, "They love the sage green [1] kettle.", "They love the [color] [loved] [1] kettle."),
        (SHOPPER, "The carbon steel [5] shears.", "The [material] [5] shears."),
        (SHOPPER, "The red [1] kettle.", "The red [1] kettle."),  # it is not
        (SHOPPER, "Navy [3] mugs.", "Navy [3] mugs."),  # a look of a purchase is told in lower case
        # What looks like the target is the purchase's own all the same, and a wrong look stays wrong.
        (OFFER, "The navy [3] mug goes with it, in navy.", "The [color] [3] mug goes with it, in [color]."),
        (OFFER, "The navy [4] tent.", "The navy [4] tent."),
        (OFFER, "Navy stoneware [3] mugs pleased you.", "Navy [material] [liked] [3] mugs pleased you."),
        (OFFER, "The navy stainless steel [1] kettle delighted you.",
         "The navy [material] [loved] [1] kettle delighted you."),
        (OFFER, "The navy stoneware [target] teapot.", "The [color] [material] [target] [noun]."),
    ],
)  # fmt: skip
def test_looks_of_a_purchase_are_slots_before_its_pointer(
    evidence: Evidence, text: str, written: str
) -> None:
    markup = Markup(evidence)
    assert markup.write(text) == written
    assert markup.render(written) == text


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("They own an [color] [1] kettle.", "They own a sage green [1] kettle."),
        ("A [material] [2] rake.", "An ash wood [2] rake."),
        ("Take a [color] [material] [loved] [4] tent.", "Take an orange ripstop nylon [4] tent."),
        ("A umbrella, an [4] tent and an ukulele.", "An umbrella, a [4] tent and a ukulele."),
    ],
)
def test_the_article_suits_what_follows(said: str, shown: str) -> None:
    assert Markup(SHOPPER).render(said) == shown


@pytest.mark.parametrize(
    "said",
    ["[color] [material] [loved] [1]", "[loved] [color] [material] [1]", "[color] [loved] [material] [1]"],
)
def test_looks_are_shown_before_and_behind_marks(said: str) -> None:
    assert Markup(SHOPPER).render(f"the {said} kettle") == "the sage green stainless steel [1] kettle"


def test_looks_are_of_the_product_they_stand_before() -> None:
    markup = Markup(OFFER)
    said = "The [color] [2] rake, the [color] [target] [noun] and a [color] one."
    assert markup.render(said) == "The red [2] rake, the navy [target] teapot and a navy one."


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("[count] orders. [count] more? [count] in all", "Six orders. Six more? Six in all"),
        ("Of [count] orders: [goods1], then [goods2].", "Of six orders: kitchenware, then garden goods."),
        (" [hue1] it is.", " Sage green it is."),  # a sentence as it is drawn, with the space before it
        ("[loved] [goods1] come first.", "Kitchenware come first."),
        ("An [hue1] one and a [hue2] one", "A sage green one and a red one"),
    ],
)
def test_what_begins_a_sentence_has_a_capital(said: str, shown: str) -> None:
    assert Markup(SHOPPER).render(said) == shown


def test_a_profile_is_in_title_case() -> None:
    towels = [replace(item, department="Home") for item in BOUGHT]
    words = StoreWords.of(towels)
    markup = Markup(replace(PROFILE, items=towels, words=words))
    assert markup.write("Keen Buyer of Home Textiles and Decor") == "Keen Buyer of [goods1]"
    assert markup.render("Keen Buyer of [goods1]") == "Keen Buyer of Home Textiles and Decor"
    assert markup.render("[count] Orders, [count] Joys") == "Six Orders, Six Joys"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("The [color] [material] [2] pen.", "The [2] pen."),  # a purchase without looks
        ("The [color] [9] pen.", "The [9] pen."),  # none at all
        ("It is [color]", "It is "),
        ("Made by [brand].", "Made by ."),
        ("[hue1] and [departments]", " and "),
        ("The [matching] [in-hue1] [1] pen they [strict] own.", "The [1] pen they own."),
        ("An [unheard] thing, [x1] too.", "A  thing,  too."),
        ("[1] and [target] stay", "[1] and [target] stay"),
    ],
)
def test_what_is_not_known_vanishes(said: str, shown: str) -> None:
    pens = Evidence([Item("a", "Red Pen", attributes={"color": "red"}), Item("b", "Pen")])
    assert Markup(pens).render(said) == shown


SOCKS = replace(
    OFFER, target=Item("socks", "Orrin Wool Socks", kind="wool socks", attributes={"color": "oat"})
)
PAIR = replace(SOCKS, words=StoreWords.of([*BOUGHT, *([SOCKS.target] if SOCKS.target else [])]))


@pytest.mark.parametrize(
    ("evidence", "said", "shown"),
    [
        (PAIR, "They got a [color] [target] [noun].", "They got a pair of oat [target] wool socks."),
        (PAIR, "This [target] [noun] will do.", "These [target] wool socks will do."),
        (PAIR, "A pair of [color] [target] [noun].", "A pair of oat [target] wool socks."),
        (OFFER, "These [color] [target] [noun] will do.", "This navy [target] teapot will do."),
        (OFFER, "They got a [target] [noun].", "They got a [target] teapot."),
        (SOCKS, "A [target] [noun].", "A [target] wool socks."),  # a kind that the store does not know
        (SHOPPER, "The [color] [color] [1] kettle.", "The sage green [1] kettle."),
        (SHOPPER, "A [color] [material] [color] [6] bowl.", "A sage green beech [6] bowl."),
    ],
)
def test_what_is_counted_wrongly_or_seen_twice_is_mended(evidence: Evidence, said: str, shown: str) -> None:
    assert Markup(evidence).render(said) == shown


def test_sayable_is_what_something_stands_behind() -> None:
    every = set(MARKUP)
    assert every - Markup(SHOPPER).sayable == {
        "[noun]", "[brand]", "[price]", "[feature1]", "[feature2]", "[feature3]", MATCHING, GENEROUS,
        *PURPOSES, *GAINS, AIMS[2], AIMINGS[2], FOR_AIMS[2], NEED, NEEDING, CIRCLE, SAME_KIND, PARTNER,
    }  # fmt: skip
    assert every - Markup(OFFER).sayable == {
        "[brand]", "[feature2]", "[feature3]", GENEROUS, *AIMS, *AIMINGS, *FOR_AIMS, SAME_KIND,
    }  # fmt: skip
    assert Markup(Evidence([])).sayable == frozenset()
    assert Markup(Evidence([Item("p", "Pen")])).sayable == {FIRST, LAST}


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("They want to [aim1], hence the [for-aim1] [1] kettle.", "They want to {to}, hence the [1] kettle."),
        ("[aiming1] explains the [for-aim1] [1] kettle.", "{doing} explains the [1] kettle."),
    ],
)
def test_what_purchases_are_for_is_told_by_the_needs_they_answer(written: str, text: str) -> None:
    need = Markup(SHOPPER).tally.needs[0]
    doing = gerund(need.to)
    told = text.format(to=need.to, doing=doing[:1].upper() + doing[1:])
    assert "kettle" in need.kinds
    assert Markup(SHOPPER).write(told) == written
    assert Markup(SHOPPER).render(written) == told


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("They bought the [target] [noun] to [need] {}.", str),
        ("[need] {} is what it is for.", lambda to: to[:1].upper() + to[1:]),
        ("With [needing] {}, the [target] [noun] helps.", gerund),
        ("[needing] {} takes a [target] [noun].", lambda to: gerund(to)[:1].upper() + gerund(to)[1:]),
    ],
)
def test_why_a_target_is_bought_is_spelt_out_behind_its_mark(
    written: str, form: Callable[[str], str]
) -> None:
    need = next(need for told in WORDS.needs for need in told if "teapot" in need.kinds)
    written = written.format(form(need.to))
    told = Markup(OFFER).render(written)
    assert told == written.replace("[need] ", "").replace("[needing] ", "").replace("[noun]", "teapot")
    assert Markup(OFFER).write(told) == written


@pytest.mark.parametrize(
    "written",
    [
        "They bought the [target] [noun] to [circle] get ready for the Otter scouts' summer camp.",
        "Bought for the [circle] Otter scouts' summer camp list.",
        "As a member of the [circle] Otter scouts, they chose the [target] [noun].",
        "The [circle] parents at Alder Lane school agree.",
    ],
)
def test_the_circle_that_a_target_is_bought_for_is_spelt_out_behind_its_mark(written: str) -> None:
    told = Markup(OFFER).render(written)
    assert told == written.replace("[circle] ", "").replace("[noun]", "teapot")
    assert Markup(OFFER).write(told) == written
    assert "[circle]" not in Markup(SHOPPER).write(told)  # a summary has no such reason


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("[need] keep a garden, then.", "Keep a garden, then."),
        ("It is here. [needing] keeping a garden helps.", "It is here. Keeping a garden helps."),
        ("For the [circle] otter scouts.", "For the otter scouts."),
        ("To [need] keep a garden.", "To keep a garden."),
    ],
)
def test_a_reason_that_opens_a_sentence_has_a_capital(said: str, shown: str) -> None:
    assert Markup(OFFER).render(said) == shown


def test_a_need_that_the_target_does_not_answer_gets_no_mark() -> None:
    need = next(need for told in WORDS.needs for need in told if "teapot" not in need.kinds)
    assert "[need]" not in Markup(OFFER).write(f"They bought the [target] teapot to {need.to}.")


def test_any_purpose_and_gain_of_the_targets_kind_becomes_its_slot() -> None:
    teapot = WORDS.kinds["teapot"]
    for purpose, gain in zip(teapot.purposes, teapot.gains, strict=False):
        said = f"{gain[:1].upper()}{gain[1:]}: with it you can {purpose}."
        assert Markup(OFFER).write(said) == "[gain1]: with it you can [purpose1]."
    shown = Markup(OFFER).render("With it you can [purpose1] and [purpose2].")
    assert len({purpose for purpose in teapot.purposes if purpose in shown}) == 2
    foreign = f"With it you can {WORDS.kinds['tent'].purposes[0]}."
    assert Markup(OFFER).write(foreign) == foreign


def test_without_listings_only_the_shoppers_own_doing_is_told() -> None:
    unlisted = Markup(OFFER.unlisted()).sayable
    looks = {"[color]", "[material]", MATCHING, *HUES, *IN_HUES}
    assert not {"[price]", "[feature1]", *looks, *GOODS, N_DEPARTMENTS, DEAREST, CHEAPEST} & unlisted
    assert {COUNT, LOVED, LIKED, ENJOYED, DISLIKED, FIRST, LAST, FAIR, STRICT} <= unlisted


def test_sayable_holds_all_that_is_written() -> None:
    for evidence, _, written, *_ in SAID:
        assert {token for token in MARKUP if token in written} <= Markup(evidence).sayable


# --- the demo store's narratives


def told(demo_store: Store) -> Sequence[tuple[str, Evidence]]:
    words = StoreWords.of(demo_store.items.values())
    return [(each.text, evidence_for(each, demo_store, words)) for each in demo_store.narratives()]


def plain(text: str, evidence: Evidence) -> str:
    """``text`` with one name for the goods of a department, and one for a purpose or a gain of a kind."""
    names = dict(evidence.words.departments)
    kind = evidence.words.kinds.get(evidence.target.kind or "") if evidence.target else None
    for told in (kind.purposes, kind.gains) if kind else ():
        names |= dict.fromkeys((phrase.lower() for phrase in told), told[0])
    any_name = rf"\b({'|'.join(map(re.escape, sorted(names, key=len, reverse=True)))})(?!\w)"
    return re.sub(any_name, lambda found: names[found[0].lower()], text, flags=re.I)


def test_demo_narratives_survive(demo_store: Store) -> None:
    used: set[str] = set()
    n_renamed = 0
    for text, evidence in told(demo_store):
        markup = Markup(evidence)
        written = markup.write(text)
        shown = markup.render(written)
        if any(slot in written for slot in (*GOODS, *PURPOSES, *GAINS)):
            n_renamed += shown != text
            assert plain(shown, evidence) == plain(text, evidence)
        else:
            assert shown == text
        claims = [claim for sentence in sentences(shown) for claim in check(sentence, evidence)]
        assert [claim for claim in claims if not claim.holds] == []
        found = {token for token in MARKUP if token in written}
        assert found <= markup.sayable
        used |= found
    assert n_renamed > 0
    assert {LOVED, LIKED, DISLIKED, LAST, DEAREST, MATCHING, COUNT, N_DEPARTMENTS, *GOODS} <= used
    assert {SAME_KIND, PARTNER, EARLIER, LATER} <= used
    assert {PURPOSES[0], GAINS[0], AIMS[0], AIMINGS[0], FOR_AIMS[0]} <= used


def test_markup_mends_no_false_narrative(demo_store: Store) -> None:
    rng = random.Random(5)
    n_tried = 0
    for text, evidence in list(told(demo_store))[::4]:
        for kind, false in planted(text, evidence, demo_store, rng).items():
            shown = Markup(evidence).render(Markup(evidence).write(false))
            # only an article is mended, where another look was put behind it
            shown, false = (re.sub(r"\b([Aa])n\b", r"\1", each) for each in (shown, false))
            assert plain(shown, evidence) == plain(false, evidence), kind
            n_tried += 1
    assert n_tried > 200
