"""Ways to point at an item in a sentence: the pointer stands directly before the item's noun."""

from __future__ import annotations

import random
from dataclasses import dataclass

from knowledge.demo.catalogue import Product
from knowledge.money import dollars
from knowledge.types import TARGET_POINTER, pointer


@dataclass(frozen=True, slots=True)
class PurchaseMention:
    """The ``position``-th purchase, as "the sage green [3] kettle"; ``owner`` is "their" or "your"."""

    position: int
    product: Product
    owner: str

    @property
    def key(self) -> str:
        return pointer(self.position)

    @property
    def is_plural(self) -> bool:
        return self.product.kind.is_plural

    def render(self, rng: random.Random) -> str:
        determiner = self.owner if self.owner == "your" or rng.random() < 0.3 else "the"
        look = rng.choice(looks(self.product)) if rng.random() < 0.35 else ""
        return f"{determiner} {look}{self.key} {self.product.kind.kind}"


def looks(product: Product) -> tuple[str, ...]:
    """Color and material as adjectives, each with a space after; none that shares a word with the noun."""
    noun_words = set(product.kind.kind.split())
    words = [
        word for word in (product.color, product.material) if word and not noun_words & set(word.split())
    ]
    return tuple(f"{word} " for word in words) or ("",)


def target_facts(product: Product) -> dict[str, str | tuple[str, ...]]:
    """The slots that speak of the target: mentions, pronouns, and what its listing says of it."""
    kind, plural = product.kind, product.kind.is_plural
    noun = f"{TARGET_POINTER} {kind.kind}"
    measure = kind.a.removesuffix(kind.kind)
    if measure in ("a ", "an "):
        measure = "a(n) "
    some = looks(product)
    facts: dict[str, str | tuple[str, ...]] = {
        "t": f"the {noun}",
        "look_t": tuple(f"the {look}{noun}" for look in some),
        "a_t": f"{measure}{noun}",
        "look_a_t": tuple(f"{measure}{look}{noun}" for look in some),
        "this_t": f"{'these' if plural else 'this'} {noun}",
        "look_this_t": tuple(f"{'these' if plural else 'this'} {look}{noun}" for look in some),
        "it": "these" if plural else "it",
        "them": "them" if plural else "it",
        "its": "their" if plural else "its",
        "one": "ones" if plural else "one",
        "target_plural": "yes" if plural else "no",
        "feature": product.item.features,
        "purpose": kind.purposes,
        "gain": kind.gains,
        "price": dollars(product.item.price or 0.0),
        "brand": product.item.brand or "",
    }
    attributes = product.item.attributes
    facts |= {name: attributes[name] for name in ("color", "material", "size") if attributes.get(name)}
    facts[("budget", "midprice", "premium")[price_third(product)]] = "yes"
    return facts


def price_third(product: Product) -> int:
    """0, 1 or 2: where the price lies within what this kind of product costs."""
    low, high = product.kind.price
    share = ((product.item.price or low) - low) / max(high - low, 0.01)
    return 0 if share < 1 / 3 else 1 if share < 2 / 3 else 2
