"""What the auto-rater is given: narratives of a file, the store's own, or told for it, each told once."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crs.bundle import Bundle
from crs.evaluation.rater.narratives import draw_users, read_narratives, references, tell
from knowledge.errors import InputError, NotFoundError
from knowledge.store import Store
from knowledge.types import TASKS, Interaction, Item, Narrative, Task
from tests.conftest import WordEncoder

USER = "u00"


class TestNarratives:
    def write(self, path: Path, *rows: Any) -> Path:
        path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
        return path

    def test_from_a_file(self, small_store: Store, tmp_path: Path) -> None:
        last = small_store.history(USER)[-1].item_id
        other = small_store.held_out[USER]
        path = self.write(
            tmp_path / "told.jsonl",
            {"user_id": USER, "task": "user_profile", "text": "Kind"},
            "",
            {"user_id": USER, "task": "purchase_reason", "text": "Tea", "target_id": last},
            {"user_id": USER, "task": "purchase_reason", "text": "Tea", "target_id": other},
            {
                "user_id": USER,
                "task": "user_profile",
                "text": "K",
                "n_history": 2,
                "target_id": "x",
                "more": 1,
            },
        )
        assert read_narratives(path, small_store) == [
            Narrative(USER, "user_profile", "Kind", 6),
            Narrative(USER, "purchase_reason", "Tea", 5, last),  # what came before it
            Narrative(USER, "purchase_reason", "Tea", 6, other),
            Narrative(USER, "user_profile", "K", 2),
        ]

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ("{half", "line 1: is no JSON object"),
            ("[1]", "line 1: is no JSON object"),
            ({"user_id": USER, "task": "user_profile"}, "line 1, field 'text': is missing"),
            ({"user_id": USER, "task": "user_profile", "text": 3}, "field 'text': is 3"),
            ({"user_id": ["a"], "task": "user_profile", "text": "a"}, "field 'user_id': is"),
            ({"user_id": "zz", "task": "user_profile", "text": "a"}, "'zz' is not a user"),
            ({"user_id": USER, "task": "poem", "text": "a"}, "'poem' is none of purchase_reason"),
            ({"user_id": USER, "task": "product_endorsement", "text": "a"}, "None is not an item"),
            ({"user_id": USER, "task": "user_profile", "text": "a", "n_history": 7}, "has 6 purchases"),
            ({"user_id": USER, "task": "user_profile", "text": "a", "n_history": "2"}, "field 'n_history'"),
        ],
    )
    def test_rows_that_cannot_be_used(
        self, row: Any, message: str, small_store: Store, tmp_path: Path
    ) -> None:
        with pytest.raises(InputError, match=message):
            read_narratives(self.write(tmp_path / "told.jsonl", row), small_store)

    def test_files_that_cannot_be_used(self, small_store: Store, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError, match="no such file"):
            read_narratives(tmp_path / "none.jsonl", small_store)
        with pytest.raises(InputError, match="holds no narrative"):
            read_narratives(self.write(tmp_path / "empty.jsonl"), small_store)
        (tmp_path / "odd.jsonl").write_bytes(b"\xff\xfe")
        with pytest.raises(InputError, match="cannot be read"):
            read_narratives(tmp_path / "odd.jsonl", small_store)

    def test_references_in_the_order_of_the_shoppers(self, small_store: Store) -> None:
        users = draw_users(small_store.user_ids, 5, seed=1)
        assert [told.user_id for told in references(small_store, users)] == users
        assert draw_users(small_store.user_ids, 3, seed=1) == users[:3]
        assert draw_users(small_store.user_ids, 5, seed=2) != users


class FakeStoryteller:
    """Tells a sentence that names what it was asked, and keeps count."""

    def __init__(self) -> None:
        self.n_told = 0
        self.closed = False

    def tell(self, history: list[Interaction], task: Task, target: Item | None, *, seed: int) -> Any:
        self.n_told += 1
        text = f"{task} from {len(history)} of {target and target.item_id}, seed {seed}"
        return FakeStream(text)

    def close(self) -> None:
        self.closed = True


class FakeStream(list[str]):
    def __init__(self, text: str) -> None:
        super().__init__([text])
        self.result = SimpleNamespace(text=text)


class TestTelling:
    @pytest.fixture
    def teller(self, monkeypatch: pytest.MonkeyPatch) -> FakeStoryteller:
        teller = FakeStoryteller()
        monkeypatch.setattr("crs.evaluation.rater.narratives.Storyteller.open", lambda *_: teller)
        return teller

    def test_all_that_can_be_told_of_a_shopper(
        self, teller: FakeStoryteller, small_bundle: Bundle, word_encoder: WordEncoder, tmp_path: Path
    ) -> None:
        store = small_bundle.store
        done: list[tuple[str, int, int]] = []
        told = tell(
            small_bundle, word_encoder, [USER], tmp_path, seed=3, progress=lambda *at: done.append(at)
        )
        last, held_out = store.history(USER)[-1].item_id, store.held_out[USER]
        assert [each.task for each in told] == list(TASKS)
        assert told[0].text == f"purchase_reason from 5 of {last}, seed 3"
        assert told[2].text == "user_summary_brief from 6 of None, seed 3"
        assert told[5].text == f"product_endorsement from 6 of {held_out}, seed 3"
        assert done[-1] == ("tell", 6, 6) and teller.closed

    def test_nothing_is_told_twice_and_a_torn_line_is_told_again(
        self, teller: FakeStoryteller, small_bundle: Bundle, word_encoder: WordEncoder, tmp_path: Path
    ) -> None:
        told = tell(small_bundle, word_encoder, [USER], tmp_path)
        (path,) = tmp_path.glob("narratives-*-0.jsonl")
        whole = path.read_bytes()
        for n_bytes in (len(whole), len(whole) - 20, 20, 0):
            path.write_bytes(whole[:n_bytes])
            assert tell(small_bundle, word_encoder, [USER], tmp_path) == told
            assert path.read_bytes() == whole
        assert teller.n_told == 6 + 0 + 1 + 6 + 6
        tell(small_bundle, word_encoder, [USER], tmp_path, seed=1)
        assert teller.n_told == 19 + 6
