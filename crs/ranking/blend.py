"""Signals blended into one score by weights learned on the users of the valid fold.

A log-linear model (conditional logit): the chance that an item is the next is proportional to ``exp(score)``,
and the score is a weighted sum of two views of each signal, its share of the row's best and the logarithm of
that share, whose weights may change with the length of the history. Fitted by L-BFGS on candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crs.ranking.data import Queries, Rows
from crs.ranking.pairs import Scores
from crs.ranking.signals import Signal

FLOOR = 1e-3  # shares of the best below this are all the same to the logarithm
N_CANDIDATES = 30  # best items of each signal that the weights are learned on
CHUNK = 256  # histories scored at once
RIDGE = 1.0  # of the weights, against the mean loss times the number of rows
_TYPICAL = np.log(5.0)  # length of a history at which the weights are the plain ones


@dataclass(frozen=True)
class Blend:
    """``weights`` float32 (2, 2 * n_signals): plain, and what a longer history adds to them."""

    names: tuple[str, ...]
    weights: NDArray[np.float32]

    def scores(self, signals: Sequence[Signal], histories: Sequence[Rows]) -> Scores:
        """float32 (n, n_items): the sum of all parts."""
        return np.asarray(sum(self.parts(signals, histories)), dtype=np.float32)

    def parts(self, signals: Sequence[Signal], histories: Sequence[Rows]) -> list[Scores]:
        """What each signal adds to the score of every item, each float32 (n, n_items)."""
        length = lengthened(histories)[:, None]
        found = []
        for at, signal in enumerate(signals):
            plain, longer = self.weights[:, 2 * at : 2 * at + 2]
            low, high = views(signal.scorer.scores(histories))
            found.append((plain[0] + longer[0] * length) * low + (plain[1] + longer[1] * length) * high)
        return found


def views(scores: Scores) -> tuple[Scores, Scores]:
    """A signal's share of each row's best, 0 to 1, and its logarithm, brought to 0 to 1 as well."""
    low = scores.min(axis=1, keepdims=True)
    raised = scores - np.minimum(low, 0.0)
    best = raised.max(axis=1, keepdims=True)
    share = np.divide(raised, best, out=np.zeros_like(raised), where=best > 0)
    return share, 1.0 - np.log(np.maximum(share, FLOOR)) / np.float32(np.log(FLOOR))


def lengthened(histories: Sequence[Rows]) -> NDArray[np.float32]:
    """How much longer than usual each history is, on a logarithmic scale, (n,)."""
    lengths = np.array([len(history) for history in histories], dtype=np.float32)
    return np.asarray(np.log1p(np.minimum(lengths, 50)) - _TYPICAL, dtype=np.float32)


@dataclass(frozen=True)
class Candidates:
    """``features`` float32 (n, c, 2 * n_signals) of candidates, ``items`` (n, c); the target comes first."""

    items: NDArray[np.int64]
    features: NDArray[np.float32]
    length: NDArray[np.float32]


def candidates_of(signals: Sequence[Signal], queries: Queries) -> Candidates:
    """The target and, of every signal, the best others; where signals agree, random items fill the row."""
    rng = np.random.default_rng(0)
    items, features = [], []
    n_kept = N_CANDIDATES * len(signals) // 2
    for start in range(0, len(queries), CHUNK):
        histories = queries.histories[start : start + CHUNK]
        targets = queries.targets[start : start + CHUNK]
        found = [signal.scorer.scores(histories) for signal in signals]
        n_items = found[0].shape[1]
        wanted = np.zeros_like(found[0])
        for scores in found:
            k = min(N_CANDIDATES, n_items)
            best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            np.put_along_axis(wanted, best, np.take_along_axis(wanted, best, axis=1) + 1.0, axis=1)
        wanted += rng.random(wanted.shape, dtype=np.float32) * 0.5
        wanted[np.arange(len(targets)), targets] = np.inf
        chosen = np.argsort(-wanted, axis=1)[:, : min(n_kept, n_items)]
        items.append(chosen)
        seen = [np.take_along_axis(view, chosen, axis=1) for scores in found for view in views(scores)]
        features.append(np.stack(seen, axis=-1))
    return Candidates(np.concatenate(items), np.concatenate(features), lengthened(queries.histories))


def fit_blend(
    signals: Sequence[Signal], candidates: Candidates, rows: NDArray[np.int64] | None = None
) -> Blend:
    """The weights under which the targets are most likely among the candidates, over ``rows`` (None: all)."""
    from scipy.optimize import minimize

    features = candidates.features if rows is None else candidates.features[rows]
    length = candidates.length if rows is None else candidates.length[rows]
    n, _, n_features = features.shape
    longer = length[:, None]

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(2, n_features).astype(np.float32)
        own = weights[0] + longer * weights[1]  # (n, f)
        scores = np.matmul(features, own[:, :, None])[..., 0]
        scores -= scores.max(axis=1, keepdims=True)
        likely = np.exp(scores)
        likely /= likely.sum(axis=1, keepdims=True)
        value = -np.log(np.maximum(likely[:, 0], 1e-12)).sum()
        likely[:, 0] -= 1.0
        slope = np.matmul(likely[:, None, :], features)[:, 0]  # (n, f)
        gradient = np.stack([slope.sum(axis=0), (slope * longer).sum(axis=0)]).astype(np.float64)
        value += 0.5 * RIDGE * float((flat**2).sum())
        return float(value) / n, (gradient.ravel() + RIDGE * flat) / n

    start = np.zeros(2 * n_features)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 150})
    names = tuple(signal.name for signal in signals)
    return Blend(names, found.x.reshape(2, n_features).astype(np.float32))
