"""What can be said of a shopper: the grammars' slots, filled from purchases and their causes."""

from __future__ import annotations

import random
from collections import Counter
from functools import cache
from typing import Any

from knowledge.demo.catalogue import Product
from knowledge.demo.grammar import Fact, Keyed, gerund, number_word
from knowledge.demo.narratives.mentions import PurchaseMention, price_third, target_facts
from knowledge.demo.shoppers import Purchase, Shopper, likes
from knowledge.demo.words import WORDS_DIR, read_toml


@cache
def _departments() -> dict[str, Any]:
    return read_toml(WORDS_DIR / "phrases" / "departments.toml")


def purchase_facts(
    shopper: Shopper, history: list[Purchase], purchase: Purchase, owner: str, rng: random.Random
) -> dict[str, Fact]:
    """Slots for a text about ``purchase`` that knows ``history``, all that came before it.

    ``owner`` is how the purchases' possessor is called: "their" or "your". Nothing after ``purchase``, and
    neither its stars nor its review, is used.
    """
    product, cause = purchase.product, purchase.cause
    mentions = [PurchaseMention(k, p.product, owner) for k, p in enumerate(history, 1)]
    rest = [m for m in mentions if m.position not in cause.earlier]
    facts: dict[str, Fact] = {
        **target_facts(product),
        "value": shopper.persona.values,
        "label": shopper.persona.label,
    }
    facts["role"] = rng.choice(shopper.persona.nouns).lower()
    facts |= _cause_facts(purchase)
    facts["n_before"] = number_word(len(history))
    if cause.earlier:
        # The two most telling are enough, and stay clear of the rest.
        facts["e"] = tuple(mentions[position - 1] for position in cause.earlier[:3])
    own = [m for m in rest if history[m.position - 1].cause.name != "gift"]
    near = [
        m
        for m in own
        if m.product.kind.department == product.kind.department and m.product.kind is not product.kind
    ]
    related = [m for m in own if _related(m.product, product)]
    _put(facts, "other", [m for m in own if m.product.kind is not product.kind])
    for name, stars in (("liked", 4), ("loved", 5)):
        praised = [m for m in own if history[m.position - 1].stars >= stars]
        _put(facts, name, [m for m in praised if m in related] or praised)
    _put(facts, "disliked", [m for m in own if history[m.position - 1].stars <= 2])
    _put(facts, "same_color", [m for m in near if m.product.color and m.product.color == product.color])
    if near:
        facts["near"] = tuple(near)
        facts["near_things"] = rng.choice(_departments()["things"][product.kind.department])
    if likes(shopper.colors, product.color):
        facts["color_in_taste"] = "yes"
    if likes(shopper.materials, product.material):
        facts["material_in_taste"] = "yes"
    return facts


def _related(one: Product, other: Product) -> bool:
    """Whether praise of ``one`` says something about ``other``: a shared department, brand or use."""
    if one.item.brand == other.item.brand or one.kind.department == other.kind.department:
        return True
    return one.kind.kind in other.kind.goes_with or other.kind.kind in one.kind.goes_with


def _cause_facts(purchase: Purchase) -> dict[str, Fact]:
    cause = purchase.cause
    if cause.name == "need":
        return {"do": cause.phrase, "doing": gerund(cause.phrase)}
    if cause.name in ("gift", "event", "season"):
        return {cause.name: cause.phrase}
    if cause.name == "color":
        return {"match_color": cause.phrase}
    if cause.circle is not None:
        return {"group": cause.circle.group, "list": cause.circle.list_name, "circle_to": cause.circle.to}
    return {}


def _put(facts: dict[str, Fact], name: str, mentions: list[PurchaseMention]) -> None:
    if mentions:
        facts[name] = tuple(mentions)


def shopper_facts(shopper: Shopper, rng: random.Random) -> dict[str, Fact]:
    """Slots for a text about the shopper as a whole, from all of ``shopper.purchases``."""
    history = shopper.purchases
    mentions = [PurchaseMention(k, p.product, "their") for k, p in enumerate(history, 1)]
    by_stars = [
        (m, history[m.position - 1].stars) for m in mentions if history[m.position - 1].cause.name != "gift"
    ]
    facts: dict[str, Fact] = {
        "label": shopper.persona.label,
        "role": rng.choice(shopper.persona.nouns).lower(),
        "value": shopper.persona.values,
        "count": number_word(len(history)),
        "first": (mentions[0],),
        "recent": (mentions[-1],),
        "some": tuple(m for m, _ in by_stars),
        "dearest": (max(mentions, key=lambda m: m.product.item.price or 0.0),),
    }
    _put(facts, "liked", [m for m, stars in by_stars if stars >= 4])
    _put(facts, "loved", [m for m, stars in by_stars if stars == 5])
    _put(facts, "disliked", [m for m, stars in by_stars if stars <= 2])
    facts |= _department_facts(mentions, rng)
    facts |= _habit_facts(shopper)
    facts |= _color_facts(shopper, mentions)
    facts |= _need_facts(history, mentions, rng)
    facts |= _occasion_facts(history, mentions, rng)
    facts |= _pair_facts(history, mentions, rng)
    return facts


