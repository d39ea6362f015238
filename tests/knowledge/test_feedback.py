from __future__ import annotations

import io
import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from knowledge import feedback
from knowledge.errors import FeedbackError, InputError
from knowledge.feedback import MIGRATIONS, FeedbackLog, Rating

FULL = Rating(
    conversation_id="c1",
    message_id="m1",
    user_id="ann",
    task="purchase_reason",
    item_id="mug",
    thumb=1,
    stars=5,
    reason="wärmt, 'gut'",
    text="The [1] mug.",
    history_ids=("kettle", "mug"),
    seed=2**40,
    model="narrator-1",
    bundle="b7",
    created_s=1_700_000_000.25,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "feedback.sqlite"


def test_a_rating_comes_back_as_it_was(path: Path) -> None:
    with FeedbackLog(path) as log:
        assert log.append(FULL) == 1
        assert log.append(Rating("c1", "m2", thumb=-1, created_s=2.0)) == 2
    with FeedbackLog(path) as log:
        assert list(log.ratings()) == [FULL, Rating("c1", "m2", thumb=-1, created_s=2.0)]


def test_rating_again_adds_a_row_and_latest_reads_it(path: Path) -> None:
    with FeedbackLog(path) as log:
        for message_id, stars in (("m1", 1), ("m2", 2), ("m1", 5)):
            log.append(Rating("c", message_id, stars=stars))
        assert [(one.message_id, one.stars) for one in log.latest()] == [("m2", 2), ("m1", 5)]
        assert len(list(log.ratings())) == 3


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"stars": 0}, "stars"),
        ({"stars": 6}, "stars"),
        ({"stars": 4.5}, "stars"),
        ({"stars": math.nan}, "stars"),
        ({"stars": True}, "stars"),
        ({"thumb": 2}, "thumb"),
        ({"thumb": math.nan}, "thumb"),
        ({"thumb": 1, "task": "poem"}, "task"),
        ({"thumb": 1, "created_s": math.nan}, "created_s"),
        ({"thumb": 1, "message_id": ""}, "message_id"),
        ({"reason": "  "}, "stars"),
    ],
)
def test_a_rating_that_says_nothing_sound_is_refused(fields: dict[str, object], names: str) -> None:
    with pytest.raises(InputError, match=f"field '{names}'"):
        Rating(**{"conversation_id": "c", "message_id": "m", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ratings SET stars = 1",
        "DELETE FROM ratings",
        "INSERT OR REPLACE INTO ratings SELECT * FROM ratings",
        "UPDATE ratings SET id = 7",
    ],
)
def test_the_log_is_append_only(path: Path, statement: str) -> None:
    with FeedbackLog(path) as log:
        log.append(FULL)
        with (
            closing(sqlite3.connect(path)) as other,
            pytest.raises(sqlite3.IntegrityError, match="append-only"),
        ):
            other.execute(statement)
        assert list(log.ratings()) == [FULL]


def test_a_rating_survives_kill_9_right_after_its_id(path: Path) -> None:
    script = (
        "import sys, time\n"
        "from knowledge.feedback import FeedbackLog, Rating\n"
        "log = FeedbackLog(sys.argv[1])\n"
        "print(log.append(Rating('c', 'm', stars=4)), flush=True)\n"
        "time.sleep(60)\n"
    )
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:
        assert process.stdout is not None
        row_id = process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert row_id == "1\n"
    with FeedbackLog(path) as log:
        assert [one.stars for one in log.ratings()] == [4]


