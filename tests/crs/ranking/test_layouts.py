from __future__ import annotations

import json
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


def test_a_window_may_lack_what_ranking_can_do_without(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    write(folder / "items.parquet", [{"item_id": n, "title": f"Pen {n}"} for n in range(6)])
    told: list[tuple[str, str | None]] = [
        ("A", "[0, 1, 2]"), ("A", "['1', '2', '3']"), ("B", "4 5"), ("C", None), ("D", "5"),
    ]  # fmt: skip
    rows = [{"user_id": user, "history": history, "target": 3} for user, history in told]
    write(folder / "test.parquet", rows)
    data = open_ranking(folder)
    histories = [history for history, _ in asked(data)]
    assert histories == [["0", "1", "2"], ["1", "2", "3"], ["4", "5"], [], ["5"]]
    assert asked(data, "valid") == [(["0", "1"], "2"), (["4"], "5")]  # what stands last before the target
    assert data.valid.leaked() == data.test.leaked() == 0
    assert data.items[0].brand is None


@pytest.mark.parametrize(
    ("history", "problem"),
    [
        ("[0, 1", r"line 1, field 'history': a text that is no list of ids"),
        ("Pen 0 and Pen 1", r"line 1, field 'history': items\.parquet has no item Pen"),
        ("[0, None]", r"line 1, field 'history': missing"),
    ],
)
def test_a_history_that_is_not_clear_is_named(history: str, problem: str, tmp_path: Path) -> None:
    folder = write_windows(tmp_path / "w")
    write(folder / "test.parquet", [{"user_id": "A", "history": history, "target": 3}])
    with pytest.raises(InputError, match=problem):
        open_ranking(folder)


def test_the_folder_one_stands_in_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_windows(tmp_path / "pens"))
    assert open_ranking(Path()).name == "pens"


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


def write_taken(folder: Path, days: dict[int, str]) -> Path:
    write(folder / "narratives.parquet", [{"iid": 7, "title": "Book 7", "item_summary": "Of tea."}])
    write(folder / "pairs.parquet", [{"user": 1, "item": item, "Time": day} for item, day in days.items()])
    return folder


def test_explained_items_are_ranked_among_those_without_a_text(tmp_path: Path) -> None:
    days = {9: "12 5, 2015", 7: "01 13, 2004", 8: "02 1, 2015"}
    data = open_ranking(write_taken(tmp_path / "x", days))
    assert asked(data) == [(["7", "8"], "9")] and data.ordered
    assert [(item.title, item.description) for item in data.items][:2] == [
        ("Book 7", "Of tea."),
        ("item 8", ""),
    ]


def test_pairs_whose_order_nobody_knows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pairs\.parquet, line 1, field 'Time': no day such as"):
        open_ranking(write_taken(tmp_path / "x", {7: "yesterday"}))
    write(tmp_path / "x" / "pairs.parquet", [{"user": 1, "item": 7}])
    with pytest.raises(InputError, match="nobody knows which purchase came last"):
        open_ranking(tmp_path / "x")


def write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_published_reviews_are_ranked_by_their_times(tmp_path: Path) -> None:
    items = [{"asin": f"p{n}", "title": f"Card {n}"} for n in range(4)]
    write_lines(tmp_path / "cards" / "meta_Cards.json", items)
    reviews = [
        {"reviewerID": user, "asin": f"p{n}", "overall": 5.0, "unixReviewTime": 1_500_000_000 - n}
        for user in ("a", "b")
        for n in range(4)
    ]
    write_lines(tmp_path / "cards" / "Cards_5.json", reviews)
    data = open_ranking(tmp_path / "cards")
    assert data.name == "cards" and asked(data) == [(["p3", "p2", "p1"], "p0")] * 2


def test_what_cannot_be_learned_from_is_refused(tmp_path: Path) -> None:
    purchase = {"item": {"title": "Pen"}, "review": {"rating": 5, "unix_time": 1_500_000_000}}
    bought = [purchase | {"item": {"asin": f"p{n}", "title": f"Pen {n}"}} for n in range(4)]
    rows: list[dict[str, object]] = [{"reviewer_id": "a", "purchase_history": bought}]
    write_lines(tmp_path / "one" / "office.jsonl", rows)
    with pytest.raises(InputError, match="only one user in it"):
        open_ranking(tmp_path / "one")
    write_lines(tmp_path / "odd" / "rows.jsonl", [{"who": "a"}])
    with pytest.raises(InputError, match=r"odd: cannot be read as it is; .* import.*rows\.jsonl, line 1"):
        open_ranking(tmp_path / "odd")
    write_lines(tmp_path / "one" / "office.jsonl", [*rows, {"reviewer_id": "b", "purchase_history": bought}])
    assert asked(open_ranking(tmp_path / "one")) == [(["p0", "p1", "p2"], "p3")] * 2


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
@pytest.mark.parametrize("name", ["office", "musical", "fashion", "gift_cards"])
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
