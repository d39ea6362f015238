"""Narratives over real products: their own nouns and listings, and nothing that is not known of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crs.bundle import Bundle, build_bundle
from crs.narrator.gate import POINTER
from crs.training.retold import retold_narratives
from knowledge.nouns import noun_of
from knowledge.store import Store, StoreWriter
from knowledge.types import TARGET_TASKS, TASKS, Interaction, Item, Narrative
from tests.conftest import WordEncoder

TITLES = (
    "Acme Notebook, College Ruled, 100 Sheets",
    "Inkwell Fountain Pen - Fine Point",
    "Copper Kettle, Holds 2 Liters",
    "Camp Lantern (Runs All Night)",
    "Acme Folders, Letter Size",
    "Steel Water Bottle, Keeps Cold 24 Hours",
)


@pytest.fixture(scope="module")
def told(demo_store: Store, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[Narrative]]:
    folder = tmp_path_factory.mktemp("retold")
    encoder = WordEncoder()
    with StoreWriter(folder / "store", name="real", format="test") as store:
        for n, title in enumerate(TITLES):
            store.add_item(Item(f"r{n}", title, brand="Acme" if "Acme" in title else None))
        for u in range(12):
            bought = [f"r{(u + t) % len(TITLES)}" for t in range(2 + u % 4)]
            store.add_interactions([Interaction(f"u{u:02d}", i, 1000 + t) for t, i in enumerate(bought)])
    build_bundle(folder / "store", folder / "real", encoder=encoder, narrator=folder / "none")
    build_bundle(demo_store.path, folder / "demo", encoder=encoder, narrator=folder / "none")
    real = Bundle.open(folder / "real")
    histories = {user_id: real.store.history(user_id) for user_id in real.store.user_ids}
    return real.store, retold_narratives(Bundle.open(folder / "demo"), real, histories)


def test_every_shopper_with_three_purchases_gets_the_six_tasks(told: tuple[Store, list[Narrative]]) -> None:
    store, narratives = told
    long_enough = {u for u in store.user_ids if len(store.history(u)) >= 3}
    assert {n.user_id for n in narratives} == long_enough
    assert {n.task for n in narratives} == set(TASKS)
    assert len({(n.user_id, n.task) for n in narratives}) == len(narratives) > 5 * len(long_enough)
    assert all((n.target_id is not None) == (n.task in TARGET_TASKS) for n in narratives)
    assert all(n.text for n in narratives)


def test_pointers_stand_before_the_nouns_of_real_titles(told: tuple[Store, list[Narrative]]) -> None:
    store, narratives = told
    n_pointers = 0
    for each in narratives:
        items = [store.items[i.item_id] for i in store.history(each.user_id)[: each.n_history]]
        for found in POINTER.finditer(each.text):
            k = found[0][1:-1]
            item = store.items[each.target_id or ""] if k == "target" else items[int(k) - 1]
            assert each.text[found.end() :].lstrip().startswith(noun_of(item)), each.text
            n_pointers += 1
    assert n_pointers > 100


def test_newcomers_are_endorsed_to_as_well(told: tuple[Store, list[Narrative]]) -> None:
    store, narratives = told
    lengths = {
        (each.n_history, len(store.history(each.user_id)))
        for each in narratives
        if each.task == "product_endorsement" and len(store.history(each.user_id)) > 3
    }
    assert any(n_history == 2 for n_history, _ in lengths)
    assert any(n_history == n - 1 for n_history, n in lengths)


def test_what_is_not_known_is_not_said(told: tuple[Store, list[Narrative]]) -> None:
    _, narratives = told
    text = " ".join(each.text for each in narratives)
    assert not re.search(r"\$|\bstars\b|five stars|departments|let (?:them|you) down", text)
    assert "{" not in text and "  " not in text


def test_without_kinds_that_are_known_nothing_is_told(
    told: tuple[Store, list[Narrative]], tmp_path: Path
) -> None:
    store, _ = told
    build_bundle(store.path, tmp_path / "b", encoder=WordEncoder(), narrator=tmp_path / "none")
    real = Bundle.open(tmp_path / "b")
    assert retold_narratives(real, real, {"u00": real.store.history("u03")}) == []
