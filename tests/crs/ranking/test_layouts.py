from __future__ import annotations

from pathlib import Path

import pytest

from crs.ranking.data import RankingData
from crs.ranking.layouts import open_ranking
from knowledge.errors import InputError, NotFoundError
from knowledge.store import Store
from tests.crs.reference_folders import write


def asked(data: RankingData, fold: str = "test") -> list[tuple[list[str], str]]:
    ids = [item.item_id for item in data.items]
    queries = getattr(data, fold).queries
    return [
        ([ids[row] for row in history], ids[target])
        for history, target in zip(queries.histories, queries.targets.tolist(), strict=True)
    ]


def write_windows(folder: Path) -> Path:
    write(
        folder / "items.parquet",
        [{"item_id": n, "title": f"Pen {n}", "description": "", "brand": "Acme"} for n in range(6)],
    )
    write(folder / "valid.parquet", [{"user_id": "A", "history": [0, 1], "target": 2}])
    write(folder / "test.parquet", [{"user_id": "A", "history": [0, 1, 2], "target": 3}])
    return folder


def test_windows_are_told_by_their_columns(tmp_path: Path) -> None:
    data = open_ranking(write_windows(tmp_path / "anything"))
    assert data.name == "anything" and data.ordered and data.n_items == 6
    assert asked(data) == [(["0", "1", "2"], "3")] and asked(data, "valid") == [(["0", "1"], "2")]
    assert [s.tolist() for s in data.test.sequences] == [[0, 1, 2]]


def test_a_window_with_an_unlisted_item_is_named(tmp_path: Path) -> None:
    folder = write_windows(tmp_path / "w")
    write(folder / "test.parquet", [{"user_id": "A", "history": [0, 77], "target": 3}])
    with pytest.raises(
        InputError, match=r"test\.parquet, line 1, field 'history': items\.parquet has no item 77"
    ):
        open_ranking(folder)


def write_ratings(folder: Path) -> Path:
    """Six users rate the same five titled items, on one day each; one rates an untitled and a rare one."""
    items = [
        {"product_id": f"p{n}", "title": f"Drum {n}" if n < 6 else "", "brand": "Acme", "price": "$5",
         "description": "", "features": ""} for n in range(7)
    ]  # fmt: skip
    write(folder / "items.parquet", items)
    rated = [
        {"user_id": f"u{user}", "product_id": f"p{n}", "rating": 5.0, "timestamp": 1_500_000_000 + n * 86_400}
        for user in range(6)
        for n in range(5)
    ]
    extra = [
        {"user_id": "u0", "product_id": product, "rating": 4.0, "timestamp": 1_400_000_000}
        for product in ("p5", "p6")
    ]
    write(folder / "ratings.parquet", [*rated, *extra, rated[0]])
    return folder


def test_ratings_are_cut_to_the_titled_core(tmp_path: Path) -> None:
    data = open_ranking(write_ratings(tmp_path / "r"))
    assert data.n_items == 5 and len(data.test.queries) == 6
    assert asked(data)[0] == (["p0", "p1", "p2", "p3"], "p4")  # one rating listed twice counts once
    assert data.items[0].price == 5.0 and data.items[0].brand == "Acme"


def test_numbered_ratings_need_no_core(tmp_path: Path) -> None:
    folder = tmp_path / "n"
    write(
        folder / "items.parquet",
        [
            {"item_id": n, "title": f"Hat {n}", "description": "", "brand": "None", "price": None}
            for n in range(4)
        ],
    )
    write(
        folder / "ratings.parquet",
        [{"user": 0, "item": n, "rating": 5.0, "timestamp": 1_500_000_000 - n} for n in range(3)],
    )
    data = open_ranking(folder)
    assert asked(data) == [(["2", "1"], "0")] and data.items[0].brand is None and data.n_items == 4


def write_pairs(folder: Path) -> Path:
    write(folder / "pairs.parquet", [{"userID": "1", "movieID": str(n)} for n in range(5)])
    write(
        folder / "movies.parquet",
        [{"movieID": str(n), "title": f"Film {n}", "genres": "A|B"} for n in range(5)],
    )
    write(folder / "movie_summaries.parquet", [{"movie_id": n, "summary": "A film."} for n in range(5)])
    write(folder / "held_out_valid.parquet", [{"user_id": 1, "items": [0]}])
    write(folder / "held_out_test.parquet", [{"user_id": 1, "items": [3]}])
    return folder


def test_pairs_without_time_know_no_order(tmp_path: Path) -> None:
    data = open_ranking(write_pairs(tmp_path / "p"))
    assert not data.ordered and data.items[0].attributes == {"genres": "A, B"}
    assert asked(data) == [(["1", "2", "4", "0"], "3")] and asked(data, "valid") == [(["1", "2", "4"], "0")]


def test_a_store_gives_its_held_out_purchases(small_store: Store) -> None:
    data = open_ranking(small_store.path)
    assert data.name == "small" and len(data.test.queries) == 40
    assert asked(data)[0][1] == small_store.held_out[small_store.user_ids[0]]
    assert data.valid.leaked() == data.test.leaked() == 0


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such folder"):
        open_ranking(tmp_path / "none")
    write(tmp_path / "x" / "rows.parquet", [{"a": 1}])
    with pytest.raises(InputError, match=r"no known layout \(found: rows.parquet \(a\)\)"):
        open_ranking(tmp_path / "x")


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["office", "musical", "fashion"])
def test_no_test_pair_is_learned_from(name: str, data_dir: Path) -> None:
    data = open_ranking(data_dir / name)
    secret = set(zip(data.test.queries.users.tolist(), data.test.queries.targets.tolist(), strict=True))
    for fold in (data.valid, data.test):
        learned = {(user, item) for user, rows in enumerate(fold.sequences) for item in rows.tolist()}
        assert not secret & learned
    tuned = zip(data.valid.queries.users.tolist(), data.valid.queries.histories, strict=True)
    seen = {(user, item) for user, rows in tuned for item in rows.tolist()}
    seen |= set(zip(data.valid.queries.users.tolist(), data.valid.queries.targets.tolist(), strict=True))
    assert not secret & seen
