"""What a shopper wants: the facets of a hidden product, never its title."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, get_args

from crs.recommender import color_of
from knowledge.types import Constraints, Item

Need = Literal["department", "kind", "color", "brand", "budget"]
NEEDS: tuple[Need, ...] = get_args(Need)
_STEPS = (
    (50.0, 5.0),
    (200.0, 10.0),
    (float("inf"), 50.0),
)  # budgets up to (dollars) go in steps of (dollars)


class Goal:
    """The hidden product as its shopper thinks of it: told apart by id alone."""

    def __init__(self, item: Item) -> None:
        self.item_id = item.item_id
        self._item = item
        self.budget = None if item.price is None else round_budget(item.price)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What can be said of it: the facets that its listing has."""
        return tuple(need for need in NEEDS if self.value(need) is not None)

    def value(self, need: Need) -> str | None:
        """The facet in the store's words, in lower case; a budget in dollars."""
        if need == "budget":
            return None if self.budget is None else f"{self.budget:g}"
        return facet(self._item, need)

    def is_met(self, need: Need, item: Item) -> bool:
        """Whether a product is as wanted in one respect; one without a price is too dear."""
        if need == "budget":
            return self.budget is None or (item.price is not None and item.price <= self.budget)
        return facet(item, need) == facet(self._item, need)

    def is_let_through(self, wish: Constraints) -> bool:
        """Whether the filters of a recommendation leave the product in, `Recommender.recommend`'s rules."""
        item, price = self._item, self._item.price
        sides = (
            (facet(item, "department"), wish.departments, wish.not_departments),
            (facet(item, "kind"), wish.kinds, wish.not_kinds),
            (facet(item, "color"), wish.colors, wish.not_colors),
            (facet(item, "brand"), wish.brands, wish.not_brands),
        )
        return (
            item.item_id not in (*wish.exclude_ids, *wish.like_ids)
            and (wish.max_price is None or (price is not None and price <= wish.max_price))
            and (wish.min_price is None or (price is not None and price >= wish.min_price))
            and all((not wanted or value in wanted) and value not in not_ for value, wanted, not_ in sides)
        )


def facet(item: Item, need: Need) -> str | None:
    """A product's department, kind, colour or brand in lower case."""
    if need == "color":
        return color_of(item)
    values: Mapping[str, str | None] = {
        "department": item.department,
        "kind": item.kind,
        "brand": item.brand,
    }
    value = values[need]
    return value.lower() if value else None


def round_budget(price: float) -> float:
    """The next round sum in dollars that buys it."""
    step = next(step for limit, step in _STEPS if price <= limit)
    return -(-price // step) * step


def plain_color(color: str, colors: Collection[str]) -> str:
    """A colour as people say it: "blue" for "storm blue", where the store knows a plain blue too."""
    last = color.split()[-1]
    return last if last in colors and " and " not in color else color
