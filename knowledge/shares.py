"""Which conversations may be read by whoever has their link: a token each, in one SQLite table.

Nothing of a conversation is copied: a link shows it as it stands, and stops when it is taken back or the
conversation is gone.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from knowledge.errors import ConversationError, NotFoundError
from knowledge.sqlite import SqliteFile

FILE_NAME = "shared.sqlite"
_TOKEN_BYTES = 16


class Shares(SqliteFile):
    """The links in the SQLite file ``path`` (made if missing); safe for many threads.

    Raises ConversationError where the file cannot be opened, written or read.
    """

    error = ConversationError

    def _set_up(self) -> None:
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS shares (conversation_id TEXT PRIMARY KEY, token TEXT NOT NULL UNIQUE)"
        )

    def share(self, conversation_id: str) -> str:
        """The conversation's token, the same one as long as it is shared; on disk when this returns."""
        with self._lock, self._mapped("written"):
            self._connection.execute(
                "INSERT OR IGNORE INTO shares VALUES (?, ?)",
                (conversation_id, secrets.token_urlsafe(_TOKEN_BYTES)),
            )
            found = self._connection.execute(
                "SELECT token FROM shares WHERE conversation_id = ?", (conversation_id,)
            )
            return str(found.fetchone()[0])

    def conversation(self, token: str) -> str:
        """The id of the conversation behind a token. Raises NotFoundError where there is none (any more)."""
        with self._lock, self._mapped("read"):
            found = self._connection.execute(
                "SELECT conversation_id FROM shares WHERE token = ?", (token,)
            ).fetchone()
        if found is None:
            raise NotFoundError("this link leads to no conversation; ask whoever sent it for a new one")
        return str(found[0])

    def take_back(self, conversation_ids: Iterable[str]) -> int:
        """The links of these conversations lead nowhere from now on; returns how many there were."""
        with self._lock, self._mapped("written"):
            return sum(
                self._connection.execute(
                    "DELETE FROM shares WHERE conversation_id = ?", (conversation_id,)
                ).rowcount
                for conversation_id in conversation_ids
            )
