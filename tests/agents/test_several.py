"""Several things asked at once: one is answered, the other is named and offered; kinds share the cards."""

from __future__ import annotations

import pytest
from fake_shop import ITEMS
from talking import Talk, ids

from agents.plan import Plan
from agents.several import listed_first, one_at_a_time


def test_a_second_request_is_named_and_offered(talk: Talk) -> None:
    answer = talk("anna", "why did I buy my last purchase and can you recommend something for me")
    assert answer.intent == "why_bought" and answer.chips[0] == "can you recommend something for me"
    assert "you also said \u201ccan you recommend something for me\u201d" in answer.text
    assert talk("anna", answer.chips[0]).intent == "recommend"


def test_what_is_in_sight_comes_before_a_search(talk: Talk) -> None:
    answer = talk(
        "anna",
        "recommend something for the kitchen",
        "can you recommend something for me. Compare the first two",
    )
    assert answer.intent == "compare" and answer.chips[0] == "can you recommend something for me"


@pytest.mark.parametrize(
    "message",
    [
        "I need a tent. Something light, under $80.",
        "Recommend a lamp and something for the kitchen",
        "I own a kettle. What should I get next?",
        "what should I get next?",
        "Hi! Can you show me some pens? Thank you",
    ],
)
def test_one_request_in_several_sentences_is_one(talk: Talk, message: str) -> None:
    assert "you also said" not in talk("anna", message).text


def test_what_is_not_understood_for_sure_is_no_request() -> None:
    plans = {"why did I buy it": Plan("why_bought", confidence=0.5), "show me a tent": Plan("recommend")}
    whole = Plan("recommend")
    assert one_at_a_time("show me a tent. why did I buy it", whole, plans.__getitem__) == (whole, ())


def test_two_kinds_share_the_cards(talk: Talk) -> None:
    answer = talk("anna", "show me a lamp and a tent")
    kinds = [ITEMS[i].kind or "" for i in ids(answer)]
    assert kinds[:2] in (["desk lamp", "tent"], ["tent", "desk lamp"])


def test_a_kind_that_nothing_fits_is_named(talk: Talk) -> None:
    answer = talk("cleo", "show me a tent and a desk lamp under $70")
    kinds = {ITEMS[i].kind for i in ids(answer)}
    assert kinds == {"desk lamp"} and "I have no tents that fit." in answer.text


def test_products_come_in_the_order_of_their_cards() -> None:
    assert listed_first(["c", "a"], ["a", "b", "c"]) == ("a", "c")
    assert listed_first(["x", "a"], ["a", "b", "c"]) == ("x", "a")
