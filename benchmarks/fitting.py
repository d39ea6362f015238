"""How long WALS takes to fit, and to fold a person in, and how either grows.

python -m benchmarks.fitting

Purchases are made up as in `benchmarks.recommending`: ten a person, some items bought far more than others.
Fits and folds of all sizes take turns; doubling what is fitted is told beside what it costs.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.measuring import told
from crs.cf import ITERATIONS, fit_wals, fold_in, gram
from crs.evaluation.record import write_record

OUT = Path("benchmarks/results/fitting.json")
N_ITEMS = 27_000
USERS = (5_000, 10_000, 20_000, 40_000)
N_OWNED = 10
OWNED = (1, 10, 50, 200)
FIT_ROUNDS, FOLD_ROUNDS = 3, 100


def main() -> None:
    """Measure both and write the record."""
    fits, factors = fitted(USERS, N_ITEMS)
    figures = {"fit of WALS": fits, "fold-in": folded(OWNED, factors)}
    config = {"threads": 1, "items": N_ITEMS, "purchases a person": N_OWNED, "iterations": ITERATIONS}
    write_record(OUT, config, figures)
    for part, table in figures.items():
        for name, values in table.items():
            print(part, name, *(f"{key} {value}" for key, value in values.items()), sep="\t")


def fitted(
    users: tuple[int, ...], n_items: int, n_rounds: int = FIT_ROUNDS
) -> tuple[dict[str, Any], np.ndarray]:
    """Seconds of a fit by purchases, each against the size before it; and the last factors."""
    from scipy.sparse import csr_matrix

    random = np.random.default_rng(0)
    matrices = []
    for n in users:
        items = (n_items * random.random(n * N_OWNED) ** 3).astype(int)
        rows = np.repeat(np.arange(n), N_OWNED)
        matrices.append(csr_matrix((np.ones(len(rows), np.float32), (rows, items)), shape=(n, n_items)))
    seconds: list[list[float]] = [[] for _ in users]
    factors = np.zeros((0, 0), dtype=np.float32)
    for _ in range(n_rounds):
        for taken, matrix in zip(seconds, matrices, strict=True):
            started = time.process_time()
            factors = fit_wals(matrix)
            taken.append(time.process_time() - started)
    return _growth([f"{n * N_OWNED:,} purchases" for n in users], "seconds", seconds), factors


def folded(owned: tuple[int, ...], factors: np.ndarray, n_rounds: int = FOLD_ROUNDS) -> dict[str, Any]:
    """Milliseconds to fold a person in by what they own, each against the size before it."""
    random = np.random.default_rng(1)
    shared = gram(factors)
    ms: list[list[float]] = [[] for _ in owned]
    for _ in range(n_rounds):
        for taken, n in zip(ms, owned, strict=True):
            rows = random.integers(len(factors), size=n).tolist()
            started = time.process_time()
            fold_in(factors, rows, shared=shared)
            taken.append((time.process_time() - started) * 1e3)
    return _growth([f"{n} owned" for n in owned], "ms", ms)


def _growth(names: list[str], unit: str, taken: list[list[float]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for at, (name, values) in enumerate(zip(names, taken, strict=True)):
        before = median(taken[at - 1]) if at else None
        grown = "" if before is None else float(f"{median(values) / before:.3g}")
        table[name] = {**told(unit, values), "times the one before": grown}
    return table


if __name__ == "__main__":
    main()
