"""The signals of the ranker: each scores all items for a batch of histories, fitted on a fold's sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from crs import pagerank
from crs.cf import fit_wals, fold_in, gram
from crs.content import item_text
from crs.neighbours import follows
from crs.pagerank import UserItemGraph
from crs.ranking import pairs
from crs.ranking.data import Rows, history_matrix, owned_matrix
from crs.ranking.pairs import ItemTies, Scores
from knowledge.types import Item

# What a signal is told as when a recommendation is explained.
Family = Literal["cf", "neighbours", "graph", "sequence", "content", "popularity", "repeat"]

N_SMOOTH = 10  # nearest items in content that lend an item their ties
MAX_DENSE = 12_000  # items up to which item-item matrices may be dense (600 MB each)
RECENT = 50  # items of a long history that one-by-one comparisons look at


class Scorer(Protocol):
    """What scores all items: higher is better; zero says nothing."""

    def scores(self, histories: Sequence[Rows]) -> Scores: ...


@dataclass(frozen=True)
class Signal:
    """A scorer with its name and what it is told as."""

    name: str
    family: Family
    scorer: Scorer


@dataclass(frozen=True)
class Wals:
    """Scores of users folded into WALS factors (n_items, n_factors), as `crs.cf`."""

    factors: NDArray[np.float32]

    def scores(self, histories: Sequence[Rows]) -> Scores:
        """float32 (n, n_items)."""
        shared = gram(self.factors)
        users = [fold_in(self.factors, history.tolist(), shared=shared) for history in histories]
        return np.asarray(np.stack(users) @ self.factors.T, dtype=np.float32)


@dataclass(frozen=True)
class Walk:
    """Personalised PageRank on the user-item graph: a walker who goes back to the history now and then."""

    graph: UserItemGraph
    decay: float
    home: float = 0.3  # probability of going back, every two steps
    n_steps: int = 4

    def scores(self, histories: Sequence[Rows]) -> Scores:
        """float32 (n, n_items): the share of visits."""
        start = history_matrix(histories, self.graph.n_items, self.decay).toarray()
        return self.visits(start / np.maximum(start.sum(axis=1, keepdims=True), 1e-9))

    def visits(self, start: Scores) -> Scores:
        """float32 (n, n_items): visits of walkers from ``start`` (rows sum to 1), but for those at home."""
        home = np.float32(self.home) * start
        return np.asarray(pagerank.walk(self.graph, home, 1.0 - self.home, n_steps=self.n_steps) - home)


@dataclass(frozen=True)
class Nearness:
    """How near items' vectors (n_items, d), dense or CSR unit rows, are to those of a history.

    ``best``: of the nearest item of the history, else of their sum; either weighed by ``decay``.
    """

    vectors: Any
    decay: float
    best: bool = False

    @cached_property
    def _ties(self) -> NDArray[np.float32] | None:
        """All of it, (n_items, n_items), where that is small enough to keep."""
        return self._near(slice(None)) if self.vectors.shape[0] <= MAX_DENSE else None

    def scores(self, histories: Sequence[Rows]) -> Scores:
        """float32 (n, n_items), never negative."""
        n_items = self.vectors.shape[0]
        if not self.best:
            known = history_matrix(histories, n_items, self.decay)
            if self._ties is not None:
                return np.asarray(known @ self._ties, dtype=np.float32)
            return _dense((known @ self.vectors) @ self.vectors.T)
        found = np.zeros((len(histories), n_items), dtype=np.float32)
        for row, history in enumerate(histories):
            recent = history[-RECENT:]
            if len(recent):
                near = self._ties[recent] if self._ties is not None else self._near(recent)
                weights = np.float32(self.decay) ** np.arange(len(recent), dtype=np.float32)[::-1, None]
                found[row] = (near * weights).max(axis=0)
        return found

    def _near(self, rows: Any) -> NDArray[np.float32]:
        return _dense(self.vectors[rows] @ self.vectors.T)


def _dense(found: Any) -> NDArray[np.float32]:
    """``found``, CSR or not, as an array without negative values."""
    return np.maximum(np.asarray(found.toarray() if hasattr(found, "toarray") else found, np.float32), 0.0)


@dataclass(frozen=True)
class Prior:
    """The same scores (n_items,) for everyone."""

    values: NDArray[np.float32]

    def scores(self, histories: Sequence[Rows]) -> Scores:
        """float32 (n, n_items)."""
        return np.tile(self.values, (len(histories), 1))


@dataclass(frozen=True)
class Again:
    """What a history holds: of the last time ``decay ** (items after it)``, times ``again`` (n_items,)."""

    again: NDArray[np.float32]
    decay: float

    def scores(self, histories: Sequence[Rows]) -> Scores:
        """float32 (n, n_items), 0 to 1."""
        found = np.zeros((len(histories), len(self.again)), dtype=np.float32)
        for row, history in enumerate(histories):
            weights = self.decay ** np.arange(len(history))[::-1]
            np.maximum.at(found[row], history, weights * self.again[history])
        return found


def fit_signals(
    sequences: Sequence[Rows], items: Sequence[Item], content: NDArray[np.float32], *, ordered: bool = True
) -> list[Signal]:
    """All signals but the sequential one, from a fold's ``sequences`` and unit ``content`` (n_items, 384).

    Without an order of time every item of a history weighs the same.
    """
    n_items = len(items)
    fast, slow = (0.7, 0.9) if ordered else (1.0, 1.0)
    signals = [
        Signal("wals", "cf", Wals(fit_wals(owned_matrix(sequences, n_items)))),
        Signal("knn", "cf", ItemTies(pairs.cosine_ties(sequences, n_items), slow)),
        Signal("walk", "graph", walk(sequences, n_items, fast)),
        Signal("popular", "popularity", Prior(pairs.n_buyers(sequences, n_items))),
    ]
    words = text_words([item_text(item) for item in items])
    signals += text_signals(content, words, fast, slow)
    signals += [
        Signal("owned", "repeat", Again(np.ones(n_items, np.float32), 1.0)),
        Signal("bought lately", "repeat", Again(np.ones(n_items, np.float32), fast)),
        Signal("bought again", "repeat", Again(again_rate(sequences, n_items), 1.0)),
    ]
    if n_items <= MAX_DENSE:
        # The more is known of every item, the more ridge pays; the blend sees which of the two does.
        for ridge in (100.0, 500.0):
            linear = pairs.linear_ties(sequences, n_items, ridge=ridge)
            signals.append(Signal(f"linear, ridge {ridge:.0f}", "cf", ItemTies(linear, fast)))
    if ordered:
        after = follows(sequences, n_items, window=10, decay=0.7)
        together = pairs.over_fame((after + 0.5 * after.T).tocsr(), sequences, 0.25)
        alike = lent(words, N_SMOOTH)
        alike_content = lent(content, N_SMOOTH)
        ends = np.bincount([s[-1] for s in sequences if len(s)], minlength=n_items).astype(np.float32)
        signals += [
            Signal("together", "neighbours", ItemTies(together, fast)),
            Signal("next", "neighbours", ItemTies(pairs.over_fame(after, sequences, 0.25), fast, 2)),
            Signal(
                "together of alike words", "neighbours", ItemTies((alike @ together @ alike.T).tocsr(), fast)
            ),
            Signal(
                "together of alike content",
                "neighbours",
                ItemTies((alike_content @ together @ alike_content.T).tocsr(), fast),
            ),
            Signal("recent", "popularity", Prior(ends)),
        ]
    return signals


def walk(sequences: Sequence[Rows], n_items: int, decay: float) -> Scorer:
    """The walk on the user-item graph of the sequences; of a thick one its matrix, worked out once."""
    walker = Walk(UserItemGraph.of(owned_matrix(sequences, n_items)), decay)
    return ItemTies(walker.visits(np.eye(n_items, dtype=np.float32)), decay) if walker.graph.thick else walker


def text_signals(content: NDArray[np.float32], words: Any, fast: float, slow: float) -> list[Signal]:
    """What texts alone tell: nearness of unit rows of ``content`` and of ``words``, under two decays."""
    return [
        Signal("content", "content", Nearness(content, fast)),
        Signal("content nearest", "content", Nearness(content, slow, best=True)),
        Signal("words", "content", Nearness(words, fast)),
        Signal("words nearest", "content", Nearness(words, slow, best=True)),
    ]


def text_words(texts: Sequence[str]) -> Any:
    """TF-IDF of the words and pairs of words of ``texts``, CSR unit rows (n_items, n_words)."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=1, dtype=np.float32)
    return vectorizer.fit_transform(texts).tocsr()


def lent(vectors: Any, k: int) -> Any:
    """CSR (n_items, n_items): an item itself and, together weighing the same, its ``k`` nearest others."""
    from scipy.sparse import diags, eye

    near = pairs.nearest(vectors, k)
    near.data **= 3  # the nearest lend most
    total = np.maximum(np.asarray(near.sum(axis=1)).ravel(), 1e-6)
    return (eye(near.shape[0], dtype=np.float32) + diags(1.0 / total) @ near).tocsr().astype(np.float32)


def again_rate(sequences: Sequence[Rows], n_items: int) -> NDArray[np.float32]:
    """Share of an item's buyers who bought it more than once, with one more buyer of the mean kind."""
    counts = history_matrix(sequences, n_items)
    buyers = np.asarray((counts > 0).sum(axis=0)).ravel()
    again = np.asarray((counts > 1).sum(axis=0)).ravel()
    mean = again.sum() / max(buyers.sum(), 1)
    return np.asarray((again + mean) / (buyers + 1.0), dtype=np.float32)
