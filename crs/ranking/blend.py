"""Signals blended into one score by weights learned on the users of the valid fold.

A log-linear model (conditional logit): the chance that an item is the next is proportional to ``exp(score)``,
and the score is a weighted sum of two views of each signal, whose weights may change with the length of the
history. What the history holds already is scored by the signals of repeat purchases alone, all else
by all the others: what makes a first purchase likely says little of a second.

Weights are fitted by L-BFGS on candidates, the best items of each signal. They are chosen without a look at
the target, else "one that few signals name" would give it away; rows whose target is not among them are left
out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crs.ranking.data import Queries, Rows, owned_matrix
from crs.ranking.pairs import Scores
from crs.ranking.signals import Signal

FLOOR = 1e-3  # values below this are all the same to the logarithm
PER_SIGNAL = 20  # best items of each signal that may be candidates
N_CANDIDATES = 160  # of a row: those that most signals name come first
CHUNK = 256  # histories scored at once
RIDGE = 1.0  # pull of the weights towards zero, against a loss summed over the rows
_TYPICAL = np.log(5.0)  # length of a history at which the weights are the plain ones


@dataclass(frozen=True)
class Blend:
    """``weights`` float32 (2, 2 * n_signals): plain ones, and what a longer history adds to them."""

    names: tuple[str, ...]
    weights: NDArray[np.float32]

    def scores(self, signals: Sequence[Signal], histories: Sequence[Rows]) -> Scores:
        """float32 (n, n_items): the sum of all parts."""
        own = self._weights(signals, histories)
        total = None
        for at, (share, logarithm) in enumerate(_seen(signals, histories)):
            part = own[:, 2 * at, None] * share + own[:, 2 * at + 1, None] * logarithm
            total = part if total is None else total + part
        return np.asarray(total, dtype=np.float32)

    def parts(
        self, signals: Sequence[Signal], history: Rows, among: Rows | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """What each signal adds to the score of every item, float32 (n_items,) by the signal's name.

        ``among``: the item rows to score, where not all; every signal's best is looked for among them.
        """
        own = self._weights(signals, [history])[0]
        seen = _seen(signals, [history], among=among)
        return {
            signal.name: (own[2 * at] * share + own[2 * at + 1] * logarithm)[0]
            for at, (signal, (share, logarithm)) in enumerate(zip(signals, seen, strict=True))
        }

    def _weights(self, signals: Sequence[Signal], histories: Sequence[Rows]) -> NDArray[np.float32]:
        """The weights for each history, (n, 2 * n_signals); newcomers are shown what is popular."""
        own: NDArray[np.float32] = self.weights[0] + lengthened(histories)[:, None] * self.weights[1]
        famous = np.array([[signal.family == "popularity", False] for signal in signals]).ravel()
        own[[not len(history) for history in histories]] = famous
        return own


def even_blend(signals: Sequence[Signal]) -> Blend:
    """All signals alike, where there is nothing to learn weights from."""
    weights = np.zeros((2, 2 * len(signals)), dtype=np.float32)
    weights[0, ::2] = 1.0
    return Blend(tuple(signal.name for signal in signals), weights)


def views(scores: Scores, *, absolute: bool = False) -> tuple[Scores, Scores]:
    """A signal's share of each row's best, 0 to 1, and the logarithm of that, brought to 0 to 1 as well.

    ``absolute``: the scores are between 0 and 1 themselves, and rows are to be compared.
    """
    if absolute:
        share = scores
    else:
        raised = scores - np.minimum(scores.min(axis=1, keepdims=True), 0.0)
        best = raised.max(axis=1, keepdims=True)
        share = np.divide(raised, best, out=np.zeros_like(raised), where=best > 0)
    logarithm = 1.0 - np.log(np.maximum(share, FLOOR)) / np.log(FLOOR)
    return share, logarithm.astype(np.float32)


def lengthened(histories: Sequence[Rows]) -> NDArray[np.float32]:
    """How much longer than usual each history is, on a logarithmic scale, (n,)."""
    lengths = np.array([len(history) for history in histories], dtype=np.float32)
    return np.asarray(np.log1p(np.minimum(lengths, 50)) - _TYPICAL, dtype=np.float32)


def _seen(
    signals: Sequence[Signal],
    histories: Sequence[Rows],
    scores: Sequence[Scores] | None = None,
    *,
    among: Rows | None = None,
) -> list[tuple[Scores, Scores]]:
    """Both views of every signal, zero where the item is not the signal's to judge."""
    found = [signal.scorer.scores(histories, among) for signal in signals] if scores is None else scores
    if among is None:
        owned = owned_matrix(histories, found[0].shape[1]).toarray() > 0
    else:
        owned = np.stack([np.isin(among, history, kind="table") for history in histories])
    seen = []
    for signal, each in zip(signals, found, strict=True):
        repeat = signal.family == "repeat"
        pair = views(each, absolute=repeat)
        for view in pair:
            view[~owned if repeat else owned] = 0.0
        seen.append(pair)
    return seen


