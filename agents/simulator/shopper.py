"""One shopper: begins a conversation, looks at the cards of each answer by their ids, reacts or gives up."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from agents.simulator.goal import Goal, Need, facet, plain_color
from agents.simulator.persona import Persona
from agents.simulator.wording import Act, say
from knowledge.types import Item

# What a shopper does with the cards: reacts to them; tells their needs without a look at them; asks for more.
Habit = Literal["critiques", "needs", "more"]
HABITS: tuple[Habit, ...] = get_args(Habit)
MAX_TOLD = 2  # how often a need is told before the shopper takes it that the store does not have it
MAX_EMPTY = 2  # answers in a row without any product


@dataclass(frozen=True, slots=True)
class Message:
    """What a shopper says next, and what they did with it. ``needs``: those it tells."""

    text: str
    act: Act
    needs: tuple[Need, ...] = ()


class Shopper:
    """Wants one product of the store and knows it by its id; says only what it is like."""

    def __init__(
        self,
        goal: Goal,
        persona: Persona,
        items: Mapping[str, Item],
        colors: Collection[str],
        *,
        habit: Habit,
        seed: int | str,
    ) -> None:
        """``items``: the store's listings, read by the ids of the cards; ``colors``: all its colours."""
        self.goal, self.persona, self.habit = goal, persona, habit
        self._items, self._colors = items, colors
        self._rng = random.Random(seed)
        self._told: dict[Need, int] = {}
        self._n_said = self._n_empty = 0

    def opening(self) -> Message:
        """The first message, which no cards have led to."""
        first: Need = self.persona.needs[0]
        if self.persona.opening == "department" and self.goal.value("department"):
            first = "department"
        elif self.persona.opening != "need":
            return self._say("open")
        return self._say("ask", (first,))

    def reaction(self, card_ids: Sequence[str]) -> Message | None:
        """The next message after an answer with these cards; None: found, or given up (see `found`)."""
        self._n_empty = 0 if card_ids else self._n_empty + 1
        gives_up = self._n_said >= self.persona.patience or self._n_empty >= MAX_EMPTY
        if self.found(card_ids) or gives_up:
            return None
        if self.habit == "more":
            return self._say("more")
        if self.habit == "needs":
            return self._next_need()
        if not card_ids:
            return self._say("ask", self._with_kind())  # the wishes did not go together: from the start
        return self._critique([self._items[card_id] for card_id in card_ids])

    def found(self, card_ids: Sequence[str]) -> bool:
        """Whether the product is among the cards."""
        return self.goal.item_id in card_ids

    def _next_need(self) -> Message:
        untold = [need for need in self.persona.needs if need not in self._told]
        return self._say("tell", tuple(untold[: self._at_once()])) if untold else self._say("more")

    def _critique(self, cards: Sequence[Item]) -> Message:
        """A need that the cards do not meet, told or as a change of what is shown; else a wish for others."""
        missed = [
            need
            for need in self.persona.needs
            if self._told.get(need, 0) < MAX_TOLD and not all(self.goal.is_met(need, card) for card in cards)
        ]
        if not missed:
            return self._say("more")
        self._rng.shuffle(missed)
        if self._rng.random() < 0.5 and (changed := self._change(missed[0], cards)):
            return changed
        return self._say("tell", tuple(missed[: self._at_once()]))

    def _change(self, need: Need, cards: Sequence[Item]) -> Message | None:
        """The need as a change of what is shown; None where the cards give no occasion for it."""
        first = cards[0]
        if need in ("kind", "department"):
            near = [place for place, card in enumerate(cards) if self.goal.is_met(need, card)]
            return self._say("more_like", place=near[0]) if near else None
        if self.goal.is_met(need, first):
            return None
        if need == "budget":
            return self._say("cheaper") if first.price is not None else None
        if need == "brand":
            return self._say("other_brand") if first.brand else None
        shown = facet(first, "color")
        if shown is None:
            return None
        short = plain_color(shown, self._colors)
        wanted = self.goal.value("color") or ""
        return self._say("not_color", value=shown if short in wanted else short)

    def _at_once(self) -> int:
        return 2 if self._rng.random() < self.persona.says_two else 1

    def _with_kind(self) -> tuple[Need, ...]:
        return ("kind",) if "kind" in self.persona.needs else self.persona.needs[:1]

    def _say(self, act: Act, needs: Sequence[Need] = (), *, place: int = 0, value: str = "") -> Message:
        self._n_said += 1
        values = {need: self._in_words(need) for need in needs}
        for need in needs:
            self._told[need] = self._told.get(need, 0) + 1
        text = say(self._rng, act, self.persona.style, needs=values, place=place, value=value)
        return Message(text, act, tuple(needs))

    def _in_words(self, need: Need) -> str:
        value = self.goal.value(need)
        assert value is not None  # a persona cares only for what its goal has
        # who has said "blue" and was shown other blues says which blue
        shortens = need == "color" and self.persona.shortens and need not in self._told
        return plain_color(value, self._colors) if shortens else value
