"""What each kind of signal adds: blends without it, learned on half of the valid users, asked of the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from crs.ranking.blend import Candidates, fit_blend
from crs.ranking.metrics import figures_of
from crs.ranking.signals import Signal

METRICS = ("HR@10", "NDCG@10")


def ablation(
    signals: Sequence[Signal],
    candidates: Candidates,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, float]]:
    """HR@10 and NDCG@10 with all signals, then without each family, ranked among the candidates.

    Two folds by user; a query whose target is no candidate is a miss.
    """
    families = list(dict.fromkeys(signal.family for signal in signals))
    found = {}
    for done, left_out in enumerate([None, *families]):
        chosen = np.array([at for at, signal in enumerate(signals) if signal.family != left_out])
        if len(chosen):
            columns = np.stack([2 * chosen, 2 * chosen + 1], axis=1).ravel()
            kept = [signals[at] for at in chosen]
            name = "all" if left_out is None else f"without {left_out}"
            found[name] = _cross_checked(kept, candidates, columns)
        if progress:
            progress(done + 1, 1 + len(families))
    return found


def _cross_checked(
    signals: Sequence[Signal], candidates: Candidates, columns: NDArray[np.int64]
) -> dict[str, float]:
    half = np.random.default_rng(0).integers(2, size=int(candidates.users.max(initial=0)) + 1)
    side = half[candidates.users]
    placed = []
    for asked in (0, 1):
        learned = candidates.at(np.flatnonzero(side != asked), columns)
        blend = fit_blend(signals, learned)
        part = candidates.at(np.flatnonzero(side == asked), columns)
        weights = blend.weights[0] + part.length[:, None] * blend.weights[1]
        scores = np.matmul(part.features, weights[:, :, None])[..., 0]
        placed.append((scores[:, 1:] > scores[:, :1]).sum(axis=1).astype(np.float64))
    values = figures_of(np.concatenate(placed))
    return {metric: float(values[metric].sum()) / candidates.n_asked for metric in METRICS}
