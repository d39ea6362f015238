"""Amazon review data of 2018 as published: 5-core reviews and meta, JSON lines, plain or gzip."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from knowledge.readers.categories import department, kind
from knowledge.readers.purchases import UNREADABLE_PRICE
from knowledge.readers.reviews_and_meta import read_attributes, read_pair
from knowledge.readers.source import Record
from knowledge.store import StoreWriter
from knowledge.types import Interaction, Item

_SCRIPT_TITLE = "var aPageStart"  # of pages that were fetched badly; such an item has no title


def read(source: Path, writer: StoreWriter, names: Mapping[str, str]) -> None:
    """Write the reviews and items at ``source`` to the store; ``names`` is not used by this layout."""
    read_pair(source, writer, _read_item, _read_purchase)


def _read_item(record: Record, writer: StoreWriter) -> Item:
    item_id, title = record.id("asin"), record.text("title")
    price, unreadable = record.price("price")
    writer.drop(UNREADABLE_PRICE, int(unreadable))
    path = record.texts("category")
    return Item(
        item_id,
        title="" if title.startswith(_SCRIPT_TITLE) else title,
        description=record.text("description"),
        brand=record.text("brand").removeprefix("by ") or None,
        price=price,
        department=department(path),
        kind=kind(path),
        attributes=read_attributes(record),
        features=record.texts("feature"),
    )


def _read_purchase(record: Record) -> Interaction:
    return Interaction(
        user_id=record.id("reviewerID"),
        item_id=record.id("asin"),
        timestamp=record.seconds("unixReviewTime"),
        rating=record.rating("overall"),
        review_title=record.text("summary"),
        review=record.text("reviewText"),
    )
