"""Who talks: how they begin, what they care about, how long they try and how they write."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from agents.simulator.goal import Need

Opening = Literal["nothing", "department", "need"]
Style = Literal["plain", "terse", "chatty", "sloppy"]
OPENINGS: tuple[Opening, ...] = get_args(Opening)
STYLES: tuple[Style, ...] = get_args(Style)

PATIENCE = (4, 8)  # messages that a shopper sends at most, least and most
PICKINESS = (1, 4)  # needs beside the kind of product, least and most
SAYS_TWO = 0.15  # for each need beside the first: how likely two are told in one message
SHORTENS = 0.5  # "blue" for "storm blue"


@dataclass(frozen=True, slots=True)
class Persona:
    """One way to shop. ``needs``: what matters to them, in the order in which it would come to mind.

    ``opening``: they ask for anything, for something of a department, or begin with their first need.
    ``patience``: messages until they give up. ``says_two``: how likely a message tells two needs.
    """

    opening: Opening
    needs: tuple[Need, ...]
    patience: int
    style: Style
    says_two: float
    shortens: bool

    @property
    def pickiness(self) -> int:
        """How much matters to them beside the kind of product."""
        return len(self.needs) - 1


def draw_persona(rng: random.Random, needs: Sequence[Need]) -> Persona:
    """A persona at random, for a goal of which ``needs`` can be said; a listed kind matters to everyone."""
    others: list[Need] = [need for need in needs if need != "kind"]
    chosen: list[Need] = rng.sample(others, min(len(others), rng.randint(*PICKINESS)))
    chosen += [need for need in needs if need == "kind"]
    rng.shuffle(chosen)
    return Persona(
        opening=rng.choice(OPENINGS),
        needs=tuple(chosen),
        patience=rng.randint(*PATIENCE),
        style=rng.choice(STYLES),
        says_two=SAYS_TWO * (len(chosen) - 1),
        shortens=rng.random() < SHORTENS,
    )
