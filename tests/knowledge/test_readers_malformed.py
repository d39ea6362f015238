"""Every layout against every way a file can be broken: one line that names the place, and no store left."""

from __future__ import annotations

import gzip
import json
import re
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from knowledge.errors import InputError
from knowledge.readers import import_store
from knowledge.readers.source import MAX_BYTES, parse_object, read_lines, read_objects

N_ROWS = 30

REVIEW_2018 = {
    "reviewerID": "U",
    "asin": "B",
    "overall": 4.0,
    "unixReviewTime": 1_500_000_000,
    "reviewText": "x",
}
META_2018 = {"asin": "B", "title": "One", "category": ["A"], "price": "$1.00"}
REVIEW_2023 = {"user_id": "U", "parent_asin": "B", "rating": 4.0, "timestamp": 1_500_000_000_000, "text": "x"}
META_2023 = {"parent_asin": "B", "title": "One", "categories": ["A"], "price": 1.0}
USER_REGEN = {
    "reviewer_id": "U",
    "purchase_history": [
        {
            "item": {"asin": "B", "title": "One"},
            "review": {"rating": 4, "text": "x", "unix_time": 1_500_000_000},
        }
    ],
}


@dataclass(frozen=True)
class Lines:
    """A layout of JSON lines: the file that gets broken, a good row of it, and where its fields stand."""

    format: str
    file: str
    row: dict[str, Any]
    rating: str | None  # dotted
    key: str
    beside: tuple[str, dict[str, Any]] | None = None
    shown: str = ""  # what errors put before a field

    def write(self, folder: Path, spoil: Callable[[dict[str, Any]], None] | None = None) -> Path:
        """Good lines, the second spoiled; returns the file."""
        folder.mkdir(exist_ok=True)
        rows = [json.loads(json.dumps(self.row)) for _ in range(N_ROWS)]
        if self.format == "regen":
            for n, row in enumerate(rows):
                row["reviewer_id"] = f"U{n}"
        if spoil is not None:
            spoil(rows[1])
        path = folder / self.file
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        if self.beside is not None:
            (folder / self.beside[0]).write_text(json.dumps(self.beside[1]) + "\n")
        return path


LINES = [
    Lines("regen", "office.jsonl", USER_REGEN, "purchase_history.0.review.rating", "reviewer_id"),
    Lines("amazon-2018", "X_5.json", REVIEW_2018, "overall", "reviewerID", ("meta_X.json", META_2018)),
    Lines("amazon-2018", "meta_X.json", META_2018, None, "asin", ("X_5.json", REVIEW_2018)),
    Lines("amazon-2023", "X.jsonl", REVIEW_2023, "rating", "user_id", ("meta_X.jsonl", META_2023)),
    Lines("amazon-2023", "meta_X.jsonl", META_2023, None, "parent_asin", ("X.jsonl", REVIEW_2023)),
]
each_layout = pytest.mark.parametrize("layout", LINES, ids=lambda layout: f"{layout.format}:{layout.file}")


def refused(path: Path, format: str, *parts: str) -> None:
    """The import ends in one line with the file and all ``parts``, and leaves nothing behind."""
    source = path if format == "regen" else path.parent
    store = path.parent.parent / "store"
    with pytest.raises(InputError) as caught:
        import_store(source, store, format)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600
    for part in (path.name, *parts):
        assert part in message
    assert [one for one in store.parent.iterdir() if one != path.parent] == []


def put(row: dict[str, Any], dotted: str, value: object) -> None:
    """Set (or with ``...`` remove) the field at a dotted way."""
    *way, key = dotted.split(".")
    holder: Any = row
    for step in way:
        holder = holder[int(step) if step.isdigit() else step]
    if value is ...:
        del holder[key]
    else:
        holder[key] = value


@each_layout
def test_the_layout_itself_is_read(tmp_path: Path, layout: Lines) -> None:
    path = layout.write(tmp_path / "in")
    report = import_store(
        path if layout.format == "regen" else path.parent, tmp_path / "store", layout.format
    )
    assert report["counts"]["items"] == 1


