"""What a narrator is asked when it is measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crs.bundle import Bundle, derive_bundle
from crs.evaluation.occasions import held_out_items, occasions
from knowledge.errors import InputError
from knowledge.types import TARGET_TASKS, TASKS


def test_references_are_asked_for_again(demo_bundle: Bundle) -> None:
    users = demo_bundle.splits["train"]
    told = {(n.user_id, n.task, n.target_id): n for n in demo_bundle.store.narratives()}
    drawn = occasions(demo_bundle, users, 5, seed=3)
    assert list(drawn) == list(TASKS)
    for task, asked in drawn.items():
        assert [each.seed for each in asked] == [3, 4, 5, 6, 7]
        for each in asked:
            reference = told[each.user_id, task, each.target_id]
            assert (each.reference, each.n_history) == (reference.text, reference.n_history)
            assert len(each.history(demo_bundle.store)) == each.n_history
            assert (each.target(demo_bundle.store) is not None) == (task in TARGET_TASKS)


def test_fewer_are_the_beginning_of_more(demo_bundle: Bundle) -> None:
    users = demo_bundle.splits["train"]
    few, more = occasions(demo_bundle, users, 3, seed=1), occasions(demo_bundle, users, 9, seed=1)
    assert all(more[task][:3] == few[task] for task in TASKS)
    assert occasions(demo_bundle, users, 3, seed=2)["user_profile"] != few["user_profile"]


def test_when_shoppers_run_out_they_come_again_with_other_seeds(demo_bundle: Bundle) -> None:
    users = demo_bundle.splits["train"][:2]
    asked = occasions(demo_bundle, users, 5)["user_profile"]
    assert {each.user_id for each in asked} == set(users)
    assert len({each.seed for each in asked}) == 5


def test_without_references_a_history_is_enough(small_bundle: Bundle) -> None:
    store = small_bundle.store  # it has brief summaries only
    drawn = occasions(small_bundle, store.user_ids, 4)
    assert all(each.reference for each in drawn["user_summary_brief"])
    assert not any(each.reference for task in TASKS if task != "user_summary_brief" for each in drawn[task])
    for each in drawn["product_endorsement"]:
        assert each.target_id == store.held_out[each.user_id] and each.n_history == 6
    for each in drawn["purchase_reason"]:
        history = store.history(each.user_id)
        assert each.target_id == history[-1].item_id and each.history(store) == history[:-1]
    assert all(each.target_id is None and each.n_history == 6 for each in drawn["user_profile"])


def test_only_shoppers_of_held_out_items_are_asked(small_bundle: Bundle) -> None:
    store = small_bundle.store
    kitchen = {item.item_id for item in store.items.values() if item.department == "Kitchen"}
    drawn = occasions(small_bundle, store.user_ids, 30, only_items=kitchen)
    assert {int(each.user_id[1:]) % 2 for asked in drawn.values() for each in asked} == {0}  # the cooks
    with pytest.raises(InputError, match="whose items were all held out to tell a purchase_reason of"):
        occasions(small_bundle, store.user_ids, 1, only_items={"tape"})


def test_an_empty_split_is_said(small_bundle: Bundle) -> None:
    with pytest.raises(InputError, match="no shoppers of the split to tell a purchase_reason of"):
        occasions(small_bundle, [], 1)


def test_held_out_items_are_read_from_a_file_or_from_the_training(
    small_narrating_bundle: Bundle, tmp_path: Path
) -> None:
    assert held_out_items(small_narrating_bundle) is None  # no training.json
    named = tmp_path / "items.txt"
    named.write_text("tape\nkettle-red\nunknown\n")
    assert held_out_items(small_narrating_bundle, named) == frozenset({"tape", "kettle-red"})
    narrator = tmp_path / "narrator"
    narrator.mkdir()
    for part in small_narrating_bundle.narrator_dir.iterdir():
        (narrator / part.name).write_bytes(part.read_bytes())
    for ids, expected in ((["tape", "elsewhere"], frozenset({"tape"})), (["elsewhere"], None)):
        (narrator / "training.json").write_text(json.dumps({"held_out_items": ids}))
        bundle = derive_bundle(
            small_narrating_bundle.path, tmp_path / "bundle", narrator=narrator, reads_factors=True
        )
        assert held_out_items(bundle) == expected


def test_a_file_of_other_ids_is_refused(small_bundle: Bundle, tmp_path: Path) -> None:
    named = tmp_path / "items.txt"
    with pytest.raises(InputError, match="items.txt: cannot be read"):
        held_out_items(small_bundle, named)
    named.write_text("nothing of this store")
    with pytest.raises(InputError, match="names no item of"):
        held_out_items(small_bundle, named)
