"""The rows that a model may see: factors of the fold's own CF, content, both, or one of them muted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crs.cf import fit_wals, fold_in, gram
from crs.content import CONTENT_DIM, KeptEncoder, TextEncoder
from crs.evaluation.narratives.benchmark import PERSON, Benchmark, Fold, content_text
from crs.fusion import mean_norm
from crs.rows import purchase_rows
from knowledge.types import Interaction, Signals

if TYPE_CHECKING:
    from crs.training.examples import Shelf

Progress = Callable[[str, int, int], None]  # stage, done, total


@dataclass(frozen=True)
class Content:
    """Content rows of a benchmark: the same for all folds and models."""

    items: NDArray[np.float32]  # (n_items, 384), zero where nothing is known
    purchases: dict[str, NDArray[np.float16]]  # user -> (n_history, 384)
    histories: dict[str, list[Interaction]]


def encode_content(
    benchmark: Benchmark, encoder: TextEncoder, cache_dir: Path, progress: Progress
) -> Content:
    """Encode items and purchases of the people with references; kept in ``cache_dir``."""
    store = benchmark.store
    texts = [content_text(item) for item in store.items.values()]
    known = [row for row, text in enumerate(texts) if text]
    items = np.zeros((len(texts), CONTENT_DIM), dtype=np.float32)
    kept = KeptEncoder(encoder, cache_dir)
    items[known] = kept.encode([texts[row] for row in known], lambda *at: progress("content of items", *at))
    histories = {user_id: store.history(user_id) for user_id in benchmark.people()}
    reviewed = [
        user_id for user_id, history in histories.items() if any(p.review or p.review_title for p in history)
    ]
    rows = purchase_rows(
        store, encoder, cache_dir, lambda *at: progress("content of purchases", *at), users=reviewed
    )
    purchases = {
        user_id: rows.get(user_id, items[[store.item_index[p.item_id] for p in history]].astype(np.float16))
        for user_id, history in histories.items()
    }
    return Content(items, purchases, histories)


def fold_factors(benchmark: Benchmark, fold: Fold, seed: int) -> NDArray[np.float32]:
    """CF rows of the fold, float32 (n_items, 128), over the mean norm of the items that were ever taken.

    The row that stands for a person is the factor of that person, folded in from their history.
    """
    user_items = benchmark.purchases(fold)
    factors = fit_wals(user_items, seed=seed)
    taken = np.asarray(user_items.sum(axis=0)).ravel() > 0
    factors[~taken] = 0.0  # what nobody took was drawn at random and never solved for
    factors /= mean_norm(factors[taken])
    shared = gram(factors)
    row_of = {user_id: row for row, user_id in enumerate(benchmark.store.user_ids)}
    for place, item_id in enumerate(benchmark.store.item_ids):
        if item_id.startswith(PERSON):
            owned = user_items[row_of[item_id.removeprefix(PERSON)]].indices
            factors[place] = fold_in(factors, owned, shared=shared)
    return factors


def seen(shelf: Shelf, signals: Signals) -> Shelf:
    """``shelf`` with the rows of the other signal set to zero."""
    if signals == "cf":
        nothing = {user_id: np.zeros_like(rows) for user_id, rows in shelf.purchase_content.items()}
        return replace(shelf, purchase_content=nothing, item_content=np.zeros_like(shelf.item_content))
    if signals == "content":
        return replace(shelf, item_cf=np.zeros_like(shelf.item_cf))
    return shelf


def summaries(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Unit rows (n, d): the mean of each array (m, d), zero where there is nothing."""
    means = np.stack([each.sum(axis=0) / max(1, len(each)) for each in rows])
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(means / np.maximum(lengths, 1e-9), dtype=np.float32)
