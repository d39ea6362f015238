"""Whatever is wished for: thousands of wishes at random, and not one product that does not fit."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from crs.bundle import Bundle, build_bundle, default_path
from crs.recommender import Recommender
from knowledge.readers import import_store
from knowledge.store import Store
from knowledge.types import Constraints, Interaction, Item
from tests.conftest import WordEncoder

N_WISHES = int(os.environ.get("RACONTEUR_WISHES", "2000"))  # of each store; make eval asks 10,000


def facets(item: Item) -> dict[str, str]:
    """What the filters are about, as a person would read it off the listing; "" for nothing said."""
    color = item.attributes.get("color") or item.attributes.get("colour") or ""
    told = {"brands": item.brand, "colors": color, "departments": item.department, "kinds": item.kind}
    return {name: (value or "").lower() for name, value in told.items()}


def violation(item: Item, wish: Constraints) -> str:
    """What of the wish the item breaks; "" for nothing."""
    if wish.max_price is not None and (item.price is None or item.price > wish.max_price):
        return "max_price"
    if wish.min_price is not None and (item.price is None or item.price < wish.min_price):
        return "min_price"
    if item.item_id in wish.exclude_ids or item.item_id in wish.like_ids:
        return "exclude_ids"
    for name, value in facets(item).items():
        wanted, unwanted = getattr(wish, name), getattr(wish, f"not_{name}")
        if wanted and value not in wanted:
            return name
        if value and value in unwanted:
            return f"not_{name}"
    return ""


def any_wish(rng: random.Random, items: Sequence[Item], prices: Sequence[float]) -> Constraints:
    """A wish that things of this store are named in; some contradict themselves."""
    wish: dict[str, object] = {}
    for name in ("brands", "colors", "departments", "kinds"):
        for field in (name, f"not_{name}"):
            if rng.random() < 0.25:
                told = {facets(item)[name] for item in rng.sample(items, rng.randint(1, 6))} - {""}
                wish[field] = tuple(sorted(told))
    for bound in ("max_price", "min_price"):
        if prices and rng.random() < 0.3:
            wish[bound] = rng.choice(prices) + rng.choice((0.0, 0.005, -0.01))
    if rng.random() < 0.3:
        wish["exclude_ids"] = tuple(item.item_id for item in rng.sample(items, 5))
    if rng.random() < 0.2:
        wish["like_ids"] = (rng.choice(items).item_id,)
    return Constraints(**wish)  # type: ignore[arg-type]


def check_wishes(recommender: Recommender, store: Store, n_wishes: int) -> None:
    rng = random.Random(0)
    items = list(store.items.values())
    prices = [item.price for item in items if item.price is not None]
    n_shown = 0
    for number in range(n_wishes):
        wish = any_wish(rng, items, prices)
        history = store.history(store.user_ids[number % len(store.user_ids)])
        found = recommender.recommend(history, wish, k=10)
        broken = {each.item.item_id: violation(each.item, wish) for each in found}
        assert not any(broken.values()), (wish, broken)
        n_shown += len(found)
        if number % 50 == 0:  # and nothing that fits is left out
            owned = {purchase.item_id for purchase in history}
            fitting = sum(not violation(item, wish) for item in items if item.item_id not in owned)
            assert len(found) >= min(10, fitting)
    assert n_shown > n_wishes


@pytest.mark.slow
@pytest.mark.skipif(not (default_path() / "manifest.json").exists(), reason=f"no bundle at {default_path()}")
def test_no_wish_is_broken_in_the_demo_store() -> None:
    bundle = Bundle.open(None)
    check_wishes(Recommender(bundle, WordEncoder()), bundle.store, N_WISHES)


@pytest.mark.skipif(not (default_path() / "manifest.json").exists(), reason=f"no bundle at {default_path()}")
def test_two_likes_of_a_newcomer_are_followed() -> None:
    """Of the first ten products at least six are of the two kinds, on average; there are 135 kinds."""
    bundle, rng = Bundle.open(None), random.Random(0)
    recommender = Recommender(bundle, WordEncoder())
    of_kind: dict[str, list[str]] = {}
    for item in bundle.store.items.values():
        of_kind.setdefault(item.kind or "", []).append(item.item_id)
    shares = []
    for _ in range(100):
        kinds = rng.sample(sorted(of_kind), 2)
        likes = tuple(rng.choice(of_kind[kind]) for kind in kinds)
        stated = [Interaction("new", item_id, when, 5.0) for when, item_id in enumerate(likes)]
        found = recommender.recommend(stated, Constraints(like_ids=likes), k=10)
        shares.append(sum(each.item.kind in kinds for each in found) / 10)
    assert float(np.mean(shares)) >= 0.6


@pytest.mark.realdata
def test_no_wish_is_broken_in_a_real_store(data_dir: Path, tmp_path: Path) -> None:
    import_store(data_dir / "office", tmp_path / "store", "sequences")
    bundle = build_bundle(tmp_path / "store", tmp_path / "bundle", encoder=WordEncoder())
    check_wishes(Recommender(bundle, WordEncoder()), bundle.store, N_WISHES)
    assert np.isfinite(bundle.item_factors).all()
