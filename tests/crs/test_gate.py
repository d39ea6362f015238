"""The sentence gate: true sentences pass, and false ones of every kind it knows do not."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crs.narrator.claims import CLAIM_KINDS, TABLE
from crs.narrator.evidence import Evidence, StoreWords
from crs.narrator.gate import check, is_finished, loops
from crs.narrator.sentence import sentences
from knowledge.store import Store
from knowledge.types import MAX_HISTORY, Item, Task
from tests.crs.independent_checker import faults
from tests.crs.planted import evidence_for, planted


def listing(
    kind: str, brand: str, price: float, color: str, material: str, department: str, **more: str
) -> Item:
    features = {
        "kettle": ("pours without dripping", "keeps 2 cups warm"),
        "teapot": ("pours without dripping at all",),
        "mug": ("keeps tea warm",),
    }.get(kind, ())
    attributes = {"color": color, "material": material, **more}
    return Item(
        kind, f"{brand} {kind.title()}", f"A {kind}.", brand, price, department, kind, attributes, features
    )


KETTLE = listing("kettle", "Orrindale", 40.0, "sage green", "stainless steel", "Kitchen", size="1.7 l")
RAKE = listing("rake", "Tarn & Wick", 18.5, "red", "ash wood", "Garden")
MUG = listing("mug", "Orrindale", 9.99, "navy", "stoneware", "Kitchen", size="large")
TENT = listing("tent", "Kestrow", 149.0, "orange", "ripstop nylon", "Outdoors")
SHEARS = listing("pruning shears", "Tarn & Wick", 31.0, "red", "carbon steel", "Garden")
TEAPOT = listing("teapot", "Orrindale", 55.49, "navy", "stoneware", "Kitchen")
BOUGHT = [KETTLE, RAKE, MUG, TENT, SHEARS]
STARS = [5.0, 2.0, 4.0, None, 3.0]
WORDS = StoreWords.of([*BOUGHT, TEAPOT])
SHOPPER = Evidence(BOUGHT, "user_summary_long", None, STARS, WORDS)
OFFER = Evidence(BOUGHT, "product_endorsement", TEAPOT, STARS, WORDS)
REASON = Evidence(BOUGHT, "purchase_reason_explanation", TEAPOT, STARS, WORDS)

ANOTHER = Evidence(BOUGHT, "purchase_reason", listing("kettle", "Kestrow", 60.0, "red", "steel", "Kitchen"),
                   STARS, WORDS)  # fmt: skip


def wrong(text: str, evidence: Evidence) -> list[str]:
    """Kinds of the wrong claims of ``text``."""
    return [claim.kind for claim in check(text, evidence) if not claim.holds]


TRUE: list[tuple[str, Evidence, str]] = [
    ("noun", SHOPPER, "The [1] kettle, their [3] mugs and the [5] pruning shears."),
    ("price", OFFER, "At $55.49 it leaves room, and the [1] kettle was $40."),
    ("price", OFFER, "All that for $55, well under $60."),
    ("price", SHOPPER, "The [4] tent cost $149, the [2] rake more than $18."),
    ("number", SHOPPER, "The [1] kettle holds 1.7 l and keeps 2 cups warm."),
    ("brand", OFFER, "This is Orrindale at work, made by Orrindale."),
    ("brand", SHOPPER, "The [4] tent by Kestrow and Tarn & Wick's [2] rake."),
    ("brand", SHOPPER, "The customer returns to Orrindale."),
    ("brand", OFFER, "The maker of the [1] kettle has done it again."),
    ("color", SHOPPER, "The sage green [1] kettle, a red [2] rake, and the green [1] kettle."),
    ("color", OFFER, "The navy finish will look good, and it comes in navy."),
    ("color", SHOPPER, "Red runs through the [2] rake and the [5] pruning shears."),
    (
        "color",
        replace(OFFER, task="purchase_reason"),
        "They chose a [target] teapot to match the [3] mug in navy.",
    ),
    ("material", SHOPPER, "The stainless steel [1] kettle and the [4] tent made of ripstop nylon."),
    ("material", OFFER, "Made of stoneware, it will look the part."),
    ("size", SHOPPER, "The large [3] mug."),
    ("feature", OFFER, "It pours without dripping at all."),
    ("feature", SHOPPER, "The [3] mug keeps tea warm."),
    ("use", OFFER, "Room for the leaves to open: with it you can share a pot with visitors."),
    ("use", SHOPPER, "Brewing better coffee at home explains the [1] kettle, a quiet first cup the [3] mug."),
    ("use", SHOPPER, "The shopper wants to take the whole family camping."),
    ("circle", OFFER, "It is on the Otter scouts' summer camp list."),
    ("circle", OFFER, "To get ready for the Otter scouts' summer camp, they joined the Otter scouts."),
    (
        "count",
        SHOPPER,
        "With five purchases behind them, the shopper ordered five times in three departments.",
    ),
    ("count", REASON, "Before this, they had ordered five things."),
    ("count", SHOPPER, "Over 5 orders in 3 departments."),
    ("stars", SHOPPER, "They loved the [1] kettle and liked the [3] mug."),
    ("stars", SHOPPER, "The [1] kettle earned full marks, whereas the [2] rake disappointed."),
    ("stars", SHOPPER, "They gave the [2] rake two stars and the [3] mug earned 4 stars."),
    ("stars", OFFER, "Not every order went your way, the [2] rake least of all."),
    ("stars", SHOPPER, "They were not happy with the [1] kettle."),  # denied: not understood, so it passes
    ("order", SHOPPER, "It began with the [1] kettle, and the [5] pruning shears came last."),
    ("order", SHOPPER, "They bought the [2] rake early on and the [5] pruning shears most recently."),
    ("order", SHOPPER, "The [3] mug took over from the [1] kettle."),
    ("order", SHOPPER, "The [2] rake disappointed and was soon followed by the [5] pruning shears."),
    ("order", SHOPPER, "From the [3] mug to the [1] kettle, they buy for the kitchen."),  # no claim of order
    ("order", REASON, "The [target] teapot replaced the [1] kettle."),
    ("cost", SHOPPER, "The [4] tent was the biggest outlay, and the [3] mug was the cheapest."),
    ("cost", REASON, "The [1] kettle had done the same job at a lower price."),
    ("department", SHOPPER, "The shopper turns to kitchenware most often, then to gardening gear."),
    ("department", SHOPPER, "Kitchenware took up the biggest share, the [1] kettle and the [3] mug too."),
    ("department", SHOPPER, "Beyond kitchenware, they bought gardening gear, the [2] rake for instance."),
    ("pairing", REASON, "They bought the [target] teapot to get more out of the [1] kettle."),
    ("pairing", ANOTHER, "The [1] kettle had done its duty, and they wanted to move up from the [1] kettle."),
    ("pairing", REASON, "They wanted more navy to go with the [3] mug."),  # that is said of their look
    ("pairing", REASON, "They liked the [1] kettle and wanted something to go with it."),
    ("pairing", REASON, "They wanted a replacement for the old chipped [1] kettle."),
    ("hindsight", REASON, "They loved the [1] kettle and bought the [target] teapot to go with it."),
    ("hindsight", OFFER, "Once you have tried it, you will love it."),
]

FALSE: list[tuple[str, Evidence, str]] = [
    ("pointer", SHOPPER, "The [6] teapot."),
    ("pointer", SHOPPER, "The [1] kettle went down well, and so did the   pleased."),
    ("pointer", SHOPPER, "They were let down by their ."),
    ("pointer", SHOPPER, "The [target] teapot and the [0] kettle."),
    ("noun", SHOPPER, "The [1] teapot."),
    ("noun", SHOPPER, "The [1] kettlebell."),
    ("noun", SHOPPER, "The [1]."),
    ("price", OFFER, "At $54.99 it leaves room."),
    ("price", OFFER, "The [1] kettle was $55.49."),
    ("price", OFFER, "Well under $50."),
    ("price", SHOPPER, "They paid $40 for the [3] mug."),
    ("price", SHOPPER, "Much of it cost $40."),
    ("number", SHOPPER, "The [1] kettle holds 1.8 l."),
    ("number", OFFER, "Model TX300 it is."),
    ("brand", OFFER, "This is Kestrow at work."),
    ("brand", SHOPPER, "The [4] tent by Orrindale."),
    ("brand", SHOPPER, "The Kestrow [1] kettle."),
    ("brand", OFFER, "The maker of the [4] tent has done it again."),
    ("color", SHOPPER, "The navy [1] kettle."),
    ("color", OFFER, "The red finish will look good."),
    ("color", OFFER, "It comes in black, close to the colors you tend to pick."),
    ("color", SHOPPER, "Red runs through the [2] rake and the [3] mug."),
    ("color", REASON, "They wanted to match the [2] rake in red."),  # the teapot is navy
    ("material", SHOPPER, "The leather [1] kettle."),
    ("material", OFFER, "Made of stainless steel, it will look the part."),
    ("size", SHOPPER, "The large [1] kettle."),
    ("feature", OFFER, "It keeps tea warm, and that brings peace."),
    ("use", OFFER, "It is there to camp with the family."),
    ("circle", OFFER, "They hoped to Otter scouts' summer camp list."),
    ("circle", OFFER, "As a member of the get ready for the Otter scouts' summer camp, they agreed."),
    ("use", OFFER, "Few things promise a dry night like this [target] teapot."),
    ("use", SHOPPER, "Brewing better coffee at home explains the [4] tent."),
    ("use", OFFER, "The [4] tent helps to brew loose-leaf tea properly."),
    ("count", SHOPPER, "With six purchases behind them."),
    ("count", SHOPPER, "They have ordered four times."),
    ("count", SHOPPER, "Purchases in four departments."),
    ("stars", SHOPPER, "They loved the [3] mug."),
    ("stars", SHOPPER, "The [1] kettle and the [3] mug earned full marks."),
    ("stars", SHOPPER, "Praise for the [2] rake."),
    ("stars", SHOPPER, "They liked the [4] tent."),  # nobody knows
    ("stars", SHOPPER, "The [1] kettle disappointed."),
    ("stars", SHOPPER, "They gave the [1] kettle three stars."),
    ("stars", OFFER, "You loved the [target] teapot."),
    ("order", SHOPPER, "It began with the [2] rake."),
    ("order", SHOPPER, "The [1] kettle came last."),
    ("order", SHOPPER, "The [1] kettle took over from the [3] mug."),
    ("order", SHOPPER, "The [3] mug gave way to the [1] kettle."),
    ("order", REASON, "The [1] kettle replaced the [target] teapot."),
    ("pairing", REASON, "They bought the [target] teapot to replace the [2] rake."),
    ("pairing", REASON, "The [4] tent had become too basic."),
    ("pairing", REASON, "They bought the [target] teapot to go with the silver steel silver: that was it."),
    ("pairing", REASON, "They bought the [target] teapot to use alongside the [5] pruning shears."),
    ("pairing", REASON, "They bought the [target] teapot to make up for their stoneware clay."),
    ("pairing", REASON, "The [target] teapot was a companion to the terracotta coast."),
    ("cost", SHOPPER, "The [1] kettle was the biggest outlay."),
    ("cost", SHOPPER, "The [4] tent was the cheapest."),
    ("department", SHOPPER, "The shopper turns to outdoor gear most often."),
    ("department", SHOPPER, "Kitchenware took up the biggest share, the [1] kettle and the [2] rake too."),
    ("department", SHOPPER, "Among kitchenware, the [4] tent and the [3] mug stand out."),
    ("department", SHOPPER, "Beyond kitchenware, they bought gardening gear, the [4] tent for instance."),
    ("department", SHOPPER, "Kitchenware and camping and hiking gear make up most of it."),
    ("hindsight", REASON, "The [target] teapot earned five stars."),
    ("hindsight", REASON, "Since then they brew every day."),
    ("hindsight", REASON, "After using the [target] teapot, they smiled."),
    ("hindsight", OFFER, "You already own the [target] teapot."),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "evidence", "text"), TRUE)
def test_a_true_sentence_passes(kind: str, evidence: Evidence, text: str) -> None:
    assert wrong(text, evidence) == []


@pytest.mark.parametrize(("kind", "evidence", "text"), FALSE)
def test_a_false_sentence_is_caught_as_its_kind(kind: str, evidence: Evidence, text: str) -> None:
    assert kind in wrong(text, evidence)


def test_every_kind_of_claim_is_tested() -> None:
    assert {kind for kind, _, _ in FALSE} | {"loop", "ending"} == set(CLAIM_KINDS)


def test_a_claim_says_what_was_said() -> None:
    (pointer, noun, color) = check("The navy [1] kettle.", SHOPPER)
    assert (pointer.said, noun.said, color.said) == ("[1]", "[1] kettle", "navy")
    assert pointer.holds and noun.holds and not color.holds


def test_what_cannot_be_known_is_no_claim() -> None:
    unlisted = Item("x", "Something plain")
    evidence = Evidence([unlisted, unlisted], words=WORDS)
    for text in (
        "The [1] whatever it is.",
        "The [1] thing was the biggest outlay.",
        "Purchases in two departments.",
        "The shopper turns to kitchenware most often.",
        "The [2] thing came from the maker of the [1] thing.",
    ):
        assert wrong(text, evidence) == [], text


def test_what_the_stores_titles_call_a_product_is_its_noun() -> None:
    binder = Item("b", "Acme View Folder", noun="ring binder")
    evidence = Evidence([binder], words=StoreWords.of([binder]))
    assert [
        claim.holds for claim in check("They bought the [1] ring binder.", evidence) if claim.kind == "noun"
    ] == [True]


def test_a_circle_of_no_shopper_here_was_made_up() -> None:
    pens = [Item("p", "Red Pen"), Item("q", "Blue Pen")]
    evidence = Evidence(pens, words=StoreWords.of(pens))
    said = "Membership of the Otter scouts explains the [1] pen."
    assert [claim.holds for claim in check(said, evidence) if claim.kind == "circle"] == [False]


def test_a_noun_of_the_store_must_be_in_a_listing_without_kind() -> None:
    tape = Item("t", "Packing Tape, Clear, 6 Rolls", "For boxes and mugs.")
    evidence = Evidence([tape], words=StoreWords.of([*BOUGHT, tape]))
    assert wrong("The [1] tape, the [1] mug, the [1] roll.", evidence) == []
    assert wrong("The [1] rake.", evidence) == ["noun"]


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ("These black [1] work gloves grip.", True),
        ("This [1] work gloves grips.", False),
        ("Choose this black [1] work gloves.", False),
        ("A [2] desk lamp.", True),
        ("These [2] desk lamp.", False),
        ("These [2] desk lamps.", True),
        ("The [1] work gloves and this [2] desk lamp.", True),
    ],
)
def test_one_is_a_this_and_a_pair_a_these(said: str, holds: bool) -> None:
    gloves = Item("g", "Gloves", kind="work gloves", attributes={"color": "black"})
    lamp = Item("l", "Lamp", kind="desk lamp")
    evidence = Evidence([gloves, lamp], words=StoreWords.of([gloves, lamp]))
    claims = [claim.holds for claim in check(said, evidence) if claim.kind == "noun"]
    assert all(claims) == holds


def test_a_gain_that_is_a_part_of_another_kinds_feature_is_not_ones_own() -> None:
    items = {kind: Item(kind, kind.title(), kind=kind) for kind in ("work gloves", "desk lamp", "table lamp")}
    words = StoreWords.of(items.values())
    said = "a warm pool of light"
    assert any(said in feature for kind in words.kinds.values() for feature in kind.features)
    for kind, item in items.items():
        evidence = Evidence([], "product_endorsement", item, words=words)
        [claim] = [claim for claim in check(f"Think of {said}.", evidence) if claim.kind == "use"]
        assert claim.holds == (kind != "work gloves")


def test_a_cut_history_may_have_been_longer() -> None:
    evidence = Evidence([KETTLE] * MAX_HISTORY, words=WORDS)
    assert wrong("They ordered sixty times.", evidence) == []
    assert wrong("They ordered forty times.", evidence) == ["count"]


def test_numbers_are_as_listed_or_wrong() -> None:
    toner = Item("t", "Laser Toner TN-450, Pack of 2", "Prints 2,600 pages; replaces TN450.", kind="toner")
    evidence = Evidence([], "product_endorsement", toner, words=StoreWords.of([toner]))
    assert wrong("The [target] toner TN-450 prints 2600 pages, TN450 or not, in a 2-pack.", evidence) == []
    for said in ("TN-460", "TN4500", "3,600 pages", "in a 3-pack"):
        assert wrong(f"The [target] toner, {said}.", evidence) == ["number"], said


def test_a_brand_is_told_from_a_word() -> None:
    star = Item("s", "Five Star Notebook", "Fits HP printers.", "Five Star", kind="notebook")
    simple = Item("p", "Simple Pen", brand="Simple", kind="pen")
    words = StoreWords.of([star, simple, Item("h", "HP ink", brand="HP"), Item("g", "Ink", brand="generic")])
    evidence = Evidence([star], words=words)
    for text in ("They gave five stars.", "Simple is best.", "It fits HP printers.", "A generic one."):
        assert wrong(text, evidence) == [], text
    for text in ("This is Simple at work.", "The [1] notebook by HP.", "Simple makes it."):
        assert wrong(text, evidence) == ["brand"], text


def test_stars_may_be_unknown_altogether() -> None:
    evidence = replace(SHOPPER, stars=())
    assert wrong("They loved the [1] kettle.", evidence) == ["stars"]
    assert wrong("This shopper rates strictly.", evidence) == []


@pytest.mark.parametrize(("text", "holds"), [("gives stars freely", False), ("ratings are mixed", True)])
def test_how_a_shopper_rates_is_checked(text: str, holds: bool) -> None:
    assert [claim.holds for claim in check(f"All told, {text}.", SHOPPER)] == [holds]


@pytest.mark.parametrize("space", ["", " "])
def test_the_space_before_a_sentence_hides_no_claim(space: str) -> None:
    said = f"{space}Among outdoor gear, the [1] kettle and their [3] mugs stand out."
    assert wrong(said, SHOPPER) == ["department", "department"]  # the goods, and the examples of them


def test_the_wordings_are_lower_case_as_the_skeleton_is() -> None:
    assert all(wording == wording.lower() for row in TABLE for wording in row.wordings)


@pytest.mark.parametrize(
    ("sentence", "told", "is_loop"),
    [
        ("It boils for tea.", "The [1] kettle boils. It boils for tea.", True),
        ("It boils for tea.", "The [1] kettle boils. It boils.", False),
        ("So.", "So. Then.", False),
        ("And on and on and on and on it goes and on and on.", "", True),
        ("They look for good value first.", "They look for good value. They look for looks.", True),
        ("They look for good value.", "Ah, they look for good jam. Or they look for good tea.", True),
        ("a b c d", "a b c d e. a b c d f.", True),
        ("From the [1] pen to their [1] pen they buy.", "", True),
        ("The [1] pen goes with the [target] ink, the [target] ink with all.", "The [1] pen.", False),
        ("They value softness and softness.", "", True),
        ("Practical, practical shopper", "", True),
        ("Enjoy a recycled plastic of recycled plastic kettle.", "", True),
        ("It is of recycled paper pine recycled paper.", "", True),
        ("It is of steel and of wood, with a lid and with a lock.", "", False),
        ("They return to it again and again, through and through, on and on.", "", False),
        ("The navy [3] mug drew the warmest praise.", "The [1] kettle drew the warmest praise. So.", True),
        ("Their [3] mug and the [2] rake made the day.", "The [5] daypack made the day.", True),
        ("The [3] mug did so.", "The [1] kettle did not.", False),
        ("The [3] mug drew some praise later on.", "The [1] kettle drew the warmest praise.", False),
        ("The [3] mug and the [2] rake.", "The [1] kettle and the [4] tent.", False),
    ],
)  # fmt: skip
def test_loops_are_refused(sentence: str, told: str, is_loop: bool) -> None:
    assert loops(sentence, told, SHOPPER) == is_loop


@given(st.text(alphabet="«»[]()$%.,!? \n0123456789ateghkl'’“”-", max_size=80))
def test_no_text_breaks_it(text: str) -> None:
    for evidence in (SHOPPER, OFFER, Evidence([])):
        check(text, evidence)
        loops(text, text, evidence)
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


@given(
    st.lists(st.sampled_from(["loved", "liked"]), min_size=1, max_size=4),
    st.data(),
)
def test_stars_decide_whatever_is_listed(verbs: list[str], data: st.DataObject) -> None:
    for verb in verbs:
        k = data.draw(st.integers(1, len(BOUGHT)))
        stars, least = STARS[k - 1], 5 if verb == "loved" else 4
        right = stars is not None and stars >= least
        assert (wrong(f"They {verb} the [{k}] {BOUGHT[k - 1].kind}.", SHOPPER) == []) == right


# --- on the demo store's references, true by construction


def test_reference_narratives_pass(demo_store: Store) -> None:
    words = StoreWords.of(demo_store.items.values())
    rejected, going_round, checked, n = [], [], Counter[str](), 0
    for narrative in demo_store.narratives():
        evidence, told = evidence_for(narrative, demo_store, words), ""
        for sentence in sentences(narrative.text):
            claims = check(sentence, evidence)
            checked.update(claim.kind for claim in claims)
            n += 1
            finished = is_finished(sentence, narrative.task)
            if loops(sentence, told, evidence):
                going_round.append(sentence)
            elif not finished or not all(claim.holds for claim in claims):
                rejected.append(sentence)
            told += f" {sentence}"
    assert len(rejected) < 0.001 * n, rejected
    assert len(going_round) < 0.001 * n, going_round
    assert n > 1000 and set(checked) >= set(CLAIM_KINDS) - {"loop", "ending", "number", "size", "hindsight"}


@pytest.mark.parametrize(
    ("sentence", "task", "finished"),
    [
        ("They bought the [1] kettle.", "user_summary_brief", True),
        ("They bought the", "user_summary_brief", False),
        ("Why wait?", "product_endorsement", True),
        ('It is sold as "soft".', "product_endorsement", True),
        ('It is sold as "soft."', "product_endorsement", True),
        ("Practical Tea Lover", "user_profile", True),
        ("A Person with a Taste for Good Value and an Eye for Solid Work", "user_profile", False),
        ("Buyer of the [1] kettle", "user_profile", False),
        ("part of Kitchenware", "user_profile", False),
    ],
)
def test_a_sentence_is_finished_at_its_mark(sentence: str, task: Task, finished: bool) -> None:
    assert is_finished(sentence, task) == finished


def test_planted_faults_are_caught(demo_store: Store) -> None:
    words, rng = StoreWords.of(demo_store.items.values()), random.Random(5)
    n, caught = Counter[str](), Counter[str]()
    for narrative in demo_store.narratives():
        evidence = evidence_for(narrative, demo_store, words)
        for sentence in sentences(narrative.text):
            for kind, false in planted(sentence, evidence, demo_store, rng).items():
                n[kind] += 1
                caught[kind] += bool(wrong(false, evidence))
    assert set(n) == set(CLAIM_KINDS) - {"loop", "ending", "number", "size"}
    for kind in n:
        assert caught[kind] >= 0.97 * n[kind], (kind, caught[kind], n[kind])


def test_a_second_checker_agrees_on_500_sentences(demo_store: Store) -> None:
    words, rng = StoreWords.of(demo_store.items.values()), random.Random(11)
    true: list[tuple[str, Evidence]] = []
    false: list[tuple[str, Evidence]] = []
    narratives = rng.sample(list(demo_store.narratives()), 500)
    for narrative in narratives:
        evidence = evidence_for(narrative, demo_store, words)
        sentence = rng.choice(sentences(narrative.text))
        faulty = planted(sentence, evidence, demo_store, rng)
        if faulty and len(false) < 250:
            false.append((faulty[rng.choice(sorted(faulty))], evidence))
        elif len(true) < 250:
            true.append((sentence, evidence))
    assert len(true) == len(false) == 250
    for sentence, evidence in true:
        assert wrong(sentence, evidence) == [] == faults(sentence, evidence, demo_store), sentence
    verdicts = [(bool(wrong(s, e)), bool(faults(s, e, demo_store))) for s, e in (*true, *false)]
    assert sum(ours == theirs for ours, theirs in verdicts) >= 0.98 * len(verdicts)
    assert sum(ours for ours, _ in verdicts) >= 0.97 * len(false)


@pytest.mark.parametrize("task", ["user_summary_brief", "user_profile"])
def test_words_are_optional(task: Task) -> None:
    """A narrator without the store's words still checks what needs none."""
    evidence = Evidence(BOUGHT, task, None, STARS)
    assert wrong("The navy [1] kettle by Kestrow.", evidence) == []
    assert wrong("The [1] teapot, four purchases in all.", evidence) == ["noun", "count"]
