from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from crs.bundle import Bundle
from crs.evaluation.narratives.benchmark import PERSON, Benchmark, Reference
from crs.evaluation.narratives.contest import SYSTEMS, Outcome, Telling, Training, hold_contest
from crs.evaluation.narratives.hidden_reason import alternatives, with_hidden_reason
from crs.evaluation.narratives.layouts import open_benchmark
from crs.evaluation.narratives.nearest import Cases
from crs.evaluation.narratives.plans import config_of, plan_for
from crs.evaluation.narratives.report import figures, table
from crs.evaluation.narratives.rows import encode_content, fold_factors, seen, summaries
from crs.training.examples import Example, Shelf
from knowledge.types import SIGNALS, Narrative
from tests.conftest import WordEncoder
from tests.crs.reference_folders import TOPICS, write_explained

TINY = Training(
    n_vocab=400,
    shape={"hidden": 64, "n_layers": 1, "n_heads": 1, "n_kv_heads": 1, "ff": 64},
    settings={"n_positions": 3000, "batch_positions": 512, "prefit_steps": 5, "warm_up": 0.1},
)
FEW = Telling(n_per_task=3, n_samples=2, n_reasons=2, n_neighbours=2)


def silent(*_: object) -> None:
    pass


def contest(benchmark: Benchmark, cache: Path, training: Training = TINY, telling: Telling = FEW) -> Outcome:
    return hold_contest(benchmark, training, telling, WordEncoder(), cache, progress=silent, say=silent)


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    folder = tmp_path_factory.mktemp("data")
    return open_benchmark(write_explained(folder / "books"), folder / "cache", max_people=100)


