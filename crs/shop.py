"""The one face that the conversation uses: everything learned, opened once."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crs.bundle import Bundle
from crs.content import Encoder, KeptEncoder, TextEncoder
from crs.narrator.language_model import Caller
from crs.recommender import Recommender, color_of
from crs.storyteller import Storyteller
from crs.taste_map import TasteMap, draw_taste_map, taste_row
from crs.versions import default_data_dir, open_in_use
from knowledge.errors import InputError
from knowledge.feedback import FeedbackLog
from knowledge.memory import Memory, Person
from knowledge.types import Constraints, Interaction, Item, Recommendation, Task
from knowledge.usage import UsageLog

if TYPE_CHECKING:
    from crs.narrator.engine import Load
    from crs.narrator.narrate import NarrationStream

Progress = Callable[[str, int, int], None]  # stage, done, total
PATIENCE = "RACONTEUR_PATIENCE_S"
DEFAULT_PATIENCE_S = 180.0  # a model of some billion parameters needs minutes on a processor


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words a store uses for its products, as listed, each in alphabetical order."""

    brands: tuple[str, ...]
    colors: tuple[str, ...]
    departments: tuple[str, ...]
    kinds: tuple[str, ...]


def patience_s(environment: Mapping[str, str] = os.environ) -> float:
    """Seconds that people wait for a whole narrative: RACONTEUR_PATIENCE_S, else 180.

    Raises InputError where that is no number above 0.
    """
    told = environment.get(PATIENCE) or DEFAULT_PATIENCE_S
    try:
        seconds = float(told)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InputError(PATIENCE, f"'{told}' is no time to wait; set it to seconds above 0, such as 180")
    return seconds


