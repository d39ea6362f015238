"""The project's own SQLite files: opened, shared by threads, and scrubbed of what was deleted."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from knowledge.errors import RaconteurError

_BUSY_S = 30.0


def connect(path: str | Path) -> sqlite3.Connection:
    """A connection that threads may share under a lock of their own.

    Autocommit: a statement is on disk when `execute` returns. Deleted rows are overwritten with zeros.
    """
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def scrub(connection: sqlite3.Connection) -> None:
    """Leave no byte of a deleted row in the file or its write-ahead log.

    Pages are written anew without the gaps (rows deleted before ``secure_delete`` was on may lie there), then
    the log is emptied. Raises sqlite3.OperationalError where another process goes on reading the old pages.
    """
    connection.execute("VACUUM")
    (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:
        raise sqlite3.OperationalError("another process is reading the file")


class SqliteFile:
    """A file with one connection for all threads; ``error`` is what is raised where it cannot be used."""

    error: ClassVar[type[RaconteurError]]

    def __init__(self, path: str | Path = ":memory:") -> None:
        """Open the file, made if missing; by default what it keeps ends with the process."""
        self.path = Path(path)
        self._lock = threading.Lock()
        with self._mapped("opened"):
            if str(path) != ":memory:":
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = connect(path)
            try:
                self._set_up()
            except BaseException:
                self._connection.close()
                raise

    def _set_up(self) -> None:
        """Make the tables that are missing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _mapped(self, done: str) -> Iterator[None]:
        """SQLite's errors in our words, without the values of a row."""
        try:
            yield
        except (sqlite3.Error, OSError, OverflowError) as exc:
            raise self.error(f"{self.path}: could not be {done} ({exc}); free or replace the file") from exc
