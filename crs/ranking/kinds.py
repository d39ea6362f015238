"""Kinds of products: what kind is bought after what kind, lent to their items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from crs.ranking.data import Rows
from crs.ranking.pairs import follows, n_buyers
from knowledge.types import Item

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

N_KINDS = 20  # kinds that a kind is tied to


def kind_of(item: Item) -> str:
    """What the product is, as listed or as its title tells; "" where neither does."""
    return (item.kind or item.noun).lower()


def kind_ties(
    sequences: Sequence[Rows], items: Sequence[Item], *, back: float, power: float
) -> csr_matrix | None:
    """Ties by kind, float32 (n_items, n_items): of an item to those of the kinds bought after its own.

    ``back``: weight of a kind that was bought before; a tie is over the purchases of the kind that it
    comes from, and of the kind that it goes to, to the ``power``. Within a kind it goes by the number of
    buyers. None where no item tells its kind.
    """
    from scipy.sparse import csr_matrix, diags

    names, of_item = np.unique([kind_of(item) for item in items], return_inverse=True)
    if names.tolist() == [""]:
        return None
    known = (names != "").astype(np.float32)
    of_kinds = [of_item[sequence] for sequence in sequences]
    after = follows(of_kinds, len(names), window=10, decay=0.7)
    bought = np.bincount(np.concatenate([*of_kinds, np.empty(0, np.int64)]), minlength=len(names)) + 1.0
    ties = (after + back * after.T).toarray() * (known[:, None] * known)
    ties /= bought[:, None] * bought**power
    weakest = np.sort(ties, axis=1)[:, -min(N_KINDS, len(names)), None]
    ties[ties < weakest] = 0.0
    owner = csr_matrix((np.ones(len(items), np.float32), (np.arange(len(items)), of_item)))
    buyers = n_buyers(sequences, len(items)) + 1.0
    lent = owner.T @ diags(buyers / np.bincount(of_item, weights=buyers)[of_item])
    return (owner @ csr_matrix(ties) @ lent).tocsr().astype(np.float32)
