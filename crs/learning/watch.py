"""Retraining by itself: as soon as people have said enough that no version has learned yet."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from crs.bundle import default_path
from crs.learning.report import Outcome
from crs.retrain import hear
from crs.versions import all_learned, rated, versions_dir


def watch(
    retrain: Callable[[], Outcome],
    first: Path | None,
    data_dir: Path,
    *,
    at_least: int,
    every_s: float,
    preference_files: Sequence[Path] = (),
    stop: threading.Event | None = None,
) -> Iterator[Outcome]:
    """What came of each retraining, for ever, or until ``stop`` is set.

    Looks every ``every_s`` seconds; ``at_least`` ratings or rows must be new, or one taken back.
    """
    stop = stop or threading.Event()
    folder = versions_dir(first or default_path(), data_dir)
    tried: frozenset[str] = frozenset()
    while not stop.is_set():
        said = hear(data_dir, preference_files).sources
        known = all_learned(folder) | tried
        if len(said - known) >= at_least or not rated(known) <= said:
            yield retrain()
            tried = said
        stop.wait(every_s)
