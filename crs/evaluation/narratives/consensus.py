"""Of several samples the one that agrees most with the others (minimum Bayes risk decoding).

Kumar and Byrne 2004: the text with the highest expected agreement under the model's own distribution, which
its samples stand for. A single sample says things that are likely nowhere but in itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ORDERS = (1, 2, 3)
BETA = 1.2  # recall counts a little more than precision, or short texts would win
_TOKEN = re.compile(r"\w+|[^\w\s]")


def consensus(texts: Sequence[str]) -> str:
    """The text of the highest mean agreement with the others; of equally good ones the first, "" of none."""
    if not texts:
        return ""
    agreed = _agreements(texts)
    np.fill_diagonal(agreed, 0.0)
    return texts[int(agreed.sum(axis=1).round(9).argmax())]


def agreement(text: str, other: str) -> float:
    """F score of the n-grams (n from 1 to 3, mean) of ``text`` against those of ``other``, 0 to 1."""
    return float(_agreements([text, other])[0, 1])


def _agreements(texts: Sequence[str]) -> NDArray[np.float64]:
    """(n, n): the `agreement` of each text (row) with each (column)."""
    tokens = [_TOKEN.findall(text.lower()) for text in texts]
    total = np.zeros((len(texts), len(texts)))
    for n in ORDERS:
        grams = [Counter(zip(*(each[start:] for start in range(n)), strict=False)) for each in tokens]
        place = {gram: column for column, gram in enumerate(dict.fromkeys(g for each in grams for g in each))}
        counts = np.zeros((len(texts), max(1, len(place))), dtype=np.int16)
        for row, each in enumerate(grams):
            for gram, n_times in each.items():
                counts[row, place[gram]] = n_times
        sizes = counts.sum(axis=1, dtype=np.int64)
        shared = np.stack([np.minimum(row, counts).sum(axis=1, dtype=np.int64) for row in counts])
        weight = BETA * BETA
        total += (1 + weight) * shared / np.maximum(1.0, weight * sizes[None, :] + sizes[:, None])
    return total / len(ORDERS)
