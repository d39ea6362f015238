"""From a history and a task to what the narrator is given."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from crs.bundle import Bundle
from crs.narrator.language_model import FakeLanguageModel
from crs.storyteller import Storyteller
from knowledge.errors import ModelError
from knowledge.types import Interaction
from tests.conftest import WordEncoder
from tests.crs.narrator_folders import DIM, N_VOCAB


@pytest.fixture
def model() -> FakeLanguageModel:
    return FakeLanguageModel(embedding_dim=DIM, n_vocab=N_VOCAB)


@pytest.fixture
def storyteller(small_narrating_bundle: Bundle, model: FakeLanguageModel) -> Storyteller:
    return Storyteller(small_narrating_bundle, WordEncoder(), model)


@pytest.fixture
def long_history(small_bundle: Bundle) -> list[Interaction]:
    """60 purchases; the fifth is the only tape."""
    ids = [item_id for item_id in small_bundle.store.item_ids if item_id != "tape"]
    bought = [ids[i % len(ids)] for i in range(60)]
    bought[4] = "tape"
    return [Interaction("u", item_id, 1000 + at) for at, item_id in enumerate(bought)]


def test_a_summary_is_told_from_the_last_fifty(
    storyteller: Storyteller, model: FakeLanguageModel, long_history: list[Interaction]
) -> None:
    stream = storyteller.narrate(long_history, "user_profile")
    list(stream)
    assert stream.result.n_soft == 50
    list(storyteller.narrate(long_history[10:], "user_profile"))
    np.testing.assert_array_equal(model.prompts[0][1], model.prompts[-1][1])


def test_a_reason_reaches_back_beyond_the_last_fifty(
    storyteller: Storyteller, model: FakeLanguageModel, long_history: list[Interaction]
) -> None:
    stream = storyteller.narrate(long_history, "purchase_reason", "tape")
    list(stream)
    assert stream.result.n_soft == 4 + 1
    # The 60th purchase is told from the fifty before it, not from what the last fifty leave of them.
    stream = storyteller.narrate(long_history, "purchase_reason", long_history[-1].item_id)
    list(stream)
    assert stream.result.n_soft == 50 + 1


def test_more_than_fifty_cannot_be_told_as_they_are(
    storyteller: Storyteller, long_history: list[Interaction]
) -> None:
    with pytest.raises(ModelError, match="at most 50"):
        storyteller.tell(long_history, "user_profile", None)


def test_the_bundles_narrator_opens_and_closes(small_narrating_bundle: Bundle, tmp_path: Path) -> None:
    storyteller = Storyteller.open(small_narrating_bundle, WordEncoder(), tmp_path / "cache")
    history = small_narrating_bundle.store.history("u00")
    stream = storyteller.narrate(history, "user_profile", seed=2)
    list(stream)
    assert stream.result.tokens > 0
    storyteller.close()
    with pytest.raises(ModelError):
        list(storyteller.narrate(history, "user_profile"))


def test_a_damaged_adapter_is_refused(small_narrating_bundle: Bundle, tmp_path: Path) -> None:
    shutil.copytree(small_narrating_bundle.path, tmp_path / "bundle")
    bundle = Bundle.open(tmp_path / "bundle")
    (bundle.narrator_dir / "adapter.safetensors").write_bytes(b"damaged after it was opened")
    with pytest.raises(ModelError, match="adapter.safetensors: not a readable adapter"):
        Storyteller.open(bundle, WordEncoder(), tmp_path / "cache")
