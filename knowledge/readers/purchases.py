"""Rows of a source, gathered by user in a temporary SQLite file, and the rules that make histories of them.

Sources list purchases in any order and may be larger than memory; SQLite sorts on disk, and one user's rows
are read back at a time.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any

from knowledge.errors import InputError
from knowledge.store import StoreWriter
from knowledge.types import MAX_HISTORY, Interaction

_BATCH = 2_000

# Reasons of drops, as counted in the manifest.
UNTITLED_ITEM = "item without a title"
REPEATED_ITEM = "item listed before"
UNKNOWN_ITEM = "interaction with an item that has no title or is not listed"
DUPLICATE = "interaction listed before"
TOO_OLD = f"interaction older than the last {MAX_HISTORY}"
EMPTY_USER = "user without interactions"
UNREADABLE_PRICE = "price that cannot be read (item kept without it)"


class RowsByUser:
    """A temporary file of (user id, position, payload), read back user by user; use it in a ``with``."""

    def __init__(self, beside: Path) -> None:
        self._beside = beside
        self._waiting: list[tuple[str, int, str]] = []

    def __enter__(self) -> RowsByUser:
        self._folder = tempfile.TemporaryDirectory(dir=self._beside, prefix=".import.")
        self._connection = sqlite3.connect(Path(self._folder.name) / "rows.sqlite")
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("CREATE TABLE rows (user_id TEXT, position INTEGER, payload TEXT)")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._folder.cleanup()

    def add(self, user_id: str, position: int, payload: list[Any]) -> None:
        """Put one row by; ``position`` orders the rows of a user, ties stay as they came."""
        self._waiting.append((user_id, position, json.dumps(payload)))
        if len(self._waiting) >= _BATCH:
            self._write()

    def by_user(self) -> Iterator[tuple[str, Iterator[tuple[int, list[Any]]]]]:
        """Every user with their rows (position, payload), in order."""
        self._write()
        rows = self._connection.execute("SELECT * FROM rows ORDER BY user_id, position, rowid")
        for user_id, group in groupby(rows, key=itemgetter(0)):
            yield user_id, ((position, json.loads(payload)) for _, position, payload in group)

    def _write(self) -> None:
        self._connection.executemany("INSERT INTO rows VALUES (?, ?, ?)", self._waiting)
        self._waiting.clear()


class Purchases:
    """Purchases in any order, written out as histories; use it in a ``with``."""

    def __init__(self, beside: Path) -> None:
        self._rows = RowsByUser(beside)

    def __enter__(self) -> Purchases:
        self._rows.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rows.__exit__(kind, error, trace)

    def add(self, purchase: Interaction) -> None:
        """Put one purchase by."""
        payload = [purchase.item_id, purchase.rating, purchase.review_title, purchase.review]
        self._rows.add(purchase.user_id, purchase.timestamp, payload)

    def write(self, writer: StoreWriter) -> None:
        """Write every user's history to the store; its items are there by now."""
        for user_id, rows in self._rows.by_user():
            purchases = (
                Interaction(user_id, payload[0], timestamp, *payload[1:]) for timestamp, payload in rows
            )
            write_history(writer, purchases)


def write_history(writer: StoreWriter, purchases: Iterable[Interaction]) -> list[Interaction]:
    """Write one user's purchases (oldest first) by the rules of REGEN, section 3.2, and return what was
    kept.

    The same item at the same time is a duplicate, and goes; then the last MAX_HISTORY stay; then those whose
    item has no title go. Every drop is counted.
    """
    recent: deque[Interaction] = deque(maxlen=MAX_HISTORY)
    n_distinct = 0
    for _, at_once in groupby(purchases, key=lambda purchase: purchase.timestamp):
        seen: set[str] = set()
        for purchase in at_once:
            if purchase.item_id in seen:
                writer.drop(DUPLICATE)
                continue
            seen.add(purchase.item_id)
            recent.append(purchase)
            n_distinct += 1
    kept = [purchase for purchase in recent if writer.has_item(purchase.item_id)]
    writer.drop(TOO_OLD, n_distinct - len(recent))
    writer.drop(UNKNOWN_ITEM, len(recent) - len(kept))
    if kept:
        writer.add_interactions(kept)
    else:
        writer.drop(EMPTY_USER)
    return kept


def refuse_if_empty(writer: StoreWriter, source: Path) -> None:
    """InputError when not one purchase is left: the files do not belong together."""
    if not writer.manifest["counts"]["interactions"]:
        dropped = "; ".join(f"{n} x {reason}" for reason, n in islice(writer.manifest["dropped"].items(), 5))
        problem = f"no purchase is left ({dropped or 'none found'}); see that the files belong together"
        raise InputError(source, problem)
