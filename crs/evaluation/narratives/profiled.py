"""Profiles of people who rated items: an LLM-written summary of each person's ratings.

    user_summaries.parquet    user_id, user_summary_long
    ratings.parquet           user, item, rating (1 to 5), timestamp (s)
    items.parquet             item_id, title, description, brand, price

A profile is the reference of a `user_summary_long` told from all ratings of its person, at most 50.
"""

from __future__ import annotations

from pathlib import Path

from crs.evaluation.narratives.benchmark import Benchmark, Reference
from knowledge.errors import InputError
from knowledge.readers.source import read_rows
from knowledge.store import Store, StoreWriter
from knowledge.types import Interaction, Item, Narrative

SUMMARIES, RATINGS, ITEMS = "user_summaries.parquet", "ratings.parquet", "items.parquet"
SUMMARY_COLUMNS = ("user_id", "user_summary_long")
RATING_COLUMNS = ("user", "item", "rating", "timestamp")
ITEM_COLUMNS = ("item_id", "title", "description", "brand", "price")
LIKED = 4  # stars from which a rating says that the item was liked
_NO_BRAND = frozenset({"", "none", "null", "nan"})


def profiled_benchmark(folder: Path, store_path: Path) -> Benchmark:
    """Read ``folder``; its store is written to ``store_path``. Raises InputError where a row is wrong."""
    with StoreWriter(store_path, name=folder.name, format="profiled") as writer:
        for row in read_rows(folder / ITEMS, ITEM_COLUMNS):
            brand, (price, _) = row.text("brand"), row.price("price")
            item_id, title = row.id("item_id"), row.text("title")
            if writer.has_item(item_id):
                raise row.error("item_id", f"item {item_id} comes twice; keep one of the rows")
            writer.add_item(
                Item(
                    item_id,
                    title or f"item {item_id}",
                    row.text("description"),
                    None if brand.lower() in _NO_BRAND else brand,
                    price,
                )
            )
        histories: dict[str, list[Interaction]] = {}
        for row in read_rows(folder / RATINGS, RATING_COLUMNS):
            user_id, item_id, stars = row.id("user"), row.id("item"), row.rating("rating")
            if not writer.has_item(item_id):
                raise row.error("item", f"{ITEMS} has no item {item_id}; add it or leave the rating out")
            verdict = "Liked it." if stars >= LIKED else "Did not like it."
            rated = Interaction(user_id, item_id, row.seconds("timestamp"), stars, review_title=verdict)
            histories.setdefault(user_id, []).append(rated)
        for history in histories.values():
            writer.add_interactions(history)
    store = Store.open(store_path)
    references = []
    for row in read_rows(folder / SUMMARIES, SUMMARY_COLUMNS):
        user_id, text = row.id("user_id"), row.text("user_summary_long")
        if user_id not in histories:
            raise row.error("user_id", f"{RATINGS} has no rating of user {user_id}; add some or drop the row")
        if text:
            n_history = len(store.history(user_id))
            references.append(Reference(Narrative(user_id, "user_summary_long", text, n_history)))
    if not references:
        raise InputError(folder / SUMMARIES, "every summary is empty; name the right file")
    return Benchmark(folder.name, store, references)
