"""Time-ordered windows in parquet, as the sequential-recommendation benchmarks publish them.

    items.parquet                              item_id, title, description, brand
    train.parquet?, valid.parquet, test.parquet    user_id, history (item_ids, oldest first), target

A row is a window onto one user's sequence: the purchases before the target (the last ten in the published
files) and the target. In file order (train, valid, test) each window of a user moves on along the same
sequence, so they are merged by the longest overlap: the part of a window that repeats the end of what is
known already is skipped, and the rest is appended. Windows that do not overlap are simply put one after the
other.

What the test rows ask for stays secret: no (user, test target) pair becomes an interaction, wherever in the
windows it stands. The user's first test target goes to held_out, later ones are counted as drops. There are
no times, so a purchase's position stands for its time, and an item right after itself counts as a duplicate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from knowledge.readers.purchases import (
    DUPLICATE,
    REPEATED_ITEM,
    UNKNOWN_ITEM,
    UNTITLED_ITEM,
    RowsByUser,
    write_history,
)
from knowledge.readers.source import read_rows
from knowledge.store import StoreWriter
from knowledge.types import Interaction, Item

TEST_TARGET = "interaction with a test target of the same user"
LATER_TARGET = "test target after the first of a user"
LONE_TARGET = "test target of a user without interactions"

_SPLITS = ("train", "valid", "test")


@dataclass(slots=True)
class _Sequence:
    """One user's windows, merged as they come."""

    item_ids: list[str] = field(default_factory=list)
    test_targets: list[str] = field(default_factory=list)

    def extend(self, window: list[str]) -> None:
        known = self.item_ids
        overlap = next(
            n for n in range(min(len(known), len(window)), -1, -1) if known[len(known) - n :] == window[:n]
        )
        known.extend(window[overlap:])


def read(source: Path, writer: StoreWriter, names: Mapping[str, str]) -> None:
    """Write the folder ``source`` to the store; ``names`` is not used by this layout."""
    folder = source if source.is_dir() else source.parent
    _read_items(folder / "items.parquet", writer)
    with RowsByUser(writer.path.parent) as windows:
        for split in _SPLITS:
            path = folder / f"{split}.parquet"
            if split == "train" and not path.exists():
                continue
            for record in read_rows(path, ("user_id", "history", "target")):
                row = [split, record.ids("history"), record.id("target")]
                windows.add(record.id("user_id"), _SPLITS.index(split), row)
        for user_id, rows in windows.by_user():
            sequence = _Sequence()
            for _, (split, history, target) in rows:
                sequence.extend([*history, target])
                if split == "test":
                    sequence.test_targets.append(target)
            _write_user(user_id, sequence, writer)


def _read_items(path: Path, writer: StoreWriter) -> None:
    for record in read_rows(path, ("item_id", "title", "description", "brand")):
        item_id, title = record.id("item_id"), record.text("title")
        if writer.has_item(item_id):
            writer.drop(REPEATED_ITEM)
        elif not title:
            writer.drop(UNTITLED_ITEM)
        else:
            writer.add_item(Item(item_id, title, record.text("description"), record.text("brand") or None))


def _write_user(user_id: str, sequence: _Sequence, writer: StoreWriter) -> None:
    purchases: list[Interaction] = []
    previous = None
    for position, item_id in enumerate(sequence.item_ids):
        if item_id in sequence.test_targets:
            writer.drop(TEST_TARGET)
        elif item_id == previous:
            writer.drop(DUPLICATE)
        else:
            purchases.append(Interaction(user_id, item_id, timestamp=position))
        previous = item_id
    kept = write_history(writer, purchases)
    known_targets = [item_id for item_id in dict.fromkeys(sequence.test_targets) if writer.has_item(item_id)]
    writer.drop(UNKNOWN_ITEM, len(set(sequence.test_targets)) - len(known_targets))
    if not known_targets:
        return
    if kept:
        writer.add_held_out(user_id, known_targets[0])
    else:
        writer.drop(LONE_TARGET)
    writer.drop(LATER_TARGET, len(known_targets) - 1)
