"""Amazon review data of 2023 as published: reviews and meta, JSON lines, plain or gzip; times in
milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from knowledge.readers.categories import department, kind
from knowledge.readers.purchases import UNREADABLE_PRICE
from knowledge.readers.reviews_and_meta import read_attributes, read_pair
from knowledge.readers.source import Record
from knowledge.store import StoreWriter
from knowledge.types import Interaction, Item


def read(source: Path, writer: StoreWriter, names: Mapping[str, str]) -> None:
    """Write the reviews and items at ``source`` to the store; ``names`` is not used by this layout.

    Items go by ``parent_asin``: the meta file lists no others.
    """
    read_pair(source, writer, _read_item, _read_purchase)


def _read_item(record: Record, writer: StoreWriter) -> Item:
    price, unreadable = record.price("price")
    writer.drop(UNREADABLE_PRICE, int(unreadable))
    path = record.texts("categories") or (record.text("main_category"),)
    return Item(
        record.id("parent_asin"),
        title=record.text("title"),
        description=record.text("description"),
        brand=record.text("store") or None,
        price=price,
        department=department(path),
        kind=kind(path),
        attributes=read_attributes(record),
        features=record.texts("features"),
    )


def _read_purchase(record: Record) -> Interaction:
    return Interaction(
        user_id=record.id("user_id"),
        item_id=record.id("parent_asin"),
        timestamp=record.seconds("timestamp", unit=1e-3),
        rating=record.rating("rating"),
        review_title=record.text("title"),
        review=record.text("text"),
    )
