"""A catalogue whose taste is in the summaries alone: two circles, and listings that do not tell which."""

from __future__ import annotations

import numpy as np

from crs.llmrec.catalogue import Catalogue

CIRCLES = ("kitchen cooking oven", "garden planting soil")
N_ITEMS, N_USERS = 60, 80


def planted_catalogue() -> Catalogue:
    """Users take ten items, nearly all of one circle; only the summaries name it."""
    rng = np.random.default_rng(1)
    pairs = []
    for user in range(N_USERS):
        own = np.arange(N_ITEMS) % 2 == user % 2
        likelihood = np.where(own, 20.0, 1.0)
        taken = rng.choice(N_ITEMS, size=10, replace=False, p=likelihood / likelihood.sum())
        pairs += [(user, item) for item in sorted(taken)]
    names = tuple(f"thing{row} (19{row:02d})" for row in range(N_ITEMS))
    return Catalogue(
        name="planted",
        item_ids=tuple(f"i{row}" for row in range(N_ITEMS)),
        titles=names,
        texts=tuple(f"plain{row % 7}" for row in range(N_ITEMS)),
        summaries=tuple(f"{CIRCLES[row % 2]} {row % 7}" for row in range(N_ITEMS)),
        pairs=np.array(pairs),
        n_users=N_USERS,
    )
