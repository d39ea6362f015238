"""Retraining by itself begins when enough is new or something was taken back, and not before."""

from __future__ import annotations

import threading
from pathlib import Path

from crs.bundle import Bundle
from crs.learning.report import Outcome
from crs.learning.watch import watch
from crs.retrain import hear
from crs.versions import Learned, versions_dir, write_learned
from knowledge.feedback import FeedbackLog, Rating


class Watching:
    """A watch over ``data_dir`` whose retraining learns everything at once; it ends when nothing is to do."""

    def __init__(self, first: Bundle, data_dir: Path) -> None:
        self._first, self._data_dir = first.path, data_dir
        self.n_retrained = 0

    def rate(self, *numbers: int) -> None:
        with FeedbackLog(self._data_dir / "feedback.sqlite") as log:
            for number in numbers:
                log.append(Rating("c", f"m{number}", "u00", thumb=1))

    def look(self) -> int:
        """How often it retrains in two looks."""
        stop, before = threading.Event(), self.n_retrained
        looks = watch(self.retrain, self._first, self._data_dir, at_least=2, every_s=0.02, stop=stop)
        threading.Timer(0.3, stop.set).start()
        for _ in looks:
            pass
        return self.n_retrained - before

    def retrain(self) -> Outcome:
        self.n_retrained += 1
        folder = versions_dir(self._first, self._data_dir)
        (folder / "v").mkdir(parents=True, exist_ok=True)
        write_learned(folder, "v", Learned(hear(self._data_dir).sources))
        return Outcome("v", True, "fine")


def test_it_waits_for_enough_and_notices_deletions(small_bundle: Bundle, tmp_path: Path) -> None:
    watching = Watching(small_bundle, tmp_path)
    watching.rate(1)
    assert watching.look() == 0
    watching.rate(2)
    assert watching.look() == 1
    watching.rate(3)
    assert watching.look() == 0
    (tmp_path / "feedback.sqlite").unlink()
    watching.rate(1)
    assert watching.look() == 1
