"""What a turn sends to the page while it runs, and the answer it leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from agents.comparison import Table
from agents.plan import Intent, Plan
from agents.render import Segment
from knowledge.types import Recommendation, Task

if TYPE_CHECKING:
    from crs.narrator.narrate import Piece


@dataclass(frozen=True, slots=True)
class Understood:
    """The message is understood and its references resolved."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Cards:
    """Products to show, best first."""

    recommendations: tuple[Recommendation, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """The narrator is busy with others; ``place`` in its line, from 1."""

    place: int


@dataclass(frozen=True, slots=True)
class Said:
    """Some more was said. ``segments``: the whole answer so far, names and citations in place."""

    piece: Piece
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Cite:
    """A claim's evidence: the ``k``-th purchase with its review (``k`` 0: the product talked about).

    ``date`` as YYYY-MM-DD, ``stars`` 1 to 5; both None where the purchase tells none. ``stated``: no purchase
    but a product that stands for what the person told of, ``review`` being their message.
    """

    k: int
    item_id: str
    title: str
    review: str
    stars: float | None
    date: str | None
    stated: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """A product as it was shown; ``shares`` as in `Recommendation`."""

    id: str
    title: str
    price: float | None
    brand: str | None
    score: float
    shares: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Told:
    """One narrative as the narrator wrote it, pointers in place: what a rating is about."""

    task: Task
    target_id: str | None
    seed: int
    text: str
    sentences_rejected: int
    stopped: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: what is shown, what is cited, and all that a rating of it must keep.

    ``constraints``: the wishes that the cards answer, earlier ones of the conversation included; only what is
    set, empty where nothing was looked for. ``items``: the cards shown, best first. ``table``: products set
    side by side, plain text.
    """

    message_id: str
    conversation_id: str
    user_id: str
    intent: Intent
    constraints: Mapping[str, Any]
    items: tuple[Card, ...]
    text: str
    segments: tuple[Segment, ...]
    cites: tuple[Cite, ...]
    chips: tuple[str, ...]
    told: tuple[Told, ...]
    history_ids: tuple[str, ...]
    seed: int
    model: str
    bundle: str
    stopped: bool
    created_s: float
    forgotten: bool = False  # the person is forgotten: neither this answer nor its conversation is kept
    table: Table | None = None

    @property
    def task(self) -> Task | None:
        """The first narrative's task; None where the narrator had no part."""
        return self.told[0].task if self.told else None

    @property
    def target_id(self) -> str | None:
        return self.told[0].target_id if self.told else None

    @property
    def narrative(self) -> str:
        """The first narrative with its pointers, without the assistant's connecting sentences."""
        return self.told[0].text if self.told else ""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "task": self.task, "target_id": self.target_id}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Answer:
        fields = {name: value for name, value in data.items() if name not in ("task", "target_id")}
        fields["items"] = tuple(Card(**card) for card in data["items"])
        fields["segments"] = tuple(Segment(**segment) for segment in data["segments"])
        fields["cites"] = tuple(Cite(**cite) for cite in data["cites"])
        fields["told"] = tuple(Told(**told) for told in data["told"])
        if table := data.get("table"):
            fields["table"] = Table(tuple(table["head"]), tuple(tuple(row) for row in table["rows"]))
        fields["chips"], fields["history_ids"] = tuple(data["chips"]), tuple(data["history_ids"])
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Done:
    """The turn is over and kept."""

    answer: Answer


Event = Understood | Cards | Waiting | Said | Done


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation as it is kept; ``answer`` is None for the person's own."""

    role: str  # "user" or "assistant"
    text: str
    answer: Answer | None = None
