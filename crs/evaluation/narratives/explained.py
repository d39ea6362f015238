"""Explanations of why people take items: LLM-written texts on single (person, item) pairs.

    narratives.parquet    uid, iid, title, user_summary, item_summary, explanation
    pairs.parquet         user, item: who took what, in order; items that no narrative is about have no text

An explanation is the reference of a `purchase_reason_explanation`. No pair that is explained is left in
anybody's history, be it trained or tested on. A person's summary stands as the first row of their history.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from crs.evaluation.narratives.benchmark import PERSON, Benchmark, Reference
from knowledge.errors import InputError
from knowledge.readers.source import read_rows
from knowledge.store import Store, StoreWriter
from knowledge.types import Interaction, Item, Narrative, Task

NARRATIVES, PAIRS = "narratives.parquet", "pairs.parquet"
NARRATIVE_COLUMNS = ("uid", "iid", "title", "user_summary", "item_summary", "explanation")
PAIR_COLUMNS = ("user", "item")
N_TAKEN = 20  # most recent items of a history; nearly all are known by id alone
TASK: Task = "purchase_reason_explanation"


def explained_benchmark(folder: Path, store_path: Path) -> Benchmark:
    """Read ``folder``; its store is written to ``store_path``. Raises InputError where a row is wrong."""
    items: dict[str, Item] = {}
    people: dict[str, str] = {}
    explained: dict[tuple[str, str], str] = {}
    for row in read_rows(folder / NARRATIVES, NARRATIVE_COLUMNS):
        user_id, item_id, text = row.id("uid"), row.id("iid"), row.text("explanation")
        if not text:
            raise row.error("explanation", "is empty; correct the row")
        if (user_id, item_id) in explained:
            raise row.error("iid", f"user {user_id} and item {item_id} come twice; keep one of the rows")
        explained[user_id, item_id] = text
        summary = row.text("item_summary")
        title = row.text("title") or " ".join(summary.split()[:8]) or f"item {item_id}"
        items.setdefault(item_id, Item(item_id, title, features=(summary,) if summary else ()))
        people.setdefault(user_id, row.text("user_summary"))
    histories: dict[str, dict[str, None]] = {}
    for row in read_rows(folder / PAIRS, PAIR_COLUMNS):
        user_id, item_id = row.id("user"), row.id("item")
        if (user_id, item_id) not in explained:
            histories.setdefault(user_id, {})[item_id] = None
        items.setdefault(item_id, Item(item_id, "", kind="item"))
    if not histories:
        raise InputError(folder / PAIRS, "every pair is explained, so nobody has a history; add other pairs")
    with StoreWriter(store_path, name=folder.name, format="explained") as writer:
        for item in items.values():
            writer.add_item(item)
        for user_id, summary in people.items():
            features = (summary,) if summary else ()
            writer.add_item(Item(PERSON + user_id, "", kind="person", features=features))
        for user_id in dict.fromkeys((*people, *histories)):
            writer.add_interactions(_history(user_id, histories.get(user_id, {}), user_id in people))
    store = Store.open(store_path)
    references = [
        Reference(
            Narrative(user_id, TASK, text, len(store.history(user_id)), item_id),
            note=". ".join((items[item_id].title, *items[item_id].features)),
        )
        for (user_id, item_id), text in explained.items()
    ]
    return Benchmark(folder.name, store, references)


def _history(user_id: str, taken: Iterable[str], is_described: bool) -> list[Interaction]:
    """The person's own row, where there is one, then the most recent items; order stands for time."""
    recent = [*taken][-N_TAKEN:]
    ids = [*([PERSON + user_id] if is_described else []), *recent]
    return [Interaction(user_id, item_id, timestamp=place) for place, item_id in enumerate(ids)]
