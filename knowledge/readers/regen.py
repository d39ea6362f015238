"""The REGEN release: one user a line, with purchases, reviews and narratives written by a language model.

Not all key names of the release are public. `SPELLINGS` holds the likely ones; a text where narratives stand
that fits none is refused with the names found, so that ``--map ours=theirs`` can settle it: nothing is
guessed silently. Narratives name products in words, not by pointers, and are kept so. Those about a purchase
(`TARGET_TASKS`) are about the last one, told from the purchases before it (section 3.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from knowledge.errors import InputError
from knowledge.readers.categories import department, kind
from knowledge.readers.purchases import UNREADABLE_PRICE, UNTITLED_ITEM, RowsByUser, write_history
from knowledge.readers.source import Record, read_objects
from knowledge.store import StoreWriter
from knowledge.types import TARGET_TASKS, TASKS, Interaction, Item, Narrative

Spellings = Mapping[str, tuple[str, ...]]

# Ours -> theirs, tried in order; a dot goes into an object.
SPELLINGS: Spellings = {
    "user_id": ("reviewer_id", "user_id", "reviewerID"),
    "history": ("purchase_history", "history"),
    "item_id": ("item.asin", "item.item_id", "item.parent_asin"),
    "title": ("item.title",),
    "category": ("item.category", "item.categories"),
    "price": ("item.price",),
    "rating": ("review.rating", "review.overall"),
    "review_title": ("review.summary", "review.title"),
    "review": ("review.text", "review.reviewText"),
    "timestamp": ("review.unix_time", "review.timestamp", "review.unixReviewTime"),
    "last_purchase": ("last_purchase",),
    "purchase_reason": ("last_purchase.purchase_reason", "last_purchase.reason"),
    "purchase_reason_explanation": (
        "last_purchase.purchase_reason_explanation",
        "last_purchase.reason_explanation",
        "last_purchase.explanation",
    ),
    "user_summary_brief": (
        "user.brief_summary",
        "user.short_summary",
        "user.summary_brief",
        "user.user_summary_brief",
        "user.summary",
    ),
    "user_summary_long": ("user.long_summary", "user.summary_long", "user.user_summary_long"),
    "user_profile": ("user.profile", "user.user_profile"),
    "product_endorsement": ("last_purchase.product_endorsement", "last_purchase.endorsement"),
}
IGNORE = "ignore"  # --map ignore=user.key,last_purchase.key: texts that are none of ours
# Keys beside narratives that hold no narrative; an item and a review stand within the last purchase too.
_FACTS = frozenset(
    {"asin", "category", "item", "item_id", "name", "review", "reviewer_id", "title", "user_id"}
)
_LEVELS = " - "  # between the levels of a category

NO_USER = "narrative of a user without interactions"
NO_TARGET = "narrative about a purchase that was dropped"


def read(source: Path, writer: StoreWriter, names: Mapping[str, str]) -> None:
    """Write the JSON-lines file ``source`` to the store; ``names`` maps keys of SPELLINGS or "ignore" to
    theirs."""
    for ours in names:
        if ours not in SPELLINGS and ours != IGNORE:
            raise InputError(source, f"--map knows no '{ours}'; use one of {', '.join([*SPELLINGS, IGNORE])}")
    chosen = {ours: tuple(theirs.split(",")) for ours, theirs in names.items()}
    ignored = chosen.setdefault(IGNORE, ())
    likely = {ours: tuple(one for one in theirs if one not in ignored) for ours, theirs in SPELLINGS.items()}
    spellings = likely | chosen
    untitled: set[str] = set()
    with RowsByUser(writer.path.parent) as users:
        for record in read_objects(source):
            at, field = _require(record, "user_id", spellings)
            users.add(at.id(field), record.line, _read_user(record, spellings, writer, untitled))
        writer.drop(UNTITLED_ITEM, sum(not writer.has_item(item_id) for item_id in untitled))
        for user_id, rows in users.by_user():
            _, (purchases, target_id, narratives) = next(rows)
            if (again := next(rows, None)) is not None:
                problem = f"user '{user_id}' has a line already; merge the two"
                raise InputError(source, problem, line=again[0], field=field)
            history = [Interaction(user_id, *purchase) for purchase in purchases]
            _write_user(user_id, history, target_id, narratives, writer)


def _read_user(record: Record, spellings: Spellings, writer: StoreWriter, untitled: set[str]) -> list[Any]:
    """What is put by until all items are known: purchases, the id of the one told about, narratives."""
    purchases, target_id = [], None
    for entry in _entries(record, spellings):
        item = _read_item(entry, spellings, writer)
        if not item.title:
            untitled.add(item.item_id)
        elif not writer.has_item(item.item_id):
            writer.add_item(item)
        purchases.append([item.item_id, *_read_review(entry, spellings)])
    if (last := _find(record, "last_purchase", spellings)) is not None:
        about = last[0].nested(last[1])
        if (found := _find(about, "item_id", spellings)) is not None:
            target_id = found[0].id(found[1])
    return [purchases, target_id, _read_narratives(record, spellings)]


def _entries(record: Record, spellings: Spellings) -> Iterator[Record]:
    at, field = _require(record, "history", spellings)
    entries = at.fields[field]
    if not isinstance(entries, list):
        raise at.error(field, "expected a list of purchases; correct the line")
    for n, entry in enumerate(entries, start=1):
        yield Record(at.path, at.line, {f"{field}[{n}]": entry}, at.prefix).nested(f"{field}[{n}]")


def _read_item(entry: Record, spellings: Spellings, writer: StoreWriter) -> Item:
    at, field = _require(entry, "item_id", spellings)
    item_id = at.id(field)
    path: list[str] = []
    if (found := _find(entry, "category", spellings)) is not None:
        path = [level for text in found[0].texts(found[1]) for level in text.split(_LEVELS)]
    price = None
    if (found := _find(entry, "price", spellings)) is not None:
        price, unreadable = found[0].price(found[1])
        if not writer.has_item(item_id):
            writer.drop(UNREADABLE_PRICE, int(unreadable))
    title = _text(entry, "title", spellings)
    return Item(item_id, title, price=price, department=department(path), kind=kind(path))


def _read_review(entry: Record, spellings: Spellings) -> list[Any]:
    """Time, stars, title and text, in the order of Interaction's fields."""
    at, field = _require(entry, "timestamp", spellings)
    timestamp = at.seconds(field)
    at, field = _require(entry, "rating", spellings)
    return [
        timestamp,
        at.rating(field),
        _text(entry, "review_title", spellings),
        _text(entry, "review", spellings),
    ]


