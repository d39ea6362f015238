"""Learning from ratings: a new version beside the old one, put in use only where it is not worse.

What people liked or own goes into CF, which is fitted on from the old factors and so stays in the space
the narrator reads, and into the ranker's signals; the weights of their blend stay. Narratives they rated
up tune the adapter; the language model stands still. Both versions are then measured on the users of the
"valid" split, from whom nothing was learned.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crs.bundle import Bundle, default_path, derive_bundle, purchases, without_held_out
from crs.cf import fit_wals
from crs.content import Encoder, TextEncoder
from crs.measures import Measured, measure, reference_lessons, references
from crs.narrator.evidence import Evidence, StoreWords
from crs.ranking.ranker import Ranker, served_signals
from crs.rows import FusedRows
from crs.storyteller import REASONS, before_purchase
from crs.tuning import Lesson, TunableNarrator
from crs.versions import default_data_dir, in_use, promote, versions_dir
from knowledge.errors import BundleError
from knowledge.feedback import FeedbackLog, Rating
from knowledge.types import MAX_HISTORY, TARGET_TASKS, Interaction

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Progress = Callable[[str, int, int], None]  # stage, done, total

REFIT_ITERATIONS = 3
STEPS_PER_LESSON, MAX_STEPS = 3, 60
N_REHEARSED = 200
LOSS_SLACK = 0.01  # nats a token: less is not called worse
_POINTER = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True)
class Outcome:
    """What came of a retraining; ``version`` is None when there was nothing to learn from."""

    version: str | None
    promoted: bool
    reason: str
    n_pairs: int = 0
    n_lessons: int = 0
    before: Measured | None = None
    after: Measured | None = None

    def lines(self) -> list[str]:
        """The outcome in plain words."""
        lines = [f"learned from {self.n_pairs} liked or owned products and {self.n_lessons} narratives"]
        for name, measured in (("old", self.before), ("new", self.after)):
            if measured is not None:
                loss = "-" if measured.loss is None else f"{measured.loss:.4f}"
                lines.append(
                    f"{name} version on held-out users: hit rate@10 {measured.hit_rate:.4f}, loss {loss}"
                )
        kept = f"version {self.version} is now in use" if self.promoted else "the old version stays in use"
        return [*lines, f"{kept}: {self.reason}"]


def retrain(
    bundle_path: str | Path | None = None,
    *,
    data_dir: Path | None = None,
    encoder: TextEncoder | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Build a version that has learned from the ratings in ``data_dir``; promote it if it is not worse."""
    first = default_path() if bundle_path is None else Path(bundle_path)
    data_dir = default_data_dir() if data_dir is None else data_dir
    old = Bundle.open(in_use(first, data_dir))
    if not old.has_narrator:
        raise BundleError(f"{old.path}: no narrator to tune; run `python -m crs train-narrator {old.path}`")
    with FeedbackLog(data_dir / "feedback.sqlite") as log:
        ratings = list(log.latest())
    pairs = learned_pairs(ratings, old)
    taught = [rating for rating in ratings if is_liked(rating) and is_lesson(rating, old)]
    if not pairs and not taught:
        return Outcome(None, False, "no rating says yet what people like or own")

    encoder = encoder or Encoder()
    rows = FusedRows(old, encoder)
    factors = ranker = None
    if pairs:
        matrix = _with_pairs(without_held_out(old.store), pairs, old)
        factors = fit_wals(
            matrix, start=old.item_factors, iterations=REFIT_ITERATIONS, progress=_stage(progress, "refit CF")
        )
        ranker = _refitted(old, pairs, factors)
    folder = versions_dir(first, data_dir)
    draft = folder / f".draft.{os.getpid()}"
    tuned = folder / f".narrator.{os.getpid()}"
    try:
        reads_factors = old.narrator_signals != "content"
        new = derive_bundle(
            old.path, draft, reads_factors=reads_factors, item_factors=factors, ranker=ranker
        )
        if taught:
            narrator = _tuned(new, taught, rows.for_version(new), progress)
            narrator.save(tuned)
            new = derive_bundle(draft, draft, reads_factors=reads_factors, narrator=tuned)
        before, after = (
            measure(bundle, encoder, rows.for_version(bundle), old.splits["valid"]) for bundle in (old, new)
        )
        promoted, reason = judge(before, after)
        if not (folder / new.version).exists():
            os.replace(draft, folder / new.version)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(tuned, ignore_errors=True)
    if promoted:
        promote(first, new.version, data_dir)
    return Outcome(new.version, promoted, reason, len(pairs), len(taught), before, after)


def is_liked(rating: Rating) -> bool:
    """A thumb up, or four stars and more without a thumb down."""
    return rating.thumb == 1 or (rating.thumb != -1 and (rating.stars or 0) >= 4)


