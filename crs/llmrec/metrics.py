"""Ten items a user, and how many of those that were held out are among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

CUTOFF = 10
_USERS_AT_ONCE = 512


def top_items(
    user_vectors: np.ndarray,
    item_vectors: np.ndarray,
    *,
    hidden: csr_matrix,
    candidates: csr_matrix | None = None,
) -> np.ndarray:
    """The ten items of the highest dot product, int64 (n_users, 10), best first.

    ``hidden`` (n_users, n_items): items that are not recommended, for the user has them. ``candidates``, of
    the same shape: only these are. A user needs ten that may be recommended.
    """
    found = []
    for start in range(0, len(user_vectors), _USERS_AT_ONCE):
        chosen = slice(start, start + _USERS_AT_ONCE)
        scores = user_vectors[chosen] @ item_vectors.T  # (b, n_items)
        among = None if candidates is None else candidates[chosen]
        found.append(best_allowed(scores, hidden[chosen], among))
    return np.concatenate(found)


def best_allowed(scores: np.ndarray, hidden: csr_matrix, candidates: csr_matrix | None = None) -> np.ndarray:
    """The ten items of the highest score in each row of ``scores`` (b, n_items), int64 (b, 10), best first.

    ``hidden`` and ``candidates`` (b, n_items) as in `top_items`.
    """
    import torch

    may = np.ones(scores.shape, dtype=bool) if candidates is None else np.asarray(candidates.toarray() > 0)
    may[hidden.nonzero()] = False
    allowed = torch.from_numpy(np.where(may, scores, -np.inf))
    return np.asarray(torch.topk(allowed, CUTOFF, dim=1).indices.numpy())


def ranking_metrics(top: np.ndarray, held_out: csr_matrix) -> dict[str, float]:
    """NDCG, precision and recall at 10 of ``top`` (n_users, 10), the mean over users with held-out items.

    NDCG with binary gain and log2 discount (Jarvelin and Kekalainen 2002), its ideal cut at ten as well.
    """
    hits = np.stack([np.isin(row, held_out[user].indices) for user, row in enumerate(top)])  # (n_users, 10)
    n_held_out = np.diff(held_out.indptr)
    asked = n_held_out > 0
    discounts = 1.0 / np.log2(np.arange(2, CUTOFF + 2))
    ideal = np.cumsum(discounts)[np.clip(n_held_out, 1, CUTOFF) - 1]
    n_hits = hits.sum(axis=1)
    return {
        "ndcg@10": float(((hits @ discounts) / ideal)[asked].mean()),
        "precision@10": float((n_hits / CUTOFF)[asked].mean()),
        "recall@10": float((n_hits / np.maximum(n_held_out, 1))[asked].mean()),
    }
