"""The demo shop's shelves: every item made from the word lists."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from knowledge.demo.words import Kind, Words
from knowledge.types import Item

ITEMS_PER_KIND = 12
TIER_PRICE = ((0.0, 0.4), (0.25, 0.75), (0.6, 1.0))  # share of a kind's price range that a tier covers


@dataclass(frozen=True, slots=True)
class Product:
    """An item with what only the generator knows of it."""

    item: Item
    kind: Kind
    tier: int  # 0 budget, 1 middle, 2 premium
    merit: float  # how well it is really made, about -1 to 1; shows in stars only
    popularity: float  # relative weight among equals, long-tailed

    @property
    def color(self) -> str:
        return self.item.attributes.get("color", "")

    @property
    def material(self) -> str:
        return self.item.attributes.get("material", "")


@dataclass(frozen=True)
class Catalogue:
    """All products; ``by_kind`` groups them by their noun."""

    products: tuple[Product, ...]
    by_kind: dict[str, tuple[Product, ...]]
    by_department: dict[str, tuple[Product, ...]]
    by_brand: dict[str, tuple[Product, ...]]


def make_catalogue(words: Words, rng: random.Random) -> Catalogue:
    """At least ``ITEMS_PER_KIND`` items a kind; every brand sells in 2 to 5 departments at one tier."""
    brand_tier = {brand: rng.choice((0, 1, 1, 2)) for brand in words.brands}
    brands_of = _spread_brands(words, rng)
    products: list[Product] = []
    titles: set[str] = set()
    for kind in words.kinds.values():
        for number in range(ITEMS_PER_KIND):
            brand = brands_of[kind.department][number % len(brands_of[kind.department])]
            products.append(
                _make_product(f"i{len(products) + 1:04d}", kind, brand, brand_tier[brand], words, titles, rng)
            )
        rng.shuffle(brands_of[kind.department])
    return Catalogue(
        products=tuple(products),
        by_kind=_group(products, lambda p: p.kind.kind),
        by_department=_group(products, lambda p: p.kind.department),
        by_brand=_group(products, lambda p: p.item.brand or ""),
    )


def _group(products: list[Product], key: Callable[[Product], str]) -> dict[str, tuple[Product, ...]]:
    groups: dict[str, list[Product]] = {}
    for product in products:
        groups.setdefault(key(product), []).append(product)
    return {name: tuple(members) for name, members in groups.items()}


def _spread_brands(words: Words, rng: random.Random) -> dict[str, list[str]]:
    """Each brand in 2 to 5 departments, each department with at least ``ITEMS_PER_KIND`` brands."""
    names = list(words.departments)
    brands_of: dict[str, list[str]] = {name: [] for name in names}
    for brand in words.brands:
        for name in rng.sample(names, rng.randint(2, min(5, len(names)))):
            brands_of[name].append(brand)
    for brands in brands_of.values():
        spare = [brand for brand in words.brands if brand not in brands]
        brands.extend(rng.sample(spare, max(0, min(len(spare), ITEMS_PER_KIND - len(brands)))))
    return brands_of


def _make_product(
    item_id: str, kind: Kind, brand: str, tier: int, words: Words, titles: set[str], rng: random.Random
) -> Product:
    style = rng.choice(kind.styles)
    title = f"{brand} {rng.choice(words.models)} {style} {_title_case(kind.kind)}"
    while title in titles:
        title = f"{brand} {rng.choice(words.models)} {style} {_title_case(kind.kind)}"
    titles.add(title)
    attributes = {
        name: rng.choice(values)
        for name, values in (("color", kind.colors), ("material", kind.materials), ("size", kind.sizes))
        if values
    }
    features = tuple(rng.sample(kind.features, 3))
    low, high = TIER_PRICE[tier]
    span = kind.price[1] - kind.price[0]
    price = int(kind.price[0] + span * rng.uniform(low, high)) + rng.choice((0.99, 0.95, 0.49, 0.0))
    item = Item(
        item_id=item_id,
        title=title,
        description=_describe(kind, attributes, features, rng),
        brand=brand,
        price=round(max(price, 0.99), 2),
        department=words.departments[kind.department],
        kind=kind.kind,
        attributes=attributes,
        features=features,
    )
    merit = max(-1.0, min(1.0, rng.gauss(0.1 * tier, 0.5)))
    return Product(item, kind, tier, merit, rng.paretovariate(1.6))


def _title_case(kind: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in kind.split())


def _describe(kind: Kind, attributes: dict[str, str], features: tuple[str, ...], rng: random.Random) -> str:
    look = " ".join(attributes[name] for name in ("color", "material") if name in attributes)
    this, it = ("These", "They") if kind.is_plural else ("This", "It")
    noun = kind.kind
    size = f", {attributes['size']}," if attributes.get("size") and rng.random() < 0.7 else ""
    opening = rng.choice(
        (
            f"{this} {look} {noun}{size} {features[0]} and {features[1]}.",
            f"Made to {rng.choice(kind.purposes)}, {this.lower()} {look} {noun} {features[0]} "
            f"and {features[1]}.",
            f"{this} {noun} in {look}{size} {features[0]}. {it} also {features[1]}.",
        )
    )
    close = rng.choice(
        (
            f"{it} {features[2]}, for {rng.choice(kind.gains)}.",
            f"{it} {features[2]}.",
            f"{it} {features[2]}, with {rng.choice(kind.gains)} in mind.",
            f"Think of {rng.choice(kind.gains)}: {it.lower()} {features[2]}.",
            f"And {it.lower()} {features[2]}.",
            f"Better still, {it.lower()} {features[2]}.",
        )
    )
    return f"{opening} {close}"
