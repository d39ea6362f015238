"""A new version is taken up between turns, and no conversation notices but by who answers."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.conversation import Assistant
from agents.events import Done
from crs.bundle import Bundle, derive_bundle
from crs.following import Follower
from crs.shop import Shop
from crs.versions import promote, roll_back, versions_dir
from knowledge.errors import BundleError
from tests.conftest import WordEncoder
from tests.waiting import wait_until


@pytest.fixture
def shop(small_narrating_bundle: Bundle, tmp_path: Path) -> Iterator[Shop]:
    shop = Shop.open(small_narrating_bundle.path, data_dir=tmp_path, encoder=WordEncoder())
    yield shop
    shop.close()


@pytest.fixture
def second(small_narrating_bundle: Bundle, tmp_path: Path) -> Bundle:
    """Another version, not promoted yet."""
    first = small_narrating_bundle
    folder = versions_dir(first.path, tmp_path)
    draft = derive_bundle(
        first.path, folder / "draft", reads_factors=True, item_factors=first.item_factors * 0.5
    )
    (folder / "draft").rename(folder / draft.version)
    return Bundle.open(folder / draft.version)


def answered_by(assistant: Assistant, message: str) -> str:
    done = [event for event in assistant.reply("c", message) if isinstance(event, Done)]
    return done[0].answer.bundle


def test_a_promoted_version_answers_the_next_turn(
    small_narrating_bundle: Bundle, shop: Shop, second: Bundle, tmp_path: Path
) -> None:
    first = small_narrating_bundle
    assistant = Assistant(shop)
    assistant.open("c", "u00")
    follower = Follower(shop, first.path, tmp_path, assistant.between_turns)
    follower.look()
    assert answered_by(assistant, "What can you do?") == first.version

    promote(first.path, second.version, tmp_path)
    turn = assistant.reply("c", "Thank you")
    next(turn)  # the turn is under way
    looking = threading.Thread(target=follower.look)
    looking.start()
    done = [event for event in turn if isinstance(event, Done)]
    assert done[0].answer.bundle == first.version
    looking.join()
    assert shop.bundle.version == second.version
    assert answered_by(assistant, "Hello") == second.version
    assert [m.text for m in assistant.history("c") if m.role == "user"] == [
        "What can you do?", "Thank you", "Hello",
    ]  # fmt: skip

    roll_back(first.path, tmp_path)
    follower.look()
    assert answered_by(assistant, "Hello again") == first.version


def test_the_thread_follows_by_itself(
    small_narrating_bundle: Bundle, shop: Shop, second: Bundle, tmp_path: Path
) -> None:
    with Follower(shop, small_narrating_bundle.path, tmp_path, lambda do: do(), every_s=0.01):
        promote(small_narrating_bundle.path, second.version, tmp_path)
        wait_until(lambda: shop.bundle.version == second.version)


def test_a_version_that_cannot_be_opened_leaves_the_old_one_serving(
    small_narrating_bundle: Bundle, shop: Shop, second: Bundle, tmp_path: Path
) -> None:
    first = small_narrating_bundle
    shutil.rmtree(second.path / "narrator")
    promote(first.path, second.version, tmp_path)
    follower = Follower(shop, first.path, tmp_path, lambda do: do())
    with pytest.raises(BundleError, match="is missing"):
        follower.look()
    assert shop.bundle.version == first.version
    follower.look()  # not tried again
