"""Texts that a good language model might write, fitted to the products of the prompt it is asked with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from crs.llm.chat import Call, Message
from knowledge.types import Task

TEXTS: dict[Task, str] = {
    "purchase_reason": "Feeding more people at once called for the [target] {target}.",
    "purchase_reason_explanation": (
        "Nothing that came before does this job. The [1] {1} serves the same room, and the [target] {target} "
        "follows from it without any detour."
    ),
    "user_summary_brief": "Fits out a single room, a piece at a time. Sturdy things come before showy ones.",
    "user_summary_long": (
        "This shopper fits out a single room, a piece at a time, the [1] {1} among the rest. Sturdy and "
        "plain things come before showy ones, as the [2] {2} shows, and no look has to run through them all. "
        "Prices stay moderate throughout. What serves every week gets a calm word, what does not is left to "
        "itself, and a new piece is only sought where a gap is felt."
    ),
    "user_profile": "Steady buyer for one room",
    "product_endorsement": (
        "You know what a room needs, as your [1] {1} and your [2] {2} prove. The [target] {target} is made "
        "for the same place, takes up little of it, and asks for no more care than the rest of what is there."
    ),
}
_PLACE = re.compile(r"^\[(\w+)\] .*\nkind: ([^;\n]+)", re.MULTILINE)


def sensible(call: Call) -> str:
    """A reply with a fit text for every task that is asked for."""
    return told(call.schema["properties"] if call.schema else (), call.messages)


def told(tasks: Iterable[Task], messages: Sequence[Message]) -> str:
    """The same, as JSON, for the products that the last of ``messages`` lists."""
    kinds = dict(_PLACE.findall(messages[-1].content))
    return json.dumps({task: fitted(TEXTS[task], kinds) for task in tasks})


def fitted(text: str, kinds: dict[str, str]) -> str:
    """``text`` with the product's kind for every place in braces."""
    return re.sub(r"\{(\w+)\}", lambda found: kinds[found[1]], text)
