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
from crs.pagerank import UserItemGraph
from crs.ranking import pairs
from crs.ranking.data import Rows, history_matrix, owned_matrix
from crs.ranking.kinds import kind_of, kind_ties
from crs.ranking.pairs import ItemTies, Scores
from knowledge.types import Item

# What a signal is told as when a recommendation is explained.
Family = Literal["cf", "neighbours", "graph", "sequence", "content", "popularity", "repeat"]

N_SMOOTH = 10  # nearest items in content that lend an item their ties
MAX_DENSE = 12_000  # items up to which item-item matrices may be dense (600 MB each)
ALIKE = 5.0  # buyers of its kind that are added to an item's own when its repeats are judged
RECENT = 50  # items of a long history that one-by-one comparisons look at


class Scorer(Protocol):
    """What scores all items, or the rows ``among``: higher is better; zero says nothing."""

    def scores(self, histories: Sequence[Rows], among: Rows | None = None) -> Scores:
        """float32 (len(histories), n_items or len(among)). Each history: item rows, oldest first."""
        ...


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

    @cached_property
    def _gram(self) -> NDArray[np.float64]:
        return gram(self.factors)

    def scores(self, histories: Sequence[Rows], among: Rows | None = None) -> Scores:
        """float32 (n, n_items)."""
        users = [fold_in(self.factors, history.tolist(), shared=self._gram) for history in histories]
        return np.asarray(np.stack(users) @ rows_of(self.factors, among).T, dtype=np.float32)


@dataclass(frozen=True)
class Walk:
    """Personalised PageRank on the user-item graph: a walker who goes back to the history now and then."""

    graph: UserItemGraph
    decay: float
    home: float = 0.3  # probability of going back, every two steps
    n_steps: int = 4

    def scores(self, histories: Sequence[Rows], among: Rows | None = None) -> Scores:
        """float32 (n, n_items): the share of visits."""
        start = history_matrix(histories, self.graph.n_items, self.decay).toarray()
        found = self.visits(start / np.maximum(start.sum(axis=1, keepdims=True), 1e-9))
        return found if among is None else found[:, among]

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

    def scores(self, histories: Sequence[Rows], among: Rows | None = None) -> Scores:
        """float32 (n, n_items), never negative."""
        if among is not None:
            return np.stack([self._of_some(history[-RECENT:], among) for history in histories])
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
                found[row] = (near * self._weights(recent)).max(axis=0)
        return found

    def _of_some(self, history: Rows, among: Rows) -> NDArray[np.float32]:
        """float32 (len(among),), from the vectors themselves: what one answer of the app needs."""
        if not len(history):
            return np.zeros(len(among), dtype=np.float32)
        known, asked = self.vectors[history], rows_of(self.vectors, among)
        if self.best:
            return np.asarray((_dense(known @ asked.T) * self._weights(history)).max(axis=0))
        return _dense(asked @ (known.T @ self._weights(history)[:, 0]))

    def _weights(self, history: Rows) -> NDArray[np.float32]:
        return np.float32(self.decay) ** np.arange(len(history), dtype=np.float32)[::-1, None]

    def _near(self, rows: Any) -> NDArray[np.float32]:
        return _dense(self.vectors[rows] @ self.vectors.T)


def rows_of(vectors: Any, among: Rows | None) -> Any:
    """The rows ``among``, which are different ones; all of them are not copied."""
    return vectors if among is None or len(among) == vectors.shape[0] else vectors[among]


def _dense(found: Any) -> NDArray[np.float32]:
    """``found``, CSR or not, as an array without negative values."""
    return np.maximum(np.asarray(found.toarray() if hasattr(found, "toarray") else found, np.float32), 0.0)


@dataclass(frozen=True)
class Prior:
    """The same scores (n_items,) for everyone."""

    values: NDArray[np.float32]

    def scores(self, histories: Sequence[Rows], among: Rows | None = None) -> Scores:
        """float32 (n, n_items)."""
        return np.tile(self.values if among is None else self.values[among], (len(histories), 1))


@dataclass(frozen=True)
class Again:
    """What a history holds: of the last time ``decay ** (items after it)``, times ``again`` (n_items,)."""

    again: NDArray[np.float32]
    decay: float

    def scores(self, histories: Sequence[Rows], among: Rows | None = None) -> Scores:
        """float32 (n, n_items), 0 to 1."""
        found = np.zeros((len(histories), len(self.again)), dtype=np.float32)
        for row, history in enumerate(histories):
            weights = self.decay ** np.arange(len(history))[::-1]
            np.maximum.at(found[row], history, weights * self.again[history])
        return found if among is None else found[:, among]


@dataclass(frozen=True)
class Alike:
    """What listings say of one another, whoever bought them, all CSR.

    ``words`` unit rows as of `text_words`; ``by_words`` and ``by_content`` as of `lent`.
    """

    words: Any
    by_words: Any
    by_content: Any


def alike_items(items: Sequence[Item], content: NDArray[np.float32]) -> Alike:
    """Which items are alike in words and in unit ``content`` (n_items, 384)."""
    words = text_words([item_text(item) for item in items])
    return Alike(words, lent(words, N_SMOOTH), lent(content, N_SMOOTH))


