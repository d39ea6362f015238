"""What disappointed is bought once more, of another make: how often, learned from a store's histories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from crs.ranking.kinds import kind_of
from knowledge.types import Interaction, Item

DISAPPOINTING = 2.0  # stars, at most
_DOUBT = 20  # histories without a replacement that are added to those counted


def disappointed(history: Sequence[Interaction]) -> bool:
    """Whether the latest purchase was a bad one."""
    return bool(history) and history[-1].rating is not None and history[-1].rating <= DISAPPOINTING


def replacement_rate(histories: Iterable[Sequence[Interaction]], items: Mapping[str, Item]) -> float:
    """How often another product of the same kind comes right after one that got two stars or fewer."""
    n_bad = n_replaced = 0
    for history in histories:
        for at in range(1, len(history)):
            before, after = items.get(history[at - 1].item_id), items.get(history[at].item_id)
            if before is None or after is None or not disappointed(history[:at]):
                continue
            n_bad += 1
            n_replaced += before != after and kind_of(before) != "" and kind_of(before) == kind_of(after)
    return n_replaced / (n_bad + _DOUBT)


def lift(scores: NDArray[np.float32], chosen: NDArray[np.bool_], rate: float) -> float:
    """What to add to the ``chosen`` scores (n,) so that together they have the chance ``rate``; 0 for less.

    Scores are those of a logit: the chance of an item is proportional to ``exp(score)``.
    """
    chances = np.exp(scores - scores.max())
    likely, rest = float(chances[chosen].sum()), float(chances[~chosen].sum())
    if not (likely and rest and rate):
        return 0.0
    return max(float(np.log(rate / (1.0 - rate)) - np.log(likely / rest)), 0.0)
