"""The store's products by the words of their titles: which one does a person mean?"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping

from agents.words import STOPWORDS, singular, words
from crs.recommender import color_of
from knowledge.types import Item

NEAR_BEST = 0.85  # a product this near the best one's score is meant just as well


class Catalogue:
    """Two indexes over a store: names of products (title, brand, kind, colour) and their whole listings."""

    def __init__(self, items: Mapping[str, Item]) -> None:
        self.items = items
        self._bearing: dict[str, list[str]] = defaultdict(list)  # word of a name -> item ids
        self._saying: dict[str, set[str]] = defaultdict(set)  # word of a listing -> item ids
        self._words: dict[str, frozenset[str]] = {}
        self._listing_words: set[str] = set()
        for item_id, item in items.items():
            self._words[item_id] = _name_words(item)
            for word in self._words[item_id]:
                self._bearing[word].append(item_id)
            said = set(words(listing(item)))
            self._listing_words |= said
            for word in said:
                self._saying[singular(word)].add(item_id)

    def listing_words(self) -> frozenset[str]:
        """Every word of the listings, in normal form."""
        return frozenset(self._listing_words)

    def saying(self, word: str) -> frozenset[str]:
        """The ids of the items whose listing says ``word``, in any number."""
        return frozenset(self._saying.get(singular(word), ()))

    def match(self, text: str, among: Collection[str] | None = None) -> list[str]:
        """The items that ``text`` names, best first, those named equally well together; may be none.

        ``among``: the item ids looked at, the whole store by default.
        """
        asked = {singular(word) for word in words(text) if word not in STOPWORDS} & self._bearing.keys()
        scores: defaultdict[str, float] = defaultdict(float)
        for word in asked:
            bearing = self._bearing[word]
            weight = math.log(1 + len(self._words) / len(bearing))
            for item_id in bearing if among is None else [i for i in among if word in self._words.get(i, ())]:
                scores[item_id] += weight
        if not scores:
            return []
        best = max(scores.values())
        close = [item_id for item_id, score in scores.items() if score >= NEAR_BEST * best]
        return sorted(close, key=lambda item_id: (-scores[item_id], -self._share(item_id, asked)))

    def _share(self, item_id: str, asked: set[str]) -> float:
        """How much of the title was said: the shorter title fits the same words better."""
        return len(self._words[item_id] & asked) / len(self._words[item_id])


def listing(item: Item) -> str:
    """All that the store says of a product, in one text."""
    return " ".join(
        (item.title, item.kind or "", item.description, *item.attributes.values(), *item.features)
    )


def _name_words(item: Item) -> frozenset[str]:
    text = f"{item.title} {item.brand or ''} {item.kind or ''} {color_of(item) or ''}"
    return frozenset(singular(word) for word in words(text) if word not in STOPWORDS)
