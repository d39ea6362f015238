"""Results on standard output, progress on standard error."""

from __future__ import annotations

import json
import sys
from types import TracebackType
from typing import Any


def say(text: str) -> None:
    """One line of a result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_json(value: Any) -> None:
    """One result as one line of JSON."""
    say(json.dumps(value, ensure_ascii=False))


def note(text: str) -> None:
    """One line on how things go."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class Stages:
    """Progress bars, one a stage, as a callable ``(stage, done, total)``; use it in a ``with``.

    ``detail`` stands beside the stage's name and may change from call to call.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, Any] = {}

    def __call__(self, stage: str, done: int, total: int, detail: str = "") -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._tasks[stage], completed=done, description=f"{stage} {detail}".rstrip())

    def __enter__(self) -> Stages:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
