"""Simulated shoppers: who they are, what leads them to buy, and what they think of it afterwards."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Literal

from knowledge.demo.catalogue import Catalogue, Product
from knowledge.demo.causes import Cause
from knowledge.demo.words import CircleWords, Need, Occasion, Persona, Words
from knowledge.types import MAX_HISTORY

DAY_S = 86_400
FIRST_DAY_S = 1_546_300_800  # 2019-01-01
MONTH_S = 2_629_800
MIN_PURCHASES = 5
SHARE_OF_DUDS = 0.07  # purchases that disappoint whatever their fit
SHARE_IN_CIRCLES = 0.55
RESTOCK_S = 45 * DAY_S  # a consumable is bought again after this long at the earliest


@dataclass(frozen=True)
class Circle:
    """A hidden circle with the items its members buy."""

    words: CircleWords
    products: tuple[Product, ...]


@dataclass(frozen=True, slots=True)
class Purchase:
    """One purchase with its cause; ``stars`` 1 to 5."""

    product: Product
    timestamp: int
    stars: int
    cause: Cause


@dataclass
class Shopper:
    """A person and everything they bought; ``next_purchase`` is held back."""

    user_id: str
    persona: Persona
    colors: tuple[str, ...]
    materials: tuple[str, ...]
    tier: int
    loyalty: float
    generosity: float  # shift of the stars they give
    giving: float  # how readily they buy presents
    circles: tuple[Circle, ...]
    purchases: list[Purchase] = field(default_factory=list)
    next_purchase: Purchase | None = None


def likes(tastes: tuple[str, ...], word: str) -> bool:
    """Whether a color or material falls under one of the tastes: "moss green" does under "green"."""
    return any(taste in word for taste in tastes)


@dataclass
class _Burst:
    """A need or a circle being worked through."""

    left: int
    phrase: str = ""
    kinds: list[str] = field(default_factory=list)
    circle: Circle | None = None
    positions: list[int] = field(default_factory=list)


def make_circles(words: Words, catalogue: Catalogue, rng: random.Random) -> tuple[Circle, ...]:
    """Six to ten items for each circle, spread over its departments; a system's share one brand."""
    return tuple(Circle(circle, _circle_products(circle, catalogue, rng)) for circle in words.circles)


def _circle_products(circle: CircleWords, catalogue: Catalogue, rng: random.Random) -> tuple[Product, ...]:
    size = rng.randint(6, 10)
    if circle.system:
        brands = list(catalogue.by_brand)
        rng.shuffle(brands)
        pools = [
            [p for p in catalogue.by_brand[b] if p.kind.department in circle.departments] for b in brands
        ]
        pool = next(
            (pool for pool in pools if len(_kinds_of(pool)) >= size),
            max(pools, key=lambda p: len(_kinds_of(p))),
        )
    else:
        pool = [p for department in circle.departments for p in catalogue.by_department[department]]
    chosen: list[Product] = []
    for product in rng.sample(pool, len(pool)):
        if product.kind.kind not in {c.kind.kind for c in chosen} and len(chosen) < size:
            chosen.append(product)
    return tuple(chosen)


def _kinds_of(products: list[Product]) -> set[str]:
    return {product.kind.kind for product in products}


def make_shopper(
    number: int, words: Words, catalogue: Catalogue, circles: tuple[Circle, ...], rng: random.Random
) -> Shopper:
    """Shopper ``number`` (from 1) with a whole life of purchases and one more held back."""
    persona = words.personas[(number - 1) % len(words.personas)]
    n_circles = rng.choice((1, 1, 1, 2, 3)) if rng.random() < SHARE_IN_CIRCLES else 0
    shopper = Shopper(
        user_id=f"s{number:04d}",
        persona=persona,
        colors=tuple(rng.sample(persona.colors, min(2, len(persona.colors)))),
        materials=tuple(rng.sample(persona.materials, min(2, len(persona.materials)))),
        tier=max(0, min(2, persona.tier + rng.choice((-1, 0, 0, 0, 1)))),
        loyalty=rng.random(),
        generosity=rng.gauss(0.0, 0.25),
        giving=rng.choice((0.0, 0.05, 0.1, 0.3)),
        circles=tuple(rng.sample(circles, n_circles)),
    )
    n_purchases = min(MAX_HISTORY, MIN_PURCHASES + int(rng.lognormvariate(1.0, 0.95)))
    _Life(shopper, words, catalogue, rng).live(n_purchases)
    return shopper


