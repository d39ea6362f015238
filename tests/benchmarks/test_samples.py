"""docs/samples.md: every task, the purchases pointers lead to, nothing of a listing that must stay unseen."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from benchmarks import samples
from crs.bundle import Bundle
from knowledge.types import TARGET_TASKS, TASKS, Interaction, Item
from tests.conftest import WordEncoder

KETTLE = Item(
    "i1", "Hollowbrook Oriel Kettle", brand="Hollowbrook", kind="kettle", attributes={"color": "sage green"}
)
MUG = Item("i2", "Cobalt Mug, Large", kind="mug")
HISTORY = [Interaction("u", "i2", 1), Interaction("u", "i1", 2)]
ITEMS = {item.item_id: item for item in (KETTLE, MUG)}


def test_a_pointer_is_shown_behind_its_noun() -> None:
    text = "They like their [1] mug, the [2] kettle and [1]."
    assert samples.readable(text, HISTORY, None, ITEMS) == (
        "They like their **mug** [1], the **kettle** [2] and **mug** [1]."
    )


def test_the_target_is_named_once() -> None:
    text = "The [target] kettle goes with your [1] mug; a [target] kettle it is."
    assert samples.readable(text, HISTORY, KETTLE, ITEMS) == (
        "The **Hollowbrook Oriel Kettle** [target] goes with your **mug** [1]; a **kettle** [target] it is."
    )


def test_what_is_quoted_can_be_shown_as_what_the_narrator_said() -> None:
    text = "A sage green [target] kettle by Hollowbrook."
    assert samples.with_slots(text, KETTLE) == "A [color] [target] kettle by [brand]."
    assert samples.with_slots("No target.", None) == "No target."


@pytest.fixture
def written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small_narrating_bundle: Bundle, demo_bundle: Bundle
) -> str:
    monkeypatch.setattr("benchmarks.samples.Encoder", WordEncoder)
    monkeypatch.setattr("benchmarks.samples.PER_TASK", 2)
    monkeypatch.setattr("crs.narrator.narrate.MAX_TOKENS", dict.fromkeys(TASKS, 24))  # nonsense has no end
    monkeypatch.setenv("RACONTEUR_VAR", str(tmp_path / "var"))
    out = tmp_path / "samples.md"
    arguments = ("--bundle", demo_bundle.path, "--unlisted", small_narrating_bundle.path, "--out", out)
    monkeypatch.setattr(sys, "argv", ["samples", *map(str, arguments)])
    samples.main()
    return out.read_text()


def test_the_document_holds_every_task_of_both_stores(
    written: str, small_narrating_bundle: Bundle, demo_bundle: Bundle
) -> None:
    listed, unlisted = written.split("## Store small")
    for part in (listed, unlisted):
        assert re.findall(r"^### (\w+)$", part, re.MULTILINE) == list(TASKS)
        assert len(re.findall(r"^Shopper \w+, seed \d+$", part, re.MULTILINE)) == 2 * len(TASKS)
        assert len(re.findall(r"^\[target\]: ", part, re.MULTILINE)) == 2 * len(TARGET_TASKS)
    assert any(item.title in listed for item in demo_bundle.store.items.values())
    assert f"Bundle version {demo_bundle.version}" in listed
    purchases = "\n".join(re.findall(r"^(?:\d+\.|\[target\]:) .*$", unlisted, re.MULTILINE))
    assert re.search(r"^1\. kettle \(kettle-(red|blue|green)\)$", purchases, re.MULTILINE)
    assert not any(brand in purchases for brand in ("Arbor", "Brindle", "Cobalt"))
