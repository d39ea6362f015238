"""A shop and an assistant small enough to read, behind the faces the page talks to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import numpy as np

from agents.events import Answer, Card, Cards, Cite, Done, Event, Message, Said, Waiting
from agents.pace import Pace
from agents.people import Kept, People
from agents.plan import Intent
from agents.render import Segment
from crs.narrator.engine import Load
from crs.taste_map import TasteMap
from knowledge.errors import FeedbackError, ModelError, NotFoundError
from knowledge.feedback import Rating
from knowledge.notes import Notebook
from knowledge.types import Interaction, Item, Recommendation

# fmt: off
ITEMS = [
    Item("i1", "Tarnlow Enamel Camp Kettle, 1.5 L", "Whistles.", "Tarnlow", 32.5, "Camping", "kettle"),
    Item("i2", "Fernwick Hand Trowel, Ash Handle", "For bulbs.", "Fernwick", 14.0, "Garden", "trowel"),
    Item("i3", "Fernwick Seed Tin, 12 Compartments", "Dry packets.", "Fernwick", 18.9, "Garden", "seed tin"),
    Item("i4", "Osprey Lane Waxed Apron", "Pockets for secateurs.", "Osprey Lane", 41.0, "Garden", "apron"),
    Item("i5", "Quillmere Dot Notebook A5", "Lies flat.", "Quillmere", 9.5, "Office", "notebook"),
    Item("i6", "Fernwick Watering Can, 5 L, Moss Green", "A long neck.", "Fernwick", 27, "Garden", "can"),
    Item("i7", "Halden Kneeling Cushion", "Thick foam.", "Halden", 16.75, "Garden", "cushion"),
    Item("i8", "Bramblecote Twine Dispenser", "Cuts as it pays out.", "Bramblecote", 11.2, "Garden", "twine"),
]
# fmt: on
DAY_S = 86_400
HISTORY = [
    Interaction("s1", "i1", 1_600_000_000, 5, "", "It sings, and the lid stays put in the wind."),
    Interaction(
        "s1", "i2", 1_610_000_000 + DAY_S, 4, "Good edge", "Went through clay all spring; needs oil."
    ),
    Interaction("s1", "i3", 1_622_000_000, 5, "", "Every packet found at last."),
    Interaction("s1", "i4", 1_650_000_000, None, "", ""),
]


class FakeLog:
    """Keeps ratings in a list; refuses them when told to."""

    def __init__(self) -> None:
        self.rows: list[Rating] = []
        self.broken = False

    def append(self, rating: Rating) -> int:
        if self.broken:
            raise FeedbackError("feedback.sqlite: could not be written (disk is full); free the disk")
        self.rows.append(rating)
        return len(self.rows)

    def of(self, conversation_ids: Sequence[str]) -> list[Rating]:
        return [rating for rating in self.latest() if rating.conversation_id in conversation_ids]

    def forget(self, conversation_ids: Sequence[str]) -> int:
        n = len(self.rows)
        self.rows = [row for row in self.rows if row.conversation_id not in conversation_ids]
        return n - len(self.rows)

    def latest(self) -> Iterator[Rating]:
        yield from {row.message_id: row for row in self.rows}.values()


class FakeUsage:
    """Counts turns in a list."""

    def __init__(self) -> None:
        self.counted: list[str] = []

    def count(self, person_id: str) -> None:
        self.counted.append(person_id)


class FakeShop:
    """Eight products and two shoppers."""

    def __init__(self, extra_items: list[Item] | None = None) -> None:
        self.items = {item.item_id: item for item in ITEMS + (extra_items or [])}
        self.user_ids = ["s1", "s2"]
        store = SimpleNamespace(history=lambda user_id: self.person(user_id).history)
        self.bundle = SimpleNamespace(store=store)
        self.notes = ["Runs on this CPU"]
        self.feedback = FakeLog()
        self.usage = FakeUsage()
        self.memory = SimpleNamespace(forget=lambda user_ids: None)
        self.expected: list[str] = []

    def expect(self, user_id: str) -> None:
        self.expected.append(user_id)

    def taste_map(self) -> TasteMap:
        spots = np.linspace(0.1, 0.9, len(self.items), dtype=np.float32)
        places = np.stack([spots, spots], axis=1)
        return TasteMap(tuple(self.items), places, places[:2], np.eye(len(self.items), 512, dtype=np.float32))

    def taste_place(self, history: list[Interaction]) -> tuple[float, float] | None:
        return (0.3, 0.6) if history else None

    @property
    def load(self) -> Load | None:
        return None

    def person(self, user_id: str) -> SimpleNamespace:
        if user_id not in self.user_ids:
            raise NotFoundError(f"no shopper '{user_id}' in this store; pick one from the list")
        return SimpleNamespace(user_id=user_id, history=HISTORY if user_id == "s1" else HISTORY[:1])


WORDS = (
    "Here is what I found for the garden.\n\n",
    "Your mornings start outdoors. You put the ",
    "trowel",
    " through a whole spring of clay and kept every packet in the ",
    "seed tin",
    ", so the next thing is water: ",
    "the Fernwick Watering Can",
    " reaches the back row without trampling the front one, and it matches what you already own.",
)


class FakeAssistant:
    """Answers everything with three cards and one narrative, a word at a time."""

    def __init__(self, shop: FakeShop, pause_s: float = 0.0) -> None:
        self.shop, self.pause_s = shop, pause_s
        threads = SimpleNamespace(delete_thread=self._delete)
        self.people = People(shop, Notebook(), threads)  # type: ignore[arg-type]
        self.people.pace = Pace(per_minute=60_000)
        self.agreed = True  # whether everyone has agreed to keep ratings
        self.kept: dict[str, list[Message]] = {}
        self.talker: dict[str, str | None] = {}
        self.places_in_line: tuple[int, ...] = ()
        self.abandoned: list[str] = []  # messages whose reply was closed before its end

    def open(self, conversation_id: str, user_id: str | None = None, owner: str | None = None) -> None:
        if user_id is not None:
            self.shop.person(user_id)
        self.kept[conversation_id], self.talker[conversation_id] = [], user_id
        self.people.notebook.begin(conversation_id, owner or user_id or "guest")
        if self.agreed:
            self.people.notebook.set_consent(owner or user_id or "guest", True)

    def _delete(self, conversation_id: str) -> None:
        del self.kept[conversation_id], self.talker[conversation_id]

    def forget(self, owner: str) -> Kept:
        return self.people.forget(owner, self.people.notebook.conversations(owner))

    def owner(self, conversation_id: str) -> str:
        self.user_id(conversation_id)
        return str(self.people.notebook.owner(conversation_id))

    def user_id(self, conversation_id: str) -> str | None:
        if conversation_id not in self.talker:
            raise NotFoundError(f"no conversation '{conversation_id}'; open it first")
        return self.talker[conversation_id]

    def history(self, conversation_id: str) -> list[Message]:
        return list(self.kept[conversation_id])

    def rewind(self, conversation_id: str, n_messages: int) -> None:
        del self.kept[conversation_id][n_messages:]

    def reply(
        self, conversation_id: str, message: str, stop: threading.Event | None = None, *, retry: bool = False
    ) -> Iterator[Event]:
        if message == "break":
            raise ModelError("the narrator cannot be loaded; run make setup")
        if retry:
            self.rewind(conversation_id, len(self.kept[conversation_id]) - 2)
        try:
            yield from self._turn(conversation_id, message, stop or threading.Event())
        except GeneratorExit:
            self.abandoned.append(message)
            raise

    def _turn(self, conversation_id: str, message: str, stop: threading.Event) -> Iterator[Event]:
        recommendations = tuple(
            Recommendation(self.shop.items[item_id], 1.0 / rank, {"cf": cf, "content": 1 - cf})
            for rank, (item_id, cf) in enumerate([("i6", 0.7), ("i7", 0.3), ("i8", 0.6)], start=1)
        )
        yield Cards(recommendations)
        for place in self.places_in_line:
            yield Waiting(place)
        cited = {"trowel": ("i2", 2), "seed tin": ("i3", 3), "the Fernwick Watering Can": ("i6", 0)}
        segments: list[Segment] = []
        for run in WORDS:
            for word in [run] if run in cited else run.split(" "):
                if stop.is_set():
                    break
                item_id, k = cited.get(run, (None, None))
                segments.append(Segment(word if run in cited else word + " ", item_id, k))
                time.sleep(self.pause_s)
                yield Said(None, tuple(segments))  # type: ignore[arg-type]
        stopped = stop.is_set()
        answer = self._answer(conversation_id, recommendations, segments, stopped)
        self.kept[conversation_id] += [
            Message("user", message),
            Message("assistant", answer.text, answer),
        ]
        yield Done(answer)

    def _answer(
        self,
        conversation_id: str,
        recommendations: tuple[Recommendation, ...],
        segments: list[Segment],
        stopped: bool,
    ) -> Answer:
        intent: Intent = "recommend"
        cites = []
        for k, item_id in {(s.k, s.item_id) for s in segments if s.k is not None and s.item_id}:
            item = self.shop.items[item_id]
            bought = HISTORY[k - 1] if k else None
            cites.append(
                Cite(k, item_id, item.title, bought.review if bought else "", bought and bought.rating,
                     "2021-01-08" if bought else None)
            )  # fmt: skip
        return Answer(
            message_id=f"{conversation_id}-{len(self.kept[conversation_id])}",
            conversation_id=conversation_id,
            user_id=self.talker[conversation_id] or "guest", intent=intent, constraints={},
            items=tuple(Card(r.item.item_id, r.item.title, r.item.price, r.item.brand, r.score, r.shares)
                        for r in recommendations),
            text="".join(s.text for s in segments), segments=tuple(segments), cites=tuple(cites),
            chips=("Something cheaper", "Why the first one?", "Pitch me the second"), told=(),
            history_ids=tuple(p.item_id for p in HISTORY), seed=1, model="fake", bundle="b1",
            stopped=stopped, created_s=0.0,
        )  # fmt: skip
