"""Each layout read as published: what is kept, what is dropped and counted, what becomes of odd values."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading import read, write_lines

from knowledge import store as store_module
from knowledge.errors import InputError
from knowledge.readers import FORMATS, import_store
from knowledge.readers import purchases as purchases_module
from knowledge.store import Store
from knowledge.types import MAX_HISTORY, Interaction, Item

# Amazon 2018


def review_2018(user: str = "U1", item: str = "B1", time: int = 1_500_000_000, **more: Any) -> dict[str, Any]:
    return {"reviewerID": user, "asin": item, "overall": 4.0, "unixReviewTime": time, **more}


def test_amazon_2018_keeps_what_the_files_say(tmp_path: Path) -> None:
    meta = {
        "asin": "B1",
        "title": "Brass &amp; Oak Scale",
        "description": ["<p>Weighs</p>", "parcels."],
        "brand": "by\n    Arbor",
        "price": "$1,025.50",
        "category": ["Office Products", "Office &amp; School Supplies", "Shipping", "Postal Scales"],
        "feature": ["Digital", "", "<b>Light</b>"],
        "details": {"Color: ": "Black", "ASIN:": "B1", "Material": "Brass"},
        "rank": ["1 in Scales"],
    }
    write_lines(tmp_path / "in" / "meta_Office.json.gz", [meta])
    write_lines(
        tmp_path / "in" / "Office_5.json.gz",
        [review_2018(summary="Good", reviewText="I like it.<br />Really.", overall=4.0)],
    )
    store, dropped = read(tmp_path / "in", tmp_path, "amazon-2018")
    assert list(store.items.values()) == [
        Item(
            "B1",
            "Brass & Oak Scale",
            description="Weighs parcels.",
            brand="Arbor",
            price=1025.5,
            department="Office & School Supplies",
            kind="postal scale",
            attributes={"color": "Black", "material": "Brass"},
            features=("Digital", "Light"),
        )
    ]
    assert store.history("U1") == [Interaction("U1", "B1", 1_500_000_000, 4.0, "Good", "I like it. Really.")]
    assert dropped == {}


def test_amazon_2018_applies_the_rules_and_counts_every_drop(tmp_path: Path) -> None:
    items = [{"asin": f"B{n}", "title": f"Thing {n}"} for n in range(60)]
    items += [{"asin": "T1"}, {"asin": "T2", "title": "var aPageStart = 1"}, {"asin": "B0", "title": "Again"}]
    reviews = [review_2018("long", f"B{n}", 1_000 + n) for n in reversed(range(60))]
    reviews += [
        review_2018("twice", "B1", 10),
        review_2018("twice", "B2", 10),
        review_2018("twice", "B1", 10),
        review_2018("twice", "B1", 11),
        review_2018("gone", "T1", 5),
        review_2018("mixed", "X9", 7),
        review_2018("mixed", "T2", 8),
        review_2018("mixed", "B3", 6),
    ]
    write_lines(tmp_path / "in" / "Things_5.json", reviews)
    write_lines(tmp_path / "in" / "meta_Things.json", items)
    store, dropped = read(tmp_path / "in" / "Things_5.json", tmp_path, "amazon-2018")
    assert store.user_ids == ["long", "mixed", "twice"]
    assert [one.item_id for one in store.history("long")] == [f"B{n}" for n in range(60 - MAX_HISTORY, 60)]
    assert [(one.item_id, one.timestamp) for one in store.history("twice")] == [
        ("B1", 10),
        ("B2", 10),
        ("B1", 11),
    ]
    assert [one.item_id for one in store.history("mixed")] == ["B3"]
    assert store.items["B0"].title == "Thing 0"
    assert dropped == {
        "item without a title": 2,
        "item listed before": 1,
        "interaction listed before": 1,
        "interaction older than the last 50": 10,
        "interaction with an item that has no title or is not listed": 3,
        "user without interactions": 1,
    }


@pytest.mark.parametrize(
    ("published", "price", "unreadable"),
    [
        ("$25.00", 25.0, 0),
        ("25", 25.0, 0),
        ("1,299.99", 1299.99, 0),
        (12.5, 12.5, 0),
        ("", None, 0),
        ("None", None, 0),
        (None, None, 0),
        ("$9.99 - $12.99", None, 1),
        ("from $5", None, 1),
        (".a-section { margin: 0 }", None, 1),
        ("$0.00", None, 1),
        (float("nan"), None, 1),
        (10**400, None, 1),
        ("9" * 400, None, 1),
        (-3, None, 1),
    ],
)
def test_prices_are_read_or_counted(
    tmp_path: Path, published: object, price: float | None, unreadable: int
) -> None:
    write_lines(tmp_path / "in" / "meta_X.json", [{"asin": "B1", "title": "One", "price": published}])
    write_lines(tmp_path / "in" / "X.json", [review_2018()])
    store, dropped = read(tmp_path / "in", tmp_path, "amazon-2018")
    assert store.items["B1"].price == price
    assert sum(dropped.values()) == unreadable


def test_amazon_needs_its_two_files(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_lines(folder / "meta_X.json", [{"asin": "B1", "title": "One"}])
    with pytest.raises(InputError, match=r"expected one file of reviews .*found: meta_X.json"):
        import_store(folder, tmp_path / "store", "amazon-2018")
    with pytest.raises(InputError, match="this is the items' file"):
        import_store(folder / "meta_X.json", tmp_path / "store", "amazon-2018")
    write_lines(folder / "Y_5.json", [review_2018()])
    with pytest.raises(InputError, match=r"no meta_Y.*beside it \(found: meta_X.json\)"):
        import_store(folder / "Y_5.json", tmp_path / "store", "amazon-2018")
    assert not (tmp_path / "store").exists()


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    write_lines(tmp_path / "in" / "meta_X.json", [{"asin": "C1", "title": "One"}])
    write_lines(tmp_path / "in" / "X.json", [review_2018()])
    with pytest.raises(InputError, match="no purchase is left.*not listed.*belong together"):
        import_store(tmp_path / "in", tmp_path / "store", "amazon-2018")
    assert not (tmp_path / "store").exists()


# Amazon 2023


def test_amazon_2023_keeps_what_the_files_say(tmp_path: Path) -> None:
    metas = [
        {
            "parent_asin": "P1",
            "title": "Steel Kettle",
            "main_category": "Home",
            "store": "Arbor",
            "price": 39.9,
            "features": ["Boils"],
            "description": ["A kettle.", "Steel."],
            "categories": ["Home", "Kitchen", "Tea Kettles"],
            "details": {"Color": "Blue", "Weight": "1 kg"},
        },
        {"parent_asin": "P2", "title": "Mystery", "main_category": "Home", "price": "None", "categories": []},
    ]
    reviews = [
        {
            "user_id": "U1",
            "asin": "A1",
            "parent_asin": item,
            "rating": 5.0,
            "timestamp": time,
            "title": "Yes",
            "text": "Boils &#34;fast&#34;.",
        }
        for item, time in (("P2", 1_600_000_000_999), ("P1", 1_500_000_000_000))
    ]
    write_lines(tmp_path / "in" / "Home.jsonl.gz", reviews)
    write_lines(tmp_path / "in" / "meta_Home.jsonl", metas)
    store, dropped = read(tmp_path / "in" / "Home.jsonl.gz", tmp_path, "amazon-2023")
    assert list(store.items.values()) == [
        Item(
            "P1",
            "Steel Kettle",
            description="A kettle. Steel.",
            brand="Arbor",
            price=39.9,
            department="Kitchen",
            kind="tea kettle",
            attributes={"color": "Blue"},
            features=("Boils",),
        ),
        Item("P2", "Mystery", department="Home"),
    ]
    assert store.history("U1") == [
        Interaction("U1", "P1", 1_500_000_000, 5.0, "Yes", 'Boils "fast".'),
        Interaction("U1", "P2", 1_600_000_000, 5.0, "Yes", 'Boils "fast".'),
    ]
    assert dropped == {}


# Sequences


def write_sequences(folder: Path, **splits: list[tuple[str, list[int], int]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    items = [
        {
            "item_id": n,
            "title": f"Thing {n}" if n else "",
            "description": "d",
            "brand": "Arbor" if n % 2 else None,
        }
        for n in [*range(30), 3]
    ]
    pq.write_table(pa.Table.from_pylist(items), folder / "items.parquet")
    for split, rows in splits.items():
        table = pa.Table.from_pylist(
            [dict(zip(("user_id", "history", "target"), row, strict=True)) for row in rows]
        )
        pq.write_table(table, folder / f"{split}.parquet")


def ids(store: Store, user_id: str) -> list[str]:
    return [one.item_id for one in store.history(user_id)]


def test_sequences_merges_the_windows_of_a_user(tmp_path: Path) -> None:
    write_sequences(
        tmp_path / "in",
        train=[("slides", [1, 2], 3), ("apart", [1], 2)],
        valid=[("slides", [1, 2, 3], 4), ("slides", [2, 3, 4], 1), ("once", [5, 6], 7), ("apart", [8], 9)],
        test=[("slides", [3, 4, 1], 8), ("slides", [4, 1, 8], 9)],
    )
    store, dropped = read(tmp_path / "in", tmp_path, "sequences")
    assert ids(store, "slides") == ["1", "2", "3", "4", "1"]
    assert [one.timestamp for one in store.history("slides")] == [0, 1, 2, 3, 4]
    assert ids(store, "once") == ["5", "6", "7"]
    assert ids(store, "apart") == ["1", "2", "8", "9"]
    assert store.held_out == {"slides": "8"}
    assert store.items["1"] == Item("1", "Thing 1", "d", "Arbor")
    assert dropped == {
        "item without a title": 1,
        "item listed before": 1,
        "interaction with a test target of the same user": 2,
        "test target after the first of a user": 1,
    }


def test_sequences_hides_test_targets_wherever_they_stand(tmp_path: Path) -> None:
    write_sequences(
        tmp_path / "in",
        valid=[("u", [1, 9, 2], 2), ("v", [9], 1)],
        test=[("u", [9, 2, 2], 9), ("only", [4], 4), ("x", [1], 99), ("y", [98, 1], 0)],
    )
    store, dropped = read(tmp_path / "in", tmp_path, "sequences")
    assert ids(store, "u") == ["1", "2"]
    assert ids(store, "v") == ["9", "1"]  # another user's target is no secret here
    assert store.held_out == {"u": "9"}
    assert store.user_ids == ["u", "v", "x", "y"]
    assert dropped["interaction listed before"] == 1
    assert dropped["test target of a user without interactions"] == 1
    assert dropped["user without interactions"] == 1
    assert dropped["interaction with an item that has no title or is not listed"] == 3


# MovieLens


def test_movielens_reads_the_classic_files(tmp_path: Path) -> None:
    folder = tmp_path / "ml-1m"
    folder.mkdir()
    movies = (
        "1::Amélie, Étoiles (2001)::Comedy|Romance\n2::Untold::Drama\n3::::Drama\n2::Again (1999)::Drama\n"
    )
    (folder / "movies.dat").write_bytes(movies.encode("latin-1"))
    (folder / "ratings.dat").write_text("7::2::3::978300760\n7::1::5::978300000\n8::3::1::5\n")
    for source in (folder, folder / "ratings.dat"):
        store, dropped = read(source, tmp_path, "movielens")
    assert list(store.items.values()) == [
        Item("1", "Amélie, Étoiles", kind="movie", attributes={"year": "2001", "genres": "Comedy, Romance"}),
        Item("2", "Untold", kind="movie", attributes={"genres": "Drama"}),
    ]
    assert store.history("7") == [
        Interaction("7", "1", 978300000, 5.0),
        Interaction("7", "2", 978300760, 3.0),
    ]
    assert dropped["item without a title"] == dropped["item listed before"] == 1
    assert dropped["user without interactions"] == 1


# The door


def test_formats_sources_and_names_are_checked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no format 'csv'.*regen"):
        import_store(tmp_path, tmp_path / "store", "csv")
    with pytest.raises(InputError, match="leave --map out"):
        import_store(tmp_path, tmp_path / "store", "movielens", names={"user_id": "x"})
    for format in FORMATS:
        with pytest.raises(InputError, match="no such file or folder"):
            import_store(tmp_path / "nowhere", tmp_path / "store", format)


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines(tmp_path / "in" / "meta_X.json", [{"asin": "B1", "title": "One"}])
    write_lines(tmp_path / "in" / "X.json", [review_2018()])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(purchases_module.RowsByUser, "add", full)
    with pytest.raises(InputError, match="store: cannot be written.*No space left"):
        import_store(tmp_path / "in", tmp_path / "store", "amazon-2018")
    assert [one.name for one in tmp_path.iterdir()] == ["in"]


def test_rows_that_fill_many_batches_come_back_by_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purchases_module, "_BATCH", 3)
    with purchases_module.RowsByUser(tmp_path) as rows:
        for n in range(10):
            rows.add(f"u{n % 3}", -n, [n])
        gathered = {user_id: [payload for _, (payload,) in group] for user_id, group in rows.by_user()}
    assert gathered == {"u0": [9, 6, 3, 0], "u1": [7, 4, 1], "u2": [8, 5, 2]}
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purchases_module, "_BATCH", 50)
    monkeypatch.setattr(store_module, "ROWS_IN_MEMORY", 50)
    n_lines, text = 1_500, "x" * 10_000
    write_lines(tmp_path / "in" / "meta_X.json", [{"asin": "B1", "title": "One"}])
    write_lines(
        tmp_path / "in" / "X.json",
        (review_2018(f"U{n * 7919 % 300}", time=n, reviewText=f"{n} {text}") for n in range(n_lines)),
    )
    import_store(
        tmp_path / "in", tmp_path / "store", "amazon-2018"
    )  # what loading the libraries takes is not meant
    tracemalloc.start()
    try:
        report = import_store(tmp_path / "in", tmp_path / "store", "amazon-2018")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report["counts"]["interactions"] == n_lines
    # A batch on the way in and a row group on the way out are held, not the whole.
    assert peak < n_lines * len(text) / 3


# The real files


@pytest.mark.realdata
def test_real_gift_cards(tmp_path: Path, data_dir: Path) -> None:
    store, dropped = read(data_dir / "gift_cards", tmp_path, "amazon-2018")
    assert store.manifest["counts"]["items"] == 148
    assert store.manifest["counts"]["interactions"] + sum(dropped.values()) == 2_972
    texts = [text for item in store.items.values() for text in (item.title, item.description, *item.features)]
    assert not any(mark in text for text in texts for mark in ("&amp;", "<br", "<p>", "</"))


@pytest.mark.realdata
def test_real_sequences_keep_the_test_targets_secret(tmp_path: Path, data_dir: Path) -> None:
    store, dropped = read(data_dir / "office", tmp_path, "sequences")
    assert store.manifest["counts"]["items"] == 3_459
    secret = {
        (row["user_id"], str(row["target"]))
        for row in pq.read_table(data_dir / "office" / "test.parquet").to_pylist()
    }
    for user_id in store.user_ids:
        assert not any((user_id, one.item_id) in secret for one in store.history(user_id))
    assert all(pair in secret for pair in store.held_out.items())
    lone = dropped["test target of a user without interactions"]
    assert len(store.held_out) == len({user_id for user_id, _ in secret}) - lone
