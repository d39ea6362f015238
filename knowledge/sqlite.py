"""How the project's own SQLite files are opened, and how what was deleted in one leaves the disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path

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