class Shop:
    """A bundle with its memory, ranking, narrator and feedback log. Holds nothing of a conversation."""

    def __init__(
        self,
        bundle: Bundle,
        encoder: TextEncoder,
        memory: Memory,
        storyteller: Storyteller,
        feedback: FeedbackLog,
        usage: UsageLog,
        cache_dir: Path | None = None,
    ) -> None:
        self.bundle, self.encoder, self.memory = bundle, encoder, memory
        self.storyteller, self.feedback, self.usage = storyteller, feedback, usage
        self._recommender = Recommender(bundle, encoder)
        self.patience_s = patience_s()
        self._cache_dir = cache_dir
        self._drawing = threading.Lock()
        self._taste_map: TasteMap | None = None
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self.vocabulary = vocabulary_of(bundle.store.items.values())

    @classmethod
    def open(
        cls,
        bundle_path: str | Path | None = None,
        *,
        data_dir: str | Path | None = None,
        encoder: TextEncoder | None = None,
        progress: Progress | None = None,
    ) -> Shop:
        """Open the version in use of the bundle (the embedded one by default), ready to answer.

        ``data_dir`` keeps memory, caches and ratings (``var/`` by default). The first start fills the
        memory and writes the model file; later ones find both. Raises BusyError when another process
        has this memory open.
        """
        data_dir = default_data_dir() if data_dir is None else Path(data_dir)
        bundle = open_in_use(bundle_path, data_dir)
        encoder = encoder or KeptEncoder(Encoder(), data_dir / "cache")
        storyteller = Storyteller.open(bundle, encoder, data_dir / "cache")
        # Keyed by the catalogue, so that what people told survives a new version of its bundle.
        catalogue = bundle.manifest["parts"]["store/items.parquet"][:12]
        memory = Memory.open(data_dir / f"memory-{catalogue}")
        fill_memory(memory, bundle, progress)
        encoder.encode(["warm up"])  # the first answer should not wait for the encoder to load
        feedback, usage = FeedbackLog(data_dir / "feedback.sqlite"), UsageLog(data_dir / "usage.sqlite")
        return cls(bundle, encoder, memory, storyteller, feedback, usage, data_dir / "cache")

    @property
    def items(self) -> Mapping[str, Item]:
        """Item by id."""
        return self.bundle.store.items

    @property
    def user_ids(self) -> list[str]:
        """The store's shoppers; people who introduced themselves are not among them."""
        return self.bundle.store.user_ids

    @property
    def notes(self) -> list[str]:
        """What the page says of this run, one sentence each: where the narrator runs, then the caveats."""
        return [*self.storyteller.notes, *self.caveats]

    @property
    def caveats(self) -> list[str]:
        """What people should bear in mind about the answers; told in the conversation as well."""
        if self.storyteller.reads_text:
            return []  # its own note says so
        if self.bundle.signals != "content" and self.bundle.narrator_signals == "content":
            return [
                "Collaborative filtering is used for ranking only: the narrator was trained on another "
                "store and reads what products and reviews say."
            ]
        return []

    @property
    def load(self) -> Load | None:
        """See `Storyteller.load`."""
        return self.storyteller.load

    def person(self, user_id: str) -> Person:
        """Recall a person by id. Raises NotFoundError for a stranger."""
        return self.memory.recall(user_id)

    def expect(self, user_id: str) -> None:
        """Someone has come in: what they wrote of their purchases is encoded before they ask anything.

        In a thread of its own; what fails there, a stranger's id included, fails again when they ask.
        """
        self._ahead.submit(lambda: self.storyteller.read_ahead(self.person(user_id).history))

    def purchases_of(self, item_id: str) -> list[Interaction]:
        """Everyone's purchases of an item, with stars and reviews. Raises NotFoundError for a stranger."""
        return self.bundle.store.purchases_of(item_id)

    def newcomer(self, user_id: str, history: Sequence[Interaction] = ()) -> Person:
        """A person who is not remembered yet, with what they say they own."""
        return Person(user_id, list(history), self.taste(history))

    def remember(self, person: Person) -> None:
        """Keep which products a person named; their taste is made from them anew.

        Their words stay in the conversation: there they can be deleted to the last byte, in Chroma not.
        """
        wordless = [replace(each, review="", review_title="") for each in person.history]
        self.memory.remember(person.user_id, wordless, self.taste(person.history))

    def nearness(self, texts: Sequence[str], items: Sequence[Item]) -> np.ndarray:
        """How near each product's listing comes to each text, cosines float32 (n_texts, n_items)."""
        index = self.bundle.store.item_index
        rows = self.bundle.item_content[[index[item.item_id] for item in items]]
        return np.asarray(self.encoder.encode(texts) @ rows.T, dtype=np.float32)

    def recommend(
        self, person: Person, constraints: Constraints | None = None, k: int = 10
    ) -> list[Recommendation]:
        """See `Recommender.recommend`."""
        return self._recommender.recommend(person.history, constraints, k)

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
        """See `Storyteller.narrate`; ``on_wait`` is told of the person's place in line while they wait.

        ``caller``: whose turn it takes, where others may look around as the same shopper. The narrative ends
        with ModelError where it takes longer than people are patient (`patience_s`).
        """
        asking = Caller(caller or person.user_id, self.patience_s, on_wait=on_wait)
        return self.storyteller.narrate(person.history, task, target_id, seed=seed, stop=stop, caller=asking)

    def taste_map(self) -> TasteMap:
        """The shop as a map (taste_map.py); drawn at the first call, which takes some seconds."""
        with self._drawing:
            if self._taste_map is None:
                self._taste_map = draw_taste_map(self.bundle, self._cache_dir)
            return self._taste_map

    def taste_place(self, history: Sequence[Interaction]) -> tuple[float, float] | None:
        """Where someone with these purchases lies on the map; None without any."""
        return self.taste_map().place(taste_row(self.bundle, history))

    def taste(self, history: Sequence[Interaction]) -> np.ndarray:
        """Unit mean of what the purchases' listings say, float32 (384,); zeros without purchases."""
        index = self.bundle.store.item_index
        owned = [index[i.item_id] for i in history if i.item_id in index]
        return _unit(self.bundle.item_content[owned].sum(axis=0))

    def take_up(self, bundle_path: Path, when_free: Callable[[Callable[[], None]], None]) -> None:
        """Open another version of the bundle, and serve it from the moment that ``when_free`` calls back.

        What is being told is told to its end by the version before, whose model is freed after that.
        """
        bundle = Bundle.open(bundle_path)
        cache_dir = self._cache_dir or default_data_dir() / "cache"
        storyteller = self.storyteller
        if not storyteller.reads_text:  # else no version of ours tells
            storyteller = Storyteller.open(bundle, self.encoder, cache_dir)
        recommender = Recommender(bundle, self.encoder)

        def swap() -> None:
            self.bundle, self.storyteller, self._recommender = bundle, storyteller, recommender
            self._taste_map = None

        when_free(swap)

    def close(self) -> None:
        """Free the model and release the memory; ratings are on disk already."""
        self._ahead.shutdown(cancel_futures=True)
        self.storyteller.close()
        self.memory.close()
        self.feedback.close()
        self.usage.close()


def fill_memory(memory: Memory, bundle: Bundle, progress: Progress | None = None) -> None:
    """Put the bundle's items and users into the memory, unless it was filled from this version before."""
    if memory.is_filled(bundle.version):
        return

    def stage(name: str) -> Callable[[int, int], None] | None:
        return (lambda done, total: progress(name, done, total)) if progress else None

    store = bundle.store
    listings = [
        {"title": item.title, "brand": item.brand, "department": item.department, "price": item.price}
        for item in store.items.values()
    ]
    memory.fill_items(store.item_ids, bundle.item_content, listings, progress=stage("memory of items"))
    tastes = _unit(np.asarray(store.user_items() @ bundle.item_content, dtype=np.float32))
    histories = [store.history(user_id) for user_id in store.user_ids]
    memory.fill_users(store.user_ids, tastes, histories, progress=stage("memory of people"))
    memory.mark_filled(bundle.version)


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows (..., 384) at length 1; a row of zeros stays one."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-9), dtype=np.float32)


def vocabulary_of(items: Iterable[Item]) -> Vocabulary:
    """The words that these items use."""
    items = list(items)

    def named(values: Iterable[str | None]) -> tuple[str, ...]:
        return tuple(sorted({value for value in values if value}))

    return Vocabulary(
        brands=named(item.brand for item in items),
        colors=named(color_of(item) for item in items),
        departments=named(item.department for item in items),
        kinds=named(item.kind for item in items),
    )