def learned_pairs(ratings: Sequence[Rating], bundle: Bundle) -> set[tuple[str, str]]:
    """(user id, item id) that the ratings tell and the store does not: owned, or liked when pitched.

    What is held out stays out, or the measurement would measure what it was taught.
    """
    store = bundle.store
    rated_by = {rating.user_id for rating in ratings}
    known = {u: {i.item_id for i in store.history(u)} for u in store.user_ids if u in rated_by}
    pairs: set[tuple[str, str]] = set()
    for rating in ratings:
        if rating.user_id is None:
            continue
        told = set(rating.history_ids)
        if is_liked(rating) and rating.item_id is not None:
            told.add(rating.item_id)
        told -= known.get(rating.user_id, set()) | {store.held_out.get(rating.user_id, "")}
        pairs |= {(rating.user_id, item_id) for item_id in told if item_id in store.items}
    return pairs


def is_lesson(rating: Rating, bundle: Bundle) -> bool:
    """Whether a rated text can be told again here, by someone who is not kept for measuring."""
    if rating.task is None or rating.user_id in {*bundle.splits["valid"], *bundle.splits["test"]}:
        return False
    has_target = rating.item_id in bundle.store.items
    known = all(item_id in bundle.store.items for item_id in rating.history_ids)
    pointers = [int(k) for k in _POINTER.findall(rating.text)]
    return (
        bool(rating.text.strip())
        and known
        and len(rating.history_ids) <= MAX_HISTORY
        and has_target >= (rating.task in TARGET_TASKS)
        and (rating.task not in REASONS or rating.item_id in rating.history_ids)
        and all(1 <= k <= len(rating.history_ids) for k in pointers)
    )


def judge(before: Measured, after: Measured) -> tuple[bool, str]:
    """Whether the new version may serve, and why."""
    if after.hit_rate < before.hit_rate:
        return False, f"it finds fewer held-out purchases ({after.hit_rate:.4f} < {before.hit_rate:.4f})"
    if before.loss is not None and after.loss is not None and after.loss > before.loss + LOSS_SLACK:
        return (
            False,
            f"it tells held-out narratives worse ({after.loss:.4f} > {before.loss:.4f} nats a token)",
        )
    return True, "it is not worse on held-out users in ranking nor in telling"


def _with_pairs(user_items: csr_matrix, pairs: set[tuple[str, str]], bundle: Bundle) -> csr_matrix:
    """``user_items`` with the pairs set, and a row more for each user the store does not know."""
    from scipy.sparse import csr_matrix

    row_of = {user_id: row for row, user_id in enumerate(bundle.store.user_ids)}
    for user_id, _ in sorted(pairs):
        row_of.setdefault(user_id, len(row_of))
    shape = (len(row_of), user_items.shape[1])
    users, items = zip(*((row_of[u], bundle.store.item_index[i]) for u, i in sorted(pairs)), strict=True)
    told = csr_matrix((np.ones(len(pairs), np.float32), (users, items)), shape=shape)
    known = user_items.copy()
    known.resize(shape)
    return known.maximum(told).tocsr()


def _refitted(bundle: Bundle, pairs: set[tuple[str, str]], factors: NDArray[np.float32]) -> Ranker:
    """The bundle's ranker with its signals fitted on the pairs too, each as its user's latest purchase."""
    store = bundle.store
    told: dict[str, list[int]] = {}
    for user_id, item_id in sorted(pairs):
        told.setdefault(user_id, []).append(store.item_index[item_id])
    sequences = [
        np.append(known, told.pop(user_id, [])).astype(np.int64)
        for user_id, known in zip(store.user_ids, purchases(store), strict=True)
    ]
    sequences += [np.array(rows, dtype=np.int64) for rows in told.values()]
    items = list(store.items.values())
    signals = served_signals(sequences, items, bundle.item_content, factors, use=bundle.signals)
    return replace(bundle.ranker, signals=signals)


def _tuned(
    bundle: Bundle, taught: Sequence[Rating], rows: FusedRows, progress: Progress | None
) -> TunableNarrator:
    words = StoreWords.of(bundle.store.items.values())
    lessons = [_rated_lesson(rating, bundle, rows, words) for rating in taught]
    told = references(bundle, bundle.splits["train"], N_REHEARSED)
    rehearsal = reference_lessons(told, bundle, rows)
    narrator = TunableNarrator(bundle.narrator_dir)
    n_steps = min(MAX_STEPS, STEPS_PER_LESSON * len(lessons))
    narrator.tune(lessons, rehearsal, n_steps=n_steps, progress=_stage(progress, "tune the adapter"))
    return narrator


def _rated_lesson(rating: Rating, bundle: Bundle, rows: FusedRows, words: StoreWords) -> Lesson:
    """The input as it was when the text was told, rebuilt from the ids that the log keeps."""
    assert rating.task is not None  # kept by is_lesson
    store = bundle.store
    user_id = rating.user_id or ""
    known = {i.item_id: i for i in store.history(user_id)} if user_id in set(store.user_ids) else {}
    history = [known.get(item_id, Interaction(user_id, item_id, 0)) for item_id in rating.history_ids]
    target = store.items[rating.item_id] if rating.task in TARGET_TASKS and rating.item_id else None
    if target is not None and rating.task in REASONS:
        history = before_purchase(history, target.item_id)
    evidence = Evidence.of(history, store.items, rating.task, target, words)
    return Lesson(rows.of(history, target), evidence, rating.text)


def _stage(progress: Progress | None, stage: str) -> Callable[[int, int], None] | None:
    return (lambda done, total: progress(stage, done, total)) if progress else None