def test_every_write_is_synced(path: Path) -> None:
    with FeedbackLog(path) as log:
        connection = log._connection
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_many_threads_and_two_logs_write_at_once(path: Path) -> None:
    with FeedbackLog(path) as one, FeedbackLog(path) as other:

        def rate(log: FeedbackLog, name: str) -> None:
            for n in range(10):
                log.append(Rating("c", f"{name}-{n}", thumb=1))

        threads = [
            threading.Thread(target=rate, args=(log, f"t{n}")) for n, log in enumerate([one, other] * 3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({rating.message_id for rating in one.ratings()}) == 60


def test_reading_does_not_hold_up_a_rating(path: Path) -> None:
    with FeedbackLog(path) as log:
        log.append(Rating("c", "m1", thumb=1))
        log.append(Rating("c", "m2", thumb=1))
        reading = log.ratings()
        assert next(reading).message_id == "m1"
        log.append(Rating("c", "m3", thumb=1))
        assert [one.message_id for one in reading] == ["m2"]


def test_export_writes_one_object_a_line(path: Path, tmp_path: Path) -> None:
    stream = io.StringIO()
    with FeedbackLog(path) as log:
        assert log.export_jsonl(tmp_path / "none.jsonl") == 0
        log.append(FULL)
        assert log.export_jsonl(tmp_path / "out.jsonl") == 1
        assert log.export_jsonl(stream) == 1
    assert (tmp_path / "none.jsonl").read_text() == ""
    text = (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    assert stream.getvalue() == text
    values = json.loads(text)
    assert Rating(**values | {"history_ids": tuple(values["history_ids"])}) == FULL
    assert sorted(one.name for one in tmp_path.glob("*.jsonl*")) == ["none.jsonl", "out.jsonl"]


def test_export_names_a_place_that_cannot_be_written(path: Path, tmp_path: Path) -> None:
    with FeedbackLog(path) as log, pytest.raises(FeedbackError, match="cannot be written"):
        log.export_jsonl(tmp_path / "no" / "such" / "out.jsonl")


def test_half_characters_do_not_lose_a_rating(path: Path) -> None:
    with FeedbackLog(path) as log:
        log.append(Rating("c", "m", reason="so \ud83d"))
        assert [one.reason for one in log.ratings()] == ["so ?"]


def test_what_sqlite_cannot_hold_is_our_error(path: Path) -> None:
    with FeedbackLog(path) as log, pytest.raises(FeedbackError, match="could not be written"):
        log.append(Rating("c", "m", thumb=1, seed=2**70))


@pytest.mark.parametrize("seen", range(1, len(MIGRATIONS) + 1))
def test_a_log_of_any_earlier_schema_is_brought_up_to_date(
    path: Path, monkeypatch: pytest.MonkeyPatch, seen: int
) -> None:
    added = ("ALTER TABLE ratings ADD COLUMN page TEXT NOT NULL DEFAULT ''",)
    with monkeypatch.context() as patch:
        patch.setattr(feedback, "MIGRATIONS", MIGRATIONS[:seen])
        with FeedbackLog(path) as log:
            log.append(FULL)
    monkeypatch.setattr(feedback, "MIGRATIONS", (*MIGRATIONS, added))
    for _ in range(2):
        with FeedbackLog(path) as log:
            assert list(log.ratings()) == [FULL]
            assert log._connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)


def test_a_failed_migration_leaves_the_schema_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FeedbackLog(path) as log:
        log.append(FULL)
    with monkeypatch.context() as patch:
        patch.setattr(feedback, "MIGRATIONS", (*MIGRATIONS, ("CREATE TABLE half (x)", "no such statement")))
        with pytest.raises(FeedbackError, match="could not be opened"):
            FeedbackLog(path)
    with FeedbackLog(path) as log:
        assert list(log.ratings()) == [FULL]
        assert log._connection.execute(
            "SELECT count(*) FROM sqlite_master WHERE name = 'half'"
        ).fetchone() == (0,)


def test_a_newer_log_and_a_foreign_file_are_refused(path: Path, tmp_path: Path) -> None:
    FeedbackLog(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(FeedbackError, match="newer version"):
        FeedbackLog(path)
    (tmp_path / "letter.txt").write_text("dear " * 500)
    with pytest.raises(FeedbackError, match="could not be opened"):
        FeedbackLog(tmp_path / "letter.txt")
    with pytest.raises(FeedbackError, match="could not be opened"):
        FeedbackLog(tmp_path / "letter.txt" / "log.sqlite")


def test_a_closed_log_says_so(path: Path) -> None:
    log = FeedbackLog(path)
    log.close()
    log.close()
    with pytest.raises(FeedbackError, match="could not be written"):
        log.append(FULL)
