"""Learning from what people say: a new version beside the old one, put in use only where it is not worse.

What people liked or own goes into CF, which is fitted on from the old factors and so stays in the space
the narrator reads, and into the ranker's signals; the weights of their blend stay. What they preferred of
narratives tunes the narrator (crs/training/preference.py), whose trunk the ranker then reads anew. Both
versions are measured on the users of the "valid" split, from whom nothing was learned.

A version goes on from the one in use and learns what was said since. Where something that a version learned
was taken back since (a rating deleted or changed), that version is removed, and the last one without it, at
the latest the first, learns all that remains.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crs.bundle import Bundle, default_path, derive_bundle, purchases, without_held_out
from crs.cf import fit_wals
from crs.content import Encoder, TextEncoder
from crs.learning.gate import N_TOLD_PER_TASK, Held, hold, judge, preference_accuracy
from crs.learning.preferences import (
    Preference,
    by_split,
    can_be_told,
    capped,
    fingerprint,
    fingerprint_of,
    from_file,
    from_ratings,
    is_liked,
    lessons_of,
)
from crs.learning.report import Outcome
from crs.measures import reference_lessons, references
from crs.narrator.evidence import StoreWords
from crs.ranking.next_item import train_on_trunk
from crs.ranking.ranker import Ranker, sequence_signal, served_signals
from crs.rows import FusedRows
from crs.versions import (
    Learned,
    alone,
    default_data_dir,
    forget_versions,
    in_use,
    learned,
    promote,
    tidy,
    versions_dir,
    write_learned,
)
from knowledge.errors import BundleError
from knowledge.feedback import FeedbackLog, Rating
from knowledge.types import MAX_HISTORY

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from crs.training.preference import TuningSettings

Progress = Callable[[str, int, int], None]  # stage, done, total

REFIT_ITERATIONS = 3
N_REHEARSED, N_CHECKED = 150, 60  # references: for the leash, and to see what the tuning cost
MIN_RATERS = 3  # fewer do not change how everybody is told
_WORK = ".work"  # drafts and the checkpoint of a tuning that was cut off


@dataclass(frozen=True)
class Heard:
    """What people said: ratings, and preferences from them and from rating studies."""

    ratings: Sequence[Rating]
    preferences: Sequence[Preference]

    @property
    def sources(self) -> frozenset[str]:
        """Fingerprints of all of it."""
        rated = frozenset(map(fingerprint_of, self.ratings))
        return rated.union(*(each.sources for each in self.preferences))

    def since(self, known: frozenset[str]) -> Heard:
        """What of it is not ``known`` yet."""
        return Heard(
            [rating for rating in self.ratings if fingerprint_of(rating) not in known],
            [each for each in self.preferences if not each.sources <= known],
        )


def hear(data_dir: Path, preference_files: Sequence[Path] = ()) -> Heard:
    """All that the log in ``data_dir`` and the files hold now."""
    with FeedbackLog(data_dir / "feedback.sqlite") as log:
        ratings = list(log.latest())
    studied = [preference for path in preference_files for preference in from_file(path)]
    return Heard(ratings, [*from_ratings(ratings), *studied])


def retrain(
    bundle_path: str | Path | None = None,
    *,
    data_dir: Path | None = None,
    preference_files: Sequence[Path] = (),
    encoder: TextEncoder | None = None,
    settings: TuningSettings | None = None,
    n_told_per_task: int = N_TOLD_PER_TASK,
    progress: Progress | None = None,
) -> Outcome:
    """Build a version that has learned what people said; promote it if it is not worse.

    ``preference_files``: exports of rating studies (`from_file`). ``n_told_per_task``: narratives that both
    versions tell for the gate. Raises BundleError for a bundle without narrator, InputError for a file that
    does not fit, BusyError while another retraining is under way.
    """
    first = default_path() if bundle_path is None else Path(bundle_path)
    data_dir = default_data_dir() if data_dir is None else data_dir
    folder = versions_dir(first, data_dir)
    heard = hear(data_dir, preference_files)
    if not heard.ratings and not heard.preferences and not folder.exists():
        _narrating(Bundle.open(first))
        return Outcome(None, False, "nobody has said yet what they like or own")
    with alone(folder):
        was_in_use = in_use(first, data_dir)
        forget_versions(folder, heard.sources, data_dir / "cache")
        tidy(folder)
        old = _narrating(Bundle.open(in_use(first, data_dir)))
        known = learned(folder, old.version) or Learned()
        lesson = _Lessons.of(heard, heard.since(known.sources), old)
        if not lesson.pairs and not lesson.taught:
            taken_back = old.path != was_in_use
            return Outcome(None, False, _TAKEN_BACK if taken_back else lesson.why_nothing)
        work = folder / _WORK
        making = _Making(old, work, encoder or Encoder(), progress)
        new = making.version(lesson, settings)
        before, after = making.held(new, lesson, n_told_per_task)
        promoted, reason = judge(before, after)
        outcome = Outcome(
            new.version, promoted, reason, len(lesson.pairs), len(lesson.taught), lesson.n_raters,
            before, after,
        )  # fmt: skip
        write_learned(folder, new.version, Learned(heard.sources | known.sources, tuple(outcome.lines())))
        if not (folder / new.version).exists():
            os.replace(new.path, folder / new.version)
        shutil.rmtree(work)
        if promoted:
            promote(first, new.version, data_dir)
    return outcome


_TAKEN_BACK = "what it had learned was taken back, and nothing new has been said"


def learned_pairs(ratings: Sequence[Rating], bundle: Bundle) -> set[tuple[str, str]]:
    """(user id, item id) that the ratings tell and the store does not: owned, or liked when pitched.

    What is held out stays out, or the measurement would measure what it was taught. Of each person the last
    50 count, lest one with hundreds bend the factors.
    """
    store = bundle.store
    rated_by = {rating.user_id for rating in ratings}
    known = {u: {i.item_id for i in store.history(u)} for u in store.user_ids if u in rated_by}
    told: dict[str, dict[str, None]] = {}
    for rating in ratings:
        if rating.user_id is None:
            continue
        items = list(rating.history_ids)
        if is_liked(rating) and rating.item_id is not None:
            items.append(rating.item_id)
        away = known.get(rating.user_id, set()) | {store.held_out.get(rating.user_id, "")}
        new = dict.fromkeys(i for i in items if i in store.items and i not in away)
        told.setdefault(rating.user_id, {}).update(new)
    return {(user_id, item_id) for user_id, items in told.items() for item_id in list(items)[-MAX_HISTORY:]}


@dataclass(frozen=True)
class _Lessons:
    """What a version is to learn; ``checked`` are held-out people's preferences for the gate."""

    pairs: set[tuple[str, str]]
    taught: list[Preference]
    checked: list[Preference]
    why_nothing: str

    @classmethod
    def of(cls, heard: Heard, fresh: Heard, bundle: Bundle) -> _Lessons:
        pairs = learned_pairs(heard.ratings, bundle) if learned_pairs(fresh.ratings, bundle) else set()
        split = by_split((each for each in fresh.preferences if can_be_told(each, bundle)), bundle)
        taught = capped(split["train"])
        n_raters = len({each.rater for each in taught})
        why = "nothing new has been said of what people like or own"
        if n_raters < MIN_RATERS:
            if taught:
                why = f"{n_raters} of the {MIN_RATERS} people have rated who may change how everybody is told"
            taught = []
        return cls(pairs, taught, capped(split["valid"]), why)

    @property
    def n_raters(self) -> int:
        return len({each.rater for each in self.taught})


