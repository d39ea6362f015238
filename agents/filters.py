"""Wishes in people's words as the exact filters of a recommendation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from agents.catalogue import Catalogue
from agents.lexicon import Lexicon
from agents.parse_constraints import parse_constraints
from agents.plan import Wishes
from knowledge.types import Constraints, Item

if TYPE_CHECKING:
    from crs.shop import Vocabulary

# What "cheap" and "premium" mean: the lowest and the highest third of the prices looked at.
CHEAP_QUANTILE, PREMIUM_QUANTILE = 1 / 3, 2 / 3


class Filters:
    """Turns the wishes of people into the filters of one store."""

    def __init__(self, catalogue: Catalogue, lexicon: Lexicon) -> None:
        self._catalogue, self._lexicon = catalogue, lexicon

    def of(self, wishes: Wishes) -> Constraints:
        """Short forms spelt out, "cheap" in figures, and what says a word to avoid excluded by id."""
        constraints = self._lexicon.spell_out(self.priced(wishes).constraints)
        avoided = (item_id for word in wishes.avoid for item_id in sorted(self._catalogue.saying(word)))
        return replace(constraints, exclude_ids=tuple(dict.fromkeys((*constraints.exclude_ids, *avoided))))

    def priced(self, wishes: Wishes) -> Wishes:
        """The wishes with "cheap" or "premium" as a figure: a third of the prices of the kinds looked for."""
        asked = wishes.constraints
        if not wishes.price or asked.max_price is not None or asked.min_price is not None:
            return wishes
        kinds = self._lexicon.spell_out(asked).kinds
        prices = sorted(
            item.price
            for item in self._catalogue.items.values()
            if item.price is not None and (not kinds or (item.kind or "").lower() in kinds)
        )
        if not prices:
            return wishes
        if wishes.price == "cheap":
            asked = replace(asked, max_price=prices[int(CHEAP_QUANTILE * (len(prices) - 1))])
        else:
            asked = replace(asked, min_price=prices[int(PREMIUM_QUANTILE * (len(prices) - 1))])
        return replace(wishes, constraints=asked)


def read_wish(text: str, items: Mapping[str, Item], vocabulary: Vocabulary) -> Constraints:
    """A wish outside any conversation ("blue pens under $10, not Acme") as filters."""
    catalogue = Catalogue(items)
    lexicon = Lexicon(vocabulary, catalogue.listing_words())
    return Filters(catalogue, lexicon).of(parse_constraints(lexicon.correct(text), lexicon))
