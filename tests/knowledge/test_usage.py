"""Turns are counted by day and person, and nobody can be read back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from knowledge.errors import FeedbackError
from knowledge.usage import Day, UsageLog

NOON_S = 1_700_049_600.0  # 2023-11-15, 12:00 UTC
DAY_S = 86_400


def test_turns_and_people_by_day(tmp_path: Path) -> None:
    log = UsageLog(tmp_path / "var" / "usage.sqlite")
    for person, day in [("ada", 0), ("ada", 0), ("ben", 0), ("ada", 2)]:
        log.count(person, NOON_S + day * DAY_S)
    expected = [Day("2023-11-15", 3, 2), Day("2023-11-17", 1, 1)]
    assert log.days() == expected and log.n_people() == 2
    log.close()
    log.close()
    again = UsageLog(log.path)
    again.count("ben", NOON_S + 2 * DAY_S)  # the same person as before the restart
    assert again.days()[1] == Day("2023-11-17", 2, 2) and again.n_people() == 2
    again.close()


def test_no_id_is_in_the_file(tmp_path: Path) -> None:
    log = UsageLog(tmp_path / "usage.sqlite")
    log.count("a-very-telling-name")
    log.close()
    assert b"telling" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    logs = [UsageLog(tmp_path / "usage.sqlite") for _ in range(2)]
    threads = [
        threading.Thread(target=lambda log=log: [log.count("ada", NOON_S) for _ in range(25)])  # type: ignore[misc]
        for log in logs * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert logs[0].days() == [Day("2023-11-15", 100, 1)]
    for log in logs:
        log.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "usage.sqlite"
    path.write_text("not a database at all, but long enough to be taken for one" * 20)
    with pytest.raises(FeedbackError, match=r"usage\.sqlite: could not be opened"):
        UsageLog(path)
