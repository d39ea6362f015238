"""How long a recommendation takes, over catalogues of 27,000 and 360,000 items (those of the REGEN paper).

python -m benchmarks.recommending      (promised, one thread, warm: 15 ms and 80 ms, medians)

The catalogues are made up: random factors and content, co-occurrence from random histories, brands, colors,
departments and prices drawn at random. People own ten items each; every other wish has filters. Beside
it: what is paid once, at opening and for the first answer, and what WALS and its fold-in take.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from crs.neighbours import find_neighbours

from benchmarks.measuring import resident_mb, told
from crs.cf import fit_wals, fold_in, gram
from crs.evaluation.record import write_record
from crs.recommender import Recommender
from knowledge.types import Constraints, Interaction, Item

OUT = Path("benchmarks/results/recommending.json")
SIZES = (27_000, 360_000)
N_USERS, N_OWNED, N_ASKED = 20_000, 10, 60
BRANDS = tuple(f"brand {n}" for n in range(200))
COLORS = tuple(f"color {n}" for n in range(20))
DEPARTMENTS = tuple(f"department {n}" for n in range(12))


class _Encoder:
    """Words as random vectors: what encoding costs is measured elsewhere."""

    def encode(self, texts: list[str], progress: object = None) -> np.ndarray:
        rows = np.random.default_rng(len(texts[0])).normal(size=(len(texts), 384)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main() -> None:
    """Measure each size and write the record."""
    figures = {f"{n:,} items": _measure(n) for n in SIZES}
    write_record(OUT, {"threads": 1, "owned": N_OWNED, "users": N_USERS, "asked": N_ASKED}, figures)
    for size, table in figures.items():
        for name, value in table.items():
            print(size, name, value, sep="\t")


def _measure(n_items: int) -> dict[str, Any]:
    random = np.random.default_rng(0)
    sequences = [_some(random, n_items) for _ in range(N_USERS)]
    started = time.perf_counter()
    bundle = _bundle(n_items, sequences, random)
    made_s = time.perf_counter() - started
    started = time.perf_counter()
    recommender = Recommender(bundle, _Encoder())
    opened_ms = (time.perf_counter() - started) * 1e3
    waits = [_ms(recommender, _some(random, n_items), turn) for turn in range(N_ASKED)]
    started = time.perf_counter()
    fit_wals(bundle.store.user_items(), iterations=1)
    wals_s = time.perf_counter() - started
    factors, shared = bundle.item_factors, gram(bundle.item_factors)
    folds = []
    for _ in range(N_ASKED):
        owned = _some(random, n_items)
        started = time.perf_counter()
        fold_in(factors, owned, shared=shared)
        folds.append((time.perf_counter() - started) * 1e3)
    return {
        "opening_ms": round(opened_ms),
        "first_ms": round(waits[0], 1),
        **told("warm_ms", waits[2::2]),
        **told("warm_with_filters_ms", waits[3::2]),
        "wals_one_iteration_s": round(wals_s, 2),
        **told("fold_in_ms", folds),
        "making_it_up_s": round(made_s, 1),
        "memory_mb": resident_mb(),
    }


def _some(random: np.random.Generator, n_items: int) -> list[int]:
    """Rows of a person's items; some items are bought far more than others."""
    return (n_items * random.random(N_OWNED) ** 3).astype(int).tolist()


def _bundle(n_items: int, sequences: list[list[int]], random: np.random.Generator) -> Any:
    """As much of a bundle as a recommender reads."""
    from scipy.sparse import csr_matrix

    items = {
        f"i{n}": Item(
            f"i{n}", f"thing {n}", brand=BRANDS[n % len(BRANDS)], price=float(n % 97) + 0.99,
            department=DEPARTMENTS[n % len(DEPARTMENTS)], attributes={"color": COLORS[n % len(COLORS)]},
        )
        for n in range(n_items)
    }  # fmt: skip
    rows = np.repeat(np.arange(len(sequences)), N_OWNED)
    bought = csr_matrix(
        (np.ones(len(rows), np.float32), (rows, np.concatenate(sequences))), shape=(len(sequences), n_items)
    )
    content = random.standard_normal((n_items, 384), dtype=np.float32)
    content /= np.linalg.norm(content, axis=1, keepdims=True)
    return SimpleNamespace(
        store=SimpleNamespace(
            items=items, item_index={f"i{n}": n for n in range(n_items)}, user_items=lambda: bought
        ),
        item_factors=0.1 * random.standard_normal((n_items, 128), dtype=np.float32),
        item_content=content,
        neighbours=find_neighbours(sequences, n_items),
        signals="fused",
    )


def _ms(recommender: Recommender, owned: list[int], turn: int) -> float:
    history = [Interaction("someone", f"i{row}", when) for when, row in enumerate(owned)]
    wish = Constraints(max_price=40.0, not_brands=BRANDS[:3], colors=COLORS[:6]) if turn % 2 else None
    started = time.perf_counter()
    recommender.recommend(history, wish, k=10)
    return (time.perf_counter() - started) * 1e3


if __name__ == "__main__":
    main()
