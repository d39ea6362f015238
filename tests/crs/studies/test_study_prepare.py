"""A plan becomes a frozen folder: told once, resumed where it was stopped, checks planted."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from crs.bundle import Bundle
from crs.evaluation.occasions import Occasion
from crs.evaluation.rater.narratives import read_narratives
from crs.narrator.evidence import Evidence, StoreWords
from crs.narrator.gate import check
from crs.studies import prepare as preparing
from crs.studies.plan import Plan, Setting
from crs.studies.planted import Spoiler
from crs.studies.prepare import prepare
from crs.studies.trials import read_frozen
from knowledge.errors import BundleError, InputError, NotFoundError
from knowledge.nouns import noun_of
from knowledge.types import Narrative
from tests.conftest import WordEncoder

TASKS = ("purchase_reason", "user_profile")
ATTRIBUTES = {"reasons": ("veracity",), "summaries": ("veracity",)}


@pytest.fixture
def plan(small_narrating_bundle: Bundle) -> Plan:
    path = small_narrating_bundle.path
    settings = (Setting("all", path), Setting("words", path, "content"))
    return Plan("p", settings, tasks=TASKS, n_per_task=2, checks=2, attributes=ATTRIBUTES, split="train")  # type: ignore[arg-type]


def test_what_is_made_is_whole_and_made_once(
    plan: Plan, word_encoder: WordEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cache = tmp_path / "study", tmp_path / "cache"
    tell = preparing.to_its_end
    n_told = 0

    def stopped_at_four(stream: object) -> object:
        nonlocal n_told
        n_told += 1
        if n_told == 5:
            raise KeyboardInterrupt
        return tell(stream)  # type: ignore[arg-type]

    monkeypatch.setattr(preparing, "to_its_end", stopped_at_four)
    with pytest.raises(KeyboardInterrupt):
        prepare(plan, folder, word_encoder, cache)
    with pytest.raises(NotFoundError, match="no study there"):
        read_frozen(folder)
    with (folder / "narratives.jsonl").open("a") as file:
        file.write('{"setting": "all", "torn')
    prepare(plan, folder, word_encoder, cache)
    assert n_told == 5 + 10 - 4  # what was told before is not told again
    frozen = read_frozen(folder)
    genuine = [trial for trial in frozen.trials.values() if trial.check is None]
    assert len(genuine) == 2 * 2 * 2 and len(frozen.trials) == len(genuine) + 2
    assert {trial.narratives[0].setting for trial in genuine} == {"all", "words"}
    reason = next(trial for trial in genuine if trial.task == "purchase_reason")
    assert reason.later is not None and reason.later.item_id == reason.target_id
    assert {purchase.item_id for trial in genuine for purchase in trial.history} <= frozen.items.keys()

    prepare(plan, folder, word_encoder, cache)
    assert n_told == 11  # a study that is whole is left as it is
    assert frozen.manifest["plan"]["settings"][1]["signals"] == "content"
    assert frozen.manifest["versions"]["words"] == Bundle.open(plan.settings[1].bundle).version
    with pytest.raises(InputError, match="another study"):
        prepare(replace(plan, seed=1), folder, word_encoder, cache)
    store = Bundle.open(plan.settings[0].bundle).store
    told = read_narratives(folder / "narratives.jsonl", store)  # the auto-rater reads them as they are
    assert len(told) == 10 and all(isinstance(each, Narrative) for each in told)

    trials = (folder / "trials.jsonl").read_text()
    (folder / "trials.jsonl").write_text(trials.replace("user_profile", "user_summary_brief"))
    with pytest.raises(BundleError, match="is not what raters were to see"):
        read_frozen(folder)


def test_pairs_that_are_alike_are_counted_and_not_shown(
    plan: Plan, word_encoder: WordEncoder, tmp_path: Path
) -> None:
    path = plan.settings[0].bundle
    alike = replace(
        plan, mode="compare", settings=(Setting("one", path), Setting("other", path)), tasks=TASKS[:1]
    )
    manifest = prepare(alike, tmp_path / "study", word_encoder, tmp_path / "cache")
    assert manifest["n_identical_pairs"] == 2
    trials = read_frozen(tmp_path / "study").trials.values()
    assert [len(trial.narratives) for trial in trials if trial.check] == [2, 2]
    assert not [trial for trial in trials if trial.check is None]


def test_a_folder_with_other_things_and_another_store_are_refused(
    plan: Plan, demo_bundle: Bundle, word_encoder: WordEncoder, tmp_path: Path
) -> None:
    (tmp_path / "photo.txt").write_text("mine")
    with pytest.raises(InputError, match="is not a study"):
        prepare(plan, tmp_path, word_encoder, tmp_path / "cache")
    mixed = replace(plan, settings=(*plan.settings, Setting("demo", demo_bundle.path)))
    with pytest.raises(InputError, match="another store"):
        prepare(mixed, tmp_path / "study", word_encoder, tmp_path / "cache")
    assert not (tmp_path / "study").exists()


@pytest.fixture(scope="module")
def spoiler(small_bundle: Bundle) -> Spoiler:
    return Spoiler(small_bundle)


def wrong(text: str, occasion: Occasion, bundle: Bundle) -> int:
    store = bundle.store
    words = StoreWords.of(store.items.values())
    evidence = Evidence.of(occasion.history(store), store.items, occasion.task, None, words)
    return sum(not claim.holds for claim in check(text, evidence))


def test_a_renamed_purchase_is_a_wrong_claim(spoiler: Spoiler, small_bundle: Bundle) -> None:
    occasion = Occasion("u00", "user_summary_brief", 6, None, 0)
    nouns = [noun_of(small_bundle.store.items[each.item_id]) for each in occasion.history(small_bundle.store)]
    text = f"Bought the [1] {nouns[0]}, and the [2] {nouns[1]} after it."
    spoilt = spoiler.spoil(occasion, text, [], random.Random(0), "wrong claim")
    assert spoilt is not None and spoilt.how == "wrong claim"
    assert wrong(text, occasion, small_bundle) == 0 and wrong(spoilt.text, occasion, small_bundle) == 2
    assert spoilt.text.startswith("Bought the [1] ") and spoilt.text.endswith(" after it.")
    assert spoiler.spoil(occasion, "No purchase is named.", [], random.Random(0), "wrong claim") is None


def test_the_text_of_whoever_is_least_alike_is_lent(spoiler: Spoiler, small_bundle: Bundle) -> None:
    cook, gardener = ("u00", "u02"), "u01"
    occasion = Occasion(cook[0], "user_summary_brief", 6, None, 0)
    donors = [
        (Occasion(cook[1], "user_summary_brief", 6, None, 0), "Cooks a lot."),
        (Occasion(gardener, "user_summary_brief", 6, None, 0), "Digs a lot, see [9]."),
        (replace(occasion, seed=1), "Their own."),
    ]
    spoilt = spoiler.spoil(occasion, "x", donors, random.Random(0), "wrong claim")  # nothing to rename
    assert spoilt is not None and (spoilt.how, spoilt.text) == ("another shopper", "Digs a lot, see [3].")
