"""Wishes that pile up over a conversation: what a critique changes, the latest word winning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from agents.plan import Facet, Plan, Wishes
from crs.recommender import color_of
from knowledge.types import Constraints, Item

CENT = 0.01


def refine(current: Wishes, plan: Plan, about: Item | None, shown: Iterable[Item]) -> Wishes:
    """The conversation's wishes after a critique of ``about`` (one of the ``shown`` products)."""
    wishes = current
    for facet in plan.relax:
        wishes = relax(wishes, facet)
    wishes = merge(wishes, plan.wishes, adds=plan.adds)
    constraints = wishes.constraints
    seen = tuple(dict.fromkeys((*constraints.exclude_ids, *(item.item_id for item in shown))))
    if plan.change == "more":
        constraints = replace(constraints, exclude_ids=seen)
    elif plan.change and about is not None:
        constraints = _change(constraints, plan, about, seen)
    return replace(wishes, constraints=constraints)


def relax(wishes: Wishes, facet: Facet) -> Wishes:
    """The wishes without what they say about one facet."""
    constraints = wishes.constraints
    if facet == "price":
        return replace(wishes, price="", constraints=replace(constraints, min_price=None, max_price=None))
    if facet == "max_price":
        return replace(wishes, price="", constraints=replace(constraints, max_price=None))
    if facet == "min_price":
        return replace(wishes, price="", constraints=replace(constraints, min_price=None))
    if facet == "brand":
        return replace(wishes, constraints=replace(constraints, brands=(), not_brands=()))
    if facet == "color":
        return replace(wishes, constraints=replace(constraints, colors=(), not_colors=()))
    if facet == "department":
        return replace(wishes, constraints=replace(constraints, departments=(), not_departments=()))
    if facet == "kind":
        return replace(wishes, constraints=replace(constraints, kinds=(), not_kinds=()))
    return Wishes(replace(constraints, words="", exclude_ids=()), price=wishes.price)


def _change(constraints: Constraints, plan: Plan, about: Item, seen: tuple[str, ...]) -> Constraints:
    color = color_of(about)
    if plan.change == "cheaper" and about.price is not None:
        return replace(constraints, max_price=round(about.price - CENT, 2), min_price=None)
    if plan.change == "pricier" and about.price is not None:
        return replace(constraints, min_price=round(about.price + CENT, 2), max_price=None)
    if plan.change == "other_brand" and about.brand:
        return _merged(constraints, Constraints(not_brands=(about.brand.lower(),)))
    if plan.change == "other_color" and color:
        # the colour asked for before may be a short form ("blue") of the one shown ("slate blue")
        wanted = tuple(each for each in constraints.colors if each not in color.split())
        return _merged(replace(constraints, colors=wanted), Constraints(not_colors=(color,)))
    if plan.change == "more_like":
        return replace(constraints, like_ids=(about.item_id,), exclude_ids=seen)
    return replace(constraints, exclude_ids=seen)


def merge(current: Wishes, new: Wishes, *, adds: bool = False) -> Wishes:
    """Both wishes at once; where they disagree the new ones hold, or ``adds`` to what was wanted."""
    constraints = _merged(current.constraints, new.constraints, adds=adds)
    if new.price:  # a word about price takes the place of earlier figures
        constraints = replace(constraints, min_price=None, max_price=None)
    avoid = tuple(dict.fromkeys((*current.avoid, *new.avoid)))
    has_figures = new.constraints.max_price is not None or new.constraints.min_price is not None
    return Wishes(constraints, avoid, new.price or ("" if has_figures else current.price))


def _merged(current: Constraints, new: Constraints, *, adds: bool = False) -> Constraints:
    """What is newly wanted replaces what was wanted and is no longer unwanted, and the other way round."""
    changes: dict[str, tuple[str, ...]] = {}
    for want, unwant in (
        ("brands", "not_brands"),
        ("colors", "not_colors"),
        ("departments", "not_departments"),
        ("kinds", "not_kinds"),
    ):
        wanted, unwanted = getattr(new, want), getattr(new, unwant)
        kept = tuple(each for each in getattr(current, want) if each not in unwanted)
        refused = tuple(each for each in getattr(current, unwant) if each not in wanted)
        changes[want] = tuple(dict.fromkeys((*kept, *wanted))) if adds else wanted or kept
        changes[unwant] = tuple(dict.fromkeys((*refused, *unwanted)))
    priced = new.max_price is not None or new.min_price is not None
    return replace(
        current,
        max_price=new.max_price if priced else current.max_price,
        min_price=new.min_price if priced else current.min_price,
        words=" ".join(filter(None, (current.words, new.words))),
        like_ids=new.like_ids or current.like_ids,
        exclude_ids=tuple(dict.fromkeys((*current.exclude_ids, *new.exclude_ids))),
        **changes,
    )
