"""A small shop behind the face of `crs.shop.Shop`: exact filters, word-count vectors, a scripted narrator."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace

import numpy as np

from crs.narrator.narrate import Narrated, NarrationStream, Piece
from crs.recommender import color_of
from crs.shop import Vocabulary
from knowledge.errors import NotFoundError
from knowledge.feedback import FeedbackLog, Rating
from knowledge.memory import Person
from knowledge.types import Constraints, Interaction, Item, Recommendation, Task

_BRANDS = ("Brookline", "Tarnwick", "Fern & Finch", "Ridgeway", "Larkmoor", "Quillmere", "Halden", "Pawley")
# title | price | department | kind | color | description
_LISTED = """
Brookline Harbor Gooseneck Kettle | 39.0 | Kitchen & Dining | kettle | slate blue | Boils tea water, steel.
Tarnwick Electric Kettle, 1.7 L | 24.5 | Kitchen & Dining | kettle | rust red | Plastic body, quick to boil.
Fern & Finch Stoneware Teapot | 31.0 | Kitchen & Dining | teapot | white | Pours tea without dripping.
Tarnwick Chef's Knife | 45.0 | Kitchen & Dining | kitchen knife | matte black | Steel blade for cooking.
Brookline Burr Coffee Grinder | 59.0 | Kitchen & Dining | coffee grinder | copper | Grinds beans evenly.
Ridgeway Two-Person Dome Tent | 129.0 | Outdoors | tent | moss green | For camping in the rain, nylon.
Larkmoor Family Tent | 210.0 | Outdoors | tent | slate blue | Room for camping with four.
Ridgeway Camp Lantern | 22.0 | Outdoors | lantern | rust red | Lights the camping table.
Larkmoor Hammock | 38.0 | Outdoors | hammock | moss green | Cotton, for two trees.
Quillmere Gel Pen Set | 9.5 | Office | gel pen | ink blue | Smooth writing for school.
Quillmere Fountain Pen | 28.0 | Office | fountain pen | matte black | For letters, a steel nib.
Tarnwick Desk Lamp | 34.0 | Office | desk lamp | white | Warm light for late writing.
Fern & Finch Dot Notebook | 12.0 | Office | notebook | moss green | Paper that lies flat.
Fern & Finch Watering Can | 27.0 | Garden | watering can | moss green | For gardening, a long neck.
Halden Ash Trowel | 14.0 | Garden | trowel | natural | Gardening in clay soil.
Halden Garden Gloves | 11.0 | Garden | garden gloves | rust red | Leather palms for gardening.
Pawley Dog Leash | 16.0 | Pets | dog leash | slate blue | For walks with a strong dog.
Pawley Cat Tree | 64.0 | Pets | cat tree | cream | Two cats can sleep on it.
""".strip()


def _item(item_id: str, line: str) -> Item:
    title, price, department, kind, color, description = line.split(" | ")
    brand = next(brand for brand in _BRANDS if title.startswith(brand))
    return Item(item_id, title, description, brand, float(price), department, kind, {"color": color})


ITEMS = {f"i{n}": _item(f"i{n}", line) for n, line in enumerate(_LISTED.splitlines(), start=1)}


def _bought(user_id: str, *rows: tuple[str, int, float | None, str]) -> list[Interaction]:
    return [Interaction(user_id, item_id, when, stars, "", review) for item_id, when, stars, review in rows]


HISTORIES = {
    "anna": _bought(
        "anna",
        ("i1", 1_585_000_000, 5.0, "Pours just where I want it."),  # March 2020
        ("i6", 1_592_000_000, 4.0, "Dry all night."),  # June 2020
        ("i10", 1_600_000_000, None, ""),  # September 2020
        ("i14", 1_618_500_000, 5.0, "Reaches the back row."),  # April 2021
        ("i11", 1_625_000_000, 3.0, "A little scratchy."),  # June 2021
    ),
    "ben": _bought(
        "ben",
        ("i17", 1_610_000_000, 5.0, "My dog loves it."),
        ("i18", 1_612_000_000, 2.0, "Wobbly."),
    ),
    "cleo": [],
}


class BagOfWords:
    """Deterministic unit vectors, 384 dimensions: texts that share words are near."""

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        rows = np.zeros((len(texts), 384), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[zlib.crc32(word.strip(".,?!").encode()) % 384] += 1
        unit: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
        return unit


class FakeLog:
    """Ratings in a list, behind the face of the feedback log."""

    def __init__(self) -> None:
        self.rows: list[Rating] = []

    def append(self, rating: Rating) -> int:
        self.rows.append(rating)
        return len(self.rows)

    def of(self, conversation_ids: Sequence[str]) -> list[Rating]:
        return [row for row in self.rows if row.conversation_id in conversation_ids]

    def forget(self, conversation_ids: Sequence[str]) -> int:
        n = len(self.rows)
        self.rows = [row for row in self.rows if row.conversation_id not in conversation_ids]
        return n - len(self.rows)


class FakeShop:
    """Everything that `agents` asks of a shop. ``before_piece`` is called before each piece is told."""

    def __init__(self, encoder: BagOfWords | None = None, caveats: Sequence[str] = ()) -> None:
        self.encoder = encoder or BagOfWords()
        self.items = ITEMS
        self.user_ids = list(HISTORIES)
        self.caveats = list(caveats)
        self.bundle = SimpleNamespace(version="b1")
        self.storyteller = SimpleNamespace(model=SimpleNamespace(name="fake"))
        self.remembered: dict[str, Person] = {}
        self.memory = SimpleNamespace(forget=self._forget)
        self.feedback: FeedbackLog | FakeLog = FakeLog()
        self.narrated: list[tuple[str, Task, str | None, int]] = []
        self.callers: list[str | None] = []  # whose turn each narrative took
        self.before_piece: Callable[[], None] = lambda: None
        self.places_in_line: Sequence[int] = ()  # what everyone who asks for a narrative waits through
        self.vocabulary = Vocabulary(
            *(
                tuple(sorted({value for item in ITEMS.values() if (value := of(item))}))
                for of in (lambda i: i.brand, color_of, lambda i: i.department, lambda i: i.kind)
            )
        )
        self._rows = self.encoder.encode([f"{i.title} {i.kind} {i.description}" for i in ITEMS.values()])

    def person(self, user_id: str) -> Person:
        if user_id not in HISTORIES:
            raise NotFoundError(f"no shopper '{user_id}' here; name one that is listed")
        return self.newcomer(user_id, HISTORIES[user_id])

    def purchases_of(self, item_id: str) -> list[Interaction]:
        return [each for history in HISTORIES.values() for each in history if each.item_id == item_id]

    def newcomer(self, user_id: str, history: Sequence[Interaction] = ()) -> Person:
        return Person(user_id, list(history), np.zeros(384, dtype=np.float32))

    def remember(self, person: Person) -> None:
        self.remembered[person.user_id] = person

    def _forget(self, user_ids: Sequence[str]) -> None:
        for user_id in user_ids:
            self.remembered.pop(user_id, None)

    def nearness(self, texts: Sequence[str], items: Sequence[Item]) -> np.ndarray:
        order = list(ITEMS)
        rows = self._rows[[order.index(item.item_id) for item in items]]
        return np.asarray(self.encoder.encode(texts) @ rows.T, dtype=np.float32)

    def recommend(
        self, person: Person, constraints: Constraints | None = None, k: int = 10
    ) -> list[Recommendation]:
        wish = constraints or Constraints()
        owned = {interaction.item_id for interaction in person.history} | set(wish.like_ids)
        order = list(ITEMS)
        liked = [ITEMS[item_id].description for item_id in wish.like_ids]
        query = self.encoder.encode([" ".join([wish.words, *liked])])[0]
        scores = self._rows @ query
        fitting = [i for i in ITEMS if i not in owned and _fits(ITEMS[i], wish)]
        fitting.sort(key=lambda i: (-scores[order.index(i)], order.index(i)))
        shares = {"cf": 0.5, "content": 0.4, "popularity": 0.1}
        return [Recommendation(ITEMS[i], float(scores[order.index(i)]), shares) for i in fitting[:k]]

    def narrate(
        self,
        person: Person,
        task: Task,
        target_id: str | None = None,
        seed: int = 0,
        stop: threading.Event | None = None,
        *,
        caller: str | None = None,
        on_wait: Callable[[int], None] | None = None,
    ) -> NarrationStream:
        self.callers.append(caller)
        for place in self.places_in_line if on_wait else ():
            on_wait(place)
        self.narrated.append((person.user_id, task, target_id, seed))
        result: list[Narrated] = []
        return NarrationStream(self._tell(person, task, target_id, seed, stop, result), result)

    def _tell(
        self,
        person: Person,
        task: Task,
        target_id: str | None,
        seed: int,
        stop: threading.Event | None,
        result: list[Narrated],
    ) -> Iterator[Piece]:
        said = ""
        for piece in _script(person, task, target_id, seed):
            self.before_piece()
            if stop is not None and stop.is_set():
                break
            said += piece.text if piece.cite is None else f"[{piece.cite or 'target'}]"
            yield piece
        stopped = stop is not None and stop.is_set()
        n_soft, n_tokens = len(person.history), len(said.split())
        result.append(Narrated(said.strip(), (), 0, n_soft, 1.0, 1.0, n_tokens, stopped))


def _script(person: Person, task: Task, target_id: str | None, seed: int) -> Iterator[Piece]:
    yield Piece(f"({task}, {person.user_id}, {seed}) ")
    if target_id is not None:
        yield from (Piece("The "), Piece("", 0), Piece(f" {ITEMS[target_id].kind} is for you."))
    if person.history:
        yield from (Piece(" You own the "), Piece("", 1), Piece(f" {ITEMS[person.history[0].item_id].kind}."))


def _fits(item: Item, wish: Constraints) -> bool:
    facets = (
        (item.brand, wish.brands, wish.not_brands),
        (color_of(item), wish.colors, wish.not_colors),
        (item.department, wish.departments, wish.not_departments),
        (item.kind, wish.kinds, wish.not_kinds),
    )
    return (
        item.item_id not in wish.exclude_ids
        and (wish.max_price is None or (item.price or 0) <= wish.max_price)
        and (wish.min_price is None or (item.price or 0) >= wish.min_price)
        and all(not wanted or (value or "").lower() in wanted for value, wanted, _ in facets)
        and all((value or "").lower() not in unwanted for value, _, unwanted in facets)
    )
