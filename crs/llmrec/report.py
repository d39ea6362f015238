"""What the splits came to: means, deviations, gains over the first input, as figures and as lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from crs.llmrec.catalogue import Catalogue
from crs.llmrec.inputs import SHUFFLED
from crs.llmrec.metrics import CUTOFF
from crs.llmrec.splits import N_NEIGHBOURS, N_UNSEEN, RANKINGS, TEST_SHARE, VALID_SHARE
from crs.llmrec.through import Through
from crs.pagerank import DAMPING

_NDCG = f"ndcg@{CUTOFF}"


def summary(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Mean and standard deviation over the splits, and gains in per cent, paired by split.

    Gains are over the first input, and over the control if it is there: wider rows alone make a better tower.
    A gain's interval is Student's, 95 %, over the splits' relative gains; splits share test pairs by chance,
    so it is a little too narrow.
    """
    figures: dict[str, Any] = {}
    for ranking in RANKINGS:
        figures[ranking] = {name: _spread(outcomes, ranking) for name, outcomes in runs.items()}
    first, *others = runs
    for base in (first, *(name for name in others if SHUFFLED in name.split("+"))):
        for ranking in RANKINGS:
            figures[f"{_NDCG} over {base}, {ranking}"] = {
                name: _gain(runs[name], runs[base], ranking) for name in others if name != base
            }
    figures["training"] = {
        name: {
            "epochs": ", ".join(str(outcome["epochs"]) for outcome in outcomes),
            f"validation {_NDCG}": float(np.mean([outcome["valid"] for outcome in outcomes])),
        }
        for name, outcomes in runs.items()
    }
    return figures


def _spread(outcomes: Sequence[Mapping[str, Any]], ranking: str) -> dict[str, float]:
    values: dict[str, float] = {}
    for metric in outcomes[0][ranking]:
        each = np.array([outcome[ranking][metric] for outcome in outcomes])
        values |= {metric: float(each.mean()), f"{metric} sd": _deviation(each)}
    return values


def _gain(
    outcomes: Sequence[Mapping[str, Any]], base: Sequence[Mapping[str, Any]], ranking: str
) -> dict[str, Any]:
    ours, theirs = (np.array([run[ranking][_NDCG] for run in runs]) for runs in (outcomes, base))
    gain = 100.0 * (ours / theirs - 1.0)
    return {
        "gain %": float(gain.mean()),
        "sd": _deviation(gain),
        "interval %": _interval(gain),
        "splits better": f"{int((gain > 0).sum())} of {len(gain)}",
        "each split %": ", ".join(f"{one:.2f}" for one in gain),
    }


def config_of(catalogue: Catalogue, inputs: Sequence[str], through: Through, n_splits: int) -> dict[str, Any]:
    """Everything that a figure depends on and the paper's summary does not tell."""
    return {
        "dataset": catalogue.name,
        "users": catalogue.n_users,
        "items": len(catalogue.item_ids),
        "pairs": len(catalogue.pairs),
        "splits": n_splits,
        "split": f"pairs at random, {VALID_SHARE:.0%} valid, {TEST_SHARE:.0%} test, the number is the seed",
        "inputs": list(inputs),
        "neighbours": f"{N_NEIGHBOURS} by PageRank (damping {DAMPING}) on the split's training pairs",
        "ranked": f"all items that training and validation lack; test items and {N_UNSEEN} items of no part",
        **through.notes,
        through.name: asdict(through.plan),
    }


def table(config: Mapping[str, Any], figures: Mapping[str, Any]) -> Iterator[str]:
    """The configuration and the figures as lines of fields between tabs."""
    for name, value in config.items():
        yield f"{name}\t{value}"
    for part, rows in figures.items():
        yield ""
        columns = list(next(iter(rows.values()), {}))
        yield "\t".join((part, *columns))
        for name, values in rows.items():
            yield "\t".join((name, *(_cell(values[column]) for column in columns)))


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " to ".join(map(_cell, value))
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _deviation(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _interval(values: np.ndarray) -> list[float]:
    from scipy.stats import t

    if len(values) < 2:
        return [float(values.mean())] * 2
    half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return [float(values.mean()) - half, float(values.mean()) + half]
