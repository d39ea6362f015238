"""Written texts: what is mended, what is refused and by which name."""

import pytest

from crs.narrator.evidence import StoreWords
from crs.writing.checks import fault
from crs.writing.mending import mend
from crs.writing.prompts import Question, example_answers, questions
from knowledge.types import TASKS, Interaction, Item, Task

REVIEW = "It boils water for my morning tea faster than I can find a clean cup."
ITEMS = [
    Item("k", "Arbor Swift Electric Kettle, 1.7 L, Red", brand="Arbor", kind="kettle"),
    Item("m", "Plain mug", kind="mug"),
    Item("s", "American Weigh Scales PS-25 Table Top Postal Scale, Black", brand="American Weigh Scales"),
    Item("t", "Cobalt Ridge Two-Person Tent with Footprint", brand="Cobalt", kind="tent"),
]
PURCHASES = [
    (item, Interaction("u", item.item_id, day, 5.0, review=REVIEW if day == 0 else ""))
    for day, item in enumerate(ITEMS)
]
PURCHASES[1] = (ITEMS[1], Interaction("u", "m", 1, 5.0, review="Best mug I ever had."))
STORE_WORDS = StoreWords.of(ITEMS)
REASONS, SUMMARIES, ENDORSEMENT = questions("u", PURCHASES, TASKS)
FILLER = "They travel light and cook outdoors whenever the weather lets them do so in peace. "
LONG = FILLER * 6


@pytest.mark.parametrize(
    ("said", "mended"),
    [
        ("The  [1] kettle\n was <b>good</b>.", "The [1] kettle was good."),
        ("The **[1] kettle** was it.", "The [1] kettle was it."),
        ("They have the Arbor Swift Electric Kettle, 1.7 L, Red.", "They have the [1] kettle."),
        ("They have the Arbor Swift Electric kettle now.", "They have the [1] kettle now."),
        ("They have the [1] Arbor Swift Electric Kettle.", "They have the [1] kettle."),
        ('They liked the "Arbor Swift Electric Kettle" best.', "They liked the [1] kettle best."),
        ("The American Weigh Scales PS-25 Table Top Postal Scale came.", "The [3] scale came."),
        # A brand may be said, and common words are no title.
        ("They trust American Weigh Scales.", "They trust American Weigh Scales."),
        ("An arbor swift electric idea.", "An arbor swift electric idea."),
        ("A plain mug is enough.", "A plain mug is enough."),
        # A pointer stands before its noun.
        ("They boil tea in the kettle [1], daily.", "They boil tea in the [1] kettle, daily."),
        ("The kettles [1] are loved.", "The [1] kettles are loved."),
        ("They loved [1] and the [2] mug.", "They loved the [1] kettle and the [2] mug."),
        ("Their [2] is used daily.", "Their [2] mug is used daily."),
        ("[2] was next.", "The [2] mug was next."),
        ("Then came the [3] postal scale.", "Then came the [3] postal scale."),
        ("A [1] red swift kettle.", "A red swift [1] kettle."),
        ("Their [4] tents and the [2] trusty old mug.", "Their [4] tents and the trusty old [2] mug."),
        ("Then came [3].", "Then came [3]."),  # nobody knows what kind of thing it is
    ],
)
def test_what_a_rule_can_mend_is_mended(said: str, mended: str) -> None:
    assert mend(said, SUMMARIES) == mended
    assert mend(mended, SUMMARIES) == mended


def test_a_title_that_several_share_is_the_targets() -> None:
    twice = questions("u", [PURCHASES[3], PURCHASES[0], PURCHASES[3]], TASKS)[0]
    said = "For a trip they chose the Cobalt Ridge Two-Person Tent."
    assert mend(said, twice) == "For a trip they chose the [target] tent."


@pytest.mark.parametrize(
    ("task", "question", "text", "expected"),
    [
        ("purchase_reason", REASONS, "A week on the coast called for a [target] tent.", None),
        ("purchase_reason", REASONS, "A [target] tent.", "too short"),
        ("purchase_reason", REASONS, "A [target] tent. " + FILLER * 4, "too long"),
        (
            "purchase_reason",
            REASONS,
            "A week on the coast called for a tent.",
            "does not point at its target",
        ),
        ("purchase_reason", REASONS, "After the [4] tent a [target] tent was due.", "points nowhere"),
        ("purchase_reason", REASONS, "After the [0] tent a [target] tent was due.", "points nowhere"),
        ("purchase_reason", REASONS, "After the [brand] tent a [target] tent was due.", "points nowhere"),
        ("purchase_reason", REASONS, "After [1, 2] the coast called for a [target] tent.", "points nowhere"),
        (
            "purchase_reason",
            REASONS,
            "After the [3], they went for a [target] tent.",
            "points without a noun",
        ),
        (
            "purchase_reason",
            REASONS,
            "A [target] tent, though it boils water for my [1] morning tea faster.",
            "quotes a review",
        ),
        ("purchase_reason", REASONS, "A [target] tent: it boils water for my morning.", None),  # six words
        ("purchase_reason", REASONS, "A [target] tent, best mug I ever had.", "quotes a review"),  # all of it
        ("purchase_reason", REASONS, "The [target] tent and that Table Top Postal Scale.", None),
        (
            "purchase_reason",
            REASONS,
            "The [target] tent and that Table Top Postal Scale, Black.",
            "names a product",
        ),
        ("purchase_reason", REASONS, "The [target] tent, not a Cobalt Ridge Two one.", "names a product"),
        ("user_profile", SUMMARIES, "Tea drinker who travels light", None),
        ("user_profile", SUMMARIES, "Tea drinker with a [1] kettle", "points nowhere"),
        ("user_summary_brief", SUMMARIES, FILLER * 2, None),
        ("user_summary_brief", SUMMARIES, FILLER + "It points at a [target] tent.", "points nowhere"),
        ("user_summary_long", SUMMARIES, LONG + "The [4] tent is next.", None),
        ("user_summary_long", SUMMARIES, LONG, "points at no purchase"),
        ("product_endorsement", ENDORSEMENT, FILLER * 3 + "The [target] tent suits you.", None),
        ("product_endorsement", ENDORSEMENT, FILLER * 3, "does not point at its target"),
    ],
)
def test_faults_are_named(task: Task, question: Question, text: str, expected: str | None) -> None:
    assert fault(text, task, question, STORE_WORDS) == expected


def test_an_example_retold_is_refused() -> None:
    stolen = next(answer for answer in example_answers() if "[target]" in answer)
    assert fault(stolen, "purchase_reason", REASONS, STORE_WORDS) == "repeats an example"


def test_apostrophes_and_case_hide_no_quotation() -> None:
    said = "I didn't think it's worth ten whole dollars at first"
    purchases = [(ITEMS[1], Interaction("u", "m", 0, review=said.replace("'", "’"))), PURCHASES[3]]
    question = questions("u", purchases, TASKS)[0]
    assert (
        fault(f"The [target] tent. {said.upper()}", "purchase_reason", question, STORE_WORDS)
        == "quotes a review"
    )