class _Life:
    """The purchases of one shopper, one after the other."""

    def __init__(self, shopper: Shopper, words: Words, catalogue: Catalogue, rng: random.Random) -> None:
        self.shopper, self.words, self.catalogue, self.rng = shopper, words, catalogue, rng
        self.now = FIRST_DAY_S + int(rng.uniform(0, 36) * MONTH_S)
        self.burst: _Burst | None = None
        self.needs_done: list[Need] = []
        self.circles_left = list(shopper.circles)
        self.owned: set[str] = set()
        self.owned_kinds: set[str] = set()
        self.liked_brands: set[str] = set()

    def live(self, n_purchases: int) -> None:
        """Fill ``purchases`` with ``n_purchases`` and ``next_purchase`` with the one after."""
        history = self.shopper.purchases
        while len(history) < n_purchases:
            history.append(self._next())
            if history[-1].stars >= 4:
                self.liked_brands.add(history[-1].product.item.brand or "")
        self.shopper.next_purchase = self._next()

    def _next(self) -> Purchase:
        rng = self.rng
        gap_days = rng.expovariate(1 / 5) if self.burst else rng.expovariate(1 / 50) + 2
        self.now += int(gap_days * DAY_S) + rng.randint(600, DAY_S // 2)
        cause, product = self._decide()
        self.owned.add(product.item.item_id)
        self.owned_kinds.add(product.kind.kind)
        return Purchase(product, self.now, self._stars(product, cause), cause)

    def _decide(self) -> tuple[Cause, Product]:
        rng = self.rng
        choices = [
            (0.45, self._replace),
            (0.75 if self.burst else 0.0, self._continue_burst),
            (0.4 if self.circles_left else 0.0, self._start_circle),
            (0.15, self._complement),
            (0.35, self._replenish),
            (0.08, self._upgrade),
            (self.shopper.giving, self._gift),
            (0.08, self._event),
            (0.15, self._season),
            (0.12 * self.shopper.loyalty, self._loyalty),
            (0.10, self._color),
        ]
        for chance, decide in choices:
            if rng.random() < chance:
                decided = decide()
                if decided:
                    return decided
        return self._start_need()

    # Each way below returns None when it does not apply just now.

    def _replace(self) -> tuple[Cause, Product] | None:
        history = self.shopper.purchases
        if not history or history[-1].stars > 2 or history[-1].cause.name == "gift":
            return None
        bad = history[-1].product
        others = [p for p in self._free(bad.kind.kind) if p.item.brand != bad.item.brand]
        return self._pick(others, Cause("replace", earlier=(len(history),)))

    def _continue_burst(self) -> tuple[Cause, Product] | None:
        burst = self.burst
        decided: tuple[Cause, Product] | None
        if burst is None:
            return None
        if burst.circle is not None:
            pool = [p for p in burst.circle.products if p.item.item_id not in self.owned]
            circle = burst.circle.words
            cause = Cause(
                "system" if circle.system else "circle", "", tuple(reversed(burst.positions)), circle
            )
            decided = (cause, self.rng.choice(pool)) if pool else None  # the very items, whatever one's taste
        else:
            kinds = [kind for kind in burst.kinds if kind not in self.owned_kinds]
            free = self._free(self.rng.choice(kinds)) if kinds else []
            decided = self._pick(free, Cause("need", burst.phrase, tuple(reversed(burst.positions))))
        if decided is None:
            self.burst = None
            return None
        burst.positions.append(len(self.shopper.purchases) + 1)
        burst.left -= 1
        if burst.left <= 0:
            self.burst = None
        return decided

    def _start_circle(self) -> tuple[Cause, Product] | None:
        circle = self.circles_left.pop(0)
        self.burst = _Burst(self.rng.randint(4, len(circle.products)), circle=circle)
        return self._continue_burst()

    def _start_need(self) -> tuple[Cause, Product]:
        rng = self.rng
        needs = [need for need in self.shopper.persona.needs if need not in self.needs_done]
        if not needs:  # all own needs met: live some other persona's for a while
            needs = [rng.choice(rng.choice(self.words.personas).needs)]
        need = rng.choice(needs)
        self.needs_done.append(need)
        self.burst = _Burst(rng.randint(2, 4), phrase=need.to, kinds=list(need.kinds))
        return self._continue_burst() or self._start_need()

    def _complement(self) -> tuple[Cause, Product] | None:
        history = self.shopper.purchases
        for position in range(len(history), max(0, len(history) - 6), -1):
            owned = history[position - 1]
            wanted = [
                k
                for k in owned.product.kind.goes_with
                if k not in self.owned_kinds and k in self.catalogue.by_kind
            ]
            if wanted and owned.stars >= 3 and owned.cause.name != "gift":
                return self._pick(
                    self._free(self.rng.choice(wanted)), Cause("complement", earlier=(position,))
                )
        return None

    def _replenish(self) -> tuple[Cause, Product] | None:
        history = self.shopper.purchases
        for position in range(len(history), 0, -1):
            used = history[position - 1]
            if used.product.kind.consumable and used.stars >= 3 and self.now - used.timestamp > RESTOCK_S:
                if used.cause.name == "gift":
                    continue
                free = self._free(used.product.kind.kind)
                same = [p for p in free if p.item.brand == used.product.item.brand]
                return self._pick(same or free, Cause("replenish", earlier=(position,)))
        return None

    def _upgrade(self) -> tuple[Cause, Product] | None:
        history = self.shopper.purchases
        for position in range(1, len(history) - 1):
            old = history[position - 1]
            price = old.product.item.price or 0.0
            if old.stars >= 3 and not old.product.kind.consumable and old.cause.name != "gift":
                better = [p for p in self._free(old.product.kind.kind) if (p.item.price or 0.0) > 1.3 * price]
                if better:
                    return self._pick(better, Cause("upgrade", earlier=(position,)))
        return None

    def _gift(self) -> tuple[Cause, Product] | None:
        return self._occasion("gift", self.words.gifts)

    def _event(self) -> tuple[Cause, Product] | None:
        return self._occasion("event", self.words.events)

    def _season(self) -> tuple[Cause, Product] | None:
        month = 1 + int((self.now - FIRST_DAY_S) / MONTH_S) % 12
        return self._occasion("season", tuple(s for s in self.words.seasons if month in s.months))

    def _occasion(
        self, name: Literal["gift", "event", "season"], occasions: tuple[Occasion, ...]
    ) -> tuple[Cause, Product] | None:
        told = {purchase.cause.phrase for purchase in self.shopper.purchases}
        fresh = [occasion for occasion in occasions if occasion.phrase not in told]
        if not fresh:
            return None
        occasion = self.rng.choice(fresh)
        kinds = [k for k in occasion.kinds if name == "gift" or k not in self.owned_kinds]
        if not kinds:
            return None
        return self._pick(self._free(self.rng.choice(kinds)), Cause(name, occasion.phrase))

    def _loyalty(self) -> tuple[Cause, Product] | None:
        history = self.shopper.purchases
        for position in range(len(history), max(0, len(history) - 5), -1):
            loved = history[position - 1]
            if loved.stars == 5 and loved.cause.name != "gift":
                same = [
                    p for p in self.catalogue.by_brand[loved.product.item.brand or ""] if self._new_kind(p)
                ]
                wanted = [
                    p for p in same if any(p.kind.kind in need.kinds for need in self.shopper.persona.needs)
                ]
                return self._pick(
                    wanted or same, Cause("loyalty", loved.product.item.brand or "", (position,))
                )
        return None

    def _color(self) -> tuple[Cause, Product] | None:
        history = self.shopper.purchases
        for position in range(len(history), max(0, len(history) - 5), -1):
            owned = history[position - 1]
            color = owned.product.color
            if owned.stars >= 4 and color and owned.cause.name != "gift":
                department = self.catalogue.by_department[owned.product.kind.department]
                same = [p for p in department if p.color == color and self._new_kind(p)]
                if same:
                    return self._pick(same, Cause("color", color, (position,)))
        return None

    def _new_kind(self, product: Product) -> bool:
        return product.kind.kind not in self.owned_kinds

    def _free(self, kind: str) -> list[Product]:
        return [p for p in self.catalogue.by_kind[kind] if p.item.item_id not in self.owned]

    def _pick(self, products: list[Product], cause: Cause) -> tuple[Cause, Product] | None:
        if not products:
            return None
        weights = [product.popularity * 3.0 ** self._fit(product) for product in products]
        return cause, self.rng.choices(products, weights)[0]

    def _fit(self, product: Product) -> float:
        """How well a product suits this shopper's taste, about -1 to 3."""
        shopper = self.shopper
        fit = -0.7 * abs(product.tier - shopper.tier)
        fit += 1.0 * likes(shopper.colors, product.color) + 0.6 * likes(shopper.materials, product.material)
        return fit + 1.2 * shopper.loyalty * (product.item.brand in self.liked_brands)

    def _stars(self, product: Product, cause: Cause) -> int:
        if self.rng.random() < SHARE_OF_DUDS:
            return self.rng.choice((1, 2, 2))
        taste = 0.25 * min(1.5, self._fit(product)) if cause.name != "gift" else 0.2
        stars = 4.3 + self.shopper.generosity + taste + 0.9 * product.merit + self.rng.gauss(0, 0.8)
        return max(1, min(5, round(stars)))
