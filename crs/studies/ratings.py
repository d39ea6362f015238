"""A study's ratings: one SQLite file. An answer is on disk (WAL, ``synchronous=FULL``) once recorded.

Raters are numbers with a code to come back by; nothing else is known of them. Answers are only added: the
last one of a rater to a trial counts, and one that is taken back is an answer that says so. Who asks to be
forgotten is deleted with all of theirs.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from crs.evaluation.rater.cases import Attribute
from knowledge.errors import FeedbackError

Choice = Literal["first", "second", "tie"]

_SCHEMA = 1
_TABLES = (
    """
    CREATE TABLE raters (
        number INTEGER PRIMARY KEY AUTOINCREMENT,  -- that of a rater who was forgotten stays free
        code TEXT NOT NULL UNIQUE,
        joined_s REAL NOT NULL
    )
    """,
    """
    CREATE TABLE queues (
        rater INTEGER NOT NULL REFERENCES raters,
        place INTEGER NOT NULL,
        trial_id TEXT NOT NULL,
        swapped INTEGER NOT NULL,  -- whether the second narrative stands first
        PRIMARY KEY (rater, place),
        UNIQUE (rater, trial_id)
    )
    """,
    """
    CREATE TABLE answers (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        rater INTEGER NOT NULL REFERENCES raters,
        trial_id TEXT NOT NULL,
        scores TEXT NOT NULL,      -- JSON, attribute -> 1..7, none where two are compared
        choice TEXT CHECK (choice IN ('first', 'second', 'tie')),
        confidence INTEGER NOT NULL CHECK (confidence BETWEEN 1 AND 7),
        seconds REAL NOT NULL,     -- from the trial's showing to the answer
        taken_back INTEGER NOT NULL,
        created_s REAL NOT NULL
    )
    """,
)
_LATEST = """
    SELECT a.rater, a.trial_id, q.swapped, a.scores, a.choice, a.confidence, a.seconds, a.taken_back
    FROM answers a JOIN queues q ON q.rater = a.rater AND q.trial_id = a.trial_id
    WHERE a.id IN (SELECT MAX(id) FROM answers GROUP BY rater, trial_id)
"""
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # nothing that is mistaken for something else
_CODE_LENGTH = 8
_BUSY_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rater said of a trial. ``choice`` is of its narratives in the study's order, whatever the sides.

    ``scores`` where one text was rated, ``choice`` where two were compared; ``confidence`` 1 to 7.
    """

    confidence: int
    scores: dict[Attribute, int] = field(default_factory=dict)
    choice: Choice | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer with whose it is, and on which side the narratives stood."""

    rater: int
    trial_id: str
    swapped: bool
    answer: Answer


@dataclass(frozen=True, slots=True)
class Place:
    """A trial in a rater's queue; ``swapped``: the second narrative is shown first."""

    trial_id: str
    swapped: bool


# A new rater's number, and how often each trial stands in a queue and was answered -> the rater's queue
Deal = Callable[[int, Counter[str], Counter[str]], Sequence[Place]]


class RatingsFile:
    """The ratings in the SQLite file ``path`` (made if missing); safe for many threads and processes.

    Raises FeedbackError where the file cannot be opened, written or read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        with self._mapped("opened"):
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            with self._transaction():
                (version,) = self._connection.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    for statement in _TABLES:
                        self._connection.execute(statement)
                    self._connection.execute(f"PRAGMA user_version = {_SCHEMA}")
        if version > _SCHEMA:
            self._connection.close()
            raise FeedbackError(f"{path}: written by a newer version; update the app or name another folder")

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        with self._lock:
            self._connection.close()

    def join(self, deal: Deal) -> str:
        """Add a rater with the queue that ``deal`` gives them, and return their code."""
        code = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH))
        with self._mapped("written"), self._lock, self._transaction():
            execute = self._connection.execute
            number = execute(
                "INSERT INTO raters (code, joined_s) VALUES (?, ?)", (code, time.time())
            ).lastrowid
            assert number is not None
            dealt = Counter(trial_id for (trial_id,) in execute("SELECT trial_id FROM queues"))
            answered = Counter(row[1] for row in execute(_LATEST) if not row[-1])
            self._connection.executemany(
                "INSERT INTO queues VALUES (?, ?, ?, ?)",
                [
                    (number, at, place.trial_id, place.swapped)
                    for at, place in enumerate(deal(number, dealt, answered))
                ],
            )
        return code

    def forget(self, rater: int) -> int:
        """Delete a rater with queue and answers, from free pages too; returns how many answers there were."""
        with self._mapped("written"), self._lock:
            self._connection.execute("PRAGMA secure_delete = ON")
            with self._transaction():
                n_answers = self._connection.execute("DELETE FROM answers WHERE rater = ?", (rater,)).rowcount
                self._connection.execute("DELETE FROM queues WHERE rater = ?", (rater,))
                self._connection.execute("DELETE FROM raters WHERE number = ?", (rater,))
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # it held them too
        return n_answers

    def number_of(self, code: str) -> int | None:
        """The rater with this code; None for nobody."""
        found = self._rows("SELECT number FROM raters WHERE code = ?", code)
        return int(found[0][0]) if found else None

    def queue(self, rater: int) -> list[Place]:
        """What the rater is to judge, in order."""
        rows = self._rows("SELECT trial_id, swapped FROM queues WHERE rater = ? ORDER BY place", rater)
        return [Place(trial_id, bool(swapped)) for trial_id, swapped in rows]

    def record(self, rater: int, trial_id: str, answer: Answer, *, taken_back: bool = False) -> None:
        """Write an answer, or take it back; it is on disk by then."""
        values = (
            rater, trial_id, json.dumps(answer.scores), answer.choice, answer.confidence, answer.seconds,
            taken_back, time.time(),
        )  # fmt: skip
        with self._mapped("written"), self._lock:
            self._connection.execute(
                "INSERT INTO answers (rater, trial_id, scores, choice, confidence, seconds, taken_back, "
                "created_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )

    def answers(self) -> Iterator[Answered]:
        """The answers that count, rater by rater in the order of their queues."""
        order = " AND NOT a.taken_back ORDER BY q.rater, q.place"
        yield from (_answered(row) for row in self._rows(_LATEST + order))

    def of_rater(self, rater: int) -> tuple[dict[str, Answer], dict[str, Answer]]:
        """The rater's answers by trial: those that count, and those taken back."""
        standing: dict[str, Answer] = {}
        withdrawn: dict[str, Answer] = {}
        for row in self._rows(_LATEST + " AND a.rater = ? ORDER BY a.id", rater):
            (withdrawn if row[-1] else standing)[row[1]] = _answered(row).answer
        return standing, withdrawn

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._mapped("read"), self._lock:
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, and no other process in between."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @contextmanager
    def _mapped(self, done: str) -> Iterator[None]:
        """SQLite's errors in our words."""
        try:
            yield
        except sqlite3.Error as exc:
            raise FeedbackError(
                f"{self.path}: could not be {done} ({exc}); free or replace the file"
            ) from exc


def _answered(row: tuple[Any, ...]) -> Answered:
    rater, trial_id, swapped, scores, choice, confidence, seconds, _taken_back = row
    answer = Answer(confidence, json.loads(scores), choice, seconds)
    return Answered(rater, trial_id, bool(swapped), answer)
