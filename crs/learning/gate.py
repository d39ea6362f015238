"""The gate: what two versions do on shoppers from whom nothing was learned, and which may serve."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crs.bundle import Bundle
from crs.content import TextEncoder
from crs.evaluation.occasions import Occasion, occasions
from crs.learning.preferences import Preference, lessons_of
from crs.measures import Measured, measure
from crs.narrator.evidence import StoreWords
from crs.narrator.narrate import Narrated
from crs.rows import FusedRows
from crs.storyteller import Storyteller
from crs.tuning import TunableNarrator

SLACK = 0.02  # of a figure's old value, or in points of a share: less is not called worse
N_TOLD_PER_TASK = 20
N_RESAMPLES = 2000
_AT_ONCE = 8  # narratives that the engine tells side by side

Counts = NDArray[np.int64]  # (n, 2), a row a narrative: how many are so, of how many


@dataclass(frozen=True)
class Narratives:
    """What a version told on the same occasions, with the same seeds, as the other."""

    told: tuple[tuple[Occasion, Narrated], ...]

    @property
    def wrong_sentences(self) -> Counts:
        """Sentences in which the sentence gate found a wrong claim, of those drawn."""
        return _counts((told.sentences_wrong, told.sentences_drawn) for _, told in self.told)

    @property
    def plain_statements(self) -> Counts:
        """Narratives for which a plain statement had to stand in."""
        return _counts((told.is_plain, 1) for _, told in self.told)

    @property
    def wrong_claims(self) -> float:
        """Share of the sentences drawn in which the sentence gate found a wrong claim."""
        return float(_share(self.wrong_sentences))

    @property
    def empty(self) -> float:
        """Share of narratives for which a plain statement had to stand in."""
        return float(_share(self.plain_statements))

    @property
    def words(self) -> float:
        """Mean length in words."""
        return sum(len(narrated.text.split()) for _, narrated in self.told) / max(1, len(self.told))


@dataclass(frozen=True)
class Held:
    """A version on held-out shoppers. ``accuracy``: see `preference_accuracy`; None without preferences."""

    measured: Measured
    narratives: Narratives
    accuracy: float | None = None


def hold(
    bundle: Bundle,
    encoder: TextEncoder,
    rows: FusedRows,
    users: Sequence[str],
    cache_dir: Path,
    *,
    n_per_task: int = N_TOLD_PER_TASK,
    progress: Callable[[int, int], None] | None = None,
) -> Held:
    """All figures of a version but the preference accuracy, which takes two."""
    measured = measure(bundle, encoder, rows, users)
    return Held(measured, tell(bundle, encoder, rows, users, cache_dir, n_per_task, progress))


def tell(
    bundle: Bundle,
    encoder: TextEncoder,
    rows: FusedRows,
    users: Sequence[str],
    cache_dir: Path,
    n_per_task: int = N_TOLD_PER_TASK,
    progress: Callable[[int, int], None] | None = None,
) -> Narratives:
    """``n_per_task`` narratives of each task of ``users``, as people would see them; none without users."""
    if not users:
        return Narratives(())
    asked = [each for of_task in occasions(bundle, users, n_per_task).values() for each in of_task]
    told = narrate(bundle, encoder, rows, asked, cache_dir, progress)
    return Narratives(tuple(zip(asked, told, strict=True)))


def narrate(
    bundle: Bundle,
    encoder: TextEncoder,
    rows: FusedRows,
    asked: Sequence[Occasion],
    cache_dir: Path,
    progress: Callable[[int, int], None] | None = None,
) -> list[Narrated]:
    """The narratives of ``asked`` by the bundle's narrator, several at once, gated."""
    storyteller = Storyteller.open(bundle, encoder, cache_dir, rows=rows)
    store = bundle.store

    def one(occasion: Occasion) -> Narrated:
        stream = storyteller.tell(
            occasion.history(store), occasion.task, occasion.target(store), seed=occasion.seed
        )
        for _ in stream:
            pass
        return stream.result

    told = []
    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for narrated in pool.map(one, asked):
                told.append(narrated)
                if progress:
                    progress(len(told), len(asked))
    finally:
        storyteller.close()
    return told