@pytest.fixture(scope="module")
def shop(demo_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return open_benchmark(demo_bundle.path, tmp_path_factory.mktemp("cache"), max_people=100)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def outcome(explained: Benchmark, cache: Path) -> Outcome:
    return contest(explained, cache)


def test_every_system_tells_the_same_references(explained: Benchmark, outcome: Outcome) -> None:
    asked = [r for fold in explained.folds() for r in explained.test_references(fold, 3)]
    assert outcome.references == asked
    assert all(len(outcome.texts[system]) == 9 for system in SYSTEMS)
    assert set(outcome.texts["nearest"]) <= {r.narrative.text for r in explained.references}


def test_the_nearest_training_text_is_on_the_same_topic(explained: Benchmark, outcome: Outcome) -> None:
    assert outcome.texts["nearest"] == [r.narrative.text for r in outcome.references]
    assert len(set(outcome.texts["nearest"])) == len(TOPICS)


def test_what_is_done_is_not_done_again(
    explained: Benchmark, outcome: Outcome, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained anew")

    monkeypatch.setattr("crs.training.contestant.fit", refuse)
    assert contest(explained, cache) == outcome
    # Another way of telling uses the students that are there.
    assert len(contest(explained, cache, telling=Telling(2, 1)).references) == 6
    with pytest.raises(AssertionError, match="trained anew"):
        contest(explained, cache, replace(TINY, n_vocab=380))


def test_a_stopped_contest_goes_on_where_it_was(
    explained: Benchmark, outcome: Outcome, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = sorted(cache.glob("books-*/fold-2/fused/told-*.json"))[0]
    kept = last.read_text()
    last.unlink()
    asked: list[int] = []
    from crs.training import decoding

    real = decoding.sample

    def counted(student: Any, tokenizer: Any, shelf: Any, part: Sequence[Any], **options: Any) -> Any:
        asked.append(len(part))
        return real(student, tokenizer, shelf, part, **options)

    monkeypatch.setattr(decoding, "sample", counted)
    contest(explained, cache)
    contest(explained, cache, telling=Telling(2, 1))
    assert len(asked) == 1  # one run was missing, and only that was done
    assert last.read_text() == kept


def test_the_three_models_see_their_signals_only(explained: Benchmark, tmp_path: Path) -> None:
    content = encode_content(explained, WordEncoder(), tmp_path, silent)
    fold = explained.folds()[0]
    factors = fold_factors(explained, fold, 0)
    shelf = Shelf(explained.store, content.histories, content.purchases, content.items, factors)
    nothing = np.zeros(0, dtype=np.int32)
    told = explained.references[1].narrative  # on an item that others took without an explanation
    example = Example(told.user_id, told.n_history, explained.store.item_index["1"], "x", nothing, nothing)
    both = seen(shelf, "fused").rows(example)
    cf, words = seen(shelf, "cf").rows(example), seen(shelf, "content").rows(example)
    np.testing.assert_array_equal(both, cf + words)
    assert not cf[:, 128:].any() and not words[:, :128].any()
    assert cf[0].any() and words[0].any()  # the person's own row has both
    assert cf[-1].any() and words[-1].any()  # and the target


def test_factors_are_of_the_folds_own_purchases(explained: Benchmark) -> None:
    factors = fold_factors(explained, explained.folds()[0], 0)
    index = explained.store.item_index
    taken = np.linalg.norm(
        factors[[i for item_id, i in index.items() if not item_id.startswith(PERSON)]], axis=1
    )
    assert taken[taken > 0].mean() == pytest.approx(1.0, abs=1e-3)
    people = [factors[index[PERSON + str(user)]] for user in range(4)]
    assert np.allclose(people[0], people[3], atol=0.3) and people[0] @ people[3] > people[0] @ people[1]


def test_the_cf_model_is_told_nothing_of_the_target(
    explained: Benchmark, outcome: Outcome, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    prompts: dict[str, set[bytes]] = {}
    from crs.training import contestant

    def note(
        folder: Path, tokenizer: Any, shelf: Any, readers: Any, examples: list[Example], valid: Any, **_: Any
    ) -> Any:
        prompts.setdefault(folder.name, set()).update(example.prompt.tobytes() for example in examples)
        raise KeyboardInterrupt

    monkeypatch.setattr(contestant, "train_contestant", note)
    from crs.evaluation.narratives.contest import Ring

    fold = explained.folds()[0]
    content = encode_content(explained, WordEncoder(), tmp_path, silent)
    ring = Ring(explained, fold, content, TINY, tmp_path / "ring")
    for signals in SIGNALS:
        with pytest.raises(KeyboardInterrupt):
            ring.tell(
                signals,
                explained.test_references(fold),
                explained.training_references(fold),
                FEW,
                "",
                silent,
                silent,
            )
    assert prompts["content"] == prompts["fused"] and len(prompts["content"]) > 3
    assert len(prompts["cf"]) == 1  # the same words whatever the target


def test_a_store_is_told_with_pointers_and_facts(shop: Benchmark, tmp_path: Path) -> None:
    short = replace(TINY, settings={**TINY.settings, "n_positions": 500})
    told = contest(shop, tmp_path, short, Telling(1, 2, n_reasons=1))
    assert len(told.references) == 3 * len(shop.tasks)
    assert {len(told.texts[system]) for system in SYSTEMS} == {18}
    assert not any("[feature" in text or "[brand]" in text for texts in told.texts.values() for text in texts)
    assert any("[" in text for text in told.texts["fused"])


def test_summaries_are_unit_means() -> None:
    rows = summaries([np.array([[3.0, 0], [0, 3.0]], np.float32), np.zeros((0, 2), np.float32)])
    np.testing.assert_allclose(rows, [[0.5**0.5, 0.5**0.5], [0, 0]], atol=1e-6)


def test_no_reference_of_the_task_no_nearest_text(explained: Benchmark, tmp_path: Path) -> None:
    content = encode_content(explained, WordEncoder(), tmp_path, silent)
    cases = Cases(explained, content, np.zeros((len(explained.store.item_ids), 128), np.float32))
    assert cases.nearest_texts(explained.references[:2], [], "content", 3) == [[], []]
    assert cases.nearest_texts(explained.references[:2], explained.references, "content", 0) == [[], []]


def test_neighbours_are_found_by_what_a_model_sees(explained: Benchmark, tmp_path: Path) -> None:
    """The target is about tea, but those who take it take what is about climbing: only CF goes by that."""
    content = encode_content(explained, WordEncoder(), tmp_path, silent)
    index = explained.store.item_index
    asked = explained.references[:1]
    known = [r for r in explained.references if r.narrative.target_id != asked[0].narrative.target_id]
    factors = np.zeros((len(index), 128), np.float32)
    for item_id in ("0", "10", "11", "12"):
        factors[index[item_id], 0] = 1.0
    cases = Cases(explained, content, factors)
    (by_content,) = cases.nearest_texts(asked, known, "content", 3)
    (by_cf,) = cases.nearest_texts(asked, known, "cf", 3)
    (by_both,) = cases.nearest_texts(asked, known, "fused", 3)
    assert len(by_content) == len(by_cf) == 3
    assert all("tea" in text for text in by_content + by_both)
    assert all("climbing" in text for text in by_cf)


def test_the_weight_of_cf_is_what_suits_the_people_known(explained: Benchmark, tmp_path: Path) -> None:
    """Of factors and content one tells the topic, the other nothing: weight goes to what tells."""
    content = encode_content(explained, WordEncoder(), tmp_path, silent)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((len(explained.store.item_ids), 128)).astype(np.float32)
    blank = replace(
        content,
        items=np.zeros_like(content.items),
        purchases={user: np.zeros_like(rows) for user, rows in content.purchases.items()},
    )
    told = content.items @ rng.standard_normal((content.items.shape[1], 128)).astype(np.float32) / 11
    assert Cases(explained, content, noise).fitted(explained.references, 3).cf_weight == 0.0
    assert Cases(explained, blank, told).fitted(explained.references, 3).cf_weight > 0.0


def test_a_hidden_reason_is_put_in_other_circles_words() -> None:
    told = Narrative(
        "u", "purchase_reason",
        "The Northwall climbing club's kit list asks for this, and they joined the Northwall climbing club.",
        2, "i", "circle",
    )  # fmt: skip
    texts = alternatives(Reference(told))
    assert texts[0] == told.text and len(texts) == len(set(texts)) == 45
    assert any(text.startswith("The Tuesday choir's tour checklist asks") for text in texts)
    assert sum("Northwall" in text for text in texts) == 1


@pytest.mark.parametrize(
    ("text", "cause", "target"),
    [
        ("Bought for tea.", "circle", "i"),  # names no circle
        ("The Otter scouts met the Tuesday choir.", "circle", "i"),  # names two
        ("They kayak with Reed Bay people.", "circle", "i"),  # in words that cannot be exchanged
        ("The Otter scouts asked for it.", "need", "i"),
        ("The Otter scouts asked for it.", "circle", None),
    ],
)
def test_no_hidden_reason_where_none_can_be_exchanged(text: str, cause: str, target: str | None) -> None:
    assert with_hidden_reason([Reference(Narrative("u", "purchase_reason", text, 2, target, cause))]) == []


def test_the_report_has_a_figure_for_every_system(explained: Benchmark, outcome: Outcome) -> None:
    config = config_of(explained, TINY, FEW)
    report = figures("books", outcome, config, WordEncoder())
    assert list(report) == ["dataset", "tasks", "gains", "copied", "config"]
    systems = report["tasks"]["purchase_reason_explanation"]
    assert set(systems) == {"cf", "content", "fused", "nearest"}
    assert set(systems["fused"]) == {"bleu", "rougeLsum", "similarity", "n"}
    assert systems["nearest"]["bleu"] == pytest.approx(100) and systems["nearest"]["n"] == 9
    assert report["copied"]["purchase_reason_explanation"]["nearest"] == 1
    gain = report["gains"]["purchase_reason_explanation"]["nearest"]["rougeLsum"]
    assert gain["difference"] == pytest.approx(systems["fused"]["rougeLsum"] - 100)
    assert report["config"]["scorer"]["bleu"].startswith("sacreBLEU") and report["config"]["people"] == 12
    lines = table(report)
    assert lines[1].split("  ")[0] == "task" and "% vs Content" in lines[1]
    assert any(line.lstrip().startswith("ROUGE-LSum") for line in lines)
    assert any(line.startswith("scorer bleu: sacreBLEU") for line in lines)
    json.dumps(report)


def test_unseen_items_and_hidden_reasons_are_reported_apart(outcome: Outcome) -> None:
    halved = Outcome(
        outcome.references, [i % 2 == 0 for i in range(9)], outcome.texts, outcome.copied,
        {"cf": [True, False], "content": [False, False], "fused": [True, True]},
    )  # fmt: skip
    report = figures("books", halved, {}, WordEncoder())
    assert report["unseen_items"]["tasks"]["purchase_reason_explanation"]["cf"]["n"] == 5
    assert report["hidden_reason"]["fused"] == {"first": 1.0, "n": 2}
    lines = table(report)
    assert any("cf 0.50, content" in line or "fused 1.00, cf 0.50" in line for line in lines)
    assert any("nothing in training named" in line for line in lines)


def test_a_store_has_a_plan_of_its_own(explained: Benchmark, shop: Benchmark) -> None:
    of_store, telling = plan_for(shop, positions=None, n_per_task=None, n_samples=4)
    of_data, all_texts = plan_for(explained, positions=77, n_per_task=None, n_samples=4)
    assert of_data.settings["n_positions"] == 77 < of_store.settings["n_positions"]
    assert telling.n_neighbours == 0 < all_texts.n_neighbours
    assert telling.n_per_task and all_texts.n_per_task is None and telling.n_samples == 4
    assert of_store.shape == of_data.shape


def test_the_command_does_it_all(
    explained: Benchmark, outcome: Outcome, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crs.cli.app import app

    monkeypatch.setattr("crs.content.Encoder", WordEncoder)
    monkeypatch.setattr("crs.evaluation.narratives.plans.plan_for", lambda *_, **__: (TINY, FEW))
    folder = write_explained(tmp_path / "books")
    asked = ["evaluate", "narratives", "--data", str(folder), "--cache", str(cache)]
    shown = CliRunner().invoke(app, [*asked, "--json", "--out", str(tmp_path / "out.json")])
    assert shown.exit_code == 0, shown.output
    report = json.loads(shown.stdout)
    assert report["dataset"] == "books" and "purchase_reason_explanation" in report["tasks"]
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["figures"]["tasks"] == report["tasks"] and record["config"] == report["config"]
    printed = CliRunner().invoke(app, asked)
    assert "CF+Content" in printed.stdout and "sacreBLEU" in printed.stdout
