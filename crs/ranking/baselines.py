"""What the ranker has to beat: systems as papers know them, each fitted on a fold's sequences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from crs.cf import fit_bpr, fit_wals
from crs.ranking.blend import CHUNK
from crs.ranking.data import Fold, Queries, RankingData, owned_matrix
from crs.ranking.metrics import CUTOFFS, Ranks, figures_of, ranks
from crs.ranking.pairs import ItemTies, Scores, cosine_ties, n_buyers
from crs.ranking.sequential import SequentialConfig, train_scorer
from crs.ranking.signals import Nearness, Prior, Scorer, Wals

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


class System(Protocol):
    """What answers queries with a score for every item."""

    def scores(self, queries: Queries) -> Scores:
        """float32 (len(queries), n_items), higher is better."""
        ...


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
    """Random scores, the same in every run of the same queries."""

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
class BprConfig:
    """How BPR is trained; which of `BPR_TRIALS` suits a data set differs by a factor of ten in NDCG."""

    n_factors: int
    learning_rate: float
    regularization: float
    iterations: int


BPR_TRIALS = (
    BprConfig(16, 0.01, 0.01, 50),
    BprConfig(64, 0.01, 0.01, 100),
    BprConfig(64, 0.05, 0.01, 20),
    BprConfig(64, 0.05, 0.05, 150),
    BprConfig(128, 0.05, 0.03, 200),
)
MAX_BPR_DRAWS = 30_000_000  # pairs drawn in one fit: fewer passes over larger data


@dataclass(frozen=True)
class Fitted:
    """Baselines of one fold by name; SASRec's epochs and BPR's setting, as they were trained."""

    systems: dict[str, System]
    sasrec_epochs: int
    bpr: BprConfig


def fit_baselines(
    data: RankingData,
    fold: Fold,
    content: NDArray[np.float32],
    sasrec: SequentialConfig,
    *,
    chosen: Fitted | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """All baselines; ``content`` (n_items, 384). What is not ``chosen`` yet the fold's queries choose."""
    n_items, sequences = data.n_items, fold.sequences
    owned = owned_matrix(sequences, n_items)
    scorers: dict[str, Scorer] = {
        "popularity": Prior(n_buyers(sequences, n_items)),
        "item-kNN": ItemTies(cosine_ties(sequences, n_items)),
        "content": Nearness(content, decay=1.0),
        "WALS": Wals(fit_wals(owned)),
    }
    systems: dict[str, System] = {"random": ByChance(n_items)}
    systems |= {name: ByHistory(scorer) for name, scorer in scorers.items()}
    asked = watched(fold.queries)
    bpr = _bounded(chosen.bpr, owned) if chosen else _best_bpr(owned, asked)
    systems["BPR"] = _bpr(owned, bpr)
    epochs = chosen.sasrec_epochs if chosen else None
    trained = train_scorer(
        sequences, n_items, sasrec, watched=asked, epochs=epochs, ordered=data.ordered, progress=progress
    )
    systems["SASRec"] = ByHistory(trained)
    return Fitted(systems, trained.epochs, bpr)


def _best_bpr(owned: csr_matrix, asked: Queries) -> BprConfig:
    trials = [_bounded(trial, owned) for trial in BPR_TRIALS]
    return max(trials, key=lambda trial: ndcg(Hiding(_bpr(owned, trial)), asked))


def _bounded(config: BprConfig, owned: csr_matrix) -> BprConfig:
    passes = max(10, MAX_BPR_DRAWS // max(owned.nnz, 1))
    return replace(config, iterations=min(config.iterations, passes))


def _bpr(owned: csr_matrix, config: BprConfig) -> ByUser:
    return ByUser(*fit_bpr(owned, **asdict(config)))


N_LISTED = max(CUTOFFS)
N_WATCHED = 2000  # queries that decide what is chosen and when training stops


def watched(queries: Queries, n: int = N_WATCHED) -> Queries:
    """About ``n`` of them."""
    return queries.spread(n)


@dataclass(frozen=True)
class Answers:
    """One system's answers: ``ranks`` of the targets (n,), ``listed`` (n, 20) its best items."""

    ranks: Ranks
    listed: NDArray[np.int64]


def answer(system: System, queries: Queries, progress: Callable[[int, int], None] | None = None) -> Answers:
    """Ask all queries, some at a time."""
    found, listed = [], []
    for start in range(0, len(queries), CHUNK):
        part = queries.at(range(start, min(start + CHUNK, len(queries))))
        scores = system.scores(part)
        found.append(ranks(scores, part.targets))
        k = min(N_LISTED, scores.shape[1])
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        listed.append(np.take_along_axis(best, order, axis=1))
        if progress:
            progress(start + len(part), len(queries))
    return Answers(np.concatenate(found), np.concatenate(listed))


def ndcg(system: System, queries: Queries) -> float:
    """NDCG@10 of a system."""
    return float(figures_of(answer(system, queries).ranks)["NDCG@10"].mean())
