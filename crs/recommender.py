"""What to show next: the learned ranker over what a wish allows, moved in content by what is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from crs.bundle import Bundle
from crs.content import TextEncoder
from crs.ranking.kinds import kind_of
from crs.ranking.replacing import disappointed, lift
from crs.ranking.shortlist import Shortlist
from crs.ranking.signals import Family, rows_of
from knowledge.types import Constraints, Interaction, Item, Recommendation

QUERY_WEIGHT = 2.0  # of what is asked for now, against all that the history tells apart
REBOUGHT_SHARE = 0.05  # an item that so many of its buyers bought again may be shown to its owners
_NONE = np.empty(0, dtype=np.int64)
# What each family of signals is told as.
TOLD: Mapping[Family, str] = {
    "cf": "cf",
    "graph": "cf",
    "sequence": "together",
    "neighbours": "together",
    "content": "content",
    "popularity": "popularity",
    "repeat": "again",
}


class Recommender:
    """Ranks the items of one bundle for any history; holds nothing of a person between calls."""

    def __init__(self, bundle: Bundle, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._items = list(bundle.store.items.values())
        self._index = bundle.store.item_index
        self._content = bundle.item_content
        self._typical = bundle.item_content.mean(axis=0)
        self._ranker = bundle.ranker
        self._shortlist = Shortlist(bundle.ranker, bundle.item_content)
        self._told = {signal.name: TOLD[signal.family] for signal in bundle.ranker.signals}
        self._kinds = np.array([kind_of(item) for item in self._items])
        self._consumable = bundle.ranker.again >= REBOUGHT_SHARE
        self._facets = _facets(self._items)
        self._prices = np.array([np.nan if item.price is None else item.price for item in self._items])

    def recommend(
        self, history: Sequence[Interaction], constraints: Constraints | None = None, k: int = 10
    ) -> list[Recommendation]:
        """At most ``k`` items that fit every constraint, best first; fewer where fewer fit.

        What the person owns is left out, unless people buy it again and again. Purchases that the store
        does not list are passed over. ``shares`` name "cf", "together", "content", "popularity", "again" and
        "replacement": of what disappointed, by another of its kind.
        """
        constraints = constraints or Constraints()
        known = [purchase for purchase in history if purchase.item_id in self._index]
        owned = [self._index[purchase.item_id] for purchase in known]
        liked = [self._index[item_id] for item_id in constraints.like_ids if item_id in self._index]
        allowed = self._allowed(constraints)
        allowed[[row for row in owned if not self._consumable[row]]] = False
        allowed[liked] = False
        if not allowed.any():
            return []
        sequence = np.array([*owned, *liked], dtype=np.int64)  # what is liked counts as the latest purchase
        asked = self._asked_for(liked, constraints.words)
        chosen = np.zeros(len(self._items), dtype=bool)
        chosen[self._shortlist.rows(sequence, asked, allowed, k)] = True
        chosen[sequence] = True  # what the history holds is the measure of what is near to it
        among = np.flatnonzero(chosen)
        parts = self._parts(sequence, asked, among)
        if disappointed(known) and not len(asked):
            parts["replacement"] += self._replacing(owned[-1], among, parts)
        scores = np.sum(list(parts.values()), axis=0)
        best = _best(scores, np.flatnonzero(allowed[among]), k)
        return [
            Recommendation(
                self._items[among[at]],
                float(scores[at]),
                _shares({name: float(part[at]) for name, part in parts.items()}),
            )
            for at in best
        ]

    def _parts(
        self, sequence: NDArray[np.int64], asked: NDArray[np.float32], among: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float32]]:
        """What each told signal adds to the score of the item rows ``among``, each float32 (len(among),)."""
        parts = {told: np.zeros(len(among), dtype=np.float32) for told in (*TOLD.values(), "replacement")}
        for name, part in self._ranker.parts(sequence, among).items():
            parts[self._told[name]] += part
        if len(asked):
            history = np.sum(list(parts.values()), axis=0)
            # Near one of them, not near their mean: who likes kettles and tents wants no kettle for tents.
            # All products are a little alike; what counts is how much more than most.
            nearness = rows_of(self._content, among) @ asked.T - self._typical @ asked.T
            nearest = np.max([_scaled(each) for each in nearness.T], axis=0)
            parts["content"] += QUERY_WEIGHT * (float(np.ptp(history)) or 1.0) * nearest
        return parts

    def _replacing(
        self, bad: int, among: NDArray[np.int64], parts: Mapping[str, NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """What items of the kind of the row ``bad`` gain for having to replace it, float32 (len(among),)."""
        same = (self._kinds[among] == self._kinds[bad]) & (self._kinds[bad] != "")
        gain = lift(np.sum(list(parts.values()), axis=0), same, self._ranker.replaced)
        return np.where(same, np.float32(gain), np.float32(0.0))

    def _asked_for(self, liked: Sequence[int], words: str) -> NDArray[np.float32]:
        """Where in content space the wish points, float32 (n, 384): to each like, and to the words."""
        rows = self._content[list(liked)]
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
            having[self._facets[facet].get(value.lower(), _NONE)] = True
        return having


def color_of(item: Item) -> str | None:
    """The item's colour in lower case, however its attribute is spelt."""
    color = item.attributes.get("color") or item.attributes.get("colour")
    return color.lower() if color else None


def _facets(items: Sequence[Item]) -> dict[str, dict[str, NDArray[np.int64]]]:
    """Facet -> value in lower case -> rows of the items that have it."""
    facets: dict[str, dict[str, list[int]]] = {"brand": {}, "color": {}, "department": {}, "kind": {}}
    for row, item in enumerate(items):
        told = {
            "brand": item.brand,
            "color": color_of(item),
            "department": item.department,
            "kind": item.kind,
        }
        for facet, value in told.items():
            if value:
                facets[facet].setdefault(value.lower(), []).append(row)
    return {
        facet: {value: np.array(rows) for value, rows in values.items()} for facet, values in facets.items()
    }


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


def _shares(parts: Mapping[str, float]) -> dict[str, float]:
    """What speaks for an item, as shares; what speaks against it has none."""
    positive = {name: max(part, 0.0) for name, part in parts.items()}
    total = sum(positive.values())
    if total <= 0:
        return {name: float(name == "popularity") for name in parts}
    return {name: part / total for name, part in positive.items()}
