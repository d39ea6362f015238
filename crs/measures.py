"""How good a bundle is on people it has not learned from: what it finds, and how it tells."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crs.bundle import Bundle
from crs.content import TextEncoder
from crs.narrator.evidence import Evidence, StoreWords
from crs.recommender import Recommender
from crs.rows import FusedRows
from crs.tuning import Lesson, TunableNarrator
from knowledge.types import MAX_HISTORY, Narrative

N_MEASURED = 200  # reference narratives that the loss is measured on


@dataclass(frozen=True)
class Measured:
    """``hit_rate`` at 10; ``loss`` in nats a token, None where there are no narratives to measure it on."""

    hit_rate: float
    loss: float | None


def measure(bundle: Bundle, encoder: TextEncoder, rows: FusedRows, users: Sequence[str]) -> Measured:
    """Hit rate@10 of the held-out purchase, and the loss of the reference narratives of ``users``."""
    told = references(bundle, users, N_MEASURED) if bundle.has_narrator else []
    loss = None
    if told:
        loss = TunableNarrator(bundle.narrator_dir).loss(reference_lessons(told, bundle, rows))
    return Measured(hit_rate(bundle, encoder, users), loss)


def hit_rate(bundle: Bundle, encoder: TextEncoder, users: Sequence[str], k: int = 10) -> float:
    """Share of ``users`` whose held-out purchase is among their first ``k`` recommendations; 0.0 for none."""
    gains = _gains(bundle, encoder, users, k)
    return float(np.count_nonzero(gains) / len(gains)) if gains else 0.0


def ndcg(bundle: Bundle, encoder: TextEncoder, users: Sequence[str], k: int = 10) -> float:
    """Mean of 1 / log2(place + 1) of the held-out purchase, 0 where it is not shown; 0.0 for no users."""
    gains = _gains(bundle, encoder, users, k)
    return float(np.mean(gains)) if gains else 0.0


def _gains(bundle: Bundle, encoder: TextEncoder, users: Sequence[str], k: int) -> list[float]:
    """What the place of each held-out purchase among the first ``k`` is worth, the first place 1."""
    recommender = Recommender(bundle, encoder)
    held_out = bundle.store.held_out
    gains = []
    for user_id in (user_id for user_id in users if user_id in held_out):
        found = [each.item.item_id for each in recommender.recommend(bundle.store.history(user_id), k=k)]
        wanted = held_out[user_id]
        gains.append(1.0 / np.log2(found.index(wanted) + 2.0) if wanted in found else 0.0)
    return gains


def references(bundle: Bundle, users: Sequence[str], n: int) -> list[Narrative]:
    """Up to ``n`` reference narratives of ``users``, always the same, drawn from all of them.

    Every so manieth would be of a few tasks only, for a user's narratives stand in the order of the tasks.
    """
    chosen = set(users)
    told = [
        each for each in bundle.store.narratives() if each.user_id in chosen and each.n_history <= MAX_HISTORY
    ]
    drawn = random.Random(0).sample(range(len(told)), min(n, len(told)))
    return [told[i] for i in sorted(drawn)]


def reference_lessons(told: Sequence[Narrative], bundle: Bundle, rows: FusedRows) -> list[Lesson]:
    """References with the input that each was written from."""
    items, words = bundle.store.items, StoreWords.of(bundle.store.items.values())
    lessons = []
    for narrative in told:
        history = bundle.store.history(narrative.user_id)[: narrative.n_history]
        target = items[narrative.target_id] if narrative.target_id else None
        evidence = Evidence.of(history, items, narrative.task, target, words)
        lessons.append(Lesson(rows.of(history, target), evidence, narrative.text))
    return lessons
