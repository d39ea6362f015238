"""The log of ratings: one append-only SQLite table.

`append` returns once the row is on disk (WAL, ``synchronous=FULL``), so an acknowledged rating survives a
kill. A row keeps what rebuilds the narrator's input: the ids of the history as it was, the target, task,
seed and versions. Nothing is ever changed: who rates a message again adds a row, and `latest` reads the last
one. Only who asks to be forgotten takes rows out (`forget`).

A new version of the table is a new list of statements at the end of `MIGRATIONS`; the file's
``user_version`` counts how many lists it has seen.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from knowledge.errors import FeedbackError, InputError
from knowledge.sqlite import SqliteFile, connect, scrub
from knowledge.types import TASKS, Task

_TABLE = """
    CREATE TABLE ratings (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation_id TEXT NOT NULL,
        message_id TEXT NOT NULL,
        user_id TEXT,
        task TEXT,
        item_id TEXT,
        thumb INTEGER CHECK (thumb IN (-1, 0, 1)),
        stars INTEGER CHECK (stars BETWEEN 1 AND 5),
        reason TEXT NOT NULL,
        text TEXT NOT NULL,
        history_ids TEXT NOT NULL,  -- JSON list, oldest first
        seed INTEGER,
        model TEXT NOT NULL,
        bundle TEXT NOT NULL,
        created_s REAL NOT NULL
    )
"""
_NO_UPDATE = """
    CREATE TRIGGER ratings_no_update BEFORE UPDATE ON ratings
        BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END
"""
_NO_DELETE = """
    CREATE TRIGGER ratings_no_delete BEFORE DELETE ON ratings
        BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END
"""
# INSERT OR REPLACE deletes a row without firing the trigger above.
_NO_REPLACE = """
    CREATE TRIGGER ratings_no_replace BEFORE INSERT ON ratings
        WHEN EXISTS (SELECT 1 FROM ratings WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END
"""
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        _TABLE,
        "CREATE INDEX ratings_message ON ratings (message_id)",
        _NO_UPDATE,
        _NO_DELETE,
        _NO_REPLACE,
    ),
)


@dataclass(frozen=True, slots=True)
class Rating:
    """What a person said of one answer: a thumb, stars, a reason in their own words, or several of these.

    ``text`` is the answer with its pointers; ``history_ids`` the purchases it was told from, oldest first.
    A thumb of 0 takes an earlier thumb back. Raises InputError for a value out of range
    and for an empty rating.
    """

    conversation_id: str
    message_id: str
    user_id: str | None = None
    task: Task | None = None
    item_id: str | None = None
    thumb: int | None = None
    stars: int | None = None
    reason: str = ""
    text: str = ""
    history_ids: tuple[str, ...] = ()
    seed: int | None = None
    model: str = ""
    bundle: str = ""
    created_s: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        if not self.conversation_id or not self.message_id:
            raise _wrong("message_id", "a rating needs a conversation and a message")
        if self.task is not None and self.task not in TASKS:
            raise _wrong("task", f"'{self.task}' is no task; use one of {', '.join(TASKS)}")
        if self.thumb is not None and not _whole(self.thumb, -1, 1):
            raise _wrong("thumb", f"{self.thumb!r} is no thumb; use -1, 0 or 1")
        if self.stars is not None and not _whole(self.stars, 1, 5):
            raise _wrong("stars", f"{self.stars!r} are no stars; use a whole number from 1 to 5")
        if self.thumb is None and self.stars is None and not self.reason.strip():
            raise _wrong("stars", "an empty rating; give a thumb, stars or a reason")
        if not math.isfinite(self.created_s):
            raise _wrong("created_s", f"{self.created_s} is no time; give seconds since 1970")


_COLUMNS = tuple(Rating.__dataclass_fields__)
_INSERT = f"INSERT INTO ratings ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM ratings"


class FeedbackLog(SqliteFile):
    """The log in the SQLite file ``path`` (made if missing); safe for many threads and processes.

    Raises FeedbackError where the file cannot be opened, written or read.
    """

    error = FeedbackError

    def append(self, rating: Rating) -> int:
        """Write one rating and return its row id; it is on disk by then."""
        values = [_storable(getattr(rating, name)) for name in _COLUMNS]
        with self._mapped("written"), self._lock:
            row_id = self._connection.execute(_INSERT, values).lastrowid
        assert row_id is not None
        return row_id

    def ratings(self) -> Iterator[Rating]:
        """Every rating, oldest first, read as you go, as the log was when the reading began."""
        yield from self._read(f"{_SELECT} ORDER BY id")

    def latest(self) -> Iterator[Rating]:
        """The last rating of each message, in the order they were given."""
        yield from self._read(
            f"{_SELECT} WHERE id IN (SELECT MAX(id) FROM ratings GROUP BY message_id) ORDER BY id"
        )

    def of(self, conversation_ids: Sequence[str]) -> list[Rating]:
        """The last rating of each message of these conversations."""
        wanted = set(conversation_ids)
        return [rating for rating in self.latest() if rating.conversation_id in wanted]

    def forget(self, conversation_ids: Sequence[str]) -> int:
        """Delete every rating given in these conversations, to the last byte; returns how many messages."""
        ids = json.dumps(list(conversation_ids))
        theirs = "WHERE conversation_id IN (SELECT value FROM json_each(?))"
        with self._mapped("scrubbed"), self._lock:
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                (n,) = connection.execute(
                    f"SELECT COUNT(DISTINCT message_id) FROM ratings {theirs}", (ids,)
                ).fetchone()
                connection.execute("DROP TRIGGER ratings_no_delete")
                connection.execute(f"DELETE FROM ratings {theirs}", (ids,))
                connection.execute(_NO_DELETE)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
            scrub(connection)
        return int(n)

    def export_jsonl(self, target: str | Path | IO[str]) -> int:
        """Write every rating as one JSON object a line to a file or an open text stream; returns how many."""
        if not isinstance(target, str | Path):
            return self._export(target)
        path = Path(target)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            with partial.open("w", encoding="utf-8") as stream:
                n = self._export(stream)
            partial.replace(path)
        except OSError as exc:
            raise FeedbackError(f"{path}: cannot be written ({exc.strerror}); choose another file") from exc
        finally:
            partial.unlink(missing_ok=True)
        return n

    def _export(self, stream: IO[str]) -> int:
        n = 0
        for rating in self.ratings():
            stream.write(json.dumps(asdict(rating), ensure_ascii=False) + "\n")
            n += 1
        return n

    def _read(self, query: str) -> Iterator[Rating]:
        # A connection of its own, so that a slow reader never holds up a rating.
        with self._mapped("read"), closing(connect(self.path)) as connection:
            for row in connection.execute(query):
                values = dict(zip(_COLUMNS, row, strict=True))
                values["history_ids"] = tuple(json.loads(values["history_ids"]))
                yield Rating(**values)

    def _set_up(self) -> None:
        # The lock comes before the check: two processes opening a new file must not both migrate it.
        self._connection.execute("BEGIN IMMEDIATE")
        version = self._version()
        if version > len(MIGRATIONS):
            raise FeedbackError(
                f"{self.path}: written by a newer version; update the app or name another file"
            )
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                self._connection.execute(statement)
        self._connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        self._connection.execute("COMMIT")

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])


def _storable(value: Any) -> Any:
    """``value`` as SQLite takes it: a tuple as JSON, a text without half surrogate pairs."""
    if isinstance(value, tuple):
        return json.dumps(value)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _wrong(name: str, problem: str) -> InputError:
    return InputError("rating", problem, field=name)
