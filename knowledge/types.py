"""The words everything else is said in: items, interactions, narratives, tasks, constraints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Task = Literal[
    "purchase_reason",
    "purchase_reason_explanation",
    "user_summary_brief",
    "user_summary_long",
    "user_profile",
    "product_endorsement",
]
TASKS: tuple[Task, ...] = get_args(Task)
# Tasks told about one product, the target; the others are told about the shopper as a whole.
TARGET_TASKS: frozenset[Task] = frozenset(
    {"purchase_reason", "purchase_reason_explanation", "product_endorsement"}
)

Signals = Literal["fused", "cf", "content"]
SIGNALS: tuple[Signals, ...] = get_args(Signals)

MAX_HISTORY = 50  # REGEN, section 3.2: a sequence is cut to its most recent 50 items
TARGET_POINTER = "[target]"


def pointer(position: int) -> str:
    """The text form of a pointer: ``[k]`` for the k-th purchase of a history, counted from 1."""
    return f"[{position}]"


@dataclass(frozen=True, slots=True)
class Item:
    """A product as the store lists it. ``price`` in US dollars; ``kind`` is its noun ("kettle").

    ``noun``: where no kind is listed, the one that the store's titles tell (nouns.py).
    """

    item_id: str
    title: str
    description: str = ""
    brand: str | None = None
    price: float | None = None
    department: str | None = None
    kind: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)  # colour, size, material, ...
    features: tuple[str, ...] = ()
    noun: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Interaction:
    """One purchase of one person. ``rating`` 1 to 5 or None, ``timestamp`` in seconds (UTC)."""

    user_id: str
    item_id: str
    timestamp: int
    rating: float | None = None
    review_title: str = ""
    review: str = ""


@dataclass(frozen=True, slots=True)
class Narrative:
    """A reference text. ``n_history``: how many of the user's first purchases it was written from.

    Products are named only by pointers in ``text``: ``[k]`` (k <= n_history) and ``[target]``.
    ``cause`` names what truly led to the purchase or shaped the text (for analysis only).
    """

    user_id: str
    task: Task
    text: str
    n_history: int
    target_id: str | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a person asked of a recommendation; every field is a hard filter except ``like_ids``.

    Words are lower case. Empty means no wish. ``like_ids`` move the query towards those items.
    """

    max_price: float | None = None
    min_price: float | None = None
    brands: tuple[str, ...] = ()
    not_brands: tuple[str, ...] = ()
    colors: tuple[str, ...] = ()
    not_colors: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    not_departments: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    not_kinds: tuple[str, ...] = ()
    like_ids: tuple[str, ...] = ()
    exclude_ids: tuple[str, ...] = ()
    words: str = ""  # free words left over, matched by meaning


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A ranked item. ``shares``: how much each signal gave to the score, summing to 1."""

    item: Item
    score: float
    shares: Mapping[str, float]
