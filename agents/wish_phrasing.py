"""Wishes in words: "blue tents under $80, leaving out Acme", and what is said where nothing fits them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agents.plan import Facet, Wishes
from agents.words import plural
from crs.recommender import color_of
from knowledge.money import dollars
from knowledge.types import Constraints, Item

CENT = 0.01
N_NAMED = 3  # colors or brands that are there instead
MOST_WORDS = 3  # free words that can be repeated and still read well
_GIFT = frozenset({"gift", "gifts", "present", "presents"})
_FACET_NAMES: Mapping[Facet, str] = {
    "price": "the price limit",
    "brand": "the brand wish",
    "color": "the color wish",
    "department": "the department",
    "kind": "the kind of product",
    "words": "the rest of the wording",
}
_RELAXING: Mapping[Facet, str] = {
    "price": "Forget the budget",
    "brand": "Any brand is fine",
    "color": "Any color is fine",
    "department": "Any department",
    "kind": "Forget the kind",
    "words": "Forget the rest",
}


def describe(wishes: Wishes, likes: Sequence[str] = (), *, last: str = "and") -> str:
    """Wishes as a noun and all that is said of it; empty where there are none.

    ``likes``: names of products that it shall be like. ``last``: the word before the last of several kinds.
    """
    asked = wishes.constraints
    free = asked.words.split()
    named = [plural(kind) for kind in asked.kinds] or (["gifts"] if _GIFT & set(free) else [])
    parts = [listed(asked.colors, "or"), listed([title(brand) for brand in asked.brands], "or")]
    parts.append(listed(named, last) or "things")
    if asked.departments:
        parts.append(f"in {listed([title(name) for name in asked.departments], 'or')}")
    if likes:
        parts.append(f"like the {listed(likes)}")
    elif free and not named and len(free) <= MOST_WORDS:
        parts.append(f"close to \u201c{asked.words}\u201d")
    parts.append(_priced(asked))
    if left_out := [name for name in refused(wishes) if not (asked.colors and name in asked.not_colors)]:
        parts[-1] += f", leaving out {listed(left_out)}"
    said = " ".join(filter(None, parts)).replace(" ,", ",")
    return "" if said == "things" else said


def refused(wishes: Wishes) -> list[str]:
    """The names of all that is to be left out."""
    asked = wishes.constraints
    names = [*(title(brand) for brand in asked.not_brands), *asked.not_colors, *map(plural, asked.not_kinds)]
    return [*names, *asked.not_departments, *wishes.avoid]


def nothing_fits(wishes: Wishes, in_the_way: Mapping[tuple[Facet, ...], Sequence[Item]]) -> str:
    """What is not there, and what is: ``in_the_way`` has what is found once a set of wishes is dropped."""
    wished = describe(wishes, last="or")
    more = "more " if wishes.constraints.exclude_ids else ""
    said = [f"I have no {more}{wished}." if wished else "I have nothing more to show."]
    said += [
        _instead(facets[0], found, wishes.constraints)
        for facets, found in in_the_way.items()
        if len(facets) == 1 and facets[0] in ("price", "color", "brand")
    ]
    several = [facets for facets in _helpful(list(in_the_way)) if len(facets) > 1]
    if several:
        names = listed([listed([_FACET_NAMES[facet] for facet in facets]) for facets in several], "or")
        said.append(f"No single wish is to blame: there are some without {names}.")
    elif in_the_way and len(said) == 1:
        said.append("Other things would fit.")
    return " ".join(filter(None, said))


def relaxing_chips(in_the_way: Sequence[tuple[Facet, ...]]) -> list[str]:
    """What to say to drop each set of wishes."""
    return [". ".join(_RELAXING[facet] for facet in facets) for facets in _helpful(in_the_way)]


def _helpful(in_the_way: Sequence[tuple[Facet, ...]]) -> Sequence[tuple[Facet, ...]]:
    """The sets without the kind, which is what was wanted; all of them where nothing less helps."""
    return [facets for facets in in_the_way if "kind" not in facets] or in_the_way


def title(name: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in name.split())


def listed(parts: Sequence[str], last: str = "and") -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def _priced(asked: Constraints) -> str:
    """The price limits; one that is no round figure is a cent beside a price that was seen."""
    low, high = asked.min_price, asked.max_price
    if low is not None and high is not None:
        return f"from {dollars(low)} to {dollars(high)}"
    if high is not None:
        return f"up to {dollars(high)}" if high == int(high) else f"under {dollars(round(high + CENT, 2))}"
    if low is not None:
        return f"from {dollars(low)}" if low == int(low) else f"over {dollars(round(low - CENT, 2))}"
    return ""


def _instead(facet: Facet, found: Sequence[Item], asked: Constraints) -> str:
    """What there is without the wish about one facet."""
    if facet == "price":
        prices = sorted(item.price for item in found if item.price is not None)
        if not prices:
            return ""
        is_dear = asked.max_price is not None and prices[0] > asked.max_price
        return f"They start at {dollars(prices[0])}." if is_dear else f"They go up to {dollars(prices[-1])}."
    names = [(color_of(item) if facet == "color" else item.brand) or "" for item in found]
    several = list(dict.fromkeys(filter(None, names)))
    if not several:
        return ""
    more = " and more" if len(several) > N_NAMED else ""
    told = f"{', '.join(several[:N_NAMED])}{more}" if more else listed(several)
    return f"There are some in {told}." if facet == "color" else f"There are some by {told}."
