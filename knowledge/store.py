"""A store: what is known of items and people, as a folder of parquet files.

    items.parquet          one row an item; its position is its row in every matrix
    interactions.parquet   one row a purchase, grouped by user, oldest first
    held_out.parquet       (user_id, item_id): the next purchase, kept away from all training (may be absent)
    narratives.parquet     reference texts (may be absent)
    manifest.json          schema, name, format, counts, dropped (reason -> rows left out)

`StoreWriter` streams into a folder beside the target and renames it at the end, so a store is whole or
absent.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from knowledge.errors import BundleError, InputError, NotFoundError
from knowledge.nouns import nouns_of
from knowledge.types import MAX_HISTORY, Interaction, Item, Narrative, Task

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
ROWS_IN_MEMORY = 4_096  # rows the writer holds before they become a row group

_TEXT = pa.large_string()  # 64-bit offsets: a million reviews pass 2 GB
_SCHEMAS = {
    "items": pa.schema(
        [
            ("item_id", _TEXT),
            ("title", _TEXT),
            ("description", _TEXT),
            ("brand", _TEXT),
            ("price", pa.float64()),
            ("department", _TEXT),
            ("kind", _TEXT),
            ("attributes", pa.map_(pa.string(), pa.string())),
            ("features", pa.list_(pa.string())),
        ]
    ),
    "interactions": pa.schema(
        [
            ("user_id", _TEXT),
            ("item_id", _TEXT),
            ("timestamp", pa.int64()),
            ("rating", pa.float64()),
            ("review_title", _TEXT),
            ("review", _TEXT),
        ]
    ),
    "held_out": pa.schema([("user_id", _TEXT), ("item_id", _TEXT)]),
    "narratives": pa.schema(
        [
            ("user_id", _TEXT),
            ("task", _TEXT),
            ("text", _TEXT),
            ("n_history", pa.int32()),
            ("target_id", _TEXT),
            ("cause", _TEXT),
        ]
    ),
}
_REQUIRED = ("items", "interactions")


class Store:
    """A store opened for reading: items and purchases in memory, narratives read as they are asked for."""

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path, self.manifest = path, manifest
        self._interactions = self._table("interactions").combine_chunks()
        # The codes of a column grouped by user change only where the next user starts.
        users = pc.dictionary_encode(_one_chunk(self._interactions["user_id"]))
        self.user_ids: list[str] = users.dictionary.to_pylist()
        codes = users.indices.to_numpy(zero_copy_only=False)
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        if len(starts) != len(self.user_ids):
            raise BundleError(f"{path / 'interactions.parquet'}: not grouped by user; write the store again")
        self._offsets = np.append(starts, len(codes)).astype(np.int64)  # (n_users + 1,)
        self._user_index = {user_id: row for row, user_id in enumerate(self.user_ids)}

    @classmethod
    def open(cls, path: str | Path) -> Store:
        """Open the store in folder ``path``.

        Raises NotFoundError if there is no such folder, BundleError if it is not a whole store.
        """
        path = Path(path)
        if not path.is_dir():
            raise NotFoundError(f"{path}: no such store; make one with `python -m crs import` or `demo`")
        manifest = read_manifest(path)
        if manifest is None:
            raise BundleError(f"{path}: no readable {MANIFEST}, so not a store; name a store's folder")
        if manifest["schema"] != SCHEMA_VERSION:
            raise BundleError(
                f"{path}: store schema {manifest['schema']}, but this version reads {SCHEMA_VERSION}; "
                "import the source again"
            )
        store = cls(path, manifest)
        if (n := len(store._item_rows)) != len(store._interactions):
            raise BundleError(f"{path}: {n} item rows for {len(store._interactions)} interactions")
        return store

    @cached_property
    def items(self) -> dict[str, Item]:
        """Item by id, in row order; those without a kind with the noun that the titles tell."""
        items = {row["item_id"]: _item(row) for row in self._table("items").to_pylist()}
        unnamed = [item for item in items.values() if not item.kind]
        nouns = nouns_of([item.title for item in unnamed], [item.brand or "" for item in unnamed])
        return items | {
            item.item_id: replace(item, noun=noun) for item, noun in zip(unnamed, nouns, strict=True)
        }

    @cached_property
    def item_ids(self) -> list[str]:
        """Id by row, (n_items,)."""
        return list(self.items)

    @cached_property
    def item_index(self) -> dict[str, int]:
        """Row by id."""
        return {item_id: row for row, item_id in enumerate(self.items)}

    @cached_property
    def held_out(self) -> dict[str, str]:
        """Each user's next purchase, kept away from all training; empty where the source has none."""
        if not (self.path / "held_out.parquet").exists():
            return {}
        columns = self._table("held_out").to_pydict()
        return dict(zip(columns["user_id"], columns["item_id"], strict=True))

    def history(self, user_id: str, last: int = MAX_HISTORY) -> list[Interaction]:
        """The user's ``last`` most recent purchases, oldest first; NotFoundError for an unknown user."""
        row = self._row(user_id)
        end = int(self._offsets[row + 1])
        start = max(int(self._offsets[row]), end - last)
        return [
            Interaction(**columns) for columns in self._interactions.slice(start, end - start).to_pylist()
        ]

    def purchases_of(self, item_id: str) -> list[Interaction]:
        """Everyone's purchases of an item, by user; NotFoundError for an unknown item."""
        if item_id not in self.item_index:
            raise NotFoundError(f"{self.path}: no item '{item_id}' in this store")
        rows = np.flatnonzero(self._item_rows == self.item_index[item_id])
        return [Interaction(**columns) for columns in self._interactions.take(pa.array(rows)).to_pylist()]

    def user_items(self, users: Sequence[str] | None = None) -> csr_matrix:
        """Who bought what: float32 (n_users, n_items), 1.0 where the user has the item, however often.

        Rows follow ``users``, or ``user_ids`` when None. Raises NotFoundError for an unknown user.
        """
        from scipy.sparse import csr_matrix

        chosen = (
            np.arange(len(self.user_ids)) if users is None else np.array([self._row(u) for u in users], int)
        )
        starts, ends = self._offsets[chosen], self._offsets[chosen + 1]
        spans = [self._item_rows[start:end] for start, end in zip(starts, ends, strict=True)]
        indices = np.concatenate(spans) if spans else np.empty(0, np.int32)
        indptr = np.concatenate([[0], np.cumsum(ends - starts)])
        shape = (len(chosen), len(self.items))
        matrix = csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=shape)
        matrix.sum_duplicates()
        matrix.data[:] = 1.0
        return matrix

    def narratives(self, task: Task | None = None) -> Iterator[Narrative]:
        """The reference texts, of one task or of all, read in batches."""
        path = self.path / "narratives.parquet"
        if not path.exists():
            return
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(ROWS_IN_MEMORY):
                    chosen = batch if task is None else batch.filter(pc.equal(batch["task"], task))
                    yield from (Narrative(**row) for row in chosen.to_pylist())
        except (pa.ArrowException, OSError) as exc:
            raise _damaged(path) from exc

    @cached_property
    def _item_rows(self) -> np.ndarray:
        """Row of the item of every interaction, int32 (n_interactions,)."""
        items = pa.array(self.item_ids, _TEXT)
        rows = pc.index_in(_one_chunk(self._interactions["item_id"]), items)
        if rows.null_count:
            raise BundleError(
                f"{self.path}: interactions name items that items.parquet lacks; write it again"
            )
        return np.asarray(rows, np.int32)

    def _row(self, user_id: str) -> int:
        try:
            return self._user_index[user_id]
        except KeyError:
            raise NotFoundError(f"{self.path}: no user '{user_id}' in this store") from None

    def _table(self, part: str) -> pa.Table:
        path = self.path / f"{part}.parquet"
        try:
            table = pq.read_table(path).cast(_SCHEMAS[part])
        except (pa.ArrowException, OSError, ValueError) as exc:
            raise _damaged(path) from exc
        if table.num_rows != (count := self.manifest["counts"].get(part)):
            raise BundleError(
                f"{path}: {table.num_rows} rows, but {MANIFEST} says {count}; write the store again"
            )
        return table