def _department_facts(mentions: list[PurchaseMention], rng: random.Random) -> dict[str, Fact]:
    counts = Counter(m.product.kind.department for m in mentions)
    (top, n_top), *others = counts.most_common()
    things = _departments()["things"]
    facts: dict[str, Fact] = {
        "n_depts": number_word(len(counts)),
        "top_things": (rng.choice(things[top]),),
        "top_item": tuple(m for m in mentions if m.product.kind.department == top),
    }
    if len(counts) == 1:
        del facts["n_depts"]  # "one departments"
    if others:
        second, n_second = others[0]
        facts["next_things"] = (rng.choice(things[second]),)
        facts["next_item"] = tuple(m for m in mentions if m.product.kind.department == second)
        if n_top + n_second > len(mentions) / 2:
            facts["concentrated"] = "yes"
    if len(counts) >= 4:
        facts["broad"] = "yes"
    return facts


def _habit_facts(shopper: Shopper) -> dict[str, Fact]:
    """How the shopper spends and rates, judged by what they bought and not by how they were made."""
    history = shopper.purchases
    third = sum(price_third(p.product) for p in history) / len(history)
    stars = sum(p.stars for p in history) / len(history)
    return {
        "thrifty" if third < 0.7 else "free" if third > 1.2 else "middling": "yes",
        "generous" if stars >= 4.3 else "severe" if stars < 3.6 else "fair": "yes",
    }


def _color_facts(shopper: Shopper, mentions: list[PurchaseMention]) -> dict[str, Fact]:
    counts = Counter(m.product.color for m in mentions if m.product.color)
    liked = [(n, color) for color, n in counts.items() if n >= 2 and likes(shopper.colors, color)]
    if not liked:
        return {}
    color = max(liked)[1]
    return {"fav_color": color, "fav_color_item": tuple(m for m in mentions if m.product.color == color)}


def _need_facts(
    history: list[Purchase], mentions: list[PurchaseMention], rng: random.Random
) -> dict[str, Fact]:
    items: dict[str, list[PurchaseMention]] = {}
    for purchase, mention in zip(history, mentions, strict=True):
        if purchase.cause.name == "need":
            items.setdefault(purchase.cause.phrase, []).append(mention)
    needs = rng.sample(list(items), len(items))
    facts: dict[str, Fact] = {}
    for letter, need in zip("ab", needs if len(needs) > 1 else needs * 2, strict=False):
        facts[f"{letter}_do"] = (Keyed(need, f"need {need}"),)
        facts[f"{letter}_doing"] = (Keyed(gerund(need), f"need {need}"),)
        facts[f"{letter}_item"] = tuple(items[need])
    return facts


def _occasion_facts(
    history: list[Purchase], mentions: list[PurchaseMention], rng: random.Random
) -> dict[str, Fact]:
    facts: dict[str, Fact] = {}
    for name in ("gift", "event", "season"):
        told = [(p, m) for p, m in zip(history, mentions, strict=True) if p.cause.name == name]
        if told:
            purchase, mention = rng.choice(told)
            facts[name], facts[f"{name}_item"] = purchase.cause.phrase, (mention,)
    circles = list({p.cause.circle.list_name: p.cause.circle for p in history if p.cause.circle}.values())
    if circles:
        circle = rng.choice(circles)
        facts |= {"group": circle.group, "list": circle.list_name, "circle_to": circle.to, "member": "yes"}
        facts["circle_item"] = tuple(
            m for p, m in zip(history, mentions, strict=True) if p.cause.circle is circle
        )
    if len([p for p in history if p.cause.name == "gift"]) >= 2:
        facts["giver"] = "yes"
    return facts


# cause -> (slot of the later purchase, slot of the earlier one)
_PAIRS = {
    "replace": ("better", "bad"),
    "complement": ("companion", "owned"),
    "upgrade": ("new", "old"),
    "replenish": ("restocked", "used_up"),
    "loyalty": ("brand_item", "brand_first"),
    "color": ("matching", "matched"),
}


def _pair_facts(
    history: list[Purchase], mentions: list[PurchaseMention], rng: random.Random
) -> dict[str, Fact]:
    facts: dict[str, Fact] = {}
    for cause, (later, earlier) in _PAIRS.items():
        pairs = [(m, p.cause) for p, m in zip(history, mentions, strict=True) if p.cause.name == cause]
        if pairs:
            mention, why = rng.choice(pairs)
            facts[later], facts[earlier] = (mention,), (mentions[why.earlier[0] - 1],)
            if cause == "color":
                facts["match_color"] = why.phrase
            if cause == "loyalty":
                facts["loyal"] = "yes"
    return facts


def profile_facts(shopper: Shopper, facts: dict[str, Fact]) -> dict[str, Fact]:
    """``facts`` with what only a profile of a few words needs, in title case."""
    departments = _departments()
    counts = Counter(p.product.kind.department for p in shopper.purchases).most_common(2)
    extra: dict[str, Fact] = {
        "adj": shopper.persona.adjectives,
        "noun": shopper.persona.nouns,
        "sideline": tuple(departments["person"][department] for department, _ in counts),
        "things": tuple(
            departments["things"][department][0].title().replace(" And ", " and ") for department, _ in counts
        ),
    }
    fond = [
        p.product.kind.plural.title()
        for p in shopper.purchases
        if p.stars == 5 and " " not in p.product.kind.plural
    ]
    if fond:
        extra["fav"] = tuple(fond)
    return {**facts, **extra}
