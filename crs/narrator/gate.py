"""The sentence gate: is what a sentence says of the products it points at so?

It knows two kinds of claim so far: the noun after a pointer must be the kind of the product pointed at, and a
price must be the target's.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from knowledge.types import TARGET_POINTER, Item

POINTER = re.compile(r"(\[(?:\d+|target)\])")
_POINTED = re.compile(POINTER.pattern + r"\s*([^\[\].,;:!?]*)")

_AMOUNT = re.compile(r"\$\s?(\d[\d,]*(?:\.\d\d)?)")


def wrong_nouns(sentence: str, item_of: Callable[[str], Item | None]) -> list[str]:
    """Pointers of ``sentence`` whose next words do not name the product's kind, in order.

    ``item_of`` gives the product a pointer stands for, or None. Products of unknown kind pass.
    """
    wrong = []
    for pointer, following in _POINTED.findall(sentence):
        item = item_of(pointer)
        if item is None or (item.kind and not names_kind(following, item.kind)):
            wrong.append(pointer)
    return wrong


def wrong_prices(sentence: str, target: Item | None) -> list[str]:
    """Amounts of dollars in ``sentence`` that are not the target's price, in order.

    "$28.49" must be the price to the cent, "$28" may be off by less than a dollar. Without a target, or
    without a listed price, no amount is right.
    """
    price = None if target is None else target.price
    wrong = []
    for amount in _AMOUNT.findall(sentence):
        value = float(amount.replace(",", ""))
        slack = 0.005 if "." in amount else 0.995
        if price is None or abs(value - price) > slack:
            wrong.append(f"${amount}")
    return wrong


def without_dangling(text: str, item_of: Callable[[str], Item | None]) -> str:
    """``text`` without the pointers that point nowhere, nor the space before them."""
    return re.sub(r"\s?" + POINTER.pattern, lambda found: found[0] if item_of(found[1]) else "", text)


def names_kind(words: str, kind: str) -> bool:
    """Whether ``words`` begin with the noun ``kind``, in singular or plural."""
    said, noun = words.strip().lower(), kind.lower()
    last = noun.split()[-1]
    stems = {last, last + "s", last + "es", last.removesuffix("s"), last.removesuffix("y") + "ies"}
    stems |= {last.removesuffix("fe") + "ves", last.removesuffix("f") + "ves", last.removesuffix("ies") + "y"}
    head = noun.removesuffix(last)
    return any(re.match(re.escape(head + stem) + r"\b", said) for stem in stems if stem)


def resolver(history: list[Item], target: Item | None) -> Callable[[str], Item | None]:
    """A function from a pointer's text to its product, or None when it points nowhere."""

    def item_of(pointer: str) -> Item | None:
        if pointer == TARGET_POINTER:
            return target
        position = position_of(pointer)
        return history[position - 1] if 1 <= position <= len(history) else None

    return item_of


def position_of(pointer: str) -> int:
    """k for ``[k]``, 0 for the target's pointer."""
    return 0 if pointer == TARGET_POINTER else int(pointer[1:-1])
