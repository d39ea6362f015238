"""Variety, counted by hand."""

from __future__ import annotations

import pytest

from crs.evaluation.variety import distinct, loops, n_words, pointers_alike, seen, self_bleu, unique


def test_pointers_are_alike_and_not_counted_as_words() -> None:
    assert pointers_alike("the [3] pot by [target] pan") == "the [] pot by [] pan"
    assert n_words("the [3] chef's pot-holder, $12.50") == 4


def test_distinct_counts_different_grams_over_all() -> None:
    # the a b, the a c: unigrams 4 of 6; bigrams (the a)(a b)(the a)(a c): 3 of 4
    assert distinct(["The a b.", "the a c"], 1) == pytest.approx(4 / 6)
    assert distinct(["The a b.", "the a c"], 2) == pytest.approx(3 / 4)
    assert distinct(["the [1] a", "the [2] a"], 2) == pytest.approx(2 / 4)  # not varied by its pointers
    assert distinct(["one"], 2) == 0.0


def test_unique_is_by_the_text_as_it_is() -> None:
    assert unique(["a [1] b", "a [2] b", "a [1] b", "c"]) == 0.75


def test_self_bleu_is_all_for_copies_and_nothing_for_strangers() -> None:
    assert self_bleu(["one two three four five"] * 3) == pytest.approx(100)
    assert self_bleu(["one two three four", "five six seven eight"]) < 10
    assert self_bleu(["alone"]) == 0.0
    # "a b c d e" of "a b c d f": precisions 4/5, 3/4, 2/3, 1/2, their geometric mean .6687
    assert self_bleu(["a b c d e", "a b c d f"]) == pytest.approx(66.87, abs=0.01)


def test_self_bleu_compares_a_sample_drawn_by_the_seed() -> None:
    texts = [f"word{i} word{i + 1} word{i + 2} again" for i in range(150)]
    assert self_bleu(texts, seed=1) == self_bleu(texts, seed=1) != self_bleu(texts, seed=2)


def test_four_words_three_times_are_a_loop() -> None:
    again = "and it is good "
    named = "and the [1] mug, and the [2] mug, and the [3] mug, and the mug"
    assert loops([again * 3, again * 2, named]) == 2
    assert loops(["It is good. And it is good, it is so good; good it is."]) == 0


def test_sentences_seen_in_training_are_told_by_the_sentence() -> None:
    known = {"The [1] kettle boils.", "Nothing else."}
    assert seen(["The [1] kettle boils. It sings.", "The [2] kettle boils."], known) == pytest.approx(1 / 3)
    assert seen([""], known) == 0.0
