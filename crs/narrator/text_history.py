"""Purchases as text, for a foreign model that no adapter is trained for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from crs.cf import N_FACTORS
from crs.llm.material import TITLE_WORDS, one_line
from crs.narrator.evidence import Evidence
from crs.narrator.foreign import ForeignTokenizer
from crs.narrator.language_model import Segment
from knowledge.money import dollars
from knowledge.nouns import noun_of
from knowledge.types import pointer

_FACT_WORDS, _SNIPPET_WORDS = 6, 16
# So many go into one segment: those read for one question are found read by the next that begins alike.
_PER_SEGMENT = 8


class TextHistory:
    """A `HistoryReader` (prompt.py) that spells out as many purchases as there is room for."""

    llm_dim = None  # it makes no rows

    def __init__(self, tokenizer: ForeignTokenizer) -> None:
        self._tokenizer = tokenizer

    def segments(self, rows: np.ndarray, evidence: Evidence, n_free: int) -> list[Segment]:
        """Token ids of lines, oldest purchase first.

        Where not all fit into ``n_free`` positions, those nearest to the target by their content (the last
        384 of ``rows``) are told, and without a target the latest.
        """
        lines = self._tokenizer.vocabulary.encode(purchase_lines(evidence))
        first = _most_telling(rows, evidence)
        used = itertools.accumulate(len(lines[i]) for i in first)
        told = sorted(i for i, n_used in zip(first, used, strict=True) if n_used <= n_free)
        return [
            np.asarray([*itertools.chain(*(lines[i] for i in told[start : start + _PER_SEGMENT]))], np.int32)
            for start in range(0, len(told), _PER_SEGMENT)
        ]


def purchase_lines(evidence: Evidence) -> list[str]:
    """A line for each purchase: its pointer, the listing in short, the stars and what was said of it.

    Listings and reviews keep to their line and lose their brackets: neither can look like a pointer.
    """
    given: Sequence[float | None] = evidence.stars or [None] * len(evidence.items)
    reviews = evidence.reviews or [""] * len(evidence.items)
    lines = []
    for k, (item, stars, review) in enumerate(zip(evidence.items, given, reviews, strict=True), start=1):
        said = one_line(review, _SNIPPET_WORDS)
        told = (
            one_line(item.title, TITLE_WORDS),
            one_line(noun_of(item), _FACT_WORDS),
            one_line(item.brand or "", _FACT_WORDS),
            "" if item.price is None else dollars(item.price),
            "" if stars is None else f"{stars:.0f} of 5 stars",
            f"review: {said}" if said else "",
        )
        lines.append(f"{pointer(k)} {'; '.join(filter(None, told))}\n")
    return lines


def _most_telling(rows: np.ndarray, evidence: Evidence) -> list[int]:
    """Places in the history, from 0, of what should be told first."""
    n_purchases = len(evidence.items)
    nearness = np.zeros(n_purchases)
    if evidence.target is not None:
        content = rows[:, N_FACTORS:]  # unit rows, so that a product of two is their cosine
        nearness = content[:n_purchases] @ content[-1]
    return sorted(range(n_purchases), key=lambda i: (-nearness[i], -i))
