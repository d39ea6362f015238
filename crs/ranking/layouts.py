"""Which data set lies in a folder, told by its files' columns, and how it is split.

windows     items (item_id, title, description?, brand?), test (user_id, history, target), train?, valid?
            (without valid, the last item of each user's first test history is for tuning)
ratings     ratings (user_id, product_id, rating, timestamp), items (product_id, title, ...): titled items,
            5-core, leave-last
numbered    ratings (user, item, rating, timestamp), items (item_id, title, ...): leave-last, which is the
            split that its sequences give
pairs       pairs (userID, movieID) without time, movies, movie_summaries, held_out_valid and _test
explained   pairs (user, item, Time), narratives (iid, title, item_summary): leave-last by Time
store       a store or a bundle: the held-out purchases where there are some, else leave-last
reviews     JSON lines that `import` reads (reviews and meta of Amazon, REGEN), as their store would be
"""

from __future__ import annotations

import ast
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from crs.bundle import MANIFEST, STORE
from crs.ranking.data import RankingData
from crs.ranking.reviews import holds_reviews, read_reviews, read_store
from crs.ranking.splits import Window, leave_last, windows
from knowledge.errors import InputError, NotFoundError
from knowledge.readers.source import Record, read_rows
from knowledge.types import Item

CORE = 5  # of the ratings layout: every user and item left has so many ratings
_BETWEEN_IDS = re.compile(r"[\s,;|]+")
_DAY = "%m %d, %Y"
_NOTHING = frozenset({"", "none", "null", "nan"})


@dataclass(frozen=True)
class _Layout:
    columns: Mapping[str, tuple[str, ...]]
    read: Callable[[Path], RankingData]

    def fits(self, folder: Path) -> bool:
        return all(set(columns) <= set(_columns(folder / name)) for name, columns in self.columns.items())

    def describe(self) -> str:
        return " and ".join(f"{name} ({', '.join(columns)})" for name, columns in self.columns.items())


def open_ranking(path: Path) -> RankingData:
    """The data set in the folder ``path``, split; the folder's name is its name and tells nothing else.

    Raises NotFoundError for no such folder, InputError where no layout fits or nobody is left to ask.
    """
    if not path.exists():
        raise NotFoundError(f"{path}: no such folder; name a data set, a store or a bundle")
    layout = next((layout for layout in _LAYOUTS if layout.fits(path)), None)
    if (path / MANIFEST).is_file():
        data = read_store(path / STORE if (path / STORE).is_dir() else path)
    elif layout is not None:
        data = layout.read(path)
    elif holds_reviews(path):
        data = read_reviews(path)
    else:
        found = [f"{file.name} ({', '.join(_columns(file))})" for file in sorted(path.glob("*.parquet"))]
        raise InputError(
            path,
            f"no known layout (found: {', '.join(found) or 'no parquet file'}); known are stores, "
            + "; ".join(["bundles", "reviews as JSON lines", *(each.describe() for each in _LAYOUTS)]),
        )
    for fold, queries in (("valid", data.valid.queries), ("test", data.test.queries)):
        if not len(queries):
            raise InputError(path, f"nobody to ask in the {fold} split; users need three items or given rows")
    return data


def _read_windows(folder: Path) -> RankingData:
    listed = folder / "items.parquet"
    told = [column for column in ("description", "brand") if column in _columns(listed)]
    items = _read_items(listed, "item_id", ("title", *told))
    splits: list[dict[str, list[Window]]] = []
    for split in ("train", "valid", "test"):
        given: dict[str, list[Window]] = {}
        if split == "test" or (folder / f"{split}.parquet").exists():
            for row in read_rows(folder / f"{split}.parquet", ("user_id", "history", "target")):
                history, target = _history(row), row.id("target")
                for field, item_id in (("target", target), *(("history", each) for each in history)):
                    if item_id not in items:
                        raise row.error(field, f"items.parquet has no item {item_id}; add it")
                given.setdefault(row.id("user_id"), []).append((history, target))
        splits.append(given)
    train, valid, test = splits
    return windows(_name(folder), items, train, valid or _earlier(test), test)


