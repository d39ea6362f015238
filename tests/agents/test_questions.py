"""Questions about a product and comparisons: quoted from the listing or a review, or honestly not said."""

from __future__ import annotations

import pytest
from fake_shop import HISTORIES, ITEMS, BagOfWords

from agents.comparison import compare, in_words
from agents.plan import Reference
from agents.questions import find_answers
from agents.references import InSight, pointed_at, resolve_several
from knowledge.types import Interaction, Item

LAMP = Item(
    "lamp",
    "Acme Reading Lamp",
    "This lamp dims with a touch. It stays cool for hours.",
    brand="Acme",
    price=34.5,
    kind="lamp",
    attributes={"color": "white", "material": "turned oak", "size": "16 in"},
    features=("wipes clean with a damp cloth", "weighs less than a loaf of bread"),
)


def review(text: str, stars: float) -> Interaction:
    return Interaction("u", "lamp", 0, stars, "", text)


REVIEWS = [review("Sturdy as a rock. I read all night.", 5.0), review("It hums a little.", 2.0)]


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("how much is it", "Price: $34.50"),
        ("who makes it", "Brand: Acme"),
        ("does it come in blue", "Color: white"),
        ("what is it made of", "Material: turned oak"),
        ("how big is it", "Size: 16 in"),
    ],
)
def test_what_the_listing_states_in_a_field(question: str, sentence: str) -> None:
    assert [q.sentence for q in find_answers(question, LAMP, (), BagOfWords())] == [sentence]


def test_a_sentence_is_quoted_as_it_stands() -> None:
    [quote] = find_answers("can i wipe the lamp with a damp cloth", LAMP, REVIEWS, BagOfWords())
    assert (quote.sentence, quote.review) == ("wipes clean with a damp cloth", None)


def test_a_review_answers_what_the_listing_leaves_open() -> None:
    [quote] = find_answers("is it sturdy as a rock", LAMP, REVIEWS, BagOfWords())
    assert (quote.sentence, quote.review) == ("Sturdy as a rock.", REVIEWS[0])


def test_opinions_are_the_best_and_the_worst() -> None:
    quotes = find_answers("what do reviews say", LAMP, REVIEWS, BagOfWords())
    assert [q.sentence for q in quotes] == ["Sturdy as a rock.", "It hums a little."]


@pytest.mark.parametrize("question", ["is there a warranty", "does it have a microphone", "", "is it"])
def test_what_is_not_said_is_not_answered(question: str) -> None:
    assert find_answers(question, LAMP, REVIEWS, BagOfWords()) == []


def bought(item_id: str) -> list[Interaction]:
    return [each for history in HISTORIES.values() for each in history if each.item_id == item_id]


def test_products_side_by_side() -> None:
    items = [ITEMS["i1"], ITEMS["i2"]]
    table = compare(items, bought)
    rows = {row[0]: row[1:] for row in table.rows}
    assert table.head[1:] == ("Brookline Harbor Gooseneck Kettle", "Tarnwick Electric Kettle")
    assert rows["Price"] == ("$39.00", "$24.50")
    assert rows["Stars"] == ("5.0 of 5 (1)", "—")
    assert "Size" not in rows  # nobody lists one
    assert in_words(items, bought) == "The Tarnwick Electric Kettle is $14.50 cheaper."


@pytest.mark.parametrize(
    ("stars", "said"),
    [((4.36, 4.44), "Buyers gave both 4.4 of 5 stars."), ((3.0, 4.5), "most stars, 4.5 of 5 against 3.0.")],
)
def test_no_difference_is_told_that_the_table_does_not_show(stars: tuple[float, float], said: str) -> None:
    items = [ITEMS["i1"], ITEMS["i2"]]
    given = dict(zip(("i1", "i2"), stars, strict=True))
    assert said in in_words(items, lambda item_id: [Interaction("ben", item_id, 0, given[item_id])])


SHOWN = InSight(("i1", "i2", "i3", "i4"), focus="i1", history=HISTORIES["ben"])


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("compare the first and the third", ["i1", "i3"]),
        ("2 vs 4", ["i2", "i4"]),
        ("the first two", ["i1", "i2"]),
        ("compare these three", ["i1", "i2", "i3"]),
        ("one, two and three side by side", ["i1", "i2", "i3"]),
        ("the second against the last", ["i2", "i4"]),
        ("compare them", ["i1", "i2", "i3"]),
        ("what is the difference", ["i1", "i2"]),
        ("the teapot or the knife", ["i3", "i4"]),
        ("my leash and the first one", ["i1", "i17"]),
    ],
)
def test_several_products_meant(text: str, meant: list[str]) -> None:
    from agents.catalogue import Catalogue

    assert resolve_several(Reference(text), SHOWN, Catalogue(ITEMS), 3) == meant


def test_what_a_question_points_at() -> None:
    assert pointed_at("does the second one float", []) == "second"
    assert pointed_at("is it waterproof", []) == "it"
    assert pointed_at("how big is the tent", ["tent"]) == "tent"
    assert pointed_at("how long will it last", []) == "it"