def fit_signals(
    sequences: Sequence[Rows],
    items: Sequence[Item],
    content: NDArray[np.float32],
    *,
    ordered: bool = True,
    factors: NDArray[np.float32] | None = None,
    alike: Alike | None = None,
) -> list[Signal]:
    """All signals but the sequential one, from a fold's ``sequences`` and unit ``content`` (n_items, 384).

    Without an order of time every item of a history weighs the same. ``factors`` (n_items, 128) of the same
    sequences and what is ``alike`` in the same items, where they are at hand.
    """
    n_items = len(items)
    factors = fit_wals(owned_matrix(sequences, n_items)) if factors is None else factors
    kinds = [kind_of(item) for item in items]
    fast, slow = (0.7, 0.9) if ordered else (1.0, 1.0)
    signals = [
        Signal("wals", "cf", Wals(factors)),
        Signal("knn", "cf", ItemTies(pairs.cosine_ties(sequences, n_items), slow)),
        Signal("walk", "graph", walk(sequences, n_items, fast)),
        Signal("popular", "popularity", Prior(pairs.n_buyers(sequences, n_items))),
    ]
    alike = alike or alike_items(items, content)
    signals += text_signals(content, alike.words, fast, slow)
    signals += [
        Signal("owned", "repeat", Again(np.ones(n_items, np.float32), 1.0)),
        Signal("bought lately", "repeat", Again(np.ones(n_items, np.float32), fast)),
        Signal("bought again", "repeat", Again(again_rate(sequences, n_items, kinds), 1.0)),
    ]
    if n_items <= MAX_DENSE:
        # The more is known of every item, the more ridge pays; the blend sees which of the two does.
        for ridge in (100.0, 500.0):
            linear = pairs.linear_ties(sequences, n_items, ridge=ridge)
            signals.append(Signal(f"linear, ridge {ridge:.0f}", "cf", ItemTies(linear, fast)))
    return [*signals, *signals_of_order(sequences, items, alike, fast)] if ordered else signals


def signals_of_order(
    sequences: Sequence[Rows], items: Sequence[Item], alike: Alike, decay: float
) -> list[Signal]:
    """What is bought close together, what comes next, and what came last; ``decay`` a step back in time."""
    n_items = len(items)
    after = pairs.follows(sequences, n_items, window=10, decay=0.7)
    together = pairs.over_fame((after + 0.5 * after.T).tocsr(), sequences, 0.25)
    by_words, by_content = alike.by_words, alike.by_content
    ends = np.bincount([s[-1] for s in sequences if len(s)], minlength=n_items).astype(np.float32)
    signals = [
        Signal("together", "neighbours", ItemTies(together, decay)),
        Signal("next", "neighbours", ItemTies(pairs.over_fame(after, sequences, 0.25), decay, 2)),
        Signal(
            "together of alike words",
            "neighbours",
            ItemTies((by_words @ together @ by_words.T).tocsr(), decay),
        ),
        Signal(
            "together of alike content",
            "neighbours",
            ItemTies((by_content @ together @ by_content.T).tocsr(), decay),
        ),
        Signal("recent", "popularity", Prior(ends)),
    ]
    near = kind_ties(sequences, items, back=0.5, power=0.25)
    next_kinds = kind_ties(sequences, items, back=0.0, power=0.0)
    if near is not None and next_kinds is not None:
        signals += [
            Signal("kinds together", "neighbours", ItemTies(near, decay)),
            Signal("next kinds", "neighbours", ItemTies(next_kinds, decay, 2)),
        ]
    return signals


def walk(sequences: Sequence[Rows], n_items: int, decay: float) -> Scorer:
    """The walk on the user-item graph of the sequences; of a thick one its matrix, worked out once."""
    walker = Walk(UserItemGraph.of(owned_matrix(sequences, n_items)), decay)
    return ItemTies(walker.visits(np.eye(n_items, dtype=np.float32)), decay) if walker.graph.thick else walker


def text_signals(content: NDArray[np.float32], words: Any, fast: float, slow: float) -> list[Signal]:
    """What texts alone tell: nearness to a history, under two decays.

    Unit rows: ``content`` (n_items, 384), ``words`` CSR (n_items, n_words) as of `text_words`.
    """
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


def again_rate(
    sequences: Sequence[Rows], n_items: int, kinds: Sequence[str] | None = None
) -> NDArray[np.float32]:
    """Share of an item's buyers who bought it more than once, with one more buyer of the mean kind.

    Where ``kinds`` (n_items,) tell what it is, with `ALIKE` more of its own kind: ink is bought again.
    """
    counts = history_matrix(sequences, n_items)
    buyers = np.asarray((counts > 0).sum(axis=0)).ravel()
    again = np.asarray((counts > 1).sum(axis=0)).ravel()
    mean = again.sum() / max(buyers.sum(), 1)
    expected, weight = np.full(n_items, mean), np.ones(n_items)
    if kinds is not None:
        names, kind = np.unique(kinds, return_inverse=True)
        of_kind = (np.bincount(kind, again) + ALIKE * mean) / (np.bincount(kind, buyers) + ALIKE)
        told = names[kind] != ""
        expected[told], weight[told] = of_kind[kind[told]], ALIKE
    return np.asarray((again + weight * expected) / (buyers + weight), dtype=np.float32)