@dataclass(frozen=True)
class _Making:
    """A version in the making, in the folder ``work``, from the version ``old``."""

    old: Bundle
    work: Path
    encoder: TextEncoder
    progress: Progress | None

    def version(self, lessons: _Lessons, settings: TuningSettings | None) -> Bundle:
        """The draft of a version that has learned ``lessons``."""
        old, draft = self.old, self.work / "draft"
        for path in (draft, self.work / "narrator"):
            shutil.rmtree(path, ignore_errors=True)
        factors = None
        if lessons.pairs:
            matrix = _with_pairs(without_held_out(old.store), lessons.pairs, old)
            factors = fit_wals(
                matrix, start=old.item_factors, iterations=REFIT_ITERATIONS, progress=self._stage("refit CF")
            )
        reads_factors = old.narrator_signals != "content"
        new = derive_bundle(old.path, draft, reads_factors=reads_factors, item_factors=factors)
        if lessons.taught:
            narrator = self._tuned(new, lessons.taught, settings)
            new = derive_bundle(draft, draft, reads_factors=reads_factors, narrator=narrator)
        ranker = _refitted(old, new, lessons.pairs, self._stage("next item"))
        return derive_bundle(draft, draft, reads_factors=reads_factors, ranker=ranker)

    def held(self, new: Bundle, lessons: _Lessons, n_told_per_task: int) -> tuple[Held, Held]:
        """Both versions on held-out users."""
        rows = FusedRows(self.old, self.encoder)
        users = self.old.splits["valid"]
        before, after = (
            hold(
                bundle, self.encoder, rows.for_version(bundle), users, self.work,
                n_per_task=n_told_per_task, progress=self._stage(f"narratives of the {name} version"),
            )
            for name, bundle in (("old", self.old), ("new", new))
        )  # fmt: skip
        accuracy = preference_accuracy(self.old, new, rows, lessons.checked) if lessons.taught else None
        return before, replace(after, accuracy=accuracy)

    def _tuned(self, bundle: Bundle, taught: Sequence[Preference], settings: TuningSettings | None) -> Path:
        from crs.training.preference import Judged, TuningSettings, step_back, tune
        from crs.tuning import TunableNarrator

        settings = settings or TuningSettings()
        rows = FusedRows(bundle, self.encoder)
        words = StoreWords.of(bundle.store.items.values())
        judged = [Judged(*lessons_of(each, bundle, rows, words)) for each in taught]
        told = references(bundle, bundle.splits["train"], N_REHEARSED + N_CHECKED)
        lessons = reference_lessons(told, bundle, rows)
        narrator, in_use = (TunableNarrator(bundle.narrator_dir) for _ in range(2))
        tune(
            narrator, in_use, judged, lessons[:N_REHEARSED], settings,
            self._checkpoints(bundle, taught, settings), progress=self._stage("tune the narrator"),
        )  # fmt: skip
        step_back(narrator, in_use, lessons[N_REHEARSED:], settings.slack)
        folder = self.work / "narrator"
        narrator.save(folder)
        return folder

    def _checkpoints(self, bundle: Bundle, taught: Sequence[Preference], settings: TuningSettings) -> Path:
        """Where this very tuning leaves its checkpoints; those of another are removed."""
        sources = sorted(source for each in taught for source in each.sources)
        mine = self.work / f"tuning-{fingerprint([bundle.version, sources, asdict(settings)])}"
        for path in self.work.glob("tuning-*"):
            if path != mine:
                shutil.rmtree(path)
        return mine

    def _stage(self, stage: str) -> Callable[[int, int], None] | None:
        progress = self.progress
        return (lambda done, total: progress(stage, done, total)) if progress else None


