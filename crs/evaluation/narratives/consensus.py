"""Of several samples the one that agrees most with the others (minimum Bayes risk decoding).

Kumar and Byrne 2004: the text with the highest expected agreement under the model's own distribution, which
its samples stand for. A single sample says things that are likely nowhere but in itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

ORDERS = (1, 2, 3)
BETA = 1.2  # recall counts a little more than precision, or short texts would win
_TOKEN = re.compile(r"\w+|[^\w\s]")

_Grams = list[Counter[tuple[str, ...]]]


def consensus(texts: Sequence[str]) -> str:
    """The text of the highest mean agreement with the others; of equally good ones the first, "" of none."""
    if not texts:
        return ""
    counted = [_grams(text) for text in texts]

    def worth(i: int) -> float:
        return sum(_agreement(counted[i], other) for j, other in enumerate(counted) if j != i)

    return texts[max(range(len(texts)), key=worth)]


def agreement(text: str, other: str) -> float:
    """F score of the n-grams (n from 1 to 3, mean) of ``text`` against those of ``other``, 0 to 1."""
    return _agreement(_grams(text), _grams(other))


def _agreement(text: _Grams, other: _Grams) -> float:
    return sum(_f_score(ours, theirs) for ours, theirs in zip(text, other, strict=True)) / len(ORDERS)


def _f_score(ours: Counter[tuple[str, ...]], theirs: Counter[tuple[str, ...]]) -> float:
    shared = (ours & theirs).total()
    weight = BETA * BETA
    return (1 + weight) * shared / max(1.0, weight * theirs.total() + ours.total())


def _grams(text: str) -> _Grams:
    tokens = _TOKEN.findall(text.lower())
    return [Counter(zip(*(tokens[start:] for start in range(n)), strict=False)) for n in ORDERS]
