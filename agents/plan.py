"""What a message asks for, as a typed plan: the one thing that understanding hands to the turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from knowledge.types import Constraints, Task

Intent = Literal[
    "recommend",  # find me something
    "critique",  # change what was just shown: cheaper, other brand, more like the second
    "why_bought",  # why did I buy X
    "why_this",  # why do you show me X
    "about_me",  # who am I as a shopper
    "pitch",  # sell X to me
    "pick_item",  # I take X; or the answer to "which one do you mean?"
    "ask",  # a question about a product: is it waterproof?
    "compare",  # two or three products side by side
    "introduce",  # I own a tent and I like gardening
    "greeting",
    "help",
    "thanks",
    "out_of_scope",
    "notes",  # I'm left-handed; I hate plastic
    "forget",  # forget that
    "forget_me",  # delete all that is kept of me
]
# Told by a message's form (notes.py), before its meaning is compared with examples.
NOTE_INTENTS: frozenset[Intent] = frozenset({"notes", "forget", "forget_me"})
INTENTS: tuple[Intent, ...] = tuple(each for each in get_args(Intent) if each not in NOTE_INTENTS)

Style = Literal["brief", "long", "five_words"]
Price = Literal["", "cheap", "premium"]  # a wish about price without a number
Change = Literal["", "cheaper", "pricier", "other_brand", "other_color", "more_like", "more"]
Facet = Literal["price", "max_price", "min_price", "brand", "color", "department", "kind", "words"]

_SUMMARY_TASKS: Mapping[Style, Task] = {
    "brief": "user_summary_brief",
    "long": "user_summary_long",
    "five_words": "user_profile",
}
_ENDORSED: frozenset[Intent] = frozenset(
    {"recommend", "critique", "introduce", "why_this", "pitch", "pick_item"}
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """Everything a message wishes of a product, before any item is looked at.

    ``avoid``: words a listing must not contain ("plastic"). ``price``: "cheap" or "premium" without a number.
    """

    constraints: Constraints = Constraints()
    avoid: tuple[str, ...] = ()
    price: Price = ""

    def __bool__(self) -> bool:
        return self != Wishes()


@dataclass(frozen=True, slots=True)
class Reference:
    """Words that point at a product ("my kettle", "the second one"); ``owned``: at a purchase."""

    words: str
    owned: bool = False


@dataclass(frozen=True, slots=True)
class Stated:
    """Something the person said they own, like (5 stars) or dislike (1 star)."""

    words: str
    rating: float | None = None

    @property
    def disliked(self) -> bool:
        return self.rating is not None and self.rating < 3


@dataclass(frozen=True, slots=True)
class Plan:
    """One message understood. ``target_id`` and ``candidates`` are filled once references are resolved.

    ``candidates``: the items that a reference fits equally well; more than one means to ask which.
    ``compared``: the products to set side by side.
    ``adds``: what is wished for joins what was, where else it would take its place.
    ``confidence``: how near the message lies to the intent's examples, about 0 to 1.
    """

    intent: Intent
    wishes: Wishes = Wishes()
    change: Change = ""
    relax: tuple[Facet, ...] = ()
    adds: bool = False
    reference: Reference | None = None
    like: Reference | None = None
    stated: tuple[Stated, ...] = ()
    style: Style = "brief"
    target_id: str | None = None
    candidates: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    confidence: float = 1.0

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What the narrator is asked to tell, in order."""
        if self.intent == "why_bought":
            return ("purchase_reason", "purchase_reason_explanation")
        if self.intent == "about_me":
            return (_SUMMARY_TASKS[self.style],)
        return ("product_endorsement",) if self.intent in _ENDORSED else ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        fields = dict(data)
        fields["wishes"] = wishes_from_json(data["wishes"])
        for name in ("reference", "like"):
            fields[name] = Reference(**data[name]) if data[name] else None
        fields["stated"] = tuple(Stated(**stated) for stated in data["stated"])
        for name in ("relax", "candidates", "compared"):
            fields[name] = tuple(data.get(name, ()))
        return cls(**fields)


def wishes_from_json(data: Mapping[str, Any]) -> Wishes:
    """`Wishes` from its `asdict` form, lists back to tuples."""
    constraints: dict[str, Any] = {
        name: tuple(value) if isinstance(value, (list, tuple)) else value
        for name, value in data["constraints"].items()
    }
    return Wishes(Constraints(**constraints), tuple(data["avoid"]), data["price"])
