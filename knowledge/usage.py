"""How much the shop is used: turns a day and person, in one small SQLite file.

Nobody's name or words are kept: a person is a keyed hash of their id, and the key, drawn when the file is
made, stays in it. So people can be counted, and no id is read back without trying them all.
"""

from __future__ import annotations

import hmac
import secrets
import time
from dataclasses import dataclass

from knowledge.errors import FeedbackError
from knowledge.sqlite import SqliteFile

_TABLES = """
    CREATE TABLE IF NOT EXISTS key (bytes BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS turns (
        day TEXT NOT NULL,     -- YYYY-MM-DD (UTC)
        person TEXT NOT NULL,  -- keyed hash of an id
        n INTEGER NOT NULL,
        PRIMARY KEY (day, person)
    ) WITHOUT ROWID;
"""
_ADD = "INSERT INTO turns VALUES (?, ?, 1) ON CONFLICT (day, person) DO UPDATE SET n = n + 1"


@dataclass(frozen=True, slots=True)
class Day:
    """What happened on one day (UTC, as YYYY-MM-DD)."""

    day: str
    n_turns: int
    n_people: int


class UsageLog(SqliteFile):
    """The counts in the SQLite file ``path`` (made if missing); safe for many threads and processes.

    Raises FeedbackError where the file cannot be opened, written or read.
    """

    error = FeedbackError

    def _set_up(self) -> None:
        self._connection.executescript(_TABLES)
        self._connection.execute(
            "INSERT INTO key SELECT ? WHERE NOT EXISTS (SELECT * FROM key)", (secrets.token_bytes(32),)
        )
        (self._key,) = self._connection.execute("SELECT bytes FROM key").fetchone()

    def count(self, person_id: str, at_s: float | None = None) -> None:
        """One more turn of a person, now or at a time in seconds since 1970."""
        day = time.strftime("%Y-%m-%d", time.gmtime(at_s))
        person = hmac.digest(self._key, person_id.encode("utf-8", "replace"), "sha256").hex()
        with self._mapped("written"), self._lock:
            self._connection.execute(_ADD, (day, person))

    def days(self) -> list[Day]:
        """Every day with a turn, oldest first."""
        query = "SELECT day, SUM(n), COUNT(*) FROM turns GROUP BY day ORDER BY day"
        with self._mapped("read"), self._lock:
            return [Day(*row) for row in self._connection.execute(query)]

    def n_people(self) -> int:
        """How many different people there were on all days together."""
        with self._mapped("read"), self._lock:
            (n,) = self._connection.execute("SELECT COUNT(DISTINCT person) FROM turns").fetchone()
        return int(n)
