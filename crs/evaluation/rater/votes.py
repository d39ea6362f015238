"""What an ensemble comes to (REGEN, section 3.3): one score an attribute, one confidence a stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import mean

SCALE = range(1, 8)  # a seven-point Likert scale


def final_score(scores: Sequence[int]) -> int:
    """The score that more than half of the votes (at least one) agree on, else their mean rounded down."""
    score, n_votes = Counter(scores).most_common(1)[0]
    return score if 2 * n_votes > len(scores) else sum(scores) // len(scores)


def plurality(scores: Sequence[int]) -> int:
    """The most frequent of the votes (at least one); of several as frequent the lowest, to be careful."""
    counts = Counter(scores)
    return min(counts, key=lambda score: (-counts[score], score))


def stage_confidence(by_attribute: Iterable[Sequence[int]]) -> float:
    """The plurality of each attribute's votes on confidence, averaged over the attributes of a stage."""
    return mean(plurality(confidences) for confidences in by_attribute)


def counts(scores: Iterable[int]) -> list[int]:
    """How often each score of the scale was given, (7,)."""
    found = Counter(scores)
    return [found[score] for score in SCALE]
