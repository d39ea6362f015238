"""How far raters agree: Krippendorff's alpha, with an interval over trials."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from crs.studies.ratings import Answered

N_RESAMPLES = 500
Level = Literal["ordinal", "nominal"]


def agreement(
    values: Iterable[tuple[str, int]], n_values: int, level: Level, *, seed: int = 0
) -> dict[str, Any]:
    """Alpha of ``values``, pairs of a trial and what one rater said of it, 0 to ``n_values`` - 1.

    ``alpha`` is null where no trial has two ratings or all ratings are alike: there is nothing to agree on
    by chance. ``low`` and ``high``: 95 %, bootstrap over trials. Krippendorff, Content Analysis (2004),
    chapter 11, as the library `krippendorff` has it.
    """
    counts: dict[str, NDArray[np.int64]] = defaultdict(lambda: np.zeros(n_values, dtype=np.int64))
    for trial_id, value in values:
        counts[trial_id][value] += 1
    shared = np.asarray([each for each in counts.values() if each.sum() > 1]).reshape(-1, n_values)
    found: dict[str, Any] = {
        "alpha": _alpha(shared, level),
        "low": None,
        "high": None,
        "trials": len(shared),
        "ratings": int(shared.sum()),
    }
    if found["alpha"] is not None:
        rng = np.random.default_rng(seed)
        rows = (rng.integers(len(shared), size=len(shared)) for _ in range(N_RESAMPLES))
        known = [each for drawn in rows if (each := _alpha(shared[drawn], level)) is not None]
        found["low"], found["high"] = (float(each) for each in np.quantile(known, (0.025, 0.975)))
    return found


def _alpha(counts: NDArray[np.int64], level: Level) -> float | None:
    """Of ``counts`` (n_trials, n_values), how many raters said what."""
    import krippendorff

    if (counts.sum(axis=0) > 0).sum() < 2:
        return None
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement=level))


def deviation(answers: Sequence[Answered], rater: int) -> float | None:
    """Mean distance of a rater's scores from the mean of the others' on the same trial; None without any."""
    others: dict[tuple[str, str], list[int]] = defaultdict(list)
    own: dict[tuple[str, str], int] = {}
    for each in answers:
        for name, score in each.answer.scores.items():
            if each.rater == rater:
                own[each.trial_id, name] = score
            else:
                others[each.trial_id, name].append(score)
    apart = [abs(score - float(np.mean(others[key]))) for key, score in own.items() if key in others]
    return float(np.mean(apart)) if apart else None
