"""The demo store: its size, its shoppers, and circles that show in purchases only."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from knowledge.demo import write_demo_store
from knowledge.demo.words import WORDS_DIR, Words, load_words
from knowledge.errors import InputError
from knowledge.store import Store
from knowledge.types import TASKS

N_SHOPPERS = 150


@pytest.fixture(scope="module")
def demo_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "store"
    write_demo_store(path, n_shoppers=N_SHOPPERS)
    return path


@pytest.fixture(scope="module")
def store(demo_path: Path) -> Store:
    return Store.open(demo_path)


@pytest.fixture(scope="module")
def words() -> Words:
    return load_words()


def test_the_word_lists_are_as_rich_as_promised(words: Words) -> None:
    assert len(words.departments) >= 12
    assert len(words.kinds) >= 120
    assert len(words.personas) >= 30
    assert len(words.circles) >= 40
    assert len({circle.list_name for circle in words.circles}) == len(words.circles)


def test_the_shelves_are_full_and_every_item_is_described(store: Store) -> None:
    items = list(store.items.values())
    assert len(items) >= 1_560
    assert len({item.title for item in items}) == len(items)
    assert all(item.brand and item.price and item.attributes and len(item.features) == 3 for item in items)
    assert all(feature in item.description for item in items for feature in item.features)
    assert all(item.title.startswith(str(item.brand)) for item in items)


def test_brands_sell_in_two_to_five_departments_or_fill_a_gap(store: Store) -> None:
    departments = defaultdict(set)
    for item in store.items.values():
        departments[item.brand].add(item.department)
    assert 2 <= sum(len(names) for names in departments.values()) / len(departments) <= 5


def test_shoppers_buy_five_to_fifty_things_and_never_the_same_item_twice(store: Store) -> None:
    lengths = []
    for user_id in store.user_ids:
        history = store.history(user_id)
        bought = [interaction.item_id for interaction in history] + [store.held_out[user_id]]
        assert len(set(bought)) == len(bought)
        assert [i.timestamp for i in history] == sorted(i.timestamp for i in history)
        lengths.append(len(history))
    assert min(lengths) >= 5
    assert max(lengths) <= 50
    assert 8 <= sum(lengths) / len(lengths) <= 10
    assert len(store.user_ids) == N_SHOPPERS


def test_stars_and_reviews_vary(store: Store) -> None:
    interactions = [i for user_id in store.user_ids for i in store.history(user_id)]
    stars = Counter(i.rating for i in interactions)
    assert set(stars) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert stars[5.0] > stars[3.0] > stars[1.0]
    reviews = [i.review for i in interactions if i.review]
    assert 0.6 < len(reviews) / len(interactions) < 0.95
    assert len(set(reviews)) > 0.8 * len(reviews)


def test_no_item_and_no_review_shows_a_circle(store: Store, words: Words) -> None:
    texts = [
        " ".join((i.title, i.description, *i.features, *i.attributes.values())) for i in store.items.values()
    ]
    texts += [f"{i.review_title} {i.review}" for user_id in store.user_ids for i in store.history(user_id)]
    everything = "\n".join(texts).lower()
    for circle in words.circles:
        for name in (circle.word, circle.group, circle.list_name):
            assert not re.search(rf"\b{re.escape(name.lower())}\b", everything), name


def test_circles_show_in_what_is_bought_together(store: Store) -> None:
    """Two shoppers whose narratives name the same list share far more items than two of one persona do."""
    n_personas = len(load_words().personas)
    bought = {user_id: {i.item_id for i in store.history(user_id)} for user_id in store.user_ids}
    members = defaultdict(set)
    for narrative in store.narratives("purchase_reason"):
        if narrative.cause in ("circle", "system"):
            for circle in load_words().circles:
                if circle.list_name in narrative.text:
                    members[circle.list_name].add(narrative.user_id)
    of_circle = [
        len(bought[a] & bought[b]) for ids in members.values() for a, b in itertools.combinations(ids, 2)
    ]
    of_persona = [
        len(bought[a] & bought[b])
        for a, b in itertools.combinations(store.user_ids, 2)
        if (int(a[1:]) - int(b[1:])) % n_personas == 0
    ]
    assert len(of_circle) >= 10
    assert sum(of_circle) / len(of_circle) > 3 * sum(of_persona) / len(of_persona)


def test_every_shopper_gets_all_six_narratives(store: Store) -> None:
    tasks = defaultdict(Counter)
    for narrative in store.narratives():
        tasks[narrative.user_id][narrative.task] += 1
    for user_id in store.user_ids:
        assert set(tasks[user_id]) == set(TASKS)
        assert tasks[user_id]["purchase_reason"] == tasks[user_id]["purchase_reason_explanation"] == 3


def test_the_seed_alone_decides(demo_path: Path, tmp_path: Path) -> None:
    def rows(path: Path) -> list[object]:
        store = Store.open(path)
        return [
            list(store.items.values()),
            [store.history(user_id) for user_id in store.user_ids[:20]],
            [n for n in store.narratives() if n.user_id in set(store.user_ids[:20])],
        ]

    seen: list[tuple[int, int]] = []
    counts = write_demo_store(
        tmp_path / "again", n_shoppers=20, progress=lambda done, total: seen.append((done, total))
    )
    assert rows(tmp_path / "again") == rows(demo_path)
    assert seen[-1] == (20, 20)
    assert counts["narratives"] == 200
    write_demo_store(tmp_path / "other", n_shoppers=20, seed=8)
    assert rows(tmp_path / "other") != rows(demo_path)


def test_a_missing_or_broken_word_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="departments"):
        load_words(tmp_path)
    (tmp_path / "departments").mkdir()
    (tmp_path / "departments" / "kitchen.toml").write_text('name = "Kitchen"\n[[types]]\nkind = "kettle"\n')
    with pytest.raises(InputError, match=r"kitchen\.toml, field 'price'"):
        load_words(tmp_path)
    kitchen = (WORDS_DIR / "departments" / "kitchen.toml").read_text()
    (tmp_path / "departments" / "kitchen.toml").write_text(kitchen)
    with pytest.raises(InputError, match=r"brands\.toml"):
        load_words(tmp_path)
    (tmp_path / "brands.toml").write_text("names = [")
    with pytest.raises(InputError, match="not valid TOML"):
        load_words(tmp_path)


def test_a_kind_that_no_department_sells_is_refused(tmp_path: Path) -> None:
    (tmp_path / "departments").mkdir()
    kitchen = (WORDS_DIR / "departments" / "kitchen.toml").read_text()
    (tmp_path / "departments" / "kitchen.toml").write_text(kitchen)
    for name in ("brands.toml", "personas.toml", "occasions.toml", "circles.toml"):
        (tmp_path / name).write_text((WORDS_DIR / name).read_text())
    with pytest.raises(InputError, match="is no kind of any department"):
        load_words(tmp_path)
