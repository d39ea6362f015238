import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from crs.bundle import Bundle
from crs.narrator.language_model import FakeLanguageModel
from crs.shop import Shop, fill_memory, patience_s
from crs.storyteller import Storyteller, before_purchase
from knowledge.errors import BundleError, BusyError, InputError, ModelError, NotFoundError
from knowledge.feedback import FeedbackLog
from knowledge.memory import Memory
from knowledge.types import Constraints, Interaction
from knowledge.usage import UsageLog
from tests.conftest import WordEncoder
from tests.crs.narrator_folders import DIM, N_VOCAB


@pytest.fixture(scope="module")
def shop(small_narrating_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """All real parts but the encoder."""
    shop = Shop.open(
        small_narrating_bundle.path, data_dir=tmp_path_factory.mktemp("var"), encoder=WordEncoder()
    )
    yield shop
    shop.close()


def test_people_are_recalled_with_history_and_taste(shop: Shop) -> None:
    assert len(shop.user_ids) == 40 and len(shop.items) == 37
    person = shop.person("u03")
    assert person.history == shop.bundle.store.history("u03")
    np.testing.assert_allclose(person.taste, shop.taste(person.history), atol=1e-5)
    assert np.linalg.norm(person.taste) == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(NotFoundError):
        shop.person("nobody")


def test_newcomers_can_be_remembered(shop: Shop) -> None:
    stranger = shop.newcomer("guest")
    assert stranger.history == [] and not stranger.taste.any()
    owned = [Interaction("guest", "rake-red", 1), Interaction("guest", "hose-blue", 2, rating=5.0)]
    shop.remember(shop.newcomer("guest", owned))
    assert shop.person("guest").history == owned
    assert "guest" not in shop.user_ids


def test_recommending_takes_the_persons_history(shop: Shop) -> None:
    found = shop.recommend(shop.person("u01"), Constraints(max_price=30.0), k=4)
    assert {each.item.department for each in found} == {"Garden"}


def test_the_vocabulary_is_the_stores(shop: Shop) -> None:
    assert shop.vocabulary.brands == ("Arbor", "Brindle", "Cobalt")
    assert shop.vocabulary.colors == ("blue", "green", "red")
    assert shop.vocabulary.departments == ("Garden", "Kitchen")
    assert "tape" in shop.vocabulary.kinds


def test_a_narrative_streams_and_repeats_with_its_seed(shop: Shop) -> None:
    person = shop.person("u02")
    stream = shop.narrate(person, "user_profile", seed=4)
    pieces = list(stream)
    assert pieces
    assert stream.result.n_soft == len(person.history)
    again = shop.narrate(person, "user_profile", seed=4)
    assert list(again) == pieces
    assert all(0 < k <= len(person.history) for k in stream.result.cites)


def test_a_narrative_ends_where_patience_does(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert patience_s({}) == 180 == shop.patience_s and patience_s({"RACONTEUR_PATIENCE_S": "2.5"}) == 2.5
    for told in ("soon", "0", "-1", "inf", "nan"):
        with pytest.raises(InputError, match="RACONTEUR_PATIENCE_S"):
            patience_s({"RACONTEUR_PATIENCE_S": told})
    monkeypatch.setattr(shop, "patience_s", 1e-9)
    with pytest.raises(ModelError, match="no time left"):
        list(shop.narrate(shop.person("u02"), "user_summary_long"))


def test_a_stopped_narrative_says_so(shop: Shop) -> None:
    stop = threading.Event()
    stop.set()
    stream = shop.narrate(shop.person("u02"), "user_summary_long", stop=stop)
    assert list(stream) == []
    assert stream.result.stopped


def test_a_second_start_finds_the_memory_filled(shop: Shop) -> None:
    seen: list[str] = []
    fill_memory(shop.memory, shop.bundle, progress=lambda stage, *_: seen.append(stage))
    assert seen == []


def test_one_process_owns_the_memory(shop: Shop, small_narrating_bundle: Bundle) -> None:
    data_dir = Path(shop.memory.place).parent
    with pytest.raises(BusyError, match="another process"):
        Shop.open(small_narrating_bundle.path, data_dir=data_dir, encoder=WordEncoder())


def test_filling_reports_both_stages(small_bundle: Bundle, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    with Memory.open(tmp_path) as memory:
        fill_memory(memory, small_bundle, progress=lambda *at: seen.append(at))
        nearest = memory.similar_items(small_bundle.item_content[0], 1)
    assert nearest[0][0] == small_bundle.store.item_ids[0]
    assert seen[-1] == ("memory of people", 40, 40)


class Teller:
    """A storyteller over a model without weights, which keeps what it was prompted with."""

    def __init__(self, bundle: Bundle) -> None:
        self.model = FakeLanguageModel(embedding_dim=DIM, n_vocab=N_VOCAB)
        self.storyteller = Storyteller(bundle, WordEncoder(), self.model)

    def n_soft(self, *args: object, **kwargs: object) -> int:
        stream = self.storyteller.narrate(*args, **kwargs)  # type: ignore[arg-type]
        for _ in stream:
            pass
        soft = [segment for segment in self.model.prompts[-1] if segment.ndim == 2]
        assert sum(map(len, soft)) == stream.result.n_soft
        return stream.result.n_soft


@pytest.fixture
def teller(small_narrating_bundle: Bundle) -> Teller:
    return Teller(small_narrating_bundle)


def test_a_reason_is_told_from_what_came_before(teller: Teller, small_bundle: Bundle) -> None:
    history = small_bundle.store.history("u04")
    assert teller.n_soft(history, "purchase_reason", history[3].item_id) == 3 + 1
    reason = teller.model.prompts[-1]
    changed = [*history[:4], *reversed(history[4:])]
    teller.n_soft(changed, "purchase_reason", history[3].item_id)
    for told, other in zip(reason, teller.model.prompts[-1], strict=False):
        np.testing.assert_array_equal(told, other)


def test_an_endorsement_is_told_from_all_purchases(teller: Teller, small_bundle: Bundle) -> None:
    history = small_bundle.store.history("u04")
    assert teller.n_soft(history, "product_endorsement", "tape") == len(history) + 1


def test_summaries_take_no_target(teller: Teller, small_bundle: Bundle) -> None:
    history = small_bundle.store.history("u04")
    assert teller.n_soft(history, "user_summary_brief", "tape") == len(history)


def test_what_cannot_be_told_says_why(teller: Teller, small_bundle: Bundle) -> None:
    history = small_bundle.store.history("u04")
    tell = teller.storyteller.narrate
    with pytest.raises(InputError, match="about one product; name it"):
        tell(history, "purchase_reason")
    with pytest.raises(InputError, match="'poem' is none of"):
        tell(history, "poem")  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="'moon' is not in this store"):
        tell(history, "product_endorsement", "moon")
    with pytest.raises(NotFoundError, match="not among the purchases"):
        tell(history, "purchase_reason", "tape")


def test_before_the_latest_purchase_of_an_item() -> None:
    history = [Interaction("u", item, at) for at, item in enumerate("abab")]
    assert before_purchase(history, "a") == history[:2]
    assert before_purchase(history[:1], "a") == []


def test_a_bundle_without_narrator_says_how_to_get_one(small_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="train-narrator"):
        Storyteller.open(small_bundle, WordEncoder(), tmp_path)


def test_notes_say_where_it_runs_and_what_cf_is_for(
    small_narrating_bundle: Bundle, small_bundle: Bundle, tmp_path: Path
) -> None:
    from dataclasses import replace

    foreign = replace(
        small_narrating_bundle, manifest=small_narrating_bundle.manifest | {"narrator": {"trained_on": "x"}}
    )
    for bundle, n_notes in ((small_narrating_bundle, 1), (foreign, 2)):
        with (
            Memory.open(tmp_path / str(n_notes)) as memory,
            FeedbackLog(tmp_path / "f.sqlite") as log,
            closing(UsageLog(tmp_path / "u.sqlite")) as usage,
        ):
            notes = Shop(bundle, WordEncoder(), memory, Teller(bundle).storyteller, log, usage).notes
        assert len(notes) == n_notes
        assert "CPU" in notes[0]
    assert "ranking only" in notes[1]