def _narrating(bundle: Bundle) -> Bundle:
    if not bundle.has_narrator:
        raise BundleError(
            f"{bundle.path}: no narrator to tune; run `python -m crs train-narrator {bundle.path}`"
        )
    return bundle


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


def _refitted(
    old: Bundle,
    new: Bundle,
    pairs: set[tuple[str, str]],
    progress: Callable[[int, int], None] | None,
) -> Ranker:
    """The ranker of ``old`` with its signals fitted on the pairs too, each as its user's latest purchase.

    What reads the narrator's trunk is trained on that of ``new``.
    """
    store, ranker = old.store, old.ranker
    told: dict[str, list[int]] = {}
    for user_id, item_id in sorted(pairs):
        told.setdefault(user_id, []).append(store.item_index[item_id])
    sequences = [
        np.append(known, told.pop(user_id, [])).astype(np.int64)
        for user_id, known in zip(store.user_ids, purchases(store), strict=True)
    ]
    sequences += [np.array(rows, dtype=np.int64) for rows in told.values()]
    signals = [signal for signal in ranker.signals if signal.scorer is not ranker.next_item]
    if pairs:
        items = list(store.items.values())
        signals = served_signals(sequences, items, old.item_content, new.item_factors, use=old.signals)
    if ranker.next_item is not None:
        epochs, soft_tokens, rows = ranker.next_item.epochs, new.soft_tokens, new.item_rows
        trained = train_on_trunk(sequences, soft_tokens, rows, epochs=epochs, progress=progress)
        signals.append(sequence_signal(trained, soft_tokens, rows))
    return replace(ranker, signals=signals)
