"""Collaborative filtering: who bought what, as vectors (WALS, Hu, Koren and Volinsky 2008).

Only item factors are kept. A user's factor is solved from the items they own (`fold_in`), so people
who came after the fit are treated exactly like those who were there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

N_FACTORS = 128
CONFIDENCE = 10.0  # weight of an observed purchase; an unobserved pair weighs 1
REGULARIZATION = 5.0  # added to the diagonal of every normal equation
ITERATIONS = 15


def fit_wals(
    user_items: csr_matrix,
    *,
    n_factors: int = N_FACTORS,
    seed: int = 0,
    iterations: int = ITERATIONS,
    start: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Item factors, float32 (n_items, n_factors), from ``user_items`` (n_users, n_items).

    Values of ``user_items`` are counts (1.0 a purchase); each is weighted by ``CONFIDENCE``. The same
    seed and input give the same factors: one thread. ``start`` (n_items, n_factors) goes on from earlier
    factors and so stays in their space, which a narrator trained on them needs.
    ``progress(done, total)`` is called after each iteration.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # implicit threads by itself; both is slower
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=n_factors,
        regularization=REGULARIZATION,
        alpha=CONFIDENCE,
        iterations=iterations,
        num_threads=1,
        random_state=seed,
    )
    if start is not None:
        model.item_factors = start.astype(np.float32)  # a copy: the fit writes into it
    callback = (lambda i, _seconds, _loss: progress(i + 1, iterations)) if progress else None
    model.fit(user_items, show_progress=False, callback=callback)
    return np.asarray(model.item_factors, dtype=np.float32)


def fit_bpr(
    user_items: csr_matrix,
    *,
    n_factors: int,
    learning_rate: float,
    regularization: float,
    iterations: int,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """BPR (Rendle et al. 2009): factors of users and items, float32, whose products rank; biases included.

    Only a baseline to measure against: newcomers cannot be folded in.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=n_factors, learning_rate=learning_rate, regularization=regularization,
        iterations=iterations, num_threads=1, random_state=seed,
    )  # fmt: skip
    model.fit(user_items, show_progress=False)
    return np.asarray(model.user_factors, np.float32), np.asarray(model.item_factors, np.float32)


def turned(factors: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """``factors`` (n, f) turned as a whole to lie as near as can be to ``towards`` (n, f), float32.

    Orthogonal Procrustes (Schönemann 1966). Turning changes no product of two factors, so to WALS both are
    the same; to a narrator that was trained on the others only what is turned means something.
    """
    left, _, right = np.linalg.svd(factors.T.astype(np.float64) @ towards.astype(np.float64))
    return np.asarray(factors @ (left @ right), dtype=np.float32)


def gram(item_factors: np.ndarray) -> np.ndarray:
    """Y'Y + regularisation, float64 (n_factors, n_factors): the part of `fold_in` all users share."""
    factors = item_factors.astype(np.float64)
    shared: np.ndarray = factors.T @ factors + REGULARIZATION * np.eye(factors.shape[1])
    return shared


def fold_in(
    item_factors: np.ndarray, item_rows: Sequence[int], *, shared: np.ndarray | None = None
) -> np.ndarray:
    """User factor, float32 (n_factors,), of someone who owns the items at ``item_rows``.

    Closed form of Hu et al., equation 4: ``(Y'Y + Y'(C - I)Y + r I)^-1 Y'C p``. An item given twice
    weighs twice. ``shared`` is `gram(item_factors)` where it was computed before. Without items: zeros.
    """
    if not len(item_rows):
        return np.zeros(item_factors.shape[1], dtype=np.float32)
    rows, counts = np.unique(np.asarray(item_rows), return_counts=True)
    owned = item_factors[rows].astype(np.float64)  # (n, f)
    confidence = CONFIDENCE * counts
    normal = (gram(item_factors) if shared is None else shared) + (owned.T * (confidence - 1.0)) @ owned
    return np.linalg.solve(normal, owned.T @ confidence).astype(np.float32)
