"""Narratives over real products: the demo store's grammar, told by the nearest kind of the demo store.

A narrator that met real products only in lists and descriptions speaks of them in broken sentences. Here
each real item lends its own noun, brand and listing, and the demo kind nearest in content lends what is
needed for a sentence around them. What is not known of real shoppers is not said: no stars, prices, colors
or circles.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from crs.bundle import Bundle
from crs.narrator.quotes import FEATURES, quotable
from crs.narrator.sentence import POINTER
from knowledge.demo.catalogue import Product
from knowledge.demo.causes import Cause
from knowledge.demo.grammar import Fact, parse
from knowledge.demo.narratives.facts import profile_facts, purchase_facts, shopper_facts
from knowledge.demo.narratives.writer import NarrativeWriter
from knowledge.demo.shoppers import Purchase, Shopper
from knowledge.demo.words import Kind, Persona, Words, load_words
from knowledge.nouns import is_plural, noun_of
from knowledge.types import Interaction, Item, Narrative, Task

NEAR = 0.5  # cosine from which a demo kind's purposes and gains fit a real item
MIN_HISTORY = 3
NEWCOMERS = 0.3  # of the endorsements: told to somebody who has bought twice
_PURPOSES = (
    "get on with the job",
    "keep things in order",
    "be ready when it counts",
    "spend less time on chores",
)
_GAINS = (
    "one thing less to think about",
    "work that goes smoothly",
    "a task well done",
    "order in daily life",
)
_FEATURES = (("does its job", "is ready when needed"), ("do their job", "are ready when needed"))
_UNKNOWN = frozenset(
    (
        "price", "budget", "midprice", "premium", "thrifty", "middling", "free", "dearest",
        "generous", "fair", "severe", "n_depts", "broad", "concentrated",
        "top_things", "top_item", "next_things", "next_item", "near", "near_things",
        "a_do", "a_doing", "a_item", "b_do", "b_doing", "b_item",
    )
)  # fmt: skip
# What can be told at length without stars, prices, departments and needs.
_LONG_PLANS = tuple(
    map(
        parse,
        (
            "{open_items} {also} {values} {also?} {also?}",
            "{open_items} {values} {also} {also?}",
            "{open} {also} {values} {also?} {also?}",
            "{open} {values} {also} {also?} {also?}",
        ),
    )
)
_DRAFTS = 6  # of what is told of a person; the one that names most purchases is kept


def retold_narratives(
    bundle: Bundle, real: Bundle, histories: Mapping[str, Sequence[Interaction]], seed: int = 0
) -> list[Narrative]:
    """Narratives of the shoppers in ``histories`` over the items of ``real``, oldest purchase first.

    Empty when the items of ``bundle`` are not of the demo store's kinds, for then nothing is near.
    """
    words = load_words()
    nearest = _nearest_kinds(bundle, real, words)
    if not nearest:
        return []
    rng = random.Random(seed)
    writer = NarrativeWriter(rng)
    told: list[Narrative] = []
    for user_id, history in histories.items():
        items = [real.store.items[purchase.item_id] for purchase in history]
        if len(items) >= MIN_HISTORY:
            told += _narratives(writer, _shopper(user_id, items, nearest, words), rng)
    return told


def _narratives(writer: NarrativeWriter, shopper: Shopper, rng: random.Random) -> Iterator[Narrative]:
    n = len(shopper.purchases)
    for task in ("user_summary_brief", "user_summary_long", "user_profile"):
        drafts = [
            writer.text(
                task,
                "",
                lambda task=task: _person(task, shopper, rng),  # type: ignore[misc]
                _LONG_PLANS if task == "user_summary_long" else (),
            )
            for _ in range(_DRAFTS if task != "user_profile" else 1)
        ]
        if text := max(drafts, key=_density):
            yield Narrative(shopper.user_id, task, text, n)
    tasks: tuple[Task, ...] = ("purchase_reason", "purchase_reason_explanation", "product_endorsement")
    for task in tasks:
        position = rng.randint(MIN_HISTORY, n)
        if task == "product_endorsement":
            position = MIN_HISTORY if rng.random() < NEWCOMERS else n
        purchase, before = shopper.purchases[position - 1], shopper.purchases[: position - 1]
        owner = "your" if task == "product_endorsement" else "their"

        def facts(
            purchase: Purchase = purchase, before: list[Purchase] = before, owner: str = owner
        ) -> dict[str, Fact]:
            known = _known(purchase_facts(shopper, before, purchase, owner, rng))
            listing = quotable(purchase.product.item)
            listed = [listing[slot] for slot in FEATURES if slot in listing]
            if len(listed) < 2:  # what can be said of anything, so that a bare listing gets a text as well
                listed += _FEATURES[purchase.product.kind.is_plural]
            return known | {"feature": tuple(listed)}

        text = writer.text(task, "need", facts)
        target_id = purchase.product.item.item_id
        if text:
            yield Narrative(shopper.user_id, task, text, position - 1, target_id, "need")


def _density(text: str) -> tuple[int, int]:
    """How many purchases are named, then how few words; what is said of no purchase is a guess here."""
    return len(set(POINTER.findall(text))), -len(text.split())


def _person(task: Task, shopper: Shopper, rng: random.Random) -> dict[str, Fact]:
    facts = shopper_facts(shopper, rng)
    return _known(profile_facts(shopper, facts) if task == "user_profile" else facts)


def _known(facts: dict[str, Fact]) -> dict[str, Fact]:
    return {name: fact for name, fact in facts.items() if name not in _UNKNOWN and fact}


def _nearest_kinds(bundle: Bundle, real: Bundle, words: Words) -> dict[str, tuple[Kind, float]]:
    """Real item -> the demo kind nearest in content, and its cosine."""
    rows: dict[str, list[int]] = {}
    for i, item in enumerate(bundle.store.items.values()):
        if item.kind in words.kinds:
            rows.setdefault(item.kind, []).append(i)
    if not rows:
        return {}
    centers = np.stack([bundle.item_content[members].mean(axis=0) for members in rows.values()])
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    cosines = real.item_content @ centers.T  # (n_items, n_kinds)
    kinds = [words.kinds[name] for name in rows]
    best = cosines.argmax(axis=1)
    return {
        item_id: (kinds[k], float(cosine))
        for item_id, k, cosine in zip(real.store.item_ids, best, cosines.max(axis=1), strict=True)
    }


def _shopper(
    user_id: str, items: list[Item], nearest: Mapping[str, tuple[Kind, float]], words: Words
) -> Shopper:
    """A demo shopper who bought ``items``, of the persona whose needs lead to most of their kinds."""
    kinds = [nearest[item.item_id][0] for item in items]
    persona = max(words.personas, key=lambda each: sum(_need(each, kind) is not None for kind in kinds))
    purchases: list[Purchase] = []
    led_to: dict[str, list[int]] = {}
    for position, item in enumerate(items, start=1):
        kind, cosine = nearest[item.item_id]
        needs = (_need(each, kind) for each in (persona, *words.personas))
        need = next((need for need in needs if need), persona.needs[0].to)
        cause = Cause("need", need, tuple(reversed(led_to.setdefault(need, []))))
        led_to[need].append(position)
        product = Product(item, _own_kind(item, kind, cosine), tier=1, merit=0.0, popularity=1.0)
        # Three stars are the number of which nothing is said.
        purchases.append(Purchase(product, timestamp=position, stars=3, cause=cause))
    return Shopper(
        user_id, persona, colors=(), materials=(), tier=1, loyalty=0.0, generosity=0.0, giving=0.0,
        circles=(), purchases=purchases,
    )  # fmt: skip


def _need(persona: Persona, kind: Kind) -> str | None:
    return next((need.to for need in persona.needs if kind.kind in need.kinds), None)


def _own_kind(item: Item, kind: Kind, cosine: float) -> Kind:
    noun = noun_of(item)
    plural = is_plural(noun)
    return replace(
        kind,
        kind=noun,
        a=noun if plural else f"a {noun}",
        plural=noun if plural else f"{noun}s",
        number="plural" if plural else "singular",
        purposes=kind.purposes if cosine >= NEAR else _PURPOSES,
        gains=kind.gains if cosine >= NEAR else _GAINS,
    )
