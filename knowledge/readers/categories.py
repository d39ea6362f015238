"""A shop's category path in our words: the department, and the noun of the product where the path says it."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Last levels that name a shelf and not a thing, and things that are plural by nature.
_UNSURE = re.compile(
    "accessories|apparel|basics|clothes|clothing|electronics|essentials|gifts|goods|kits|materials|others"
    "|parts|products|sets|supplies|tools|toys|binoculars|glasses|headphones|jeans|leggings|pants|pliers"
    "|scissors|shorts|sunglasses|tights|trousers|tweezers"
)
_NAME = re.compile(r"[a-z]+(?:[ -][a-z]+){0,2}")


def department(path: Sequence[str]) -> str | None:
    """The second level: the first is the same for all items of a file. The first where there is no second."""
    levels = [level for level in path if level]
    return levels[min(1, len(levels) - 1)] if levels else None


def kind(path: Sequence[str]) -> str | None:
    """The last level in the singular ("Postal Scales" -> "postal scale"), or None where that is not sure.

    It is sure below the department only, for up to three plain words that end in a common plural.
    """
    levels = [level for level in path if level]
    if len(levels) < 3:
        return None
    name = levels[-1].lower()
    words = name.split()
    if not _NAME.fullmatch(name) or _UNSURE.fullmatch(words[-1]):
        return None
    noun = _singular(words[-1])
    return None if noun is None else " ".join([*words[:-1], noun])


def _singular(noun: str) -> str | None:
    if noun.endswith(("ches", "shes", "sses", "xes")):
        return noun[:-2]
    # "-ies" may stand for "-y" or "-ie"; the others may not be plurals at all.
    if (
        noun.endswith("s")
        and len(noun) > 3
        and not noun.endswith(("ies", "ss", "us", "is", "ics", "ves", "oes"))
    ):
        return noun[:-1]
    return None