class StoreWriter:
    """Writes a store row by row in constant memory (but for the ids of items); use it in a ``with``.

    The folder appears at ``path`` when the block ends well and not at all otherwise. An existing store there
    is replaced; anything else there is refused with InputError.
    """

    def __init__(self, path: str | Path, *, name: str, format: str) -> None:
        self.path, self.name, self.format = Path(path), name, format
        self._temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
        self._parts: dict[str, _Part] = {}
        self._item_ids: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._last_user: str | None = None

    def __enter__(self) -> StoreWriter:
        if self.path.exists() and not self._replaceable():
            raise InputError(self.path, "exists and is not a store; choose another folder or remove it first")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary.mkdir()
        except OSError as exc:
            raise InputError(self.path, f"cannot be written ({exc.strerror}); choose another folder") from exc
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            for part in self._parts.values():
                part.close()
            shutil.rmtree(self._temporary, ignore_errors=True)

    def add_item(self, item: Item) -> None:
        """Add one item; its row is the number of items before it."""
        if item.item_id in self._item_ids:
            raise BundleError(
                f"{self.path}: item '{item.item_id}' is added twice; give every item its own id"
            )
        self._item_ids.add(item.item_id)
        row = {name: getattr(item, name) for name in _SCHEMAS["items"].names}
        self._add("items", row | {"attributes": list(item.attributes.items())})

    def has_item(self, item_id: str) -> bool:
        """Whether this item was added."""
        return item_id in self._item_ids

    def add_interactions(self, interactions: Iterable[Interaction]) -> None:
        """Add all purchases of a user (or of several, grouped); they are sorted by time here.

        Their items come first: BundleError for an item that was not added, or a user who comes in two calls.
        """
        for user_id, purchases in groupby(interactions, key=lambda purchase: purchase.user_id):
            if user_id == self._last_user:
                raise BundleError(
                    f"{self.path}: user '{user_id}' comes twice; add a user's purchases in one go"
                )
            self._last_user = user_id
            self._counts["users"] += 1
            for purchase in sorted(purchases, key=lambda purchase: purchase.timestamp):
                self._check_item(purchase.item_id)
                self._add("interactions", _row(purchase, "interactions"))

    def add_held_out(self, user_id: str, item_id: str) -> None:
        """Set the user's next purchase apart from all training."""
        self._check_item(item_id)
        self._add("held_out", {"user_id": user_id, "item_id": item_id})

    def add_narrative(self, narrative: Narrative) -> None:
        """Add one reference text."""
        self._add("narratives", _row(narrative, "narratives"))

    def drop(self, reason: str, n: int = 1) -> None:
        """Count ``n`` rows of the source that were left out by the rule named ``reason``."""
        if n:
            self._dropped[reason] += n

    @property
    def manifest(self) -> dict[str, Any]:
        """What manifest.json will say, as of now."""
        names = ("items", "users", "interactions", "held_out", "narratives")
        return {
            "schema": SCHEMA_VERSION,
            "name": self.name,
            "format": self.format,
            "counts": {name: self._counts[name] for name in names},
            "dropped": dict(sorted(self._dropped.items())),
        }

    def _replaceable(self) -> bool:
        return self.path.is_dir() and (read_manifest(self.path) is not None or not any(self.path.iterdir()))

    def _check_item(self, item_id: str) -> None:
        if not self.has_item(item_id):
            raise BundleError(
                f"{self.path}: item '{item_id}' was not added; add items before what names them"
            )

    def _add(self, part: str, row: dict[str, Any]) -> None:
        self._counts[part] += 1
        self._part(part).add(row)

    def _part(self, part: str) -> _Part:
        if part not in self._parts:
            self._parts[part] = _Part(self._temporary / f"{part}.parquet", _SCHEMAS[part])
        return self._parts[part]

    def _finish(self) -> None:
        for part in _REQUIRED:
            self._part(part)
        for one in self._parts.values():
            one.flush()
            one.close()
        text = json.dumps(self.manifest, indent=2, ensure_ascii=False)
        (self._temporary / MANIFEST).write_text(text + "\n", encoding="utf-8")
        replaced = self._temporary.with_suffix(".replaced")
        if self.path.exists():
            self.path.rename(replaced)
        try:
            self._temporary.rename(self.path)
        except BaseException:
            if replaced.exists():
                replaced.rename(self.path)
            raise
        shutil.rmtree(replaced, ignore_errors=True)


class _Part:
    """One parquet file, written a row group at a time."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) >= ROWS_IN_MEMORY:
            self.flush()

    def close(self) -> None:
        self._writer.close()  # harmless when closed already

    def flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest of the store in folder ``path``, or None where there is no readable one."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(manifest, dict) and isinstance(manifest.get("counts"), dict) and "schema" in manifest
    return manifest if whole else None


def _item(row: dict[str, Any]) -> Item:
    return Item(**row | {"attributes": dict(row["attributes"]), "features": tuple(row["features"])})


def _row(record: Interaction | Narrative, part: str) -> dict[str, Any]:
    return {name: getattr(record, name) for name in _SCHEMAS[part].names}


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined


def _damaged(path: Path) -> BundleError:
    return BundleError(f"{path}: missing or damaged; write the store again")
