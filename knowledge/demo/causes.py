"""Why someone buys: the cause of every simulated purchase, recorded as it happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from knowledge.demo.words import CircleWords

CauseName = Literal[
    "need", "complement", "replenish", "replace", "upgrade", "gift", "event", "season", "circle", "system",
    "loyalty", "color",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cause:
    """What led to a purchase.

    ``phrase``: a need's infinitive, or the noun phrase of a gift, event, season; the color to match.
    ``earlier``: 1-based positions of the purchases that led to it or belong with it, most telling first.
    """

    name: CauseName
    phrase: str = ""
    earlier: tuple[int, ...] = ()
    circle: CircleWords | None = None