@each_layout
def test_truncated_gzip(tmp_path: Path, layout: Lines) -> None:
    path = layout.write(tmp_path / "in")
    packed = gzip.compress(path.read_bytes())
    path.write_bytes(packed[: len(packed) // 2])
    refused(path, layout.format, "line ", "truncated or damaged gzip")


@each_layout
def test_damaged_gzip(tmp_path: Path, layout: Lines) -> None:
    path = layout.write(tmp_path / "in")
    packed = bytearray(gzip.compress(path.read_bytes()))
    packed[len(packed) // 2] ^= 0xFF
    packed[-6] ^= 0xFF
    path.write_bytes(packed)
    refused(path, layout.format, "line ")


@each_layout
@pytest.mark.parametrize("content", [b"", b"\n  \n", gzip.compress(b"")])
def test_empty_file(tmp_path: Path, layout: Lines, content: bytes) -> None:
    path = layout.write(tmp_path / "in")
    path.write_bytes(content)
    refused(path, layout.format, "line 1", "empty file")


@each_layout
@pytest.mark.parametrize("packed", [False, True])
def test_a_line_of_10_mb(tmp_path: Path, layout: Lines, packed: bool) -> None:
    path = layout.write(tmp_path / "in", lambda row: row.update(note="x" * 10_000_000))
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    refused(path, layout.format, "line 2", "over 4 MiB")


@each_layout
@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"asin": "B\xff"}', "not UTF-8"),
        (b'{"asin": ', "not JSON"),
        (b"{'asin': 'B'}", "not JSON"),
        (b"[1, 2]", "expected a JSON object"),
        (b'"B"', "expected a JSON object"),
        (b'{"n": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_line_that_is_no_object(tmp_path: Path, layout: Lines, line: bytes, problem: str) -> None:
    path = layout.write(tmp_path / "in")
    lines = path.read_bytes().split(b"\n")
    lines[2] = line
    path.write_bytes(b"\n".join(lines))
    refused(path, layout.format, "line 3", problem)


@each_layout
@pytest.mark.parametrize("value", [..., None, "", " ", [], {}, 1.5, True], ids=repr)
def test_a_key_that_is_missing_or_of_another_type(tmp_path: Path, layout: Lines, value: object) -> None:
    path = layout.write(tmp_path / "in", lambda row: put(row, layout.key, value))
    refused(path, layout.format, "line 2", f"field '{layout.key}'")


@pytest.mark.parametrize("layout", [one for one in LINES if one.rating], ids=lambda layout: layout.format)
@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 0, 6, -1, "5", None, ..., True, [5], 10**400], ids=str
)
def test_a_rating_that_is_none(tmp_path: Path, layout: Lines, value: object) -> None:
    assert layout.rating is not None
    path = layout.write(tmp_path / "in", lambda row: put(row, str(layout.rating), value))
    refused(
        path, layout.format, "line 2", "field '", "rating" if layout.format != "amazon-2018" else "overall"
    )


@pytest.mark.parametrize(
    ("layout", "field", "value"),
    [
        (LINES[0], "purchase_history", {"item": {}}),
        (LINES[0], "purchase_history", ["B"]),
        (LINES[0], "purchase_history.0.item", "B"),
        (LINES[0], "purchase_history.0.item", ...),
        (LINES[0], "purchase_history.0.item.title", 5),
        (LINES[0], "purchase_history.0.item.price", [1]),
        (LINES[0], "purchase_history.0.review", ...),
        (LINES[0], "purchase_history.0.review.unix_time", 1_500_000_000_000),
        (LINES[0], "purchase_history.0.review.text", {"en": "x"}),
        (LINES[0], "user", {"profile": {"age": 5}}),
        (LINES[0], "user", {"profile": 5}),
        (LINES[0], "user", "tidy"),
        (LINES[0], "last_purchase", {"why": "Because."}),
        (LINES[1], "unixReviewTime", 1_500_000_000_000),
        (LINES[1], "unixReviewTime", "yesterday"),
        (LINES[1], "unixReviewTime", -5),
        (LINES[1], "summary", 5),
        (LINES[1], "reviewText", ["x", 5]),
        (LINES[2], "title", {"en": "One"}),
        (LINES[2], "price", True),
        (LINES[2], "category", [["A"]]),
        (LINES[2], "details", 5),
        (LINES[3], "timestamp", ...),
        (LINES[4], "features", 5),
    ],
    ids=lambda value: str(value)[:24],
)
def test_fields_of_another_type(tmp_path: Path, layout: Lines, field: str, value: object) -> None:
    path = layout.write(tmp_path / "in", lambda row: put(row, field, value))
    refused(path, layout.format, "line 2", "field '")


def test_a_field_within_a_purchase_is_named_with_its_place(tmp_path: Path) -> None:
    path = LINES[0].write(tmp_path / "in", lambda row: put(row, "purchase_history.0.review.rating", 9))
    refused(
        path, "regen", "line 2", "field 'purchase_history[1].review.rating'", "from 1 to 5", "correct the row"
    )


def test_a_broken_import_leaves_the_store_that_was_there(tmp_path: Path) -> None:
    path = LINES[0].write(tmp_path / "in")
    import_store(path, tmp_path / "store", "regen")
    before = (tmp_path / "store" / "manifest.json").read_bytes()
    path.write_bytes(path.read_bytes() + b"{")
    with pytest.raises(InputError, match=f"line {N_ROWS + 1}"):
        import_store(path, tmp_path / "store", "regen")
    assert (tmp_path / "store" / "manifest.json").read_bytes() == before


# Parquet

ITEMS = {"item_id": [1, 2], "title": ["One", "Two"], "description": ["d", None], "brand": ["b", None]}
WINDOWS = {"user_id": ["u", "v"], "history": [[1], [2]], "target": [2, 1]}


def write_parquet(folder: Path, file: str | None = None, **changed: Any) -> Path:
    """A sequences folder in which ``changed`` columns of ``file`` (None: taken out) differ; returns it."""
    folder.mkdir(exist_ok=True)
    for name, columns in (("items", ITEMS), ("valid", WINDOWS), ("test", WINDOWS)):
        whole = {**columns, **(changed if f"{name}.parquet" == file else {})}
        kept = {column: values for column, values in whole.items() if values is not None}
        pq.write_table(pa.table(kept), folder / f"{name}.parquet")
    return folder / (file or "items.parquet")


def test_the_parquet_itself_is_read(tmp_path: Path) -> None:
    write_parquet(tmp_path / "in")
    assert import_store(tmp_path / "in", tmp_path / "store", "sequences")["counts"]["users"] == 2


@pytest.mark.parametrize("file", ["items.parquet", "valid.parquet", "test.parquet"])
@pytest.mark.parametrize(
    "break_it",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: b"not parquet" * 50,
        lambda data: gzip.compress(data),
        lambda data: data[:8] + b"\xff" * 24 + data[32:],
    ],
    ids=["empty", "truncated", "other", "gzip", "page"],
)
def test_broken_parquet(tmp_path: Path, file: str, break_it: Callable[[bytes], bytes]) -> None:
    path = write_parquet(tmp_path / "in", file)
    path.write_bytes(break_it(path.read_bytes()))
    refused(path, "sequences", "line 1", "get it again")


