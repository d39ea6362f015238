"""What people preferred: two narratives of one occasion of which one was liked better, or one with a thumb.

They come from the log of ratings and from files that rating studies export. Nobody counts for more than
their share: see `capped`.
"""

from __future__ import annotations

import hashlib
import json
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crs.bundle import Bundle, split_users
from crs.narrator.evidence import Evidence, StoreWords
from crs.rows import FusedRows
from crs.storyteller import REASONS, before_purchase
from crs.tuning import Lesson
from crs.versions import STUDIED
from knowledge.errors import InputError, NotFoundError
from knowledge.feedback import Rating
from knowledge.store import Store
from knowledge.types import MAX_HISTORY, TARGET_TASKS, TASKS, Interaction, Task

A_RATERS_SHARE = 20  # preferences that anybody may give, however few the others give
_POINTER = re.compile(r"\[(\d+)\]")
_COLUMNS = ("chosen", "rejected", "task", "user_id", "target_id", "history_ids")


@dataclass(frozen=True)
class Occasion:
    """What a narrative was told of: a task about a shopper with this history and, perhaps, a product."""

    user_id: str
    task: Task
    item_id: str | None
    history_ids: tuple[str, ...]


@dataclass(frozen=True)
class Preference:
    """``liked`` over ``disliked``, or one of them alone (the other None).

    ``rater``: who said so. ``sources``: fingerprints of the ratings or rows that it is made of.
    """

    rater: str
    occasion: Occasion
    liked: str | None
    disliked: str | None
    sources: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_pair(self) -> bool:
        """Whether two texts are compared."""
        return self.liked is not None and self.disliked is not None

    @property
    def texts(self) -> list[str]:
        """The one text or both, the liked one first."""
        return [text for text in (self.liked, self.disliked) if text is not None]


def is_liked(rating: Rating) -> bool:
    """A thumb up, or four stars and more without a thumb down."""
    return rating.thumb == 1 or (rating.thumb != -1 and (rating.stars or 0) >= 4)


def is_disliked(rating: Rating) -> bool:
    """A thumb down, or one or two stars without a thumb up."""
    return rating.thumb == -1 or (rating.thumb != 1 and rating.stars in (1, 2))


def fingerprint(row: object) -> str:
    """16 hex digits that tell one rating or row of a file from all others."""
    return hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode()).hexdigest()[:16]


def fingerprint_of(rating: Rating) -> str:
    """`fingerprint` of what a rating says; a rating given anew is another."""
    said = (rating.conversation_id, rating.message_id, rating.thumb, rating.stars, rating.text)
    return fingerprint((*said, rating.user_id, rating.item_id, rating.history_ids))


def from_ratings(ratings: Iterable[Rating]) -> list[Preference]:
    """Thumbs and stars on narratives; a pair where a person liked one text of an occasion and not another."""
    liked: defaultdict[tuple[str, Occasion], list[Rating]] = defaultdict(list)
    disliked: defaultdict[tuple[str, Occasion], list[Rating]] = defaultdict(list)
    for rating in ratings:
        if rating.task is None or not rating.text.strip():
            continue
        rater = rating.user_id or rating.conversation_id
        occasion = Occasion(rater, rating.task, rating.item_id, rating.history_ids)
        if is_liked(rating):
            liked[rater, occasion].append(rating)
        elif is_disliked(rating):
            disliked[rater, occasion].append(rating)
    return [
        _preference(rater, occasion, up, down)
        for rater, occasion in {**liked, **disliked}
        for up, down in _side_by_side(liked[rater, occasion], disliked[rater, occasion])
    ]


