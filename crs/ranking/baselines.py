"""What the ranker has to beat: systems as papers know them, each fitted on a fold's sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from crs.cf import fit_bpr, fit_wals
from crs.ranking.data import Fold, Queries, RankingData, owned_matrix
from crs.ranking.pairs import ItemTies, Scores, cosine_ties, n_buyers
from crs.ranking.sequential import SequentialConfig, train_sasrec
from crs.ranking.signals import Nearness, Prior, Scorer, Wals


class System(Protocol):
    """What answers queries with a score for every item."""

    def scores(self, queries: Queries) -> Scores: ...


@dataclass(frozen=True)
class ByHistory:
    """A scorer of histories as a system; who asks does not matter."""

    scorer: Scorer

    def scores(self, queries: Queries) -> Scores:
        """float32 (n, n_items)."""
        return self.scorer.scores(queries.histories)


@dataclass(frozen=True)
class Hiding:
    """A system that puts what the history holds behind all else."""

    system: System

    def scores(self, queries: Queries) -> Scores:
        """float32 (n, n_items), -inf for what is owned."""
        found = self.system.scores(queries)
        found[owned_matrix(queries.histories, found.shape[1]).toarray() > 0] = -np.inf
        return found


@dataclass(frozen=True)
class ByChance:
    """Random scores, the same for the same history and target position in every run."""

    n_items: int
    seed: int = 0

    def scores(self, queries: Queries) -> Scores:
        """float32 (n, n_items), uniform."""
        rng = np.random.default_rng([self.seed, len(queries), *queries.users[:1].tolist()])
        return rng.random((len(queries), self.n_items), dtype=np.float32)


@dataclass(frozen=True)
class ByUser:
    """User and item factors (BPR): who asks matters, the history only as far as it was learned from."""

    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]

    def scores(self, queries: Queries) -> Scores:
        """float32 (n, n_items)."""
        return np.asarray(self.user_factors[queries.users] @ self.item_factors.T, dtype=np.float32)


@dataclass(frozen=True)
class Fitted:
    """Baselines of one fold by name; ``sasrec_epochs`` after which SASRec was best on the queries."""

    systems: dict[str, System]
    sasrec_epochs: int


def fit_baselines(
    data: RankingData,
    fold: Fold,
    content: NDArray[np.float32],
    sasrec: SequentialConfig,
    *,
    sasrec_epochs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """All baselines; ``content`` (n_items, 384). Without ``sasrec_epochs`` the fold's queries choose them."""
    n_items, sequences = data.n_items, fold.sequences
    owned = owned_matrix(sequences, n_items)
    scorers: dict[str, Scorer] = {
        "popularity": Prior(n_buyers(sequences, n_items)),
        "item-kNN": ItemTies(cosine_ties(sequences, n_items)),
        "content": Nearness(content, decay=1.0),
        "WALS": Wals(fit_wals(owned)),
    }
    trained = train_sasrec(
        sequences, n_items, sasrec,
        watched=watched(fold.queries), epochs=sasrec_epochs, ordered=data.ordered, progress=progress,
    )  # fmt: skip
    systems: dict[str, System] = {"random": ByChance(n_items)}
    systems |= {name: ByHistory(scorer) for name, scorer in scorers.items()}
    systems["BPR"] = ByUser(*fit_bpr(owned))
    systems["SASRec"] = ByHistory(trained)
    return Fitted(systems, trained.epochs)


N_WATCHED = 2000  # queries that decide when training stops


def watched(queries: Queries) -> Queries:
    """At most ``N_WATCHED`` of them, spread evenly."""
    chosen: Sequence[int] = range(0, len(queries), max(1, len(queries) // N_WATCHED))
    return queries.at(chosen)
