"""Products for a person's wishes as their notes leave them, and which wishes keep everything out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from itertools import combinations
from typing import TYPE_CHECKING

from agents.critique import merge, relax
from agents.filters import Filters
from agents.plan import Facet, Wishes
from agents.preferences import Preferences, Shaped
from knowledge.notes import Note
from knowledge.types import Constraints, Item, Recommendation

if TYPE_CHECKING:
    from crs.shop import Shop
    from knowledge.memory import Person

N_CARDS = 5
_RELAXABLE: tuple[Facet, ...] = ("price", "color", "brand", "kind", "department", "words")


class Search:
    """Finds products of one shop; holds nothing of a conversation."""

    def __init__(self, shop: Shop, filters: Filters, preferences: Preferences) -> None:
        self._shop, self._filters, self._preferences = shop, filters, preferences

    def find(self, person: Person, wishes: Wishes, unwanted: Wishes, k: int) -> list[Recommendation]:
        """At most ``k`` products that fit the wishes and nothing unwanted."""
        # what is wished for now outweighs an earlier dislike
        return self._shop.recommend(person, self._filters.of(merge(unwanted, wishes)), k)

    def shaped(self, person: Person, notes: Sequence[Note], wishes: Wishes) -> Shaped:
        """The cards that fit the wishes, as the notes leave them."""
        return self._preferences.shape(notes, partial(self.find, person, wishes), N_CARDS)

    def in_the_way(
        self, person: Person, notes: Sequence[Note], wishes: Wishes
    ) -> dict[tuple[Facet, ...], list[Item]]:
        """The smallest sets of wishes that, dropped together, let something through, and what that is."""
        unwanted, everything = self._preferences.unwanted(notes), len(self._shop.items)
        asked = [facet for facet in _RELAXABLE if relax(wishes, facet) != wishes]
        for size in range(1, len(asked) + 1):
            blocking: dict[tuple[Facet, ...], list[Item]] = {}
            for facets in combinations(asked, size):
                relaxed = reduce(relax, facets, wishes)
                if found := self.find(person, relaxed, unwanted, everything):
                    blocking[facets] = [each.item for each in found]
            if blocking:
                return blocking
        return {}

    def best_for(self, person: Person, item_ids: list[str]) -> str:
        """Of products that a name fits equally well, the one this person would be recommended first."""
        kinds = {kind.lower() for i in item_ids if (kind := self._shop.items[i].kind)}
        wishes = Constraints(kinds=tuple(sorted(kinds)))
        ranked = self._shop.recommend(person, wishes, len(self._shop.items))
        return next((each.item.item_id for each in ranked if each.item.item_id in item_ids), item_ids[0])