def _history(row: Record) -> list[str]:
    """The ids of a window's history; none where it is null. A text is read as a list, or as ids apart."""
    told = row.fields["history"]
    if told is None:
        return []
    if isinstance(told, str):
        try:
            told = ast.literal_eval(told) if told.lstrip().startswith("[") else _BETWEEN_IDS.split(told)
        except (SyntaxError, ValueError) as exc:
            raise row.error("history", f"a text that is no list of ids ({exc}); correct the row") from exc
        told = [each for each in told if each != ""]
    return replace(row, fields={**row.fields, "history": told}).ids("history") if told != [] else []


def _earlier(test: Mapping[str, list[Window]]) -> dict[str, list[Window]]:
    """What may be asked for tuning where no split for it is given: the item before each first target."""
    firsts = {user_id: given[0][0] for user_id, given in test.items()}
    return {user_id: [(known[:-1], known[-1])] for user_id, known in firsts.items() if len(known) > 1}


def _read_ratings(folder: Path) -> RankingData:
    columns = ("title", "description", "brand", "price", "features")
    items = _read_items(folder / "items.parquet", "product_id", columns)
    titled = {item_id for item_id, item in items.items() if item.title != _untitled(item_id)}
    rated = {
        (row.seconds("timestamp"), row.id("user_id"), row.id("product_id"))
        for row in read_rows(folder / "ratings.parquet", ("user_id", "product_id", "timestamp"))
    }
    kept = _core([each for each in rated if each[2] in titled])
    # Half of the ratings share their day with another of their user: the file's order is by product and
    # would give away which came last, so a checksum decides.
    kept.sort(key=lambda each: (each[0], zlib.crc32(f"{each[1]} {each[2]}".encode()), each))
    histories: dict[str, list[str]] = {}
    for _, user_id, item_id in kept:
        histories.setdefault(user_id, []).append(item_id)
    bought = {item_id for _, _, item_id in kept}
    return leave_last(_name(folder), {i: item for i, item in items.items() if i in bought}, histories)


def _read_numbered(folder: Path) -> RankingData:
    items = _read_items(folder / "items.parquet", "item_id", ("title", "description", "brand", "price"))
    rated = []
    for row in read_rows(folder / "ratings.parquet", ("user", "item", "timestamp")):
        if row.id("item") not in items:
            raise row.error("item", f"items.parquet has no item {row.id('item')}; add it")
        rated.append((row.seconds("timestamp"), row.id("user"), row.id("item")))
    histories: dict[str, list[str]] = {}
    for _, user_id, item_id in sorted(rated, key=lambda each: each[0]):  # ties as in the file
        histories.setdefault(user_id, []).append(item_id)
    return leave_last(_name(folder), items, histories)


def _read_pairs(folder: Path) -> RankingData:
    items: dict[str, Item] = {}
    for row in read_rows(folder / "movies.parquet", ("movieID", "title", "genres")):
        genres = row.text("genres").replace("|", ", ")
        attributes = {"genres": genres} if genres else {}
        items[row.id("movieID")] = Item(row.id("movieID"), row.text("title"), attributes=attributes)
    for row in read_rows(folder / "movie_summaries.parquet", ("movie_id", "summary")):
        if (item := items.get(row.id("movie_id"))) is not None:
            items[item.item_id] = Item(
                item.item_id, item.title, row.text("summary"), attributes=item.attributes
            )
    histories: dict[str, dict[str, None]] = {}
    for row in read_rows(folder / "pairs.parquet", ("userID", "movieID")):
        if row.id("movieID") not in items:
            raise row.error("movieID", f"movies.parquet has no movie {row.id('movieID')}; add it")
        histories.setdefault(row.id("userID"), {})[row.id("movieID")] = None
    valid, test = (_read_held_out(folder / f"held_out_{split}.parquet", items) for split in ("valid", "test"))
    told = valid.keys() & test.keys() & histories.keys()
    sequences: dict[str, list[str]] = {}
    for user_id, pairs in histories.items():
        held = [valid[user_id], test[user_id]] if user_id in told else []
        sequences[user_id] = [item_id for item_id in pairs if item_id not in held] + held
    return leave_last(_name(folder), items, sequences, asked=told, ordered=False)


