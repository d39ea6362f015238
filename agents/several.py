"""Several things asked at once: kinds are shown in turn, a second request waits for a turn of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, zip_longest

from agents.plan import Intent, Plan, Wishes
from agents.preferences import Shaped
from agents.words import words

CLEAR = 0.85  # confidence from which a part of a message is a request of its own: near an example, and cued
LEAST_WORDS = 2
LONGEST = 90  # characters of a request that is put off: it becomes a button
_REQUEST = (
    r"(?:why|what|whats|which|who|how|show|recommend|suggest|find|compare|tell|describe|give|explain|pitch|is|"
    r"are|does|do|can|could|would|should|i ?(?:want|need|take|will take|’?'?ll take))\b"
)
_PART_END = re.compile(
    rf"[.!?;\n]+\s+|,?\s+(?:and|but|then|plus|also)\s+(?={_REQUEST}|also\b)|,\s+(?={_REQUEST})", re.I
)
_LEAD = re.compile(r"^(?:(?:and|also|but|then|plus|so|oh|ok|okay|please)[,\s]+)+(?=\S)", re.I)
# Requests that one answer serves; what is not here asks for nothing.
_SERVED_BY: Mapping[Intent, str] = {
    "recommend": "search", "critique": "search", "why_bought": "reason", "about_me": "portrait",
    "why_this": "grounds", "pitch": "item", "pick_item": "item", "ask": "item", "compare": "comparison",
}  # fmt: skip
_IN_SIGHT = frozenset({"grounds", "item", "comparison"})


def one_at_a_time(message: str, plan: Plan, plan_of: Callable[[str], Plan]) -> tuple[Plan, tuple[str, ...]]:
    """What to do of a message now, and the words of what it asks besides.

    What is asked of products in sight comes first, for a search would put others in their place.
    """
    parts = [_LEAD.sub("", part).strip() for part in _PART_END.split(message)]
    parts = [part for part in parts if len(words(part)) >= LEAST_WORDS and len(part) <= LONGEST]
    if len(parts) < 2:
        return plan, ()
    asked: dict[str, tuple[str, Plan]] = {}
    for part in parts:
        own = plan_of(part)
        if own.confidence >= CLEAR and own.intent in _SERVED_BY:
            asked.setdefault(_SERVED_BY[own.intent], (part, own))
    done = "search" if plan.intent == "introduce" else _SERVED_BY.get(plan.intent)
    if done is None:
        return plan, ()
    if done == "search" and "search" in asked and plan.intent != "introduce":
        in_sight = next((served for served in asked if served in _IN_SIGHT), None)
        if in_sight is not None:
            plan, done = asked[in_sight][1], in_sight
    return plan, tuple(part for served, (part, _) in asked.items() if served != done)


def kinds_in_turn(wishes: Wishes, find: Callable[[Wishes], Shaped], k: int) -> tuple[Shaped, tuple[str, ...]]:
    """``k`` recommendations, of several kinds wished for one after the other, and the kinds that had none."""
    kinds = wishes.constraints.kinds
    if len(kinds) < 2:
        return find(wishes), ()
    found = [find(replace(wishes, constraints=replace(wishes.constraints, kinds=(kind,)))) for kind in kinds]
    missing = tuple(kind for kind, shaped in zip(kinds, found, strict=True) if not shaped.recommendations)
    rows = zip_longest(*(shaped.recommendations for shaped in found))
    in_turn = {each.item.item_id: each for each in chain.from_iterable(rows) if each is not None}
    heeded = tuple(dict.fromkeys(chain.from_iterable(shaped.heeded for shaped in found)))
    shown = list(in_turn.values())[:k]
    return Shaped(shown, heeded), missing if shown else ()


def listed_first(ids: Sequence[str], shown: Sequence[str]) -> tuple[str, ...]:
    """Products in the order of the cards that show them; as they came where one is on no card."""
    return tuple(sorted(ids, key=shown.index)) if set(ids) <= set(shown) else tuple(ids)
