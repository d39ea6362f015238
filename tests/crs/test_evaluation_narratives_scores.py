from __future__ import annotations

import numpy as np
import pytest
import sacrebleu

from crs.evaluation.narratives.consensus import agreement, consensus
from crs.evaluation.narratives.scores import (
    METRICS,
    Scored,
    corpus_bleu,
    differences,
    score,
    scorer_config,
)
from tests.conftest import WordEncoder

REFERENCES = [
    "The shopper needed a red kettle for tea. It boils fast.",
    "Bought because the garden needed a longer hose.",
    "A gift for a friend who loves long walks in the hills.",
]
TEXTS = [
    "The shopper wanted a red kettle for tea. It boils quickly.",
    "Bought since the garden needed a hose.",
    "A present for a neighbour.",
]


@pytest.fixture(scope="module")
def scored() -> Scored:
    return score(TEXTS, REFERENCES, WordEncoder())


def test_bleu_is_the_corpus_score_of_sacrebleu(scored: Scored) -> None:
    expected = sacrebleu.corpus_bleu(TEXTS, [REFERENCES]).score
    assert scored.figures()["bleu"] == pytest.approx(expected, abs=1e-9)
    assert scored.at([0, 1]).figures()["bleu"] == pytest.approx(
        sacrebleu.corpus_bleu(TEXTS[:2], [REFERENCES[:2]]).score, abs=1e-9
    )


def test_orders_without_a_match_are_smoothed_as_sacrebleu_does() -> None:
    texts, references = ["a b c d e"], ["a x c y e"]
    expected = sacrebleu.corpus_bleu(texts, [references]).score
    assert (
        0
        < expected
        == pytest.approx(corpus_bleu(score(texts, references, WordEncoder()).matches.sum(axis=0)))
    )


def test_rouge_compares_sentence_by_sentence_by_stems() -> None:
    # By hand: of the sentences swapped all words are found again, and "boiled" has the stem of "boils".
    swapped = score(["It boiled. A kettle came."], ["A kettle came. It boils."], WordEncoder())
    assert swapped.figures()["rougeLsum"] == pytest.approx(100)
    half = score(["red kettle"], ["red kettle for tea"], WordEncoder())  # precision 1, recall 1/2
    assert half.figures()["rougeLsum"] == pytest.approx(100 * 2 / 3)


def test_similarity_is_the_mean_cosine() -> None:
    found = score(["red kettle", "hose"], ["red kettle", "tea"], WordEncoder()).figures()
    assert found["similarity"] == pytest.approx(0.5)
    assert found["n"] == 2


def test_an_empty_text_scores_nothing() -> None:
    found = score([""], ["Bought for tea."], WordEncoder()).figures()
    assert (found["bleu"], found["rougeLsum"], found["similarity"]) == (0, 0, 0)


def test_a_system_does_not_differ_from_itself(scored: Scored) -> None:
    found = differences(scored, scored, ["a", "b", "c"])
    assert set(found) == set(METRICS)
    assert all(gain == {"difference": 0, "low": 0, "high": 0} for gain in found.values())


def test_a_clear_gain_has_an_interval_above_zero() -> None:
    references = [f"The shopper number {i} needed a red kettle for tea at home." for i in range(30)]
    better = score(references, references, WordEncoder())
    worse = score(
        [text.replace("red kettle for", "thing of") for text in references], references, WordEncoder()
    )
    found = differences(better, worse, [f"u{i}" for i in range(30)], n_resamples=200)
    for metric, gain in found.items():
        assert 0 < gain["low"] <= gain["difference"] <= gain["high"]
        assert gain["difference"] == pytest.approx(better.figures()[metric] - worse.figures()[metric])


def test_people_are_drawn_with_all_their_texts() -> None:
    """Forty texts of two people are two draws, not forty: the interval is as wide as the two differ."""
    rng = np.random.default_rng(0)
    matches = np.tile([10, 10, 5, 4, 3, 2, 10, 9, 8, 7], (40, 1))
    base = Scored(matches, np.full(40, 0.2), np.full(40, 0.5))
    of_two = Scored(matches, np.repeat([0.2, 0.6], 20), np.full(40, 0.5))
    clustered = differences(of_two, base, ["a"] * 20 + ["b"] * 20, n_resamples=400)["rougeLsum"]
    alone = differences(of_two, base, [f"u{i}" for i in rng.permutation(40)], n_resamples=400)["rougeLsum"]
    assert (clustered["low"], clustered["high"]) == pytest.approx((0, 40))
    assert 10 < alone["low"] < 20 < alone["high"] < 30


def test_the_same_seed_gives_the_same_interval(scored: Scored) -> None:
    other = score(REFERENCES[::-1], REFERENCES, WordEncoder())
    first = differences(scored, other, ["a", "b", "c"], n_resamples=50)
    assert first == differences(scored, other, ["a", "b", "c"], n_resamples=50)


def test_the_configuration_names_the_scorers() -> None:
    config = scorer_config()
    assert config["bleu"].startswith("sacreBLEU corpus nrefs:1|case:mixed") and "smooth:exp" in config["bleu"]
    assert "stemmer" in config["rougeLsum"] and "MiniLM" in config["similarity"]


def test_the_consensus_is_what_most_samples_say() -> None:
    samples = [
        "A zebra sang.",
        "Bought a kettle for tea.",
        "Bought the kettle for tea.",
        "Bought a kettle for work.",
    ]
    assert consensus(samples) == "Bought a kettle for tea."


def test_one_sample_or_none_is_taken_as_it_is() -> None:
    assert consensus(["only"]) == "only"
    assert consensus([]) == ""


def test_agreement_counts_recall_more() -> None:
    assert agreement("a b c d", "a b c d") == pytest.approx(1)
    assert agreement("x", "a") == 0
    assert agreement("a b c d", "a b") > agreement("a b", "a b c d")
