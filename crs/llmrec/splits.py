"""Deals of the pairs into training, validation and test, and what a deal's training part tells of items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crs.llmrec.catalogue import Catalogue
from crs.llmrec.engagement import important_neighbours
from crs.llmrec.kept import fingerprint, kept_json
from crs.llmrec.metrics import CUTOFF
from knowledge.errors import InputError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

VALID_SHARE = TEST_SHARE = 0.1
N_UNSEEN = 1000  # candidates a user beside the held-out items, in the second ranking
RANKINGS = ("all items", f"among {N_UNSEEN} unseen")
N_NEIGHBOURS = 8

Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much


@dataclass(frozen=True)
class Split:
    """One deal of the pairs, each part (n_users, n_items). ``candidates``: test items and unseen ones."""

    number: int
    train: csr_matrix
    valid: csr_matrix
    test: csr_matrix
    candidates: csr_matrix


def deal(catalogue: Catalogue, number: int) -> Split:
    """The split of that number, which is its seed. Raises InputError when a user has too few unseen items."""
    rng = np.random.default_rng(number)
    order = rng.permutation(len(catalogue.pairs))
    n_test, n_valid = round(TEST_SHARE * len(order)), round(VALID_SHARE * len(order))
    parts = np.split(order, [n_test, n_test + n_valid])
    test, valid, train = (catalogue.matrix(part) for part in parts)
    return Split(number, train, valid, test, _with_unseen(catalogue, test, rng))


def neighbours_of(
    catalogue: Catalogue, split: Split | None, cache: Path, progress: Progress | None = None
) -> list[list[int]]:
    """The `N_NEIGHBOURS` most important items of each item by the training pairs of ``split``, or by all.

    Rows of the catalogue, kept in ``cache`` (engagement.py).
    """
    number = None if split is None else split.number
    path = cache / f"neighbours-{fingerprint(catalogue.fingerprint, number, N_NEIGHBOURS)}.json"

    def walk() -> list[list[int]]:
        stage = "PageRank" if split is None else f"PageRank, split {number}"
        told = (lambda done, total: progress(stage, done, total)) if progress else None
        return important_neighbours(
            catalogue.matrix() if split is None else split.train, N_NEIGHBOURS, progress=told
        )

    neighbours: list[list[int]] = kept_json(path, walk)
    return neighbours


def _with_unseen(catalogue: Catalogue, test: csr_matrix, rng: np.random.Generator) -> csr_matrix:
    """``test`` with up to `N_UNSEEN` items a user that the user has in no part."""
    from scipy.sparse import csr_matrix

    taken, n_items = catalogue.matrix(), len(catalogue.item_ids)
    rows, columns = [], []
    for user in range(catalogue.n_users):
        unseen = np.setdiff1d(np.arange(n_items), taken[user].indices, assume_unique=True)
        held_out = test[user].indices
        drawn = rng.choice(unseen, size=min(N_UNSEEN, len(unseen)), replace=False)
        if len(held_out) and len(drawn) + len(held_out) < CUTOFF:
            raise InputError(catalogue.name, f"a user took all items but {len(unseen)}; name a larger one")
        columns.append(np.concatenate([held_out, drawn]))
        rows.append(np.full(len(columns[-1]), user))
    ones = np.ones(sum(map(len, rows)), dtype=np.float32)
    return csr_matrix((ones, (np.concatenate(rows), np.concatenate(columns))), shape=test.shape)
