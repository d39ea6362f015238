"""What shoppers write about what they bought: short, uneven, in their own voice, and silent about circles."""

from __future__ import annotations

import random
from functools import cache

from knowledge.demo.grammar import Draft, Fact, Grammar, load_grammar
from knowledge.demo.shoppers import Purchase, Shopper, likes
from knowledge.demo.words import WORDS_DIR

SHARE_EMPTY = 0.12
SHARE_TITLE_ONLY = 0.08
_MOOD = {5: "five", 4: "four", 3: "three", 2: "low", 1: "low"}


@cache
def _grammar() -> Grammar:
    return load_grammar(WORDS_DIR / "phrases" / "reviews.toml")


def write_review(shopper: Shopper, purchase: Purchase, rng: random.Random) -> tuple[str, str]:
    """(title, text) of the review of ``purchase``; either may be empty."""
    if rng.random() < SHARE_EMPTY:
        return "", ""
    grammar = _grammar()
    phrases = grammar.for_cause(_MOOD[purchase.stars])
    draft = Draft(rng, phrases, _facts(shopper, purchase))
    title = draft.write(phrases["title"]) or ""
    if rng.random() < SHARE_TITLE_ONLY:
        return title, ""
    return title if rng.random() < 0.8 else "", draft.write(grammar.plans) or ""


def _facts(shopper: Shopper, purchase: Purchase) -> dict[str, Fact]:
    product, cause = purchase.product, purchase.cause
    kind = product.kind
    facts: dict[str, Fact] = {
        "praise": kind.praise,
        "gripe": kind.gripes,
        "purpose": kind.purposes,
        "quality": kind.quality,
        "Quality": tuple(words[:1].upper() + words[1:] for words in kind.quality),
        "kind": kind.kind,
        "it": "them" if kind.is_plural else "it",
        "it_s": "they" if kind.is_plural else "it",
        "target_plural": "yes" if kind.is_plural else "no",
        "value": shopper.persona.values,
        "label": shopper.persona.label,
        "price": f"${product.item.price:.0f}" if product.item.price else "the money",
    }
    if product.color:
        facts["color"] = product.color
    if likes(shopper.colors, product.color):
        facts["color_in_taste"] = "yes"
    if likes(shopper.materials, product.material):
        facts["material"], facts["material_in_taste"] = product.material, "yes"
    if cause.name in ("gift", "event", "season"):
        facts[cause.name] = cause.phrase
    if cause.name == "need":
        facts["do"] = cause.phrase
    if cause.name == "gift" and purchase.stars >= 4:
        facts["gift_liked"] = "yes"
    return facts
