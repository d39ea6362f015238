"""The demo store: a fictional shop, simulated shoppers, narratives told from why they bought."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from knowledge.demo.catalogue import make_catalogue
from knowledge.demo.narratives.writer import NarrativeWriter
from knowledge.demo.reviews import write_review
from knowledge.demo.shoppers import Shopper, make_circles, make_shopper
from knowledge.demo.words import load_words
from knowledge.store import StoreWriter
from knowledge.types import Interaction


def write_demo_store(
    path: Path, *, n_shoppers: int = 6000, seed: int = 7, progress: Callable[[int, int], None] | None = None
) -> dict[str, int]:
    """Write the demo store to ``path`` and return its counts (items, shoppers, interactions, narratives).

    The same ``seed`` and word lists give the same store. ``progress`` is called with (done, total) shoppers.
    Raises InputError when a word list is missing or wrong.
    """
    words = load_words()
    catalogue = make_catalogue(words, random.Random(f"{seed} catalogue"))
    circles = make_circles(words, catalogue, random.Random(f"{seed} circles"))
    narrator = NarrativeWriter(random.Random(f"{seed} narratives"))
    counts = {"items": len(catalogue.products), "shoppers": n_shoppers, "interactions": 0, "narratives": 0}
    with StoreWriter(path, name="demo", format="demo") as store:
        for product in catalogue.products:
            store.add_item(product.item)
        for number in range(1, n_shoppers + 1):
            # A shopper's own generator: the same person whatever the number of shoppers.
            rng = random.Random(f"{seed} shopper {number}")
            shopper = make_shopper(number, words, catalogue, circles, rng)
            interactions = _interactions(shopper, rng)
            store.add_interactions(interactions)
            if shopper.next_purchase is not None:
                store.add_held_out(shopper.user_id, shopper.next_purchase.product.item.item_id)
            for narrative in narrator.write(shopper):
                store.add_narrative(narrative)
                counts["narratives"] += 1
            counts["interactions"] += len(interactions)
            if progress is not None:
                progress(number, n_shoppers)
    return counts


def _interactions(shopper: Shopper, rng: random.Random) -> list[Interaction]:
    interactions = []
    for purchase in shopper.purchases:
        title, text = write_review(shopper, purchase, rng)
        interactions.append(
            Interaction(
                shopper.user_id,
                purchase.product.item.item_id,
                purchase.timestamp,
                float(purchase.stars),
                title,
                text,
            )
        )
    return interactions
