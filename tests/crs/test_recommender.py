from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crs.bundle import Bundle, build_bundle
from crs.ranking.ranker import Ranker
from crs.ranking.signals import Again
from crs.recommender import Recommender, color_of
from knowledge.store import Store
from knowledge.types import Constraints, Interaction, Item, Signals
from tests.conftest import WordEncoder


@pytest.fixture(scope="module")
def recommender(small_bundle: Bundle) -> Recommender:
    return Recommender(small_bundle, WordEncoder())


@pytest.fixture
def cook(small_bundle: Bundle) -> list[Interaction]:
    return small_bundle.store.history("u00")


def departments(found: list) -> set[str | None]:
    return {each.item.department for each in found}


def test_a_cook_is_shown_kitchen_things_they_do_not_own(
    recommender: Recommender, cook: list[Interaction]
) -> None:
    found = recommender.recommend(cook, k=5)
    assert len(found) == 5
    assert departments(found) == {"Kitchen"}
    assert not {i.item_id for i in cook} & {each.item.item_id for each in found}
    scores = [each.score for each in found]
    assert scores == sorted(scores, reverse=True)


def test_shares_sum_to_one_and_name_the_signals(recommender: Recommender, cook: list[Interaction]) -> None:
    for each in recommender.recommend(cook, Constraints(words="blue"), k=40):
        assert set(each.shares) == {"cf", "together", "content", "popularity", "again", "replacement"}
        assert sum(each.shares.values()) == pytest.approx(1.0)
        assert min(each.shares.values()) >= 0.0


def test_newcomers_get_what_is_popular(recommender: Recommender, small_bundle: Bundle) -> None:
    n_buyers = np.asarray(small_bundle.store.user_items().sum(axis=0)).ravel()
    found = recommender.recommend([], k=3)
    counts = [n_buyers[small_bundle.store.item_index[each.item.item_id]] for each in found]
    assert min(counts) >= np.quantile(n_buyers, 0.75)  # of all buyers and of the latest purchases alike
    assert all(each.shares["popularity"] == 1.0 for each in found)


@pytest.mark.parametrize(
    ("wish", "fits"),
    [
        (Constraints(max_price=9.0), lambda item: item.price is not None and item.price <= 9.0),
        (Constraints(min_price=20.0), lambda item: item.price is not None and item.price >= 20.0),
        (Constraints(brands=("arbor", "cobalt")), lambda item: item.brand in ("Arbor", "Cobalt")),
        (Constraints(not_brands=("arbor",)), lambda item: item.brand != "Arbor"),
        (Constraints(colors=("blue",)), lambda item: color_of(item) == "blue"),
        (Constraints(not_colors=("blue",)), lambda item: color_of(item) != "blue"),
        (Constraints(departments=("garden",)), lambda item: item.department == "Garden"),
        (Constraints(not_departments=("kitchen",)), lambda item: item.department != "Kitchen"),
        (Constraints(kinds=("rake", "hose")), lambda item: item.kind in ("rake", "hose")),
        (Constraints(not_kinds=("rake",)), lambda item: item.kind != "rake"),
        (Constraints(exclude_ids=("tape",)), lambda item: item.item_id != "tape"),
    ],
    ids=lambda value: None if callable(value) else str([n for n in value.__slots__ if getattr(value, n)]),
)
def test_constraints_are_exact(
    recommender: Recommender, small_bundle: Bundle, wish: Constraints, fits
) -> None:
    found = recommender.recommend([], wish, k=100)
    assert {each.item.item_id for each in found} == {
        item.item_id for item in small_bundle.store.items.values() if fits(item)
    }


def test_what_nobody_sells_gives_nothing(recommender: Recommender) -> None:
    assert recommender.recommend([], Constraints(brands=("nobody",))) == []


def test_words_and_liked_items_move_the_query(recommender: Recommender, cook: list[Interaction]) -> None:
    assert recommender.recommend(cook, Constraints(words="garden hose"), k=1)[0].item.kind == "hose"
    like = recommender.recommend([], Constraints(like_ids=("rake-red",)), k=3)
    assert "rake-red" not in {each.item.item_id for each in like}
    assert departments(like) == {"Garden"}


def test_only_what_is_bought_again_is_shown_again(small_bundle: Bundle, cook: list[Interaction]) -> None:
    row = small_bundle.store.item_index[cook[0].item_id]
    again = np.zeros(len(small_bundle.store.items), np.float32)
    again[row] = 0.5
    signals = [
        replace(each, scorer=Again(again, 1.0)) if each.name == "bought again" else each
        for each in small_bundle.ranker.signals
    ]
    bundle = replace(small_bundle)
    vars(bundle)["ranker"] = Ranker(signals, small_bundle.ranker.blend)
    shown = {each.item.item_id for each in Recommender(bundle, WordEncoder()).recommend(cook, k=100)}
    assert {i.item_id for i in cook} & shown == {cook[0].item_id}


@pytest.mark.parametrize(("signals", "silent"), [("cf", "content"), ("content", "cf")])
def test_the_bundles_signals_are_obeyed(
    small_store: Store, tmp_path: Path, cook: list[Interaction], signals: Signals, silent: str
) -> None:
    bundle = build_bundle(
        small_store.path, tmp_path / "b", signals=signals, narrator=tmp_path, encoder=WordEncoder()
    )
    found = Recommender(bundle, WordEncoder()).recommend(cook, k=5)
    assert all(each.shares[silent] == 0.0 for each in found)
    assert departments(found) == {"Kitchen"}


def test_one_more_purchase_changes_the_list(recommender: Recommender, cook: list[Interaction]) -> None:
    before = recommender.recommend(cook, k=5)
    hose = Interaction("u00", "hose-red", cook[-1].timestamp + 1, 5.0)
    after = recommender.recommend([*cook, hose], k=5)
    assert [each.item for each in after] != [each.item for each in before]
    assert "Garden" in departments(after)


def test_what_disappointed_is_replaced(small_bundle: Bundle, cook: list[Interaction]) -> None:
    bundle = replace(small_bundle)
    vars(bundle)["ranker"] = replace(small_bundle.ranker, replaced=0.9)
    recommender = Recommender(bundle, WordEncoder())
    own = {i.item_id for i in cook}
    bad = next(item for item in small_bundle.store.items if item not in own and item.startswith("whisk"))
    found = {
        stars: recommender.recommend([*cook, Interaction("u00", bad, 2_000_000_000, stars)], k=1)[0]
        for stars in (1.0, 5.0)
    }
    assert found[1.0].item.kind == "whisk" and found[1.0].shares["replacement"] > 0
    assert found[5.0].shares["replacement"] == 0


def test_unknown_purchases_are_passed_over(recommender: Recommender, cook: list[Interaction]) -> None:
    stranger = Interaction("u00", "not in this store", 0)
    assert recommender.recommend([stranger, *cook]) == recommender.recommend(cook)


def test_held_out_purchases_are_found(recommender: Recommender, small_bundle: Bundle) -> None:
    store = small_bundle.store
    hits = sum(
        held in {each.item.item_id for each in recommender.recommend(store.history(user), k=10)}
        for user, held in store.held_out.items()
    )
    assert hits > 2 * len(store.held_out) * 10 / (len(store.items) - 6)  # twice what chance gives


def test_color_is_read_in_either_spelling() -> None:
    assert color_of(Item("a", "a", attributes={"colour": "Red"})) == "red"
    assert color_of(Item("a", "a")) is None