def preference_accuracy(
    before: Bundle, after: Bundle, rows: FusedRows, preferences: Sequence[Preference]
) -> float | None:
    """How often ``after``, as against ``before``, moves towards what was liked; None without comparisons.

    Of a pair the liked text should have the larger reward (`rewards`); single thumbs are compared with all
    those of the other kind, as in an AUC. A tie counts half, so a version that is the same has .5. Every
    rater counts alike; single thumbs together count as one rater more.
    """
    by_rater: dict[str, list[float]] = {}
    liked: list[float] = []
    disliked: list[float] = []
    for preference, found in zip(preferences, rewards(before, after, rows, preferences), strict=True):
        if preference.is_pair:
            by_rater.setdefault(preference.rater, []).append(_wins(found[0] - found[1]))
        else:
            (liked if preference.liked is not None else disliked).append(found[0])
    shares = [float(np.mean(each)) for each in by_rater.values()]
    if liked and disliked:
        shares.append(float(np.mean([_wins(up - down) for up in liked for down in disliked])))
    return float(np.mean(shares)) if shares else None


def rewards(
    before: Bundle, after: Bundle, rows: FusedRows, preferences: Sequence[Preference]
) -> list[list[float]]:
    """Of the texts of each preference, the liked one first: log-probability by ``after`` less that by
    ``before``, in nats (DPO, section 5.1).
    """
    words = StoreWords.of(after.store.items.values())
    log_probs = []
    for bundle in (before, after):
        judged = [lessons_of(each, bundle, rows.for_version(bundle), words) for each in preferences]
        lessons = [lesson for both in judged for lesson in both if lesson is not None]
        log_probs.append(TunableNarrator(bundle.narrator_dir).log_probs(lessons))
    gained = iter((log_probs[1] - log_probs[0]).tolist())
    return [[next(gained) for _ in each.texts] for each in preferences]


def difference_interval(before: Counts, after: Counts) -> tuple[float, float]:
    """By how much the share of ``after`` is larger than that of ``before``: low and high, 90 %.

    Paired bootstrap (Koehn 2004): the same narratives are drawn of both, with replacement. Where 0 is within,
    chance alone could have made the difference.
    """
    drawn = np.random.default_rng(0).integers(len(before), size=(len(before), N_RESAMPLES))
    more = _share(after[drawn]) - _share(before[drawn])
    low, high = np.quantile(more, (0.05, 0.95))
    return float(low), float(high)


def judge(before: Held, after: Held) -> tuple[bool, str]:
    """Whether the new version may serve, and why.

    Of narratives, which are few, a share counts as larger where that is beyond `SLACK` and beyond chance.
    """
    old, new = before.measured, after.measured
    if new.hit_rate < old.hit_rate * (1 - SLACK):
        return False, f"it finds fewer held-out purchases ({new.hit_rate:.4f} < {old.hit_rate:.4f})"
    if old.loss is not None and new.loss is not None and new.loss > old.loss * (1 + SLACK):
        return False, f"it tells held-out narratives worse ({new.loss:.4f} > {old.loss:.4f} nats a token)"
    was, now = before.narratives, after.narratives
    shares = {
        "makes more wrong claims before the sentence gate": (was.wrong_sentences, now.wrong_sentences),
        "has nothing of its own to tell more often": (was.plain_statements, now.plain_statements),
    }
    for what, (earlier, later) in shares.items():
        if _share(later) - _share(earlier) > SLACK and difference_interval(earlier, later)[0] > 0:
            return False, f"it {what} ({_share(later):.1%} > {_share(earlier):.1%})"
    if after.accuracy is not None and after.accuracy <= 0.5:
        share = f"{after.accuracy:.1%} of comparisons"
        return False, f"it does not move towards what held-out people like ({share})"
    return True, "it is not worse on held-out users in ranking nor in telling"


def _counts(rows: Iterable[tuple[int, int]]) -> Counts:
    return np.array(list(rows), dtype=np.int64).reshape(-1, 2)


def _share(counts: Counts) -> NDArray[np.float64]:
    """Of counts (n, ..., 2) the share of all n together, (...); 0.0 of nothing."""
    total = counts.sum(axis=0)
    return np.asarray(total[..., 0] / np.maximum(1, total[..., 1]))


def _wins(margin: float) -> float:
    return 0.5 if margin == 0 else float(margin > 0)
