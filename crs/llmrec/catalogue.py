"""What LLM-Rec works on: items with a text each, and who took what. A store, or MovieLens-1M as pairs.

movies.parquet             movieID, title, genres ("Drama|War")
pairs.parquet              userID, movieID
movie_summaries.parquet?   movie_id, summary: a sentence or two by a language model
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crs.content import item_text
from knowledge import store
from knowledge.errors import InputError, NotFoundError
from knowledge.readers.source import read_rows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MOVIES, PAIRS, SUMMARIES = "movies.parquet", "pairs.parquet", "movie_summaries.parquet"


@dataclass(frozen=True)
class Catalogue:
    """Items that somebody took. ``texts``: what the listing says; ``summaries``: those of a language model.

    ``pairs`` int64 (n_pairs, 2): user row and item row, each pair once.
    """

    name: str
    item_ids: tuple[str, ...]
    titles: tuple[str, ...]
    texts: tuple[str, ...]
    summaries: tuple[str, ...] | None
    pairs: np.ndarray
    n_users: int

    def matrix(self, rows: np.ndarray | None = None) -> csr_matrix:
        """float32 (n_users, n_items): 1.0 for each of the pairs at ``rows``, or for all."""
        from scipy.sparse import csr_matrix

        users, items = (self.pairs if rows is None else self.pairs[rows]).T
        ones = np.ones(len(users), dtype=np.float32)
        return csr_matrix((ones, (users, items)), shape=(self.n_users, len(self.item_ids)))

    @cached_property
    def fingerprint(self) -> str:
        """Of the items and the pairs, so that nothing kept is used for other data."""
        digest = hashlib.sha256("\0".join((*self.item_ids, *self.titles, *self.texts)).encode())
        digest.update(np.ascontiguousarray(self.pairs).tobytes())
        return digest.hexdigest()[:16]


def open_catalogue(path: Path) -> Catalogue:
    """The catalogue in folder ``path``, told by its files.

    Raises NotFoundError for no such folder, InputError where it holds neither layout or a row is wrong.
    """
    if not path.is_dir():
        raise NotFoundError(f"{path}: no such folder; name a store or a data set")
    if (path / store.MANIFEST).is_file():
        return _of_store(store.Store.open(path))
    if (path / MOVIES).is_file() and (path / PAIRS).is_file():
        return _of_movies(path)
    raise InputError(
        path, f"neither a store nor {MOVIES} (movieID, title, genres) and {PAIRS} (userID, movieID)"
    )


def _of_store(opened: store.Store) -> Catalogue:
    users, items = opened.user_items().nonzero()
    listed = list(opened.items.values())
    titles, texts = [item.title for item in listed], [item_text(item) for item in listed]
    name = str(opened.manifest.get("name", opened.path.name))
    return _catalogue(name, opened.item_ids, titles, texts, None, users, items, len(opened.user_ids))


def _of_movies(folder: Path) -> Catalogue:
    ids, titles, texts = [], [], []
    for row in read_rows(folder / MOVIES, ("movieID", "title", "genres")):
        ids.append(row.id("movieID"))
        titles.append(row.text("title"))
        texts.append(f"{titles[-1]}. Genres: {row.text('genres').replace('|', ', ')}.")
    summaries = None
    if (folder / SUMMARIES).is_file():
        rows = read_rows(folder / SUMMARIES, ("movie_id", "summary"))
        told = {row.id("movie_id"): row.text("summary") for row in rows}
        if missing := next((i for i in ids if not told.get(i)), None):
            raise InputError(folder / SUMMARIES, f"has no summary of movie {missing}; add it")
        summaries = [told[item_id] for item_id in ids]
    (user_ids, users), (movie_ids, movies) = _pair_columns(folder / PAIRS)
    index = {item_id: row for row, item_id in enumerate(ids)}
    if unknown := next((movie for movie in movie_ids if movie not in index), None):
        raise InputError(folder / PAIRS, f"{MOVIES} has no movie {unknown}; add it", field="movieID")
    items = np.array([index[movie] for movie in movie_ids])[movies]
    return _catalogue(folder.name, ids, titles, texts, summaries, users, items, len(user_ids))


def _catalogue(
    name: str,
    ids: Sequence[str],
    titles: Sequence[str],
    texts: Sequence[str],
    summaries: Sequence[str] | None,
    users: np.ndarray,
    items: np.ndarray,
    n_users: int,
) -> Catalogue:
    """Without the items that nobody took, which no split can ask for."""
    pairs = np.unique(np.stack([users, items], axis=1), axis=0)
    taken = np.unique(pairs[:, 1])
    pairs[:, 1] = np.searchsorted(taken, pairs[:, 1])

    def kept(values: Sequence[str]) -> tuple[str, ...]:
        return tuple(values[row] for row in taken)

    told = None if summaries is None else kept(summaries)
    return Catalogue(name, kept(ids), kept(titles), kept(texts), told, pairs, n_users)


def _pair_columns(path: Path) -> list[tuple[list[str], np.ndarray]]:
    """Of userID and of movieID: the ids and each row's place among them. A million rows are read at once."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ["userID", "movieID"]
    try:
        table = pq.read_table(path, columns=names)
        columns = [table[name].cast(pa.string()).combine_chunks() for name in names]
    except (pa.ArrowException, OSError, KeyError) as exc:
        raise InputError(path, f"no readable columns userID and movieID ({exc}); get it again") from exc
    for name, column in zip(names, columns, strict=True):
        if column.null_count or not len(column):
            raise InputError(path, f"{column.null_count or 'all'} ids are missing; correct it", field=name)
    coded = [column.dictionary_encode() for column in columns]
    return [(each.dictionary.to_pylist(), each.indices.to_numpy()) for each in coded]
