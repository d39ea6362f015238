"""The ranker and its baselines on one data set: tuned on the valid fold, then fitted anew and asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from crs.cf import fit_wals
from crs.content import TextEncoder, item_text
from crs.fusion import fuse, mean_norm
from crs.ranking.ablation import ablation
from crs.ranking.baselines import (
    Answers,
    BprConfig,
    ByHistory,
    Hiding,
    answer,
    fit_baselines,
    ndcg,
    watched,
)
from crs.ranking.blend import Blend, candidates_of, fit_blend
from crs.ranking.data import Fold, RankingData, owned_matrix
from crs.ranking.ranker import Ranker
from crs.ranking.sequential import SequentialConfig, SequentialScorer, train_scorer
from crs.ranking.signals import Signal, fit_signals

OURS = "fused"

Progress = Callable[[str, int, int], None]  # stage, done, total


@dataclass(frozen=True)
class ContestConfig:
    """How the trained scorers are built: ours over fused rows and SASRec over ids."""

    fused: SequentialConfig = field(default_factory=SequentialConfig)
    sasrec: SequentialConfig = field(default_factory=lambda: SequentialConfig(learning_rate=2e-3))


@dataclass(frozen=True)
class Outcome:
    """Answers by system, ours last, and what was learned on the valid fold.

    ``hiding``: baselines that hide what the history holds, as was better there; ``families`` of the signals;
    ``ablation``: what each family adds; both transformers' epochs, BPR's setting; processor seconds a stage.
    """

    answers: dict[str, Answers]
    hiding: list[str]
    blend: Blend
    families: Mapping[str, str]
    ablation: Mapping[str, Mapping[str, float]]
    fused_epochs: int
    sasrec_epochs: int
    bpr: BprConfig
    seconds: dict[str, float]


def hold_contest(
    data: RankingData, encoder: TextEncoder, config: ContestConfig, *, progress: Progress
) -> Outcome:
    """Fit, tune and measure everything. Encoding is where ``encoder`` keeps it; the rest is done anew."""
    clock = _Clock()
    content = encoder.encode([item_text(item) for item in data.items], _stage(progress, "content of items"))
    clock.lap("content")

    tuned = fit_ranker_signals(
        data, data.valid, content, config.fused, progress=_stage(progress, "valid: fused")
    )
    clock.lap("signals, valid")
    candidates = candidates_of(tuned.signals, data.valid.queries)
    blend = fit_blend(tuned.signals, candidates)
    clock.lap("blend")
    without = ablation(tuned.signals, candidates, _stage(progress, "valid: what each signal adds"))
    clock.lap("ablation")
    final = fit_ranker_signals(
        data, data.test, content, config.fused, epochs=tuned.epochs, progress=_stage(progress, "test: fused")
    )
    clock.lap("signals, test")
    trial = fit_baselines(
        data, data.valid, content, config.sasrec, progress=_stage(progress, "valid: SASRec")
    )
    fitted = fit_baselines(
        data, data.test, content, config.sasrec, chosen=trial,
        progress=_stage(progress, "test: SASRec"),
    )  # fmt: skip
    clock.lap("baselines")

    answers, hiding = {}, []
    asked = watched(data.valid.queries)
    for name, system in fitted.systems.items():
        if ndcg(Hiding(trial.systems[name]), asked) > ndcg(trial.systems[name], asked):
            hiding.append(name)
        chosen = Hiding(system) if name in hiding else system
        answers[name] = answer(chosen, data.test.queries, _stage(progress, f"asking {name}"))
    ours = ByHistory(Ranker(final.signals, blend))
    answers[OURS] = answer(ours, data.test.queries, _stage(progress, f"asking {OURS}"))
    clock.lap("asking")
    families = {signal.name: signal.family for signal in final.signals}
    return Outcome(
        answers, hiding, blend, families, without,
        tuned.epochs, trial.sasrec_epochs, fitted.bpr, clock.seconds,
    )  # fmt: skip


@dataclass(frozen=True)
class FittedSignals:
    """Signals of one fold, the sequential one last; the ``epochs`` that it was trained for."""

    signals: list[Signal]
    epochs: int


def fit_ranker_signals(
    data: RankingData,
    fold: Fold,
    content: NDArray[np.float32],
    config: SequentialConfig,
    *,
    epochs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FittedSignals:
    """All signals of the ranker on a fold, from unit ``content`` (n_items, 384).

    Without ``epochs`` the fold's queries choose them. ``progress(epoch, of)`` follows the sequential signal.
    """
    factors = fit_wals(owned_matrix(fold.sequences, data.n_items))
    signals = fit_signals(fold.sequences, data.items, content, ordered=data.ordered, factors=factors)
    rows = fuse(factors, content, mean_norm(factors))
    scorer: SequentialScorer = train_scorer(
        fold.sequences, rows, config,
        watched=watched(fold.queries), epochs=epochs, ordered=data.ordered, progress=progress,
    )  # fmt: skip
    return FittedSignals([*signals, Signal("sequence", "sequence", scorer)], scorer.epochs)


class _Clock:
    def __init__(self) -> None:
        self._last = time.process_time()
        self.seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = time.process_time()
        self.seconds[stage] = round(now - self._last, 1)
        self._last = now


def _stage(progress: Progress, stage: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(stage, done, total)


def learned_weights(blend: Blend, families: Mapping[str, str]) -> dict[str, dict[str, float | str]]:
    """The plain weights of each signal: of its share of the best and of that share's logarithm."""
    return {
        name: {
            "told as": families[name],
            "share": float(blend.weights[0, 2 * at]),
            "logarithm": float(blend.weights[0, 2 * at + 1]),
        }
        for at, name in enumerate(blend.names)
    }