@dataclass(frozen=True)
class Candidates:
    """``features`` float32 (n, c, 2 * n_signals), the target's first; ``length`` (n,) as of `lengthened`.

    ``users`` (n,): who asks; ``n_asked``: how many queries there were, with those that are left out.
    """

    features: NDArray[np.float32]
    length: NDArray[np.float32]
    users: NDArray[np.int64]
    n_asked: int

    def at(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Candidates:
        """Those of ``rows`` (m,) with the features of ``columns`` (f,): (m, c, f)."""
        features = self.features[np.ix_(rows, np.arange(self.features.shape[1]), columns)]
        return Candidates(features, self.length[rows], self.users[rows], self.n_asked)


def candidates_of(signals: Sequence[Signal], queries: Queries) -> Candidates:
    """The best items of every signal, for the queries whose target is one of them."""
    rng = np.random.default_rng(0)
    features, kept = [], []
    for start in range(0, len(queries), CHUNK):
        part = queries.at(range(start, min(start + CHUNK, len(queries))))
        found = [signal.scorer.scores(part.histories) for signal in signals]
        n_items = found[0].shape[1]
        # Ties among what equally many signals name are broken by chance.
        named = 0.5 * rng.random((len(part), n_items), dtype=np.float32)
        for scores in found:
            k = min(PER_SIGNAL, n_items)
            best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            np.put_along_axis(named, best, np.take_along_axis(named, best, axis=1) + 1.0, axis=1)
        chosen = np.argsort(-named, axis=1)[:, :N_CANDIDATES]
        is_target = chosen == part.targets[:, None]
        rows = np.flatnonzero(is_target.any(axis=1))
        places = is_target[rows].argmax(axis=1)
        chosen[rows, places] = chosen[rows, 0]
        chosen[rows, 0] = part.targets[rows]
        seen = [view for pair in _seen(signals, part.histories, found) for view in pair]
        features.append(
            np.stack([np.take_along_axis(view[rows], chosen[rows], axis=1) for view in seen], axis=-1)
        )
        kept.append(start + rows)
    rows = np.concatenate(kept)
    length = lengthened([queries.histories[row] for row in rows])
    return Candidates(np.concatenate(features), length, queries.users[rows], len(queries))


def fit_blend(signals: Sequence[Signal], candidates: Candidates, *, ridge: float = RIDGE) -> Blend:
    """The weights under which the targets are most likely among their candidates."""
    from scipy.optimize import minimize

    features, longer = candidates.features, candidates.length[:, None]
    n, _, n_features = features.shape

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(2, n_features).astype(np.float32)
        scores = np.matmul(features, (weights[0] + longer * weights[1])[:, :, None])[..., 0]  # (n, c)
        scores -= scores.max(axis=1, keepdims=True)
        surplus = np.exp(scores)
        surplus /= surplus.sum(axis=1, keepdims=True)
        value = -np.log(np.maximum(surplus[:, 0], 1e-12)).sum() + 0.5 * ridge * float((flat**2).sum())
        surplus[:, 0] -= 1.0
        slope = np.matmul(surplus[:, None, :], features)[:, 0]  # (n, n_features)
        gradient = np.stack([slope.sum(axis=0), (slope * longer).sum(axis=0)]).astype(np.float64).ravel()
        return float(value) / max(n, 1), (gradient + ridge * flat) / max(n, 1)

    found = minimize(loss, np.zeros(2 * n_features), jac=True, method="L-BFGS-B", options={"maxiter": 100})
    names = tuple(signal.name for signal in signals)
    return Blend(names, found.x.reshape(2, n_features).astype(np.float32))
