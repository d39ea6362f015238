"""The grammar that turns facts into English."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from knowledge.demo.grammar import (
    Draft,
    Keyed,
    finish,
    gerund,
    load_grammar,
    number_word,
    parse,
    starts_with_vowel,
)
from knowledge.errors import InputError


def write(
    plan: str, facts: dict[str, object], phrases: dict[str, list[str]] | None = None, seed: int = 0
) -> str | None:
    parsed = {name: tuple(map(parse, texts)) for name, texts in (phrases or {}).items()}
    return Draft(random.Random(seed), parsed, facts).write((parse(plan),))  # type: ignore[arg-type]


def test_slots_are_filled_from_facts_then_from_phrases() -> None:
    assert write("{a} and {b}.", {"a": "tea"}, {"b": ["<cake>"]}) == "Tea and cake."


def test_a_text_that_cannot_be_filled_is_none() -> None:
    assert write("{missing}.", {}) is None


def test_alternatives_of_a_fact_are_not_repeated() -> None:
    assert write("{x}, {x}.", {"x": ("one", "two")}) in ("One, two.", "Two, one.")
    assert write("{x}, {x}, {x}.", {"x": ("one", "two")}) is None


def test_facts_with_one_key_are_said_once() -> None:
    facts = {"do": (Keyed("bake", "need 1"),), "doing": (Keyed("baking", "need 1"),)}
    assert write("{do} {doing}", facts) is None
    assert write("{do} <{doing}|and so on>", facts) == "Bake and so on"


def test_conditions_and_optional_slots() -> None:
    assert write("{?rich}{who:pays/pay}", {}) is None
    assert write("yes{?rich}", {"rich": "yes"}) == "Yes"
    assert write("tea {missing?}now", {}) == "Tea now"


def test_verbs_agree_with_subject_and_target() -> None:
    assert str(write("{who:buys/buy} tea", {})).endswith(" buys tea")
    assert write("{#fits/fit}", {"target_plural": "yes"}) == "Fit"
    assert write("{#fits/fit}", {"target_plural": "no"}) == "Fits"
    texts = {write("{who:is/are} in. {who:is/are} out.", {}, seed=seed) for seed in range(20)}
    assert any("They are out" in str(text) for text in texts)
    assert not any("they is" in str(text).lower() for text in texts)


def test_the_target_is_named_before_it_is_a_pronoun() -> None:
    facts = {"t": "the [target] kettle", "it": "it", "target_plural": "no"}
    assert write("{it} boils. {it} sings.", facts) == "The [target] kettle boils. It sings."


@pytest.mark.parametrize(
    ("raw", "finished"),
    [
        ("a(n) umbrella", "an umbrella"),
        ("a(n) ukulele", "a ukulele"),
        ("a(n) [target] umbrella", "an [target] umbrella"),
        ("a(n) utility knife", "a utility knife"),
        ("it is. it was", "It is. It was"),
        ("a(n) open-water swimmer", "an open-water swimmer"),
    ],
)
def test_articles_follow_the_sound_and_sentences_start_large(raw: str, finished: str) -> None:
    assert finish(raw) == finished[:1].upper() + finished[1:]


@pytest.mark.parametrize(
    ("infinitive", "expected"),
    [
        ("set up a desk", "setting up a desk"),
        ("bake bread", "baking bread"),
        ("tie knots", "tying knots"),
        ("see friends", "seeing friends"),
        ("knit", "knitting"),
        ("mend", "mending"),
    ],
)
def test_gerunds(infinitive: str, expected: str) -> None:
    assert gerund(infinitive) == expected


def test_numbers_and_sounds() -> None:
    assert [number_word(n) for n in (0, 12, 20, 21, 50)] == [
        "zero",
        "twelve",
        "twenty",
        "twenty-one",
        "fifty",
    ]
    assert starts_with_vowel("hourglass")
    assert not starts_with_vowel("one-strap")


@pytest.mark.parametrize("text", ["<a|b", "a>b", "a}b"])
def test_broken_brackets_are_named_with_their_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "phrases.toml"
    path.write_text(f'plans = ["{text}"]')
    with pytest.raises(InputError, match="phrases.toml"):
        load_grammar(path)
