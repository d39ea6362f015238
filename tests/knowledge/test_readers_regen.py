"""The REGEN release read as published, and what becomes of names that nobody has seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reading import read, write_lines

from knowledge.errors import InputError
from knowledge.readers import import_store
from knowledge.types import TASKS, Interaction, Item, Narrative


def purchase_regen(item: str, time: int, **more: Any) -> dict[str, Any]:
    return {
        "item": {
            "asin": item,
            "title": f"Thing {item}",
            "category": "Office Products - Supplies - Desk - Letter Trays",
            "price": 3.5,
        },
        "review": {"summary": "Ok", "rating": 4, "text": "Works.", "unix_time": time},
        **more,
    }


def user_regen(user_id: str = "U1", **more: Any) -> dict[str, Any]:
    history = [
        purchase_regen("B", 200),
        purchase_regen("A", 100),
        purchase_regen("C", 300),
        purchase_regen("B", 200),
    ]
    return {"reviewer_id": user_id, "purchase_history": history, **more}


SIX = {
    "user": {"profile": ["tidy", "thrifty"], "long_summary": "Long.", "brief_summary": "Brief."},
    "last_purchase": {"purchase_reason": "Because.", "explanation": "Since.", "endorsement": "Buy."},
}


def test_regen_keeps_histories_and_all_six_narratives(tmp_path: Path) -> None:
    write_lines(tmp_path / "office.jsonl", [user_regen(**SIX), user_regen("U0")])
    store, dropped = read(tmp_path / "office.jsonl", tmp_path, "regen")
    assert [(one.item_id, one.timestamp) for one in store.history("U1")] == [
        ("A", 100),
        ("B", 200),
        ("C", 300),
    ]
    assert store.items["A"] == Item("A", "Thing A", price=3.5, department="Supplies", kind="letter tray")
    assert list(store.narratives()) == [
        Narrative("U1", "purchase_reason", "Because.", 2, "C"),
        Narrative("U1", "purchase_reason_explanation", "Since.", 2, "C"),
        Narrative("U1", "user_summary_brief", "Brief.", 3),
        Narrative("U1", "user_summary_long", "Long.", 3),
        Narrative("U1", "user_profile", "tidy, thrifty", 3),
        Narrative("U1", "product_endorsement", "Buy.", 2, "C"),
    ]
    assert dropped == {"interaction listed before": 2}


def test_regen_reads_of_the_purchase_that_is_named(tmp_path: Path) -> None:
    def about(item_id: str) -> dict[str, Any]:
        return {"last_purchase": {"item": {"asin": item_id, "title": "x"}, "reason": "Because."}}

    write_lines(tmp_path / "office.jsonl", [user_regen("U1", **about("B")), user_regen("U2", **about("Z"))])
    store, dropped = read(tmp_path / "office.jsonl", tmp_path, "regen")
    assert list(store.narratives()) == [Narrative("U1", "purchase_reason", "Because.", 1, "B")]
    assert dropped["narrative about a purchase that was dropped"] == 1


def test_regen_drops_untitled_items_and_who_has_no_others(tmp_path: Path) -> None:
    bare = {"item": {"asin": "N"}, "review": {"rating": 4, "unix_time": 5}}
    lines = [
        {"reviewer_id": "U2", "purchase_history": [bare], **SIX},
        {"reviewer_id": "U1", "purchase_history": [bare, purchase_regen("A", 100)]},
    ]
    write_lines(tmp_path / "office.jsonl", lines)
    store, dropped = read(tmp_path / "office.jsonl", tmp_path, "regen")
    assert store.user_ids == ["U1"] and list(store.items) == ["A"]
    assert dropped == {
        "item without a title": 1,
        "interaction with an item that has no title or is not listed": 2,
        "user without interactions": 1,
        "narrative of a user without interactions": len(TASKS),
    }


def test_regen_never_guesses_what_a_text_is(tmp_path: Path) -> None:
    source = tmp_path / "office.jsonl"
    write_lines(source, [user_regen(user={"long_summary": "Long.", "tldr": "Short.", "name": "Ann"})])
    with pytest.raises(InputError) as caught:
        import_store(source, tmp_path / "store", "regen")
    message = str(caught.value)
    for part in (
        "line 1",
        "user.tldr",
        "user.long_summary, user.tldr",
        "user_summary_brief",
        "--map TASK=",
    ):
        assert part in message
    store, _ = read(source, tmp_path, "regen", names={"user_summary_brief": "user.tldr"})
    assert [one.text for one in store.narratives("user_summary_brief")] == ["Short."]
    store, _ = read(source, tmp_path, "regen", names={"ignore": "user.other,user.tldr"})
    assert [one.task for one in store.narratives()] == ["user_summary_long"]


@pytest.mark.parametrize(
    "texts", [{"brief": "Short."}, {"user": {"texts": {"brief": "Short."}}}, {"user": {"words": ["tidy"]}}]
)
def test_regen_finds_unknown_texts_wherever_they_stand(tmp_path: Path, texts: dict[str, Any]) -> None:
    write_lines(tmp_path / "office.jsonl", [user_regen(**texts)])
    with pytest.raises(InputError, match="no known name of a narrative"):
        import_store(tmp_path / "office.jsonl", tmp_path / "store", "regen")


def test_regen_asks_which_of_two_is_meant(tmp_path: Path) -> None:
    source = tmp_path / "office.jsonl"
    write_lines(source, [user_regen(user={"summary": "One.", "brief_summary": "Two."})])
    with pytest.raises(
        InputError, match=r"user.brief_summary and user.summary may both be the user_summary_brief"
    ):
        import_store(source, tmp_path / "store", "regen")
    for names in (
        {"ignore": "user.brief_summary"},
        {"user_summary_brief": "user.summary", "ignore": "user.brief_summary"},
    ):
        store, _ = read(source, tmp_path, "regen", names=names)
        assert [one.text for one in store.narratives()] == ["One."]


def test_regen_takes_other_names(tmp_path: Path) -> None:
    source = tmp_path / "office.jsonl"
    write_lines(
        source,
        [{"who": "U1", "bought": [{"meta": {"id": 7}, "when": 5, "stars": 5, "item": {"title": "One"}}]}],
    )
    with pytest.raises(InputError, match=r"looked for reviewer_id.*found: who, bought.*--map user_id=KEY"):
        import_store(source, tmp_path / "store", "regen")
    names = {
        "user_id": "who",
        "history": "bought",
        "item_id": "meta.id",
        "timestamp": "when",
        "rating": "stars",
    }
    store, _ = read(source, tmp_path, "regen", names=names)
    assert store.history("U1") == [Interaction("U1", "7", 5, 5.0)]


def test_regen_refuses_a_name_it_does_not_know_and_a_user_with_two_lines(tmp_path: Path) -> None:
    source = tmp_path / "office.jsonl"
    write_lines(source, [user_regen("U1"), user_regen("U2"), user_regen("U1")])
    with pytest.raises(InputError, match="--map knows no 'poem'.*user_profile"):
        import_store(source, tmp_path / "store", "regen", names={"poem": "user.poem"})
    with pytest.raises(InputError, match="line 3.*user 'U1' has a line already"):
        import_store(source, tmp_path / "store", "regen")


@pytest.mark.realdata
def test_real_regen(tmp_path: Path, data_dir: Path) -> None:
    store, dropped = read(data_dir / "regen_sample" / "office.jsonl", tmp_path, "regen")
    (user_id,) = store.user_ids
    assert len(store.history(user_id)) == 9 and dropped == {"interaction listed before": 1}
    assert [one.task for one in store.narratives()] == ["user_summary_long"]
    assert all(item.price and item.department for item in store.items.values())
    assert "postal scale" in {item.kind for item in store.items.values()}
