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
    import torch

    found = []
    for start in range(0, len(user_vectors), _USERS_AT_ONCE):
        chosen = slice(start, start + _USERS_AT_ONCE)
        scores = user_vectors[chosen] @ item_vectors.T  # (b, n_items)
        scores[hidden[chosen].nonzero()] = -np.inf
        if candidates is not None:
            allowed = candidates[chosen].nonzero()
            among = np.full_like(scores, -np.inf)
            among[allowed] = scores[allowed]
            scores = among
        found.append(torch.topk(torch.from_numpy(scores), CUTOFF, dim=1).indices.numpy())
    return np.concatenate(found)


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