def _read_explained(folder: Path) -> RankingData:
    pairs = folder / "pairs.parquet"
    if "Time" not in _columns(pairs):
        raise InputError(
            pairs,
            "no such column, and without times nobody knows which purchase came last; "
            "name a data set with times or with held-out purchases",
            field="Time",
        )
    listed = {
        row.id("iid"): Item(row.id("iid"), row.text("title"), row.text("item_summary"))
        for row in read_rows(folder / "narratives.parquet", ("iid", "title", "item_summary"))
    }
    taken = sorted(  # ties as in the file
        ((_day(row), row.id("user"), row.id("item")) for row in read_rows(pairs, ("user", "item", "Time"))),
        key=lambda each: each[0],
    )
    histories: dict[str, list[str]] = {}
    for _, user_id, item_id in taken:
        histories.setdefault(user_id, []).append(item_id)
    items = {item_id: listed.get(item_id) or Item(item_id, _untitled(item_id)) for _, _, item_id in taken}
    return leave_last(_name(folder), items, histories)


def _day(row: Record) -> datetime:
    try:
        return datetime.strptime(row.id("Time"), _DAY).replace(tzinfo=UTC)
    except ValueError as exc:
        raise row.error("Time", f"no day such as '12 31, 2015' ({exc}); correct the row") from exc


def _read_held_out(path: Path, items: Mapping[str, Item]) -> dict[str, str]:
    """User -> the first item held out for them."""
    held: dict[str, str] = {}
    for row in read_rows(path, ("user_id", "items")):
        known = [item_id for item_id in row.ids("items") if item_id in items]
        if not known:
            raise row.error("items", "names no listed item; correct the row")
        held[row.id("user_id")] = known[0]
    return held


def _read_items(path: Path, key: str, columns: Sequence[str]) -> dict[str, Item]:
    items: dict[str, Item] = {}
    for row in read_rows(path, (key, *columns)):
        item_id = row.id(key)
        if item_id in items:
            raise row.error(key, f"item {item_id} comes twice; keep one of the rows")
        items[item_id] = _item(row, item_id, columns)
    return items


def _item(row: Record, item_id: str, columns: Sequence[str]) -> Item:
    brand = row.text("brand")
    return Item(
        item_id,
        row.text("title") or _untitled(item_id),
        row.text("description"),
        None if brand.lower() in _NOTHING else brand,
        row.price("price")[0] if "price" in columns else None,
        features=row.texts("features") if "features" in columns else (),
    )


def _name(folder: Path) -> str:
    return folder.resolve().name  # "." has none of its own


def _untitled(item_id: str) -> str:
    return f"item {item_id}"


def _core(rated: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """What is left when users and items with fewer than ``CORE`` ratings go, again and again."""
    while True:
        users = Counter(user_id for _, user_id, _ in rated)
        items = Counter(item_id for _, _, item_id in rated)
        kept = [each for each in rated if users[each[1]] >= CORE and items[each[2]] >= CORE]
        if len(kept) == len(rated):
            return kept
        rated = kept


def _columns(path: Path) -> list[str]:
    """Names of a parquet file's columns; none where there is no such file or it cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (OSError, pa.ArrowException):
        return []


_WINDOW_COLUMNS = ("user_id", "history", "target")
_LAYOUTS = (
    _Layout(
        {
            "items.parquet": ("item_id", "title"),
            "test.parquet": _WINDOW_COLUMNS,
        },
        _read_windows,
    ),
    _Layout(
        {
            "ratings.parquet": ("user_id", "product_id", "timestamp"),
            "items.parquet": ("product_id", "title", "description", "brand", "price", "features"),
        },
        _read_ratings,
    ),
    _Layout(
        {
            "ratings.parquet": ("user", "item", "timestamp"),
            "items.parquet": ("item_id", "title", "description", "brand", "price"),
        },
        _read_numbered,
    ),
    _Layout(
        {
            "pairs.parquet": ("userID", "movieID"),
            "movies.parquet": ("movieID", "title", "genres"),
            "movie_summaries.parquet": ("movie_id", "summary"),
            "held_out_valid.parquet": ("user_id", "items"),
            "held_out_test.parquet": ("user_id", "items"),
        },
        _read_pairs,
    ),
    _Layout(
        {"pairs.parquet": ("user", "item"), "narratives.parquet": ("iid", "title", "item_summary")},
        _read_explained,
    ),
)
