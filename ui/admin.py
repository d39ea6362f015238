"""What whoever runs the shop is shown: figures of use, ratings, versions and the queue, as HTML.

No Gradio and nobody's name or words in here.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from crs.bundle import MANIFEST, read_manifest
from crs.narrator.engine import Load
from crs.versions import in_use, learned, versions_dir
from knowledge.feedback import Rating
from knowledge.types import TASKS
from knowledge.usage import Day
from ui.cards import escape

N_DAYS = 30  # drawn
MAX_TRIES, PAUSE_S = 5, 60.0  # wrong passwords in a row, and how long no further one is looked at
WHOLE_ANSWER = "whole answer"  # rated where nothing was narrated


class Guard:
    """Lets in who knows the password; five wrong ones in a row, whoever gives them, close it for a minute."""

    def __init__(self, password: str, now: Callable[[], float] = time.monotonic) -> None:
        self._password, self._now = password.encode(), now
        self._lock = threading.Lock()
        self._n_wrong, self._closed_until = 0, float("-inf")

    def admits(self, password: str) -> bool:
        """Whether this is the password, compared in constant time; never while it is closed."""
        with self._lock:
            if self._now() < self._closed_until:
                return False
            if hmac.compare_digest(password.encode("utf-8", "replace"), self._password):
                self._n_wrong = 0
                return True
            self._n_wrong += 1
            if self._n_wrong >= MAX_TRIES:
                self._n_wrong, self._closed_until = 0, self._now() + PAUSE_S
            return False


@dataclass(slots=True)
class TaskRatings:
    """What people thought of one kind of narrative: thumbs, stars by number, and reasons given."""

    n: int = 0
    n_up: int = 0
    n_down: int = 0
    n_reasons: int = 0
    stars: Counter[int] = field(default_factory=Counter)

    @property
    def mean_stars(self) -> float | None:
        """None where nobody gave any."""
        n = self.stars.total()
        return sum(number * count for number, count in self.stars.items()) / n if n else None


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the bundle; ``made``: its day (UTC). The first one is the bundle as it was shipped.

    ``report``: what retraining said of it, a line each; none where that is not known.
    """

    name: str
    made: str
    is_first: bool
    is_in_use: bool
    report: tuple[str, ...] = ()


def ratings_by_task(ratings: Iterable[Rating]) -> dict[str, TaskRatings]:
    """The ratings in figures by task; tasks that nobody rated are left out."""
    found: dict[str, TaskRatings] = {task: TaskRatings() for task in (*TASKS, WHOLE_ANSWER)}
    for rating in ratings:
        told = found[rating.task or WHOLE_ANSWER]
        told.n += 1
        told.n_up += rating.thumb == 1
        told.n_down += rating.thumb == -1
        told.n_reasons += bool(rating.reason.strip())
        if rating.stars is not None:
            told.stars[rating.stars] += 1
    return {task: told for task, told in found.items() if told.n}


def versions(first: Path, data_dir: Path) -> list[Version]:
    """The first version and those learned from it, the newest first."""
    folder, current = versions_dir(first, data_dir), in_use(first, data_dir)
    later = [path for path in folder.glob("[!.]*") if path.is_dir()] if folder.is_dir() else []
    return [
        Version(_name(path), _day_of(path), path == first, path == current, _report(path))
        for path in (*sorted(later, key=_made_s, reverse=True), first)
    ]


def usage_html(days: Sequence[Day], n_people: int, today: date) -> str:
    """Totals, the last thirty days as columns, and the same as a table."""
    n_turns = sum(day.n_turns for day in days)
    by_day = {day.day: day for day in days}
    last = [(today - timedelta(days=back)).isoformat() for back in reversed(range(N_DAYS))]
    drawn = [by_day.get(day, Day(day, 0, 0)) for day in last]
    now = drawn[-1]
    tiles = _tiles(
        (f"{n_turns:,}", "turns in all"),
        (f"{n_people:,}", "people in all"),
        (f"{now.n_turns:,}", "turns today"),
        (f"{now.n_people:,}", "people today"),
    )
    rows = [[day.day, f"{day.n_turns:,}", f"{day.n_people:,}"] for day in reversed(drawn) if day.n_turns]
    table = _table("Days with a turn, the latest first", ("Day", "Turns", "People"), rows)
    return _section(
        "Usage", f"{tiles}{_columns(drawn)}<details><summary>The same as a table</summary>{table}</details>"
    )


def ratings_html(by_task: dict[str, TaskRatings]) -> str:
    """A row a task: how many ratings, thumbs, mean stars and how they are distributed."""
    if not by_task:
        return _section("Ratings", '<p class="rc-quiet">Nobody has rated an answer yet.</p>')
    rows = [
        [
            escape(task.replace("_", " ")),
            f"{told.n:,}",
            _split(told.n_up, told.n_down),
            "" if told.mean_stars is None else f"{told.mean_stars:.1f}",
            _distribution(told.stars),
            f"{told.n_reasons:,}",
        ]
        for task, told in by_task.items()
    ]
    heads = ("Task", "Ratings", "Thumbs up and down", "Mean stars", "Stars, one to five", "Reasons")
    return _section("Ratings", _table("The last rating of each answer, by what was told", heads, rows))