@pytest.mark.parametrize(
    ("file", "column"),
    [("items.parquet", column) for column in ITEMS] + [("test.parquet", column) for column in WINDOWS],
)
def test_a_missing_column(tmp_path: Path, file: str, column: str) -> None:
    refused(
        write_parquet(tmp_path / "in", file, **{column: None}),
        "sequences",
        f"field '{column}'",
        "missing column",
    )


@pytest.mark.parametrize(
    ("file", "column", "values"),
    [
        ("items.parquet", "item_id", [1, None]),
        ("items.parquet", "item_id", [1.0, float("nan")]),
        ("items.parquet", "title", [["One"], [None]]),
        ("items.parquet", "title", [1, 2]),
        ("items.parquet", "title", ["One", "x" * (MAX_BYTES + 1)]),
        ("valid.parquet", "history", [[1], [None]]),
        ("valid.parquet", "history", [[1], None]),
        ("valid.parquet", "history", ["1", "2"]),
        ("valid.parquet", "history", [[1.5], [2.5]]),
        ("test.parquet", "target", [1, None]),
        ("test.parquet", "user_id", [None, "v"]),
    ],
)
def test_a_cell_that_is_wrong(tmp_path: Path, file: str, column: str, values: list[object]) -> None:
    refused(
        write_parquet(tmp_path / "in", file, **{column: values}), "sequences", "line ", f"field '{column}'"
    )


def test_parquet_text_that_is_no_utf_8(tmp_path: Path) -> None:
    broken = pa.array([b"One", b"\xff\xfe"]).view(pa.string())
    refused(
        write_parquet(tmp_path / "in", "items.parquet", title=broken), "sequences", "items.parquet", "line "
    )


@pytest.mark.parametrize("file", ["items.parquet", "test.parquet"])
def test_parquet_without_rows_or_not_there(tmp_path: Path, file: str) -> None:
    columns = ITEMS if file == "items.parquet" else WINDOWS
    path = write_parquet(tmp_path / "in", file, **{name: values[:0] for name, values in columns.items()})
    refused(path, "sequences", "no rows")
    path.unlink()
    refused(path, "sequences", "cannot be read")


