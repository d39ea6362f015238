"""What to show next: WALS, co-occurrence, content and popularity in one score, wishes as exact filters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from crs.bundle import Bundle
from crs.cf import fold_in, gram
from crs.content import TextEncoder
from knowledge.types import Constraints, Interaction, Item, Recommendation, Signals

# Each signal is scaled to at most 1 before it is weighted; all weights untuned but for their order.
WEIGHTS: dict[str, float] = {"cf": 0.5, "neighbours": 1.0, "content": 1.0, "popularity": 0.1}
QUERY_WEIGHT = 3.0  # what a person asks for now outweighs what they bought before
CONTENT_DECAY = 0.7  # of a purchase's weight in the taste, for each purchase after it
REBOUGHT_SHARE = 0.05  # an item that so many of its buyers bought again may be shown to its owners
_CF_SIGNALS = ("cf", "neighbours")


class Recommender:
    """Ranks the items of one bundle for any history; holds nothing of a person between calls."""

    def __init__(self, bundle: Bundle, encoder: TextEncoder) -> None:
        self._bundle = bundle
        self._encoder = encoder
        self._items = list(bundle.store.items.values())
        self._index = bundle.store.item_index
        self._gram = gram(bundle.item_factors)
        n_buyers = np.asarray(bundle.store.user_items().sum(axis=0)).ravel()
        self._popularity = np.log(n_buyers + 2.0).astype(np.float32)  # never 0: every item has a score
        self._consumable = bundle.neighbours.rebought >= REBOUGHT_SHARE
        self._facets = _facets(self._items)
        self._prices = np.array([np.nan if item.price is None else item.price for item in self._items])

    def recommend(
        self, history: Sequence[Interaction], constraints: Constraints | None = None, k: int = 10
    ) -> list[Recommendation]:
        """At most ``k`` items that fit every constraint, best first; fewer where fewer fit.

        What the person owns is left out, unless people buy it again and again. Purchases that the store
        does not list are passed over. ``shares`` name "cf", "content" and "popularity".
        """
        constraints = constraints or Constraints()
        owned = [self._index[i.item_id] for i in history if i.item_id in self._index]
        liked = [self._index[item_id] for item_id in constraints.like_ids if item_id in self._index]
        allowed = self._allowed(constraints)
        allowed[[row for row in owned if not self._consumable[row]]] = False
        allowed[liked] = False
        parts = self._parts(owned, liked, constraints.words)
        scores = np.sum(list(parts.values()), axis=0)
        best = _best(scores, np.flatnonzero(allowed), k)
        return [
            Recommendation(
                self._items[row], float(scores[row]), _shares({n: p[row] for n, p in parts.items()})
            )
            for row in best
        ]

    def _parts(self, owned: Sequence[int], liked: Sequence[int], words: str) -> dict[str, np.ndarray]:
        """Weighted score of every item by signal, each float32 (n_items,) and never negative."""
        signals: Signals = self._bundle.signals
        sequence = [*owned, *liked]  # what is liked now counts as the latest purchase
        factors, content = self._bundle.item_factors, self._bundle.item_content
        parts = {"popularity": self._popularity}
        if sequence and signals != "content":
            parts["cf"] = factors @ fold_in(factors, sequence, shared=self._gram)
            parts["neighbours"] = self._bundle.neighbours.scores(sequence)
        if owned and signals != "cf":
            age = np.arange(len(owned))[::-1]
            parts["content"] = content @ (CONTENT_DECAY**age @ content[owned]).astype(np.float32)
        weighted = {name: WEIGHTS[name] * _scaled(part) for name, part in parts.items()}
        asked_for = self._asked_for(liked, words)
        if len(asked_for):
            # Near one of them, not near their mean: who likes kettles and tents wants no kettle for tents.
            # All products are a little alike; what counts is how much more than most.
            nearness = [_scaled(each - each.mean()) for each in (content @ asked_for.T).T]
            asked = QUERY_WEIGHT * np.max(nearness, axis=0)
            weighted["content"] = weighted.get("content", np.zeros_like(asked)) + asked
        return weighted

    def _asked_for(self, liked: Sequence[int], words: str) -> np.ndarray:
        """Where in content space the wish points, float32 (n, 384): to each like, and to the words."""
        rows = self._bundle.item_content[list(liked)]
        if not words.strip():
            return np.asarray(rows)
        return np.concatenate([rows, self._encoder.encode([words])])

    def _allowed(self, wish: Constraints) -> np.ndarray:
        """Items that fit the wish, bool (n_items,). An item without a price fits no price limit."""
        allowed = np.ones(len(self._items), dtype=bool)
        if wish.max_price is not None:
            allowed &= self._prices <= wish.max_price
        if wish.min_price is not None:
            allowed &= self._prices >= wish.min_price
        for facet, wanted, unwanted in (
            ("brand", wish.brands, wish.not_brands),
            ("color", wish.colors, wish.not_colors),
            ("department", wish.departments, wish.not_departments),
            ("kind", wish.kinds, wish.not_kinds),
        ):
            if wanted:
                allowed &= self._having(facet, wanted)
            if unwanted:
                allowed &= ~self._having(facet, unwanted)
        allowed[[self._index[item_id] for item_id in wish.exclude_ids if item_id in self._index]] = False
        return allowed

    def _having(self, facet: str, values: Iterable[str]) -> np.ndarray:
        having = np.zeros(len(self._items), dtype=bool)
        for value in values:
            having[self._facets[facet].get(value.lower(), [])] = True
        return having


def color_of(item: Item) -> str | None:
    """The item's colour in lower case, however its attribute is spelt."""
    color = item.attributes.get("color") or item.attributes.get("colour")
    return color.lower() if color else None


def _facets(items: Sequence[Item]) -> dict[str, dict[str, list[int]]]:
    """Facet -> value in lower case -> rows of the items that have it."""
    facets: dict[str, dict[str, list[int]]] = {"brand": {}, "color": {}, "department": {}, "kind": {}}
    for row, item in enumerate(items):
        values = {
            "brand": item.brand,
            "color": color_of(item),
            "department": item.department,
            "kind": item.kind,
        }
        for facet, value in values.items():
            if value:
                facets[facet].setdefault(value.lower(), []).append(row)
    return facets


def _best(scores: np.ndarray, candidates: np.ndarray, k: int) -> np.ndarray:
    """The ``k`` candidate rows that score most, best first; of equals the earlier row."""
    if 0 < k < len(candidates):
        least = -np.partition(-scores[candidates], k - 1)[k - 1]
        candidates = candidates[scores[candidates] >= least]  # sorting all of a large catalogue takes long
    return np.asarray(candidates[np.lexsort((candidates, -scores[candidates]))[: max(k, 0)]])


def _scaled(scores: np.ndarray) -> np.ndarray:
    """Scores over their maximum, negative ones as 0: comparable between signals, and addable as shares."""
    positive = np.maximum(scores, 0.0)
    top = float(positive.max(initial=0.0))
    return np.asarray(positive / top if top > 0 else positive, dtype=np.float32)


def _shares(parts: dict[str, float]) -> dict[str, float]:
    total = sum(parts.values())
    shares = {
        "cf": sum(parts.get(name, 0.0) for name in _CF_SIGNALS) / total,
        "content": parts.get("content", 0.0) / total,
        "popularity": parts["popularity"] / total,
    }
    return {name: float(share) for name, share in shares.items()}
