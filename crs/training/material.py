"""What a run learns from: the narratives of its shoppers, reading practice, and who is held out."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crs.bundle import Bundle
from crs.content import TextEncoder
from crs.narrator.prompt import PromptTokenizer
from crs.rows import purchase_rows
from crs.training.examples import Example, Shelf, narrative_examples, reading_examples
from crs.training.retold import retold_narratives
from crs.training.words import soft_words
from knowledge.errors import InputError
from knowledge.types import Interaction, Narrative, Signals

if TYPE_CHECKING:
    from crs.training.loop import Settings

N_HELD_OUT, MIN_HELD_OUT_HISTORY = 100, 5  # real shoppers whose items are kept for measuring
MAX_SHARE_HELD_OUT = 0.15  # of all items
MIN_LEFT = 3  # purchases that a history must keep when items are taken out of it
# There is one title and one endorsement a person: told as often as they come, they are learned last.
OFTENER: dict[str, int] = {"user_profile": 4, "product_endorsement": 2}


@dataclass(frozen=True)
class Material:
    """What a run learns from, and the shoppers it is judged by.

    ``examples`` of the shelf's train shoppers, ``valid`` of others. ``real_shelf``: real products, for
    reading practice and ``retold`` narratives, without ``held_out_items``: all that some shoppers bought.
    """

    users: list[str]
    shelf: Shelf
    real_shelf: Shelf | None
    examples: list[Example]
    retold: list[Example]
    valid: list[Example]
    held_out_items: list[str]


def gather(
    bundle: Bundle,
    real: Bundle | None,
    tokenizer: PromptTokenizer,
    encoder: TextEncoder,
    *,
    max_users: int | None,
    cache_dir: Path,
    say: Callable[[str], None],
) -> Material:
    """The bundle's train shoppers (at most ``max_users``) and up to 300 of its valid ones.

    Raises InputError when the bundle has no narratives.
    """
    users = bundle.splits["train"][:max_users]
    held_out = bundle.splits["valid"][: max(20, (max_users or 10**9) // 10)][:300]
    say(f"content rows of {len(users) + len(held_out)} shoppers")
    narratives = list(bundle.store.narratives())
    learners = frozenset(users)
    learned_from = [narrative for narrative in narratives if narrative.user_id in learners]
    shelf = shelf_of(bundle, tokenizer, [*users, *held_out], encoder, cache_dir, say, told=learned_from)
    train_shelf, valid_shelf = shelf.of(users), shelf.of(held_out)
    examples = narrative_examples(train_shelf, tokenizer, narratives)
    if not examples:
        raise InputError(bundle.path, "no narratives to learn from; build it from a store that has some")
    valid = narrative_examples(valid_shelf, tokenizer, narratives)
    real_shelf, retold, held_out_items = None, [], frozenset[str]()
    if real:
        held_out_items = items_held_out(real)
        real_shelf = shelf_of(
            real, tokenizer, real.splits["train"], encoder, cache_dir, say, without=held_out_items
        )
        told = retold_narratives(bundle, real, real_shelf.histories)
        retold = narrative_examples(real_shelf, tokenizer, told)
    return Material(users, shelf, real_shelf, examples, retold, valid, sorted(held_out_items))


def items_held_out(real: Bundle) -> frozenset[str]:
    """All items of the first test shoppers with a history to speak of: nothing of theirs is learned from."""
    histories = (real.store.history(user_id) for user_id in real.splits["test"])
    long_ones = [history for history in histories if len(history) >= MIN_HELD_OUT_HISTORY]
    held_out: set[str] = set()
    for history in long_ones[:N_HELD_OUT]:
        more = held_out | {purchase.item_id for purchase in history}
        if len(more) > MAX_SHARE_HELD_OUT * len(real.store.items):
            break
        held_out = more
    return frozenset(held_out)


def shelf_of(
    bundle: Bundle,
    tokenizer: PromptTokenizer,
    users: list[str],
    encoder: TextEncoder,
    cache_dir: Path,
    say: Callable[[str], None],
    *,
    without: frozenset[str] = frozenset(),
    told: Sequence[Narrative] = (),
) -> Shelf:
    """The bundle's store with all rows that training needs; those of ``users`` are kept in ``cache_dir``.

    ``told``: the narratives that may be learned from. Purchases of items in ``without`` are taken out of
    the histories, and users left with hardly any as well.
    """
    last = [0.0]

    def progress(done: int, total: int) -> None:
        if time.monotonic() - last[0] > 15:
            last[0] = time.monotonic()
            say(f"content rows {done}/{total}")

    rows = purchase_rows(bundle.store, encoder, cache_dir / "rows", progress, users=users)
    histories: dict[str, list[Interaction]] = {}
    content: dict[str, np.ndarray] = {}
    for user_id in users:
        history = bundle.store.history(user_id)
        kept = [i for i, purchase in enumerate(history) if purchase.item_id not in without]
        if len(kept) == len(history) or len(kept) >= MIN_LEFT:
            histories[user_id] = [history[i] for i in kept]
            content[user_id] = rows[user_id][kept]
    return Shelf(
        bundle.store,
        histories,
        content,
        bundle.item_content,
        (bundle.item_factors / bundle.norm).astype(np.float32),
        soft_words(tokenizer, bundle.store, told),
    )


def draw(
    material: Material, tokenizer: PromptTokenizer, settings: Settings, rng: random.Random
) -> Iterator[tuple[Shelf, Example, Signals]]:
    """Narratives in a fresh order each pass, reading practice in between, signals muted at random."""
    shelf, real_shelf = material.shelf, material.real_shelf
    narratives = _in_turn(_oftener(material.examples), rng)
    reading = reading_examples(shelf.of(material.users), tokenizer, rng)
    if real_shelf:
        real_reading = reading_examples(real_shelf, tokenizer, rng)
        retold = _in_turn(material.retold, rng) if material.retold else real_reading
    while True:
        lot = rng.random()
        if real_shelf and lot < settings.real_share:
            yield real_shelf, next(real_reading), "content"
            continue
        if real_shelf and lot < settings.real_share + settings.retold_share:
            yield real_shelf, next(retold), "content"
            continue
        example = next(reading if rng.random() < settings.reading_share else narratives)
        lot = rng.random()
        signals = signals_by(lot, settings)
        alone = settings.content_only + settings.cf_only
        if signals == "cf" or alone <= lot < alone + settings.blind_target:
            example = example.seen_by_cf()
        yield shelf, example, signals


def signals_by(lot: float, settings: Settings) -> Signals:
    """What an example may be seen by: one signal alone in the settings' shares, by a ``lot`` from 0 to 1."""
    if lot < settings.content_only:
        return "content"
    return "cf" if lot < settings.content_only + settings.cf_only else "fused"


def _oftener(examples: list[Example]) -> list[Example]:
    return [example for example in examples for _ in range(OFTENER.get(example.task, 1))]


def _in_turn(examples: list[Example], rng: random.Random) -> Iterator[Example]:
    while True:
        yield from rng.sample(examples, len(examples))
