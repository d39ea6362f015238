"""How long and how wide the students of a benchmark are: small, for nine of them share one processor."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from crs.evaluation.narratives.benchmark import N_FOLDS, Benchmark
from crs.evaluation.narratives.contest import Telling, Training

_SHAPE = {"hidden": 256, "n_layers": 4, "n_heads": 4, "n_kv_heads": 2, "ff": 768}
POSITIONS, POSITIONS_OF_FEW = 500_000, 60_000
_SETTINGS = {"batch_positions": 1024}  # many small steps: the whole run is short
N_SAMPLES, N_SAMPLES_OF_FEW = 4, 1  # beside neighbours a student of few texts has little to add
N_OF_A_STORE = 150  # test texts of each task and fold
N_NEIGHBOURS = 48  # where texts are few; those of a store name its purchases, and are not another's to borrow


def plan_for(
    benchmark: Benchmark, *, positions: int | None, n_per_task: int | None, n_samples: int | None
) -> tuple[Training, Telling]:
    """The plan for ``benchmark``; what is given goes before what suits its size."""
    own: dict[str, float]
    if benchmark.quoting:
        own = {"n_positions": positions or POSITIONS}
        n_per_task = n_per_task or N_OF_A_STORE
    else:
        # Few texts, seen many times over: less practice in reading, for most items are known by id alone.
        own = {"n_positions": positions or POSITIONS_OF_FEW, "reading_share": 0.1}
    n_neighbours = 0 if benchmark.quoting else N_NEIGHBOURS
    n_samples = n_samples or (N_SAMPLES if benchmark.quoting else N_SAMPLES_OF_FEW)
    return Training(shape=_SHAPE, settings={**_SETTINGS, **own}), Telling(n_per_task, n_samples, n_neighbours)


def config_of(benchmark: Benchmark, training: Training, telling: Telling) -> dict[str, Any]:
    """What was measured and how, for the report."""
    return {
        "people": len(benchmark.people()),
        "references": len(benchmark.references),
        "folds": f"{N_FOLDS} by person, seeds {', '.join(map(str, range(N_FOLDS)))}",
        "training": asdict(training),
        "telling": asdict(telling),
    }
