"""A benchmark: reference texts, what is known of their people, and who is trained on, who tested."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crs.bundle import without_held_out
from crs.content import item_text
from knowledge.errors import InputError
from knowledge.store import Store
from knowledge.types import MAX_HISTORY, TARGET_TASKS, Item, Narrative

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

N_FOLDS = 3
PERSON = "person:"  # opens the id of the row that stands for what is written of a person


@dataclass(frozen=True, slots=True)
class Reference:
    """A text to be told anew. ``note``: words on the target beyond its listing, for who may see content."""

    narrative: Narrative
    note: str = ""

    @property
    def user_id(self) -> str:
        return self.narrative.user_id

    @property
    def task(self) -> str:
        return self.narrative.task


@dataclass(frozen=True)
class Fold:
    """One part of the people is tested, the others are trained on; ``seed`` is also that of the training.

    ``unseen``: items that nothing in training may name, so that texts on them show what is not memorised.
    """

    seed: int
    train: frozenset[str]
    test: frozenset[str]
    unseen: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Benchmark:
    """``store`` holds histories that are free of what the references are asked about.

    Items without a title are known by id alone. Where something is written of the people themselves, the
    first row of a history is an item whose id starts with `PERSON`. ``quoting``: references quote listings,
    so models may point at facts of a listing (crs/narrator/quotes.py).
    """

    name: str
    store: Store
    references: list[Reference]
    quoting: bool = False
    unseen_share: float = 0.0

    @property
    def tasks(self) -> list[str]:
        """Tasks in the order of their first reference."""
        return list(dict.fromkeys(reference.task for reference in self.references))

    def folds(self) -> list[Fold]:
        """Three folds by person. Raises InputError when there are too few people."""
        people = sorted({reference.user_id for reference in self.references}, key=_shuffled)
        if len(people) < 2 * N_FOLDS:
            raise InputError(
                self.store.path,
                f"{len(people)} people with reference texts; {N_FOLDS} folds need {2 * N_FOLDS} or more",
            )
        everyone = frozenset(people)
        parts = [frozenset(people[start::N_FOLDS]) for start in range(N_FOLDS)]
        return [Fold(i, everyone - part, part, self._unseen(i)) for i, part in enumerate(parts)]

    def _unseen(self, seed: int) -> frozenset[str]:
        items = sorted(item_id for item_id in self.store.item_ids if not item_id.startswith(PERSON))
        return frozenset(random.Random(seed).sample(items, round(self.unseen_share * len(items))))

    def items_of(self, reference: Reference) -> list[str]:
        """Ids of what a reference may name: the history it was written from, and its target."""
        told = reference.narrative
        bought = [purchase.item_id for purchase in self.store.history(told.user_id)[: told.n_history]]
        return [*bought, *([told.target_id] if told.target_id else [])]

    def training_references(self, fold: Fold) -> list[Reference]:
        """References of the fold's train people that touch no item which is to stay unseen."""
        own = [reference for reference in self.references if reference.user_id in fold.train]
        if not fold.unseen:
            return own
        return [reference for reference in own if fold.unseen.isdisjoint(self.items_of(reference))]

    def reading_people(self, fold: Fold) -> list[str]:
        """Train people all of whose purchases may be practised on."""
        if not fold.unseen:
            return sorted(fold.train)
        return [
            user_id
            for user_id in sorted(fold.train)
            if fold.unseen.isdisjoint(purchase.item_id for purchase in self.store.history(user_id))
        ]

    def test_references(self, fold: Fold, n_per_task: int | None = None) -> list[Reference]:
        """References of the fold's test people, at most ``n_per_task`` of a task, evenly spread."""
        chosen: list[Reference] = []
        for task in self.tasks:
            own = [r for r in self.references if r.user_id in fold.test and r.task == task]
            n = len(own) if n_per_task is None else min(n_per_task, len(own))
            chosen += [own[i * len(own) // n] for i in range(n)]
        return chosen

    def purchases(self, fold: Fold) -> csr_matrix:
        """Who bought what, (n_users, n_items), for the fold's CF: without the targets of its test people."""
        from scipy.sparse import csr_matrix

        user_items = without_held_out(self.store)
        row_of = {user_id: row for row, user_id in enumerate(self.store.user_ids)}
        asked = [
            (row_of[r.user_id], self.store.item_index[r.narrative.target_id])
            for r in self.references
            if r.user_id in fold.test and r.narrative.target_id and r.user_id in row_of
        ]
        if asked:
            users, items = zip(*asked, strict=True)
            held = csr_matrix((np.ones(len(asked), np.float32), (users, items)), shape=user_items.shape)
            user_items = user_items - user_items.multiply(held > 0)
        known = np.array([not item_id.startswith(PERSON) for item_id in self.store.item_ids], np.float32)
        user_items = csr_matrix(user_items.multiply(known[None, :]))
        user_items.eliminate_zeros()
        return user_items

    def fingerprint(self) -> str:
        """Twelve hex digits that tell the benchmark's texts, people and items apart from any other's."""
        digest = hashlib.sha256()
        for reference in self.references:
            told = reference.narrative
            parts = (told.user_id, told.task, told.text, told.n_history, told.target_id, reference.note)
            digest.update(json.dumps(parts).encode())
        for user_id in self.people():
            bought = [purchase.item_id for purchase in self.store.history(user_id)]
            digest.update(json.dumps([user_id, bought]).encode())
        for item in self.store.items.values():
            digest.update(json.dumps([item.item_id, content_text(item)]).encode())
        return digest.hexdigest()[:12]

    def people(self) -> list[str]:
        """Ids of the people with references, in the store's order."""
        told_of = {reference.user_id for reference in self.references}
        return [user_id for user_id in self.store.user_ids if user_id in told_of]


def content_text(item: Item) -> str:
    """What the sentence encoder is given of an item; "" where nothing is known of it."""
    if item.item_id.startswith(PERSON):
        return " ".join(item.features)
    return item_text(item) if item.title else ""


def store_benchmark(store: Store, name: str, *, max_people: int) -> Benchmark:
    """The references of one of our stores, of at most ``max_people`` people; InputError for none."""
    usable = [n for n in store.narratives() if (n.target_id is not None) == (n.task in TARGET_TASKS)]
    usable = [n for n in usable if 0 < n.n_history <= MAX_HISTORY or n.target_id]
    known = set(store.user_ids)
    people = sorted({n.user_id for n in usable} & known, key=_shuffled)[:max_people]
    chosen = set(people)
    references = [Reference(n) for n in usable if n.user_id in chosen]
    if not references:
        raise InputError(store.path, "no reference narratives to measure against; name a store that has some")
    return Benchmark(name, store, references, quoting=True, unseen_share=0.1)


def _shuffled(user_id: str) -> str:
    return hashlib.sha256(f"narratives:{user_id}".encode()).hexdigest()
