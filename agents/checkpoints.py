"""Where conversations are kept, so that they survive a restart: one SQLite file, written turn by turn."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge.errors import ConversationError
from knowledge.sqlite import scrub

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.checkpoint.sqlite import SqliteSaver

FILE_NAME = "conversations.sqlite"


@contextmanager
def conversations_in(data_dir: Path) -> Iterator[SqliteSaver]:
    """The checkpointer over ``data_dir``; a turn that was kept is on disk. Safe to use from several threads.

    Raises ConversationError when the file is no database, or cannot be opened for writing.
    """
    from langgraph.checkpoint.sqlite import SqliteSaver

    path = data_dir / FILE_NAME
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, check_same_thread=False)
    except (OSError, sqlite3.Error) as exc:
        raise ConversationError(f"{path}: cannot be opened ({exc}); name another folder") from exc
    with closing(connection):
        saver = SqliteSaver(connection)
        try:
            saver.setup()
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")
        except sqlite3.Error as exc:
            raise ConversationError(f"{path}: not the file of conversations ({exc}); move it away") from exc
        yield saver


def delete_threads(checkpointer: BaseCheckpointSaver[Any], thread_ids: Sequence[str]) -> None:
    """Delete whole conversations; where they lie in a file, to the last byte."""
    from langgraph.checkpoint.sqlite import SqliteSaver

    with mapped_errors():
        for thread_id in thread_ids:
            checkpointer.delete_thread(thread_id)
        if isinstance(checkpointer, SqliteSaver):
            with checkpointer.lock:
                scrub(checkpointer.conn)


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Raises ConversationError for what SQLite raises."""
    try:
        yield
    except sqlite3.Error as exc:
        raise ConversationError(
            f"{FILE_NAME}: this conversation could not be read or kept ({exc}); free the disk, then ask again"
        ) from exc
