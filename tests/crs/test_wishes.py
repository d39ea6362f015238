"""Whatever is wished for: hundreds of wishes at random, and not one product that does not fit.

`python -m benchmarks.wishes` asks 10,000.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.wishes import ask, newcomers, violation
from crs.bundle import Bundle, build_bundle, default_path
from crs.recommender import Recommender
from knowledge.readers import import_store
from knowledge.types import Constraints, Item
from tests.conftest import WordEncoder

HAS_DEMO = (default_path() / "manifest.json").exists()


def assert_kept(figures: dict[str, Any]) -> None:
    assert figures["violations"] == 0 == figures["left out although fitting"], figures
    assert figures["shown"] > figures["wishes"]


@pytest.mark.slow
@pytest.mark.skipif(not HAS_DEMO, reason=f"no bundle at {default_path()}")
def test_no_wish_is_broken_in_the_demo_store() -> None:
    bundle = Bundle.open(None)
    assert_kept(ask(Recommender(bundle, WordEncoder()), bundle, 500))


@pytest.mark.skipif(not HAS_DEMO, reason=f"no bundle at {default_path()}")
def test_two_likes_of_a_newcomer_are_followed() -> None:
    """Of the first ten products at least six are of the two kinds, on average; there are 135 kinds."""
    bundle = Bundle.open(None)
    figures = newcomers(Recommender(bundle, WordEncoder()), bundle, 100)
    assert figures["top-10 precision, mean"] >= 0.6


@pytest.mark.realdata
def test_no_wish_is_broken_in_a_real_store(data_dir: Path, tmp_path: Path) -> None:
    import_store(data_dir / "office", tmp_path / "store", "sequences")
    bundle = build_bundle(
        tmp_path / "store", tmp_path / "bundle", narrator=tmp_path / "none", encoder=WordEncoder()
    )
    assert_kept(ask(Recommender(bundle, WordEncoder()), bundle, 500))
    assert np.isfinite(bundle.item_factors).all()


def test_what_is_broken_and_left_out_is_counted(
    small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recommender that heeds no wish, or shows nothing, is found out."""
    recommender = Recommender(small_bundle, WordEncoder())
    heedless = recommender.recommend
    monkeypatch.setattr(recommender, "recommend", lambda history, wish, k: heedless(history, k=k))
    found = ask(recommender, small_bundle, 60)
    fields = {name: n for name, n in found.items() if name.startswith("violations of")}
    assert found["violations"] == sum(fields.values()) > 100 and len(fields) > 5
    monkeypatch.setattr(recommender, "recommend", lambda *_, **__: [])
    found = ask(recommender, small_bundle, 1)
    assert found["left out although fitting"] > 0 == found["violations"]


@pytest.mark.parametrize(
    ("wish", "broken"),
    [
        (Constraints(max_price=4.99), "max_price"),
        (Constraints(min_price=5.01), "min_price"),
        (Constraints(not_colors=("red",)), "not_colors"),
        (Constraints(brands=("acme",)), "brands"),
        (Constraints(exclude_ids=("a",)), "exclude_ids"),
        (Constraints(min_price=5.0, max_price=5.0, colors=("red",), not_brands=("acme",)), ""),
    ],
)
def test_a_violation_is_read_off_the_listing(wish: Constraints, broken: str) -> None:
    assert violation(Item("a", "A thing", price=5.0, attributes={"colour": "Red"}), wish) == broken
