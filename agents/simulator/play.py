"""Conversations between simulated shoppers and the real assistant, kept as they are played.

The shopper's message goes in as text, the ids of the answer's cards come out. Nothing is narrated, for
nobody reads it. Each conversation is a line of a file at once, so that a run that was stopped goes on; the
file's name tells bundle and code, and where either changes another file is begun.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.catalogue import Catalogue
from agents.conversation import Assistant
from agents.events import Answer, Done
from agents.filters import Filters
from agents.lexicon import Lexicon
from agents.plan import wishes_from_json
from agents.simulator.goal import Goal
from agents.simulator.persona import Persona, draw_persona
from agents.simulator.shopper import HABITS, Habit, Message, Shopper
from knowledge.types import Constraints

if TYPE_CHECKING:
    from crs.shop import Shop

Progress = Callable[[str, int, int], None]
_ROOT = Path(__file__).resolve().parents[2]
_CODE = (*_ROOT.glob("agents/**/*"), *_ROOT.glob("crs/*.py"), *_ROOT.glob("crs/ranking/*.py"))


@dataclass(frozen=True, slots=True)
class Exchange:
    """A message, how it was taken, and whether the cards held the goal.

    ``shut_out``: the wishes, as they were understood so far, leave the goal out.
    """

    said: str
    act: str
    needs: tuple[str, ...]
    intent: str
    n_cards: int
    shut_out: bool
    found: bool


@dataclass(frozen=True, slots=True)
class Played:
    """One whole conversation of one shopper."""

    user_id: str
    habit: Habit
    seed: int
    persona: Persona
    exchanges: tuple[Exchange, ...]

    @property
    def turns_to_success(self) -> int | None:
        """How many messages it took; None where the shopper gave up."""
        return len(self.exchanges) if self.exchanges[-1].found else None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Played:
        exchanges = tuple(
            Exchange(**{**exchange, "needs": tuple(exchange["needs"])}) for exchange in data["exchanges"]
        )
        persona = Persona(**{**data["persona"], "needs": tuple(data["persona"]["needs"])})
        return cls(**{**data, "persona": persona, "exchanges": exchanges})


class Stage:
    """One shop and its assistant, where any number of shoppers play after each other."""

    def __init__(self, shop: Shop) -> None:
        from langgraph.checkpoint.memory import InMemorySaver

        self.shop = shop
        self._kept = InMemorySaver()
        self._assistant = Assistant(shop, self._kept)
        catalogue = Catalogue(shop.items)
        self._filters = Filters(catalogue, Lexicon(shop.vocabulary, catalogue.listing_words()))
        self._hush = threading.Event()  # stopped before it begins to tell: cards come all the same
        self._hush.set()

    def play(self, user_id: str, habit: Habit, seed: int) -> Played:
        """A conversation of the shopper who wants the store's held-out purchase of ``user_id``."""
        goal = Goal(self.shop.items[self.shop.bundle.store.held_out[user_id]])
        drawn_by = f"{seed}:{user_id}"  # the same persona and first message, whatever the habit
        persona = draw_persona(random.Random(drawn_by), goal.needs)
        shopper = Shopper(
            goal, persona, self.shop.items, self.shop.vocabulary.colors,
            habit=habit, seed=drawn_by,
        )  # fmt: skip
        conversation_id = f"simulated-{habit}-{user_id}"
        # A notebook of its own: what is said with one habit is not known with the next.
        self._assistant.open(conversation_id, user_id, owner=conversation_id)
        exchanges: list[Exchange] = []
        message: Message | None = shopper.opening()
        while message is not None:
            answer = self._answer(conversation_id, message.text)
            card_ids = [card.id for card in answer.items]
            exchanges.append(
                Exchange(
                    message.text, message.act, message.needs, answer.intent, len(card_ids),
                    not goal.is_let_through(self._wishes(answer)), shopper.found(card_ids),
                )
            )  # fmt: skip
            message = shopper.reaction(card_ids)
        self._kept.delete_thread(conversation_id)
        return Played(user_id, habit, seed, persona, tuple(exchanges))

    def _answer(self, conversation_id: str, text: str) -> Answer:
        events = list(self._assistant.reply(conversation_id, text, self._hush))
        assert isinstance(events[-1], Done)  # a turn that was not cut off ends so
        return events[-1].answer

    def _wishes(self, answer: Answer) -> Constraints:
        """What the answer looked for, as filters; none where it looked for nothing."""
        asked = dict(answer.constraints)
        avoid, price = asked.pop("avoid", ()), asked.pop("price", "")
        fields = asdict(Constraints()) | asked
        return self._filters.of(wishes_from_json({"constraints": fields, "avoid": avoid, "price": price}))


def play_all(
    open_stage: Callable[[], Stage],
    users: Sequence[str],
    kept_in: Path,
    *,
    seed: int = 0,
    habits: Sequence[Habit] = HABITS,
    progress: Progress | None = None,
) -> list[Played]:
    """Every user with every habit, played now or taken from the file ``kept_in`` where it was played before.

    ``open_stage`` is called only where something is missing.
    """
    kept = {(played.user_id, played.habit, played.seed): played for played in _read(kept_in)}
    asked = [(user_id, habit, seed) for user_id in users for habit in habits]
    missing = [key for key in asked if key not in kept]
    if missing:
        stage = open_stage()
        kept_in.parent.mkdir(parents=True, exist_ok=True)
        with kept_in.open("a", encoding="utf-8") as file:
            file.write("\n")  # the line before may have been broken off
            for done, key in enumerate(missing, start=len(asked) - len(missing) + 1):
                kept[key] = stage.play(*key)
                file.write(json.dumps(asdict(kept[key]), ensure_ascii=False) + "\n")
                file.flush()
                if progress:
                    progress("conversations", done, len(asked))
    return [kept[key] for key in asked]


def fingerprint(bundle_version: str) -> str:
    """Of the bundle and of the code that answers and plays."""
    digest = hashlib.sha256(bundle_version.encode())
    for file in sorted(file for file in _CODE if file.suffix in (".py", ".toml", ".txt")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _read(path: Path) -> Iterator[Played]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").split("\n"):
        try:
            data = json.loads(line)
        except ValueError:  # empty, or a run was killed while it wrote
            continue
        yield Played.from_json(data)
