"""What people told of themselves, apart from any conversation: notes, consent, whose conversation is whose.

One SQLite file, on disk when a method returns, nothing of a deleted row left in it after `forget`. An *owner*
is the key of one person: a login name, else what a browser keeps for one shopper (see ui/people.py).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from knowledge.errors import NotesError, NotFoundError
from knowledge.sqlite import SqliteFile, scrub

FILE_NAME = "notes.sqlite"
MAX_NOTES = 100  # of one person; the oldest makes room
MAX_NOTE = 200  # characters

NoteKind = Literal["like", "dislike", "fact"]

_TABLES = """
    CREATE TABLE IF NOT EXISTS notes (
        note_id INTEGER PRIMARY KEY AUTOINCREMENT,
        owner TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('like', 'dislike', 'fact')),
        text TEXT NOT NULL,
        words TEXT NOT NULL,
        conversation_id TEXT NOT NULL,
        position INTEGER NOT NULL,
        created_s REAL NOT NULL,
        UNIQUE (owner, text)
    );
    CREATE TABLE IF NOT EXISTS consents (owner TEXT PRIMARY KEY, given INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS conversations (conversation_id TEXT PRIMARY KEY, owner TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS conversations_owner ON conversations (owner);
"""
_NOTE = "note_id, kind, text, words, conversation_id, position, created_s"


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that a person told. ``text`` is their sentence, ``words`` what it is about.

    ``conversation_id`` and ``position``: the message that told it; empty and 0 where it was written by hand.
    """

    kind: NoteKind
    text: str
    words: str
    conversation_id: str = ""
    position: int = 0
    note_id: int = 0  # 0: not written yet
    created_s: float = field(default_factory=time.time)


class Notebook(SqliteFile):
    """The file of notes; safe for many threads. Raises NotesError where it cannot be read or written."""

    error = NotesError

    def _set_up(self) -> None:
        self._connection.executescript(_TABLES)

    # notes

    def notes(self, owner: str) -> list[Note]:
        """A person's notes, oldest first."""
        rows = self._all(f"SELECT {_NOTE} FROM notes WHERE owner = ? ORDER BY note_id", owner)
        return [
            Note(kind, text, words, conversation_id, position, note_id, created_s)
            for note_id, kind, text, words, conversation_id, position, created_s in rows
        ]

    def add(self, owner: str, note: Note) -> None:
        """Write a note; one with the same text is there once."""
        row = (owner, note.kind, _storable(note.text), _storable(note.words))
        with self._mapped("written or read"), self._lock:
            self._connection.execute(
                "INSERT OR IGNORE INTO notes (owner, kind, text, words, conversation_id, position, created_s)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*row, note.conversation_id, note.position, note.created_s),
            )
            self._connection.execute(
                "DELETE FROM notes WHERE owner = ? AND note_id NOT IN "
                "(SELECT note_id FROM notes WHERE owner = ? ORDER BY note_id DESC LIMIT ?)",
                (owner, owner, MAX_NOTES),
            )

    def change(self, owner: str, note_id: int, note: Note) -> None:
        """Put ``note`` in the place of one. Raises NotFoundError where that person has no such note."""
        text, words = _storable(note.text), _storable(note.words)
        with self._mapped("written or read"), self._lock:
            changed = self._connection.execute(
                "UPDATE OR REPLACE notes SET kind = ?, text = ?, words = ? WHERE owner = ? AND note_id = ?",
                (note.kind, text, words, owner, note_id),
            ).rowcount
        if not changed:
            raise NotFoundError("this note is gone already; reload the page")

    def remove(self, owner: str, note_id: int) -> None:
        """Delete one note of a person; none is harmless."""
        self._change("DELETE FROM notes WHERE owner = ? AND note_id = ?", owner, note_id)

    def take_back(self, conversation_id: str, n_messages: int) -> None:
        """Delete what was noted in a conversation after its first ``n_messages``."""
        self._change(
            "DELETE FROM notes WHERE conversation_id = ? AND position >= ?", conversation_id, n_messages
        )

    # consent

    def consent(self, owner: str) -> bool | None:
        """Whether this person's ratings may be kept; None where they were not asked yet."""
        rows = self._all("SELECT given FROM consents WHERE owner = ?", owner)
        return bool(rows[0][0]) if rows else None

    def set_consent(self, owner: str, given: bool) -> None:
        """Remember the answer to that."""
        self._change("INSERT OR REPLACE INTO consents VALUES (?, ?)", owner, int(given))

    # conversations

    def begin(self, conversation_id: str, owner: str) -> None:
        """Note whose a conversation is."""
        self._change("INSERT OR REPLACE INTO conversations VALUES (?, ?)", conversation_id, owner)

    def owner(self, conversation_id: str) -> str | None:
        """Whose a conversation is; None for one that never began or is forgotten."""
        rows = self._all("SELECT owner FROM conversations WHERE conversation_id = ?", conversation_id)
        return str(rows[0][0]) if rows else None

    def conversations(self, owner: str) -> list[str]:
        """The ids of a person's conversations."""
        rows = self._all("SELECT conversation_id FROM conversations WHERE owner = ?", owner)
        return [str(row[0]) for row in rows]

    def forget(self, owner: str, conversation_ids: Sequence[str]) -> int:
        """Delete a person's notes, consent and these conversations' names; returns how many notes."""
        with self._mapped("written or read"), self._lock:
            n_notes = self._connection.execute("DELETE FROM notes WHERE owner = ?", (owner,)).rowcount
            self._connection.execute("DELETE FROM consents WHERE owner = ?", (owner,))
            self._connection.executemany(
                "DELETE FROM conversations WHERE conversation_id = ?", [(each,) for each in conversation_ids]
            )
            scrub(self._connection)
        return n_notes

    def _all(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._mapped("written or read"), self._lock:
            return self._connection.execute(query, values).fetchall()

    def _change(self, statement: str, *values: object) -> None:
        with self._mapped("written or read"), self._lock:
            self._connection.execute(statement, values)


def _storable(text: str) -> str:
    """Half surrogate pairs are no UTF-8."""
    return text.encode("utf-8", "replace").decode()
