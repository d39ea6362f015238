"""A catalogue from a store and from movies and pairs, and what is said of files that are wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crs.content import item_text
from crs.llmrec.catalogue import MOVIES, PAIRS, SUMMARIES, open_catalogue
from knowledge.errors import InputError, NotFoundError
from knowledge.store import Store


def write(folder: Path, name: str, **columns: list[object]) -> None:
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), folder / name)


@pytest.fixture
def movies(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    write(
        folder,
        MOVIES,
        movieID=["7", "8", "9"],
        title=["Tide (1995)", "Unseen (1996)", "Dune Song (1997)"],
        genres=["Drama|War", "Comedy", "Drama"],
    )
    write(folder, PAIRS, userID=["b", "a", "b", "b"], movieID=["9", "7", "7", "9"])
    return folder


def test_movies_that_somebody_saw_each_pair_once(movies: Path) -> None:
    catalogue = open_catalogue(movies)
    assert (catalogue.name, catalogue.n_users, catalogue.item_ids) == ("films", 2, ("7", "9"))
    assert catalogue.texts[0] == "Tide (1995). Genres: Drama, War."
    assert catalogue.titles[1] == "Dune Song (1997)" and catalogue.summaries is None
    np.testing.assert_array_equal(catalogue.matrix().toarray(), [[1, 1], [1, 0]])
    assert catalogue.matrix(np.array([0])).nnz == 1


def test_summaries_of_the_movies_are_read_by_id(movies: Path) -> None:
    write(movies, SUMMARIES, movie_id=[9, 8, 7], summary=["of nine", "of eight", "of seven"])
    assert open_catalogue(movies).summaries == ("of seven", "of nine")
    write(movies, SUMMARIES, movie_id=[9, 7], summary=["of nine", "of seven"])
    with pytest.raises(InputError, match=r"movie_summaries\.parquet: has no summary of movie 8; add it"):
        open_catalogue(movies)


def test_wrong_pairs_are_named(movies: Path) -> None:
    write(movies, PAIRS, userID=["a"], movieID=["12"])
    with pytest.raises(InputError, match=r"pairs\.parquet, field 'movieID'.*no movie 12; add it"):
        open_catalogue(movies)
    write(movies, PAIRS, userID=["a", None], movieID=["7", "7"])
    with pytest.raises(InputError, match="field 'userID': 1 ids are missing"):
        open_catalogue(movies)
    write(movies, PAIRS, user=["a"])
    with pytest.raises(InputError, match="no readable columns userID and movieID"):
        open_catalogue(movies)


def test_a_store_lends_its_items_and_purchases(small_store: Store) -> None:
    catalogue = open_catalogue(small_store.path)
    assert catalogue.n_users == 40 and len(catalogue.pairs) == 40 * 6
    assert "tape" not in catalogue.item_ids  # nobody bought it
    first = catalogue.item_ids[0]
    assert catalogue.texts[0] == item_text(small_store.items[first])
    bought = {small_store.item_ids.index(p.item_id) for p in small_store.history("u00")}
    rows = {small_store.item_ids.index(catalogue.item_ids[i]) for i in catalogue.matrix()[0].indices}
    assert rows == bought


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such folder"):
        open_catalogue(tmp_path / "nowhere")
    with pytest.raises(InputError, match="neither a store nor movies.parquet"):
        open_catalogue(tmp_path)


@pytest.mark.realdata
def test_movielens_is_read_as_it_lies_there(data_dir: Path) -> None:
    catalogue = open_catalogue(data_dir / "ml1m")
    assert (catalogue.n_users, len(catalogue.item_ids), len(catalogue.pairs)) == (6040, 3706, 1_000_209)
    assert catalogue.summaries is not None and all(catalogue.summaries)