def versions_html(found: Sequence[Version]) -> str:
    """A row a version."""
    rows = [
        [
            f"<code>{escape(version.name)}</code>",
            version.made,
            "the first" if version.is_first else "learned from ratings" + _unfolded(version.report),
            "<strong>in use</strong>" if version.is_in_use else "",
        ]
        for version in found
    ]
    return _section("Versions", _table("Newest first", ("Version", "Made", "What it is", "State"), rows))


def queue_html(load: Load | None) -> str:
    """What the narrator is busy with just now."""
    if load is None:
        return _section("Queue", '<p class="rc-quiet">This narrator keeps no line of its own.</p>')
    tiles = _tiles(
        (f"{load.n_live} of {load.n_rooms}", "being told"),
        (f"{load.n_waiting:,}", "in line"),
        (f"{load.n_parked:,}", "parked in memory"),
        (f"{load.parked_bytes / 2**20:.1f} MB", "of parking"),
        (f"{load.positions_held:,}", "positions kept in rooms"),
    )
    return _section("Queue", tiles)


def _section(title: str, body: str) -> str:
    return f'<section class="rc-admin-part" aria-label="{title}"><h2>{title}</h2>{body}</section>'


def _tiles(*figures: tuple[str, str]) -> str:
    parts = (f"<div><dd>{figure}</dd><dt>{name}</dt></div>" for figure, name in figures)
    return f'<dl class="rc-figures">{"".join(parts)}</dl>'


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already; the first of a row is its heading."""
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join(
        f'<tr><th scope="row">{cells[0]}</th>{"".join(f"<td>{cell}</td>" for cell in cells[1:])}</tr>'
        for cells in rows
    )
    # a wide table scrolls by itself, with keys too
    return (
        f'<div class="rc-wide" tabindex="0" role="region" aria-label="{caption}"><table>'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _columns(days: Sequence[Day]) -> str:
    """A column a day as high as its turns, and in it one as high as its people."""
    most = max(1, *(day.n_turns for day in days))
    height, step, width = 120, 20, 14
    drawn = []
    for place, day in enumerate(days):
        for kind, n in (("turns", day.n_turns), ("people", day.n_people)):
            tall = height * n / most
            drawn.append(
                f'<rect class="rc-{kind}" x="{place * step + 3}" y="{height - tall:.1f}" width="{width}" '
                f'height="{tall:.1f}" rx="2"><title>{day.day}: {day.n_turns:,} turns, {day.n_people:,} people'
                "</title></rect>"
            )
    wide = len(days) * step
    told = f"Turns and people a day from {days[0].day} to {days[-1].day}, at most {most:,} turns"
    return (
        f'<figure class="rc-columns"><svg viewBox="0 0 {wide} {height + 2}" role="img" aria-label="{told}" '
        f'preserveAspectRatio="none"><line x1="0" x2="{wide}" y1="{height + 1}" y2="{height + 1}"/>'
        f"{''.join(drawn)}</svg><figcaption><span>{days[0].day}</span>"
        '<span><i class="rc-turns"></i> turns <i class="rc-people"></i> people</span>'
        f"<span>{days[-1].day}</span></figcaption></figure>"
    )


def _split(n_up: int, n_down: int) -> str:
    """Two lengths beside each other, the figures beside them."""
    if not n_up + n_down:
        return ""
    share = n_up / (n_up + n_down)
    bar = f'<span class="rc-split" style="--up: {share:.1%}" aria-hidden="true"></span>'
    return f"{bar} {n_up:,} up, {n_down:,} down"


def _distribution(stars: Counter[int]) -> str:
    """Five columns, and the figures for those who do not see them."""
    if not stars:
        return ""
    most = max(stars.values())
    bars = "".join(f'<i style="--tall: {stars[n] / most:.0%}"></i>' for n in range(1, 6))
    told = ", ".join(f"{stars[n]:,}" for n in range(1, 6))
    return f'<span class="rc-stars-bars" aria-hidden="true">{bars}</span> {told}'


def _unfolded(report: Sequence[str]) -> str:
    """What retraining said, shown when asked for; empty without a report."""
    if not report:
        return ""
    lines = "\n".join(escape(line) for line in report)
    return f'<details><summary>report</summary><pre class="rc-report">{lines}</pre></details>'


def _report(path: Path) -> tuple[str, ...]:
    what = learned(path.parent, path.name)
    return what.report if what else ()


def _name(path: Path) -> str:
    return str(read_manifest(path)["version"])


def _made_s(path: Path) -> float:
    return (path / MANIFEST).stat().st_mtime


def _day_of(path: Path) -> str:
    return datetime.fromtimestamp(_made_s(path), UTC).date().isoformat()