def _read_narratives(record: Record, spellings: Spellings) -> dict[str, str]:
    narratives: dict[str, str] = {}
    unknown = set(_text_names(record, spellings))
    for task in TASKS:
        here = [theirs for theirs in spellings[task] if theirs in unknown]
        if len(here) > 1:
            problem = f"{' and '.join(here)} may both be the {task}; say which with --map {task}={here[0]}"
            raise record.error(here[0], problem)
        unknown.difference_update(here)
        if (found := _find(record, task, spellings)) is not None:
            text = ", ".join(found[0].texts(found[1]))  # a profile may be a list of words
            if text:
                narratives[task] = text
    if unknown:
        name = min(unknown)
        missing = ", ".join(task for task in TASKS if task not in narratives)
        raise record.error(
            name,
            f"no known name of a narrative (found: {record.keys()}; not found: {missing}); "
            f"say what it is with --map TASK={name}, or --map {IGNORE}={name}",
        )
    return narratives


def _text_names(record: Record, spellings: Spellings) -> Iterator[str]:
    """The dotted names of all texts of a line that may be narratives: not ids, purchases, or ignored ones."""
    known = {theirs for ours in ("user_id", "history", IGNORE) for theirs in spellings[ours]}
    waiting = list(record.fields.items())
    while waiting:
        name, value = waiting.pop()
        key = name.split(".")[-1]
        if name in known or key in _FACTS:
            continue
        if isinstance(value, dict):
            waiting.extend((f"{name}.{inner}", one) for inner, one in value.items())
        elif isinstance(value, str) or (isinstance(value, list) and value and isinstance(value[0], str)):
            yield name


def _write_user(
    user_id: str,
    history: list[Interaction],
    target_id: str | None,
    narratives: Mapping[str, str],
    writer: StoreWriter,
) -> None:
    kept = write_history(writer, sorted(history, key=lambda purchase: purchase.timestamp))
    if not kept:
        writer.drop(NO_USER, len(narratives))
        return
    kept_ids = [purchase.item_id for purchase in kept]
    target_id = target_id or kept_ids[-1]
    for task in TASKS:
        if task not in narratives:
            continue
        if task not in TARGET_TASKS:
            writer.add_narrative(Narrative(user_id, task, narratives[task], len(kept)))
        elif target_id not in kept_ids:
            writer.drop(NO_TARGET)
        else:
            n_before = len(kept) - 1 - kept_ids[::-1].index(target_id)
            writer.add_narrative(Narrative(user_id, task, narratives[task], n_before, target_id))


def _text(record: Record, ours: str, spellings: Spellings) -> str:
    found = _find(record, ours, spellings)
    return "" if found is None else found[0].text(found[1])


def _find(record: Record, ours: str, spellings: Spellings) -> tuple[Record, str] | None:
    """The object and key where ``ours`` stands by one of its spellings, or None."""
    for theirs in spellings[ours]:
        *way, key = theirs.split(".")
        at = record
        for step in way:
            if at.fields.get(step) is None:
                break
            at = at.nested(step)
        else:
            if at.fields.get(key) is not None:
                return at, key
    return None


def _require(record: Record, ours: str, spellings: Spellings) -> tuple[Record, str]:
    found = _find(record, ours, spellings)
    if found is None:
        likely = spellings[ours]
        problem = f"missing (looked for {', '.join(likely)}; found: {record.keys()}); "
        raise record.error(likely[0], f"{problem}name it with --map {ours}=KEY")
    return found