# MovieLens

RATINGS = ["1::1::5::978300760", "2::1::4::978300761"]


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("1::1::nan::978300760", ["field 'Rating'"]),
        ("1::1::6::978300760", ["field 'Rating'", "from 1 to 5"]),
        ("1::1::0.5::978300760", ["field 'Rating'"]),
        ("1::1::five::978300760", ["field 'Rating'", "five"]),
        ("1::1::5::soon", ["field 'Timestamp'"]),
        ("1::1::5::978300760000", ["field 'Timestamp'"]),
        ("1::1::5", ["field 'Timestamp'", "found 3"]),
        ("1::1::5::978300760::x", ["expected 4 fields", "found 5"]),
        ("1,1,5,978300760", ["expected 4 fields"]),
        ("::1::5::978300760", ["field 'UserID'"]),
        ("1::::5::978300760", ["field 'MovieID'"]),
        ("1::1::5::978300760" + " " * 10_000_000, ["over 4 MiB"]),
    ],
    ids=lambda value: str(value)[:20],
)
def test_broken_ratings(tmp_path: Path, line: str, parts: list[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "movies.dat").write_text("1::One (1999)::Drama\n")
    (folder / "ratings.dat").write_text("\n".join([RATINGS[0], line, RATINGS[1]]))
    refused(folder / "ratings.dat", "movielens", "line 2", *parts)


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("ratings.dat", b"", "empty file"),
        ("movies.dat", b"", "empty file"),
        ("movies.dat", b"1::One (1999)\n", "expected 3 fields"),
        ("movies.dat", b"::One (1999)::Drama\n", "field 'MovieID'"),
        ("movies.dat", None, "cannot be read"),
        ("ratings.dat", gzip.compress("\n".join(RATINGS * 50).encode())[:60], "gzip"),
    ],
)
def test_broken_movielens_files(tmp_path: Path, file: str, content: bytes | None, problem: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "movies.dat").write_text("1::One (1999)::Drama\n")
    (folder / "ratings.dat").write_text("\n".join(RATINGS))
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    refused(folder / file, "movielens", problem)


# The line parser

HERE = Path("some.jsonl")


def attempt(read: Callable[[], Any]) -> tuple[Any, str]:
    """What ``read`` gives, or None and the message of our error; any other error fails the test."""
    try:
        return read(), ""
    except InputError as error:
        return None, str(error)


@given(st.text())
@example('{"a": NaN}')
@example('{"a": 1e999}')
@example("\ud800")
def test_any_line_is_an_object_or_our_error(line: str) -> None:
    record, message = attempt(lambda: parse_object(HERE, 7, line))
    if record is None:
        assert message.startswith("some.jsonl, line 7: ") and "\n" not in message
    else:
        assert isinstance(record.fields, dict)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
GETTERS = ("id", "ids", "text", "texts", "rating", "seconds", "price", "nested")


@given(json_values, st.sampled_from(GETTERS))
@example({"a": "\ud800"}, "nested")
@example("\ud800", "id")
@example("\ud800", "text")
@example(10**400, "seconds")
def test_any_value_is_read_or_our_error(value: object, getter: str) -> None:
    record = parse_object(HERE, 7, json.dumps({"field": value}))
    found, message = attempt(lambda: getattr(record, getter)("field"))
    if message:
        assert message.startswith("some.jsonl, line 7, field 'field': ") and "\n" not in message
        message.encode()
    elif getter in ("id", "text"):
        found.encode()  # what is stored is sound UTF-8
    elif getter == "rating":
        assert 1 <= found <= 5


@given(
    st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=9)),
    st.booleans(),
)
def test_lines_come_back_with_their_numbers(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], packed: bool
) -> None:
    path = tmp_path_factory.mktemp("lines") / "some"
    data = "\n".join([*lines, "end"]).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    read = {number: text.rstrip("\n") for number, text in read_lines(path)}
    expected = {number: text for number, text in enumerate([*lines, "end"], start=1) if text.encode().strip()}
    if 1 in expected:
        expected[1] = expected[1].removeprefix("\ufeff")
    assert {n: t for n, t in read.items() if t} == {n: t for n, t in expected.items() if t}


def test_reading_a_long_line_does_not_hold_it(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    with gzip.open(path, "wb") as file:
        for _ in range(64):
            file.write(b"x" * 1_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=re.escape("line 1: over 4 MiB")):
            next(read_objects(path))
        assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    finally:
        tracemalloc.stop()
