"""What a run learns from: the narratives of its shoppers, reading practice, and who is held out."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crs.bundle import Bundle
from crs.content import TextEncoder
from crs.narrator.prompt import PromptTokenizer
from crs.rows import purchase_rows
from crs.training.examples import Example, Shelf, item_words, narrative_examples, reading_examples
from knowledge.errors import InputError
from knowledge.types import Signals

if TYPE_CHECKING:
    from crs.training.loop import Settings


@dataclass(frozen=True)
class Material:
    """``examples`` of the shoppers ``users``, ``valid`` of others; ``real_shelf``: reading practice only."""

    users: list[str]
    shelf: Shelf
    real_shelf: Shelf | None
    examples: list[Example]
    valid: list[Example]


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
    shelf = shelf_of(bundle, tokenizer, [*users, *held_out], encoder, cache_dir, say)
    real_shelf = shelf_of(real, tokenizer, real.splits["train"], encoder, cache_dir, say) if real else None
    examples = narrative_examples(bundle.store, tokenizer, frozenset(users))
    if not examples:
        raise InputError(bundle.path, "no narratives to learn from; build it from a store that has some")
    valid = narrative_examples(bundle.store, tokenizer, frozenset(held_out))
    return Material(users, shelf, real_shelf, examples, valid)


def shelf_of(
    bundle: Bundle,
    tokenizer: PromptTokenizer,
    users: list[str],
    encoder: TextEncoder,
    cache_dir: Path,
    say: Callable[[str], None],
) -> Shelf:
    """The bundle's store with all rows that training needs; those of ``users`` are kept in ``cache_dir``."""
    last = [0.0]

    def progress(done: int, total: int) -> None:
        if time.monotonic() - last[0] > 15:
            last[0] = time.monotonic()
            say(f"content rows {done}/{total}")

    rows = purchase_rows(bundle.store, encoder, cache_dir / "rows", progress, users=users)
    items = list(bundle.store.items.values())
    return Shelf(
        bundle.store,
        rows,
        bundle.item_content,
        (bundle.item_factors / bundle.norm).astype(np.float32),
        [item_words(tokenizer, item) for item in items],
    )


def draw(
    material: Material, tokenizer: PromptTokenizer, settings: Settings, rng: random.Random
) -> Iterator[tuple[Shelf, Example, Signals]]:
    """Narratives in a fresh order each pass, reading practice in between, signals muted at random."""
    shelf, real_shelf, examples = material.shelf, material.real_shelf, material.examples
    reading = reading_examples(shelf.store, tokenizer, material.users, rng)
    if real_shelf:
        real_reading = reading_examples(real_shelf.store, tokenizer, list(real_shelf.purchase_content), rng)
    order: list[Example] = []
    while True:
        if real_shelf and rng.random() < settings.real_share:
            yield real_shelf, next(real_reading), "content"
            continue
        if rng.random() < settings.reading_share:
            example = next(reading)
        else:
            if not order:
                order = rng.sample(examples, len(examples))
            example = order.pop()
        lot = rng.random()
        signals: Signals = "fused"
        if lot < settings.content_only:
            signals = "content"
        elif lot < settings.content_only + settings.cf_only:
            signals = "cf"
        yield shelf, example, signals
