"""CF and content side by side in one row, on one scale (REGEN, section 4: expected-norm normalisation)."""

from __future__ import annotations

import numpy as np

from crs.cf import N_FACTORS
from crs.content import CONTENT_DIM
from knowledge.types import Signals

FUSED_DIM = N_FACTORS + CONTENT_DIM


def mean_norm(item_factors: np.ndarray) -> float:
    """Mean length of the item factors (n_items, n_factors); 1.0 when all of them are zero."""
    norm = float(np.linalg.norm(item_factors, axis=1).mean()) if len(item_factors) else 0.0
    return norm if norm > 0 else 1.0


def fuse(cf: np.ndarray, content: np.ndarray, norm: float) -> np.ndarray:
    """Rows float32 (n, 128 + 384): ``cf`` (n, 128) over ``norm``, then ``content`` (n, 384), unit rows.

    Dividing by the *mean* norm gives CF the expected length of a content row and keeps what the
    length of a single factor says: how much is known of that item.
    """
    return np.concatenate([cf / norm, content], axis=1).astype(np.float32)


def mute(rows: np.ndarray, signals: Signals) -> np.ndarray:
    """A copy of ``rows`` (n, 512) with the signal that is not in ``signals`` set to zero."""
    muted = rows.copy()
    if signals == "cf":
        muted[:, N_FACTORS:] = 0.0
    elif signals == "content":
        muted[:, :N_FACTORS] = 0.0
    return muted
