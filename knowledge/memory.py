"""The assistant's memory in Chroma: `items` by content, `users` by taste, one record a user.

A user's whole history sits in the metadata of their one record, so recall is a get by id (constant time).
Vectors are ours (cosine distance); Chroma never embeds anything. The history is metadata and not a document,
because Chroma builds a full-text index over documents.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

import numpy as np

from knowledge.errors import BundleError, BusyError, NotFoundError
from knowledge.types import Interaction

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection
    from chromadb.config import Settings

_Row = TypeVar("_Row")
Progress = Callable[[int, int], None]  # (records done, records in all)

_BATCH = 1_000
# Where a record came from: a refill replaces what came from the store, never what a conversation taught.
_ORIGIN, _STORE, _CONVERSATION = "origin", "store", "conversation"
_FINGERPRINT = "fingerprint"
_HISTORY = "history"


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """What is known of one person: purchases, oldest first, and taste, float32 (content_dim,)."""

    user_id: str
    history: list[Interaction]
    taste: np.ndarray


class Memory:
    """Items and people in Chroma; make one with `Memory.open`, close it after (or use it in a ``with``)."""

    def __init__(self, client: Client, place: str, lock: IO[bytes] | None) -> None:
        self.place = place
        self._client, self._lock = client, lock
        with self._mapped():
            self._items = self._collection("items")
            self._users = self._collection("users")

    @classmethod
    def open(cls, path_or_url: str | Path) -> Memory:
        """Open the embedded memory in a folder (made if missing), or the Chroma server at an http(s) URL.

        One process owns a folder, because two writers break its index: BusyError when another one has it.
        BundleError if the folder is damaged or cannot be written, NotFoundError if no server answers.
        """
        place = str(path_or_url)
        if place.startswith(("http://", "https://")):
            return cls(_connect(place), place, None)
        lock = _own(Path(place))
        try:
            return cls(_open_folder(place), place, lock)
        except BaseException:
            lock.close()
            raise

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the folder for other processes; closing twice is harmless."""
        self._client.close()
        if self._lock is not None:
            self._lock.close()  # which drops the lock

    def is_filled(self, fingerprint: str) -> bool:
        """Whether the memory was filled to the end from the bundle with this fingerprint."""
        return (self._users.metadata or {}).get(_FINGERPRINT) == fingerprint

    def mark_filled(self, fingerprint: str) -> None:
        """Note that the fill from this bundle is complete, so that the next start can skip it."""
        with self._mapped():
            self._users.modify(metadata={_FINGERPRINT: fingerprint})

    def fill_items(
        self,
        ids: Sequence[str],
        vectors: np.ndarray,
        metadatas: Sequence[Mapping[str, Any]],
        *,
        progress: Progress | None = None,
    ) -> None:
        """Make these the items of the memory; ``vectors`` float32 (n, content_dim), None values left out."""
        records = [
            {key: value for key, value in metadata.items() if value is not None} | {_ORIGIN: _STORE}
            for metadata in metadatas
        ]
        self._fill(self._items, ids, vectors, records, progress)

    def fill_users(
        self,
        ids: Sequence[str],
        vectors: np.ndarray,
        histories: Sequence[Sequence[Interaction]],
        *,
        progress: Progress | None = None,
    ) -> None:
        """Make these the store's users; ``vectors`` float32 (n, content_dim), the taste of each.

        People whom `remember` wrote stay as they are.
        """
        with self._mapped():
            taught = set(self._users.get(where={_ORIGIN: _CONVERSATION}, include=[])["ids"])
        records = [_user_record(history, _STORE) for history in histories]
        self._fill(self._users, ids, vectors, records, progress, keep=taught)

    def recall(self, user_id: str) -> Person:
        """The person with this id, by one get. Raises NotFoundError for a stranger."""
        with self._mapped():
            found = self._users.get(ids=[user_id], include=["metadatas", "embeddings"])
        if not found["ids"] or found["metadatas"] is None or found["embeddings"] is None:
            raise NotFoundError(f"{self.place}: nobody with id '{user_id}' is remembered")
        purchases = json.loads(str(found["metadatas"][0][_HISTORY]))
        history = [Interaction(user_id, *purchase) for purchase in purchases]
        return Person(user_id, history, np.asarray(found["embeddings"][0], np.float32))

    def remember(self, user_id: str, history: Sequence[Interaction], taste: np.ndarray) -> None:
        """Write one person's record anew; ``taste`` float32 (content_dim,). Constant time."""
        vectors = self._checked([user_id], np.asarray(taste, np.float32)[None, :], [history])
        with self._mapped():
            record = _user_record(history, _CONVERSATION)
            self._users.upsert(ids=[user_id], embeddings=vectors, metadatas=[record])

    def forget(self, user_ids: Sequence[str]) -> None:
        """Delete what `remember` wrote of these people; strangers and the store's users are passed over."""
        with self._mapped():
            for batch in _batches(user_ids):
                self._users.delete(ids=list(batch), where={_ORIGIN: _CONVERSATION})

    def similar_people(self, vector: np.ndarray, k: int) -> list[tuple[str, float]]:
        """Up to ``k`` (user id, cosine distance in 0..2), nearest first, for a taste (content_dim,)."""
        return self._nearest(self._users, vector, k)

    def similar_items(self, vector: np.ndarray, k: int) -> list[tuple[str, float]]:
        """Up to ``k`` (item id, cosine distance in 0..2), nearest first, for content (content_dim,)."""
        return self._nearest(self._items, vector, k)

    def _fill(
        self,
        collection: Collection,
        ids: Sequence[str],
        vectors: np.ndarray,
        records: Sequence[dict[str, Any]],
        progress: Progress | None,
        keep: frozenset[str] | set[str] = frozenset(),
    ) -> None:
        vectors = self._checked(ids, vectors, records)
        rows = [row for row, one in enumerate(ids) if one not in keep]
        with self._mapped():
            # An interrupted refill must not pass for a complete one.
            self._users.modify(metadata={_FINGERPRINT: ""})
            stale = set(collection.get(where={_ORIGIN: _STORE}, include=[])["ids"]).difference(ids)
            for stale_ids in _batches(sorted(stale)):
                collection.delete(ids=list(stale_ids))
            done = len(ids) - len(rows)
            for batch in _batches(rows):
                collection.upsert(
                    ids=[ids[row] for row in batch],
                    embeddings=vectors[batch],
                    metadatas=[records[row] for row in batch],
                )
                done += len(batch)
                if progress is not None:
                    progress(done, len(ids))

    def _nearest(self, collection: Collection, vector: np.ndarray, k: int) -> list[tuple[str, float]]:
        vectors = self._checked([""], np.asarray(vector, np.float32)[None, :], [None])
        with self._mapped():
            found = collection.query(query_embeddings=vectors, n_results=k, include=["distances"])
        distances = found["distances"] or [[]]
        return list(zip(found["ids"][0], map(float, distances[0]), strict=True))

    def _checked(self, ids: Sequence[str], vectors: np.ndarray, others: Sequence[Any]) -> np.ndarray:
        """``vectors`` as float32 (n, dim); one NaN would make every distance NaN, so it is refused here."""
        if vectors.ndim != 2 or not len(ids) == len(vectors) == len(others):
            raise BundleError(
                f"{self.place}: {len(ids)} ids do not fit vectors {vectors.shape}; build it again"
            )
        if not np.isfinite(vectors).all():
            raise BundleError(f"{self.place}: a vector is not finite; build the bundle again")
        return vectors.astype(np.float32, copy=False)

    def _collection(self, name: str) -> Collection:
        return self._client.get_or_create_collection(
            name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        """Chroma's errors in our words."""
        import httpx
        from chromadb.errors import ChromaError

        try:
            yield
        except ChromaError as exc:
            raise BundleError(f"{self.place}: {_line(exc)}; remove the memory, it is filled again") from exc
        except httpx.HTTPError as exc:
            raise NotFoundError(f"{self.place}: the Chroma server stopped answering; start it again") from exc


def _user_record(history: Sequence[Interaction], origin: str) -> dict[str, Any]:
    purchases = [[one.item_id, one.timestamp, one.rating, one.review_title, one.review] for one in history]
    return {_HISTORY: json.dumps(purchases, ensure_ascii=False), _ORIGIN: origin}


def _own(folder: Path) -> IO[bytes]:
    """Make ``folder`` ours: an open file whose lock falls with the process, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "owner.lock").open("ab")
    except OSError as exc:
        raise BundleError(f"{folder}: cannot be written ({exc.strerror}); choose another folder") from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        lock.close()
        raise BusyError(
            f"{folder}: another process has this memory open; stop it, or share it with `chroma run`"
        ) from exc
    return lock


def _open_folder(folder: str) -> Client:
    from chromadb import PersistentClient
    from chromadb.errors import ChromaError

    try:
        return cast("Client", PersistentClient(folder, settings=_settings()))
    except (AttributeError, ChromaError, ValueError) as exc:  # AttributeError: at the second try, from chroma
        raise BundleError(f"{folder}: {_line(exc)}; remove the folder, it is filled again") from exc


def _connect(url: str) -> Client:
    from chromadb import HttpClient
    from chromadb.errors import ChromaError

    try:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 8000)
        return cast("Client", HttpClient(parts.hostname or "", port, ssl=secure, settings=_settings()))
    except (ChromaError, ValueError) as exc:
        raise NotFoundError(f"{url}: no Chroma server answers; start one with `chroma run`") from exc


def _settings() -> Settings:
    from chromadb.config import Settings

    return Settings(anonymized_telemetry=False)


def _batches(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    for start in range(0, len(rows), _BATCH):
        yield rows[start : start + _BATCH]


def _line(exc: Exception) -> str:
    return " ".join(str(exc).split())[:200]
