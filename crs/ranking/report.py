"""What a contest measured, as figures for a record and as lines for a reader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from crs.ranking.contest import OURS, Outcome, learned_weights
from crs.ranking.data import RankingData
from crs.ranking.metrics import (
    CUTOFFS,
    by_length,
    by_popularity,
    coverage,
    figures_of,
    grouped,
    interval,
    novelty,
)
from crs.ranking.pairs import n_buyers

SHOWN = ("HR@10", "NDCG@10")  # with intervals


def figures(data: RankingData, outcome: Outcome) -> dict[str, Any]:
    """``dataset``, ``n``, ``systems`` with every metric, ``differences`` of ours to each baseline, groups."""
    queries, sequences = data.test.queries, data.test.sequences
    buyers = n_buyers(sequences, data.n_items)
    values = {name: figures_of(answers.ranks) for name, answers in outcome.answers.items()}
    systems: dict[str, dict[str, Any]] = {}
    for name, answers in outcome.answers.items():
        listed = answers.listed[:, :10]
        systems[name] = {metric: float(each.mean()) for metric, each in values[name].items()}
        systems[name] |= {
            "coverage@10": coverage(listed, data.n_items),
            "novelty@10": novelty(listed, buyers, len(sequences)),
            "hides owned": name in outcome.hiding,
        }
        for metric in SHOWN:
            systems[name][f"{metric} 95%"] = interval(values[name][metric], queries.users)
    differences = {
        name: {
            metric: {
                "difference": float((values[OURS][metric] - values[name][metric]).mean()),
                "95%": interval(values[OURS][metric] - values[name][metric], queries.users),
            }
            for metric in SHOWN
        }
        for name in values
        if name != OURS
    }
    groups = {"history length": by_length(queries), "target's buyers": by_popularity(queries, buyers)}
    return {
        "dataset": data.name,
        "n": len(queries),
        "systems": systems,
        "differences": differences,
        "groups": {
            what: {name: grouped(values[name], chosen) for name in values} for what, chosen in groups.items()
        },
        "ablation on valid": outcome.ablation,
        "weights": learned_weights(outcome.blend, outcome.families),
        "chosen on valid": {
            "fused epochs": outcome.fused_epochs,
            "SASRec epochs": outcome.sasrec_epochs,
            **{f"BPR {key}": value for key, value in asdict(outcome.bpr).items()},
        },
        "processor seconds": outcome.seconds,
        "test pairs in training": data.test.leaked() + data.valid.leaked(),
    }


def table(report: Mapping[str, Any]) -> Iterator[str]:
    """The systems, one a line, and how far ours is ahead."""
    metrics = [f"{metric}@{k}" for metric in ("HR", "NDCG", "MRR") for k in CUTOFFS]
    yield f"{report['dataset']}: {report['n']} test rows, all items ranked"
    yield "\t".join(["system", *metrics, "coverage@10", "novelty@10"])
    for name, system in report["systems"].items():
        cells = [f"{system[metric]:.4f}" for metric in (*metrics, "coverage@10")]
        yield "\t".join([name, *cells, f"{system['novelty@10']:.2f}"])
    for name, each in report["differences"].items():
        gain = each["NDCG@10"]
        low, high = gain["95%"]
        yield f"{OURS} less {name}, NDCG@10\t{gain['difference']:+.4f}\t{low:+.4f} to {high:+.4f}"
