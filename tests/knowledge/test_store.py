from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from knowledge.errors import BundleError, InputError, NotFoundError
from knowledge.store import ROWS_IN_MEMORY, Store, StoreWriter
from knowledge.types import Interaction, Item, Narrative

KETTLE = Item(
    "kettle",
    "Arbor kettle",
    description="Boils.",
    brand="Arbor",
    price=12.5,
    department="Kitchen",
    kind="kettle",
    attributes={"color": "red", "size": "1 l"},
    features=("quick", "quiet"),
)
MUG = Item("mug", "Mug")
RAKE = Item("rake", "Rake")
ANN = [Interaction("ann", "mug", 20, 4.0, "Fine", "Holds tea."), Interaction("ann", "kettle", 10)]
BOB = [Interaction("bob", "rake", 5), Interaction("bob", "mug", 6), Interaction("bob", "rake", 7, 1.0)]
NARRATIVES = [
    Narrative("ann", "user_profile", "Likes the [1] kettle.", 2),
    Narrative("bob", "purchase_reason", "The [target] rake.", 2, "rake", "autumn"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "store"
    with StoreWriter(path, name="tiny", format="test") as writer:
        for item in (KETTLE, MUG, RAKE):
            writer.add_item(item)
        writer.add_interactions([*ANN, *BOB])
        writer.add_held_out("ann", "rake")
        for narrative in NARRATIVES:
            writer.add_narrative(narrative)
        writer.drop("untitled", 2)
        writer.drop("untitled")
        writer.drop("nothing", 0)
    return path


def test_a_store_gives_back_what_was_written(path: Path) -> None:
    store = Store.open(path)
    assert store.items == {"kettle": KETTLE, "mug": MUG, "rake": RAKE}
    assert store.item_ids == ["kettle", "mug", "rake"]
    assert store.item_index == {"kettle": 0, "mug": 1, "rake": 2}
    assert store.user_ids == ["ann", "bob"]
    assert store.history("ann") == sorted(ANN, key=lambda one: one.timestamp)
    assert store.history("bob") == BOB
    assert store.held_out == {"ann": "rake"}
    assert list(store.narratives()) == NARRATIVES
    assert list(store.narratives("purchase_reason")) == NARRATIVES[1:]
    assert store.manifest == {
        "schema": 1,
        "name": "tiny",
        "format": "test",
        "counts": {"items": 3, "users": 2, "interactions": 5, "held_out": 1, "narratives": 2},
        "dropped": {"untitled": 3},
    }


@pytest.mark.parametrize(("last", "n"), [(0, 0), (1, 1), (2, 2), (3, 3), (50, 3)])
def test_a_history_is_cut_to_its_last(path: Path, last: int, n: int) -> None:
    assert Store.open(path).history("bob", last=last) == BOB[len(BOB) - n :]


def test_user_items_counts_a_thing_once_however_often_it_was_bought(path: Path) -> None:
    store = Store.open(path)
    matrix = store.user_items()
    assert matrix.dtype == np.float32
    assert matrix.toarray().tolist() == [[1, 1, 0], [0, 1, 1]]
    assert store.user_items(["bob", "ann", "bob"]).toarray().tolist() == [[0, 1, 1], [1, 1, 0], [0, 1, 1]]
    assert store.user_items([]).shape == (0, 3)


def test_strangers_are_not_found(path: Path) -> None:
    store = Store.open(path)
    with pytest.raises(NotFoundError, match="no user 'eve'"):
        store.history("eve")
    with pytest.raises(NotFoundError, match="no user 'eve'"):
        store.user_items(["ann", "eve"])


def test_an_empty_store_is_a_store(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "empty", name="empty", format="test"):
        pass
    store = Store.open(tmp_path / "empty")
    assert (store.items, store.user_ids, store.held_out, list(store.narratives())) == ({}, [], {}, [])
    assert store.user_items().shape == (0, 0)


def test_many_rows_go_through_many_row_groups(tmp_path: Path) -> None:
    n_users, each = 3, ROWS_IN_MEMORY
    with StoreWriter(tmp_path / "large", name="large", format="test") as writer:
        writer.add_item(MUG)
        for user in range(n_users):
            user_id = f"u{user}"
            writer.add_interactions(Interaction(user_id, "mug", time, review=user_id) for time in range(each))
    assert pq.ParquetFile(tmp_path / "large" / "interactions.parquet").num_row_groups == n_users
    history = Store.open(tmp_path / "large").history("u1", last=each)
    assert [one.timestamp for one in history] == list(range(each))
    assert {one.review for one in history} == {"u1"}


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_when_writing_stops(tmp_path: Path, stop: type[BaseException]) -> None:
    def interrupted() -> None:
        with StoreWriter(tmp_path / "store", name="half", format="test") as writer:
            writer.add_item(MUG)
            raise stop

    with pytest.raises(stop):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_replacement_leaves_the_old_store(path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), StoreWriter(path, name="new", format="test"):
        raise ValueError("stop")
    assert Store.open(path).manifest["name"] == "tiny"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_rename_brings_the_old_store_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            raise OSError("no")
        return rename(self, target)

    with pytest.raises(OSError, match="no"), StoreWriter(path, name="new", format="test"):
        monkeypatch.setattr(Path, "rename", refuse)
    assert Store.open(path).manifest["name"] == "tiny"


def test_a_store_replaces_a_store_and_an_empty_folder_only(path: Path, tmp_path: Path) -> None:
    with StoreWriter(path, name="new", format="test"):
        pass
    assert Store.open(path).manifest["name"] == "new"
    (tmp_path / "empty").mkdir()
    with StoreWriter(tmp_path / "empty", name="new", format="test"):
        pass
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear")
    for mine in (tmp_path / "letters", tmp_path / "letters" / "dear.txt"):
        with pytest.raises(InputError, match="exists and is not a store"):
            StoreWriter(mine, name="new", format="test").__enter__()
    assert (tmp_path / "letters" / "dear.txt").read_text() == "dear"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        StoreWriter(tmp_path / "file" / "store", name="x", format="test").__enter__()


def test_rows_that_do_not_fit_are_refused_while_writing(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", name="x", format="test") as writer:
        writer.add_item(MUG)
        with pytest.raises(BundleError, match="'mug' is added twice"):
            writer.add_item(MUG)
        with pytest.raises(BundleError, match="'rake' was not added"):
            writer.add_held_out("ann", "rake")
        writer.add_interactions([Interaction("ann", "mug", 1)])
        with pytest.raises(BundleError, match="'ann' comes twice"):
            writer.add_interactions([Interaction("ann", "mug", 2)])
        with pytest.raises(BundleError, match="'rake' was not added"):
            writer.add_interactions([Interaction("bob", "rake", 1)])
    assert writer.has_item("mug") and not writer.has_item("rake")


def test_a_folder_that_is_no_store_is_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such store"):
        Store.open(tmp_path / "nowhere")
    with pytest.raises(BundleError, match="not a store"):
        Store.open(tmp_path)
    (path / "manifest.json").write_text("[1]")
    with pytest.raises(BundleError, match="not a store"):
        Store.open(path)


def test_another_schema_is_refused(path: Path) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | {"schema": 99}))
    with pytest.raises(BundleError, match="schema 99"):
        Store.open(path)


@pytest.mark.parametrize("part", ["items", "interactions", "narratives"])
def test_a_damaged_part_is_named(path: Path, part: str) -> None:
    (path / f"{part}.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(BundleError, match=f"{part}.parquet: missing or damaged"):
        list(Store.open(path).narratives())


def test_a_missing_part_is_named(path: Path) -> None:
    (path / "items.parquet").unlink()
    with pytest.raises(BundleError, match="items.parquet: missing or damaged"):
        Store.open(path)


def _rewrite(file: Path, order: list[int], **columns: list[object]) -> None:
    table = pq.read_table(file)
    for name, values in columns.items():
        position = table.schema.get_field_index(name)
        table = table.set_column(
            position, table.schema.field(name), pa.array(values, table.schema.field(name).type)
        )
    pq.write_table(table.take(order), file)


def test_parts_that_do_not_fit_together_are_refused(path: Path) -> None:
    interactions = path / "interactions.parquet"
    _rewrite(interactions, [0, 2, 1, 3, 4])
    with pytest.raises(BundleError, match="not grouped by user"):
        Store.open(path)
    _rewrite(interactions, [0, 2, 1, 3])
    with pytest.raises(BundleError, match="4 rows, but manifest.json says 5"):
        Store.open(path)


def test_interactions_with_unknown_items_are_refused(path: Path) -> None:
    _rewrite(path / "interactions.parquet", [0, 1, 2, 3, 4], item_id=["mug", "mug", "mug", "mug", "spade"])
    with pytest.raises(BundleError, match="items that items.parquet lacks"):
        Store.open(path)
