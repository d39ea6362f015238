"""Two or three products side by side: what their listings state, and what their buyers gave them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agents.render import short_title
from knowledge.money import dollars
from knowledge.types import Interaction, Item

MOST = 3  # products that fit beside each other


@dataclass(frozen=True, slots=True)
class Table:
    """Plain text by row and column; ``head`` names the columns, the first cell of a row names the row."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def compare(items: Sequence[Item], reviews: Callable[[str], Sequence[Interaction]]) -> Table:
    """The table of ``items``; a row that says nothing of any of them is left out, "—" is not listed."""
    attributes = dict.fromkeys(name for item in items for name in item.attributes)
    rows = [
        ("Price", *("" if item.price is None else f"${item.price:,.2f}" for item in items)),
        ("Brand", *(item.brand or "" for item in items)),
        ("Kind", *(item.kind or "" for item in items)),
        *((name.capitalize(), *(item.attributes.get(name, "") for item in items)) for name in attributes),
        ("Stars", *(_stars(reviews(item.item_id)) for item in items)),
        ("Says of itself", *("; ".join(item.features) for item in items)),
    ]
    told = [tuple(cell or "—" for cell in row) for row in rows if any(row[1:])]
    return Table(("", *(short_title(item) for item in items)), tuple(told))


def in_words(items: Sequence[Item], reviews: Callable[[str], Sequence[Interaction]]) -> str:
    """The line above the table: which costs least, which its buyers like best."""
    two = len(items) == 2
    said = []
    priced = [(item.price, short_title(item)) for item in items if item.price is not None]
    if len(priced) == len(items) and min(priced)[0] < max(priced)[0]:
        saved, cheapest = round(max(priced)[0] - min(priced)[0], 2), min(priced)[1]
        by_how_much = (
            f"is {dollars(saved)} cheaper" if two else f"costs least, {dollars(saved)} less than the dearest"
        )
        said.append(f"The {cheapest} {by_how_much}.")
    means = [(round(_mean(reviews(item.item_id)), 1), short_title(item)) for item in items]
    rated = [(mean, name) for mean, name in means if mean]
    if len(rated) > 1 and max(rated)[0] > min(rated)[0]:
        against = f" against {min(rated)[0]:.1f}" if two else ""
        said.append(f"Buyers gave the {max(rated)[1]} the most stars, {max(rated)[0]:.1f} of 5{against}.")
    elif len(rated) > 1:
        said.append(f"Buyers gave {'both' if two else 'all'} {max(rated)[0]:.1f} of 5 stars.")
    return " ".join(said) or "Here they are, side by side."


def _stars(bought: Sequence[Interaction]) -> str:
    mean = _mean(bought)
    n_rated = sum(each.rating is not None for each in bought)
    return f"{mean:.1f} of 5 ({n_rated})" if mean else ""


def _mean(bought: Sequence[Interaction]) -> float:
    """Mean stars, 0 where nobody rated."""
    stars = [each.rating for each in bought if each.rating is not None]
    return sum(stars) / len(stars) if stars else 0.0