def from_file(path: Path) -> list[Preference]:
    """JSON lines that a rating study exported: chosen, rejected, task, user_id, target_id, history_ids.

    ``rater``, where there is one, is who compared them; else it is the shopper. Raises InputError for a file
    or row that does not fit.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(path, f"cannot be read ({exc}); name a file that a rating study exported") from exc
    return [_of_row(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def can_be_told(preference: Preference, bundle: Bundle) -> bool:
    """Whether this store has all that the texts are told from and point at."""
    occasion, items = preference.occasion, bundle.store.items
    n_history = len(_shown_ids(occasion))
    pointers = [int(k) for text in preference.texts for k in _POINTER.findall(text)]
    return (
        all(text.strip() for text in preference.texts)
        and all(item_id in items for item_id in occasion.history_ids)
        and n_history <= MAX_HISTORY
        and (occasion.item_id in items or occasion.task not in TARGET_TASKS)
        and all(1 <= k <= n_history for k in pointers)
    )


def by_split(preferences: Iterable[Preference], bundle: Bundle) -> dict[str, list[Preference]]:
    """Preferences by the split ("train", "valid", "test") that the shopper they are about is in.

    People whom the store does not know fall by the same rule as those it does.
    """
    split_of = {user_id: name for name, users in bundle.splits.items() for user_id in users}
    found: dict[str, list[Preference]] = {"train": [], "valid": [], "test": []}
    for preference in preferences:
        user_id = preference.occasion.user_id
        if user_id not in split_of:
            split_of[user_id] = next(name for name, users in split_users([user_id]).items() if users)
        found[split_of[user_id]].append(preference)
    return found


def capped(preferences: Sequence[Preference]) -> list[Preference]:
    """No more of each rater than `A_RATERS_SHARE` or twice the median rater's, their latest.

    One person with hundreds of ratings would otherwise speak for everybody.
    """
    given = Counter(each.rater for each in preferences)
    cap = max(A_RATERS_SHARE, round(2 * statistics.median(given.values()))) if given else 0
    kept: list[Preference] = []
    seen: Counter[str] = Counter()
    for each in reversed(preferences):
        seen[each.rater] += 1
        if seen[each.rater] <= cap:
            kept.append(each)
    return kept[::-1]


def lessons_of(
    preference: Preference, bundle: Bundle, rows: FusedRows, words: StoreWords
) -> tuple[Lesson | None, Lesson | None]:
    """The liked and the disliked text with the input they were told from, rebuilt from its ids."""
    occasion, store = preference.occasion, bundle.store
    known = _bought(store, occasion.user_id)
    history = [
        known.get(item_id, Interaction(occasion.user_id, item_id, 0)) for item_id in _shown_ids(occasion)
    ]
    target = store.items[occasion.item_id] if occasion.task in TARGET_TASKS and occasion.item_id else None
    evidence = Evidence.of(history, store.items, occasion.task, target, words)
    soft = rows.of(history, target)
    liked, disliked = (
        None if text is None else Lesson(soft, evidence, text)
        for text in (preference.liked, preference.disliked)
    )
    return liked, disliked


def _bought(store: Store, user_id: str) -> dict[str, Interaction]:
    """What the store knows of each purchase; nothing of people whom it does not know."""
    try:
        return {purchase.item_id: purchase for purchase in store.history(user_id)}
    except NotFoundError:
        return {}


def _shown_ids(occasion: Occasion) -> tuple[str, ...]:
    """What the narrator was told of the history: before the purchase, where a reason for one is asked."""
    ids = occasion.history_ids
    if occasion.task not in REASONS or occasion.item_id not in ids:
        return ids
    purchases = [Interaction(occasion.user_id, item_id, 0) for item_id in ids]
    return tuple(purchase.item_id for purchase in before_purchase(purchases, occasion.item_id))


def _side_by_side(
    liked: list[Rating], disliked: list[Rating]
) -> Iterator[tuple[Rating | None, Rating | None]]:
    """Pairs in the order they were given, then what is left over, alone."""
    n_pairs = min(len(liked), len(disliked))
    for up, down in zip(liked, disliked, strict=False):
        if up.text != down.text:  # the same text liked and disliked says nothing
            yield up, down
    yield from ((up, None) for up in liked[n_pairs:])
    yield from ((None, down) for down in disliked[n_pairs:])


def _preference(rater: str, occasion: Occasion, up: Rating | None, down: Rating | None) -> Preference:
    sources = frozenset(fingerprint_of(rating) for rating in (up, down) if rating)
    return Preference(rater, occasion, up.text if up else None, down.text if down else None, sources)


def _of_row(path: Path, number: int, line: str) -> Preference:
    try:
        row: Any = json.loads(line)
    except ValueError as exc:
        raise InputError(path, f"no JSON ({exc}); export the study again", line=number) from exc
    missing = [name for name in _COLUMNS if not isinstance(row, dict) or name not in row]
    if missing:
        raise InputError(path, "is missing; export the study again", line=number, field=missing[0])
    for name in ("chosen", "rejected", "user_id"):
        if not isinstance(row[name], str) or not row[name].strip():
            raise InputError(path, f"{row[name]!r} is no text", line=number, field=name)
    if row["task"] not in TASKS:
        problem = f"{row['task']!r} is no task; use one of {', '.join(TASKS)}"
        raise InputError(path, problem, line=number, field="task")
    if not isinstance(row["history_ids"], list):
        raise InputError(path, "is no list of item ids", line=number, field="history_ids")
    history_ids = tuple(map(str, row["history_ids"]))
    occasion = Occasion(row["user_id"], row["task"], row["target_id"], history_ids)
    rater = str(row.get("rater") or row["user_id"])
    sources = frozenset({STUDIED + fingerprint(row)})
    return Preference(rater, occasion, row["chosen"], row["rejected"], sources)
