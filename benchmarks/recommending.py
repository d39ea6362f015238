"""How long a recommendation takes, over catalogues of 27,000 and 360,000 items (those of the REGEN paper).

python -m benchmarks.recommending      (promised, one thread, warm: 15 ms and 80 ms, medians)

The catalogues are made up: items in 300 themes that their content, factors and ties follow, brands, colors,
departments and prices drawn at random. People own ten items each; every other wish has filters. The ranker
has as many signals as a fitted one, all weighing alike; what reads as the narrator does has random weights.
Beside it: what is paid once, at opening and for the first answer, how much of the list the shortlist keeps,
and what WALS and its fold-in take.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.measuring import resident_mb, told
from crs.adapter import SoftTokens, build_adapter
from crs.cf import fit_wals, fold_in, gram
from crs.evaluation.record import write_record
from crs.ranking import shortlist
from crs.ranking.blend import even_blend
from crs.ranking.links import N_LINKS, Links
from crs.ranking.next_item import CONFIG, ItemRows, NextItem
from crs.ranking.ranker import Ranker
from crs.ranking.sequential import build_layers
from crs.ranking.signals import Again, Family, Nearness, Prior, Signal, Wals
from crs.recommender import Recommender
from knowledge.types import Constraints, Interaction, Item

OUT = Path("benchmarks/results/recommending.json")
SIZES = (27_000, 360_000)
N_USERS, N_OWNED, N_ASKED, N_COMPARED = 20_000, 10, 60, 10
N_THEMES = 300
TIES: tuple[Family, ...] = ("cf",) * 3 + ("graph",) + ("neighbours",) * 4 + ("content",) * 2
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
    kept = _kept(bundle, recommender, [_some(random, n_items) for _ in range(N_COMPARED)])
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
        "of_the_exact_list": kept,
        "wals_one_iteration_s": round(wals_s, 2),
        **told("fold_in_ms", folds),
        "making_it_up_s": round(made_s, 1),
        "memory_mb": resident_mb(),
    }


def _kept(bundle: Any, recommender: Recommender, people: list[list[int]]) -> float:
    """The share of the first ten that are the same without a shortlist."""
    few, shortlist.FEW = shortlist.FEW, len(bundle.item_content)
    exact = [_listed(recommender, owned) for owned in people]
    shortlist.FEW = few
    same = [
        len(set(_listed(recommender, owned)) & set(wanted))
        for owned, wanted in zip(people, exact, strict=True)
    ]
    return round(sum(same) / sum(map(len, exact)), 3)


def _listed(recommender: Recommender, owned: list[int]) -> list[str]:
    history = [Interaction("someone", f"i{row}", when) for when, row in enumerate(owned)]
    return [each.item.item_id for each in recommender.recommend(history, k=10)]


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
    themes = random.integers(N_THEMES, size=n_items)
    content = _around(random.standard_normal((N_THEMES, 384), dtype=np.float32)[themes], 1.0, random)
    factors = _around(random.standard_normal((N_THEMES, 128), dtype=np.float32)[themes], 1.0, random)
    buyers = np.asarray(bought.sum(axis=0), dtype=np.float32).ravel()
    return SimpleNamespace(
        store=SimpleNamespace(
            items=items, item_index={f"i{n}": n for n in range(n_items)}, user_items=lambda: bought
        ),
        item_factors=factors,
        item_content=content,
        ranker=_ranker(themes, content, factors, buyers, random),
    )


def _around(centers: np.ndarray, noise: float, random: np.random.Generator) -> np.ndarray:
    """Unit rows, each ``noise`` times as far from its center as that is from nothing."""
    rows = centers + noise * random.standard_normal(centers.shape, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _ranker(
    themes: np.ndarray,
    content: np.ndarray,
    factors: np.ndarray,
    buyers: np.ndarray,
    random: np.random.Generator,
) -> Ranker:
    """Signals as a fitted ranker has them; ties are to items of the same theme."""
    signals = [
        Signal("wals", "cf", Wals(factors)),
        Signal("content", "content", Nearness(content, 0.7)),
        Signal("content nearest", "content", Nearness(content, 0.9, best=True)),
        Signal("popular", "popularity", Prior(buyers)),
        Signal("recent", "popularity", Prior(random.permutation(buyers))),
        *(Signal(name, "repeat", Again(np.zeros(len(content), np.float32), 0.7))
          for name in ("owned", "bought lately", "bought again")),
    ]  # fmt: skip
    by_theme = np.argsort(themes, kind="stable")
    starts, sizes = np.searchsorted(themes[by_theme], themes), np.bincount(themes)[themes]
    for at, family in enumerate(TIES):
        drawn = (random.random((len(themes), N_LINKS), dtype=np.float32) * sizes[:, None]).astype(np.int64)
        ids = by_theme[starts[:, None] + drawn].astype(np.int32)
        weights = -np.sort(-random.random(ids.shape, dtype=np.float32), axis=1)
        signals.append(Signal(f"ties {at}", family, Links(ids, weights, 0.7)))
    signals.append(Signal("sequence", "sequence", _next_item(ItemRows(factors, content), buyers, random)))
    return Ranker(signals, even_blend(signals))


def _next_item(rows: ItemRows, buyers: np.ndarray, random: np.random.Generator) -> NextItem:
    """As much work as a trained one, over an adapter of the embedded narrator's size."""
    import torch

    soft_tokens = SoftTokens(build_adapter("mlp", 256), np.zeros((51, 256), np.float32))
    layers = build_layers(CONFIG.width, input_scale=torch.ones(soft_tokens.n_hidden)).eval()
    table = random.standard_normal((len(buyers), CONFIG.width), dtype=np.float32)
    return NextItem(soft_tokens, rows, layers, table, np.log1p(buyers), 0)


def _ms(recommender: Recommender, owned: list[int], turn: int) -> float:
    history = [Interaction("someone", f"i{row}", when) for when, row in enumerate(owned)]
    wish = Constraints(max_price=40.0, not_brands=BRANDS[:3], colors=COLORS[:6]) if turn % 2 else None
    started = time.perf_counter()
    recommender.recommend(history, wish, k=10)
    return (time.perf_counter() - started) * 1e3


if __name__ == "__main__":
    main()
