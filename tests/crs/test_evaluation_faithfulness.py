"""The figures of faithfulness by hand, on texts whose answer is known."""

from __future__ import annotations

import pytest

from crs.bundle import Bundle
from crs.evaluation.checking import check_sides, claims_report, sentences_report
from crs.evaluation.faithfulness import (
    Learned,
    faithfulness,
    first_tellings,
    items_found,
    learned_sentences,
    shoppers_found,
    time_report,
    variety_report,
)
from crs.evaluation.occasions import Occasion, occasions
from crs.evaluation.telling import Telling, Told
from crs.narrator.evidence import StoreWords
from knowledge.types import TASKS, Task
from tests.conftest import WordEncoder

NOTHING_LEARNED = Learned(frozenset(), frozenset())


def told(
    shown: str,
    ungated: str = "",
    *,
    user_id: str = "u00",
    task: Task = "user_summary_long",
    target_id: str | None = None,
    reference: str = "",
    seconds: tuple[float, float] = (1.0, 1.0),
    gate_s: tuple[float, float] = (0.0, 0.0),
    rejected: dict[str, int] | None = None,
    cut: bool = False,
) -> Told:
    occasion = Occasion(user_id, task, 6, target_id, 0, reference)
    gated = Telling(shown, seconds[0], gate_s[0], rejected or {}, cut)
    return Told(occasion, gated, Telling(ungated or shown, seconds[1], gate_s[1]))


def nouns_of(bundle: Bundle, user_id: str) -> list[str]:
    return [bundle.store.items[bought.item_id].kind or "" for bought in bundle.store.history(user_id)]


def test_claims_are_counted_before_and_after_the_gate(small_bundle: Bundle) -> None:
    first, second, *_ = nouns_of(small_bundle, "u00")
    right, wrong = f"Has a [1] {first}.", f"Has a [2] {second}. Has a [1] hose."  # the cook has no hose
    parts = [
        told(right, wrong, rejected={"noun": 1}, reference=right),
        told(right, right, rejected={"noun": 1, "price": 2}, cut=True),
    ]
    sides = check_sides(parts, small_bundle.store, StoreWords.of(small_bundle.store.items.values()))
    report = claims_report(parts, sides)
    assert report["noun"] == {
        "before": 3, "wrong_before": 1, "right_before": pytest.approx(2 / 3),
        "after": 2, "wrong_after": 0, "right_after": 1.0,
        "references": 1, "wrong_references": 0, "right_references": 1.0,
        "rejected": 2,
    }  # fmt: skip
    assert report["price"]["rejected"] == 2 and "right_before" not in report["price"]
    assert sentences_report(parts, sides) == {
        "n": 2,
        "before": 3, "wrong_before": 1, "share_wrong_before": pytest.approx(1 / 3),
        "after": 2, "wrong_after": 0, "share_wrong_after": 0.0,
        "references": 1, "wrong_references": 0, "share_wrong_references": 0.0,
        "plain_statements": 0, "empty": 0, "at_length_limit": 1,
    }  # fmt: skip


def test_the_gates_time_is_a_ratio_of_the_same_narrative() -> None:
    parts = [
        told("A.", seconds=(1.0, 2.5), gate_s=(0.2, 0.5)),  # with the gate open it only checks: .5 s of 2.5
        told("B.", seconds=(1.1, 1.0), gate_s=(0.1, 0.0)),
        told("C.", seconds=(6.0, 3.0), gate_s=(3.0, 0.0)),
    ]
    assert time_report(parts) == {
        "n": 3,
        "gated_median_ms": pytest.approx(1100),
        "ungated_median_ms": pytest.approx(2000),
        "median_ratio": pytest.approx(1.1),  # of .5, 1.1 and 2
        "ratio_of_sums": pytest.approx(8.1 / 6),
        "own_median_ratio": pytest.approx(1.25),  # of 1.25, 1.1 and 2
    }


def test_who_tells_of_the_own_purchases_is_found(small_bundle: Bundle) -> None:
    def texts(shift: int) -> list[Told]:
        users = small_bundle.store.user_ids
        of = [small_bundle.store.history(users[(u + shift) % len(users)]) for u in range(len(users))]
        titles = [" ".join(small_bundle.store.items[i.item_id].title for i in history) for history in of]
        return [told(title, user_id=user_id) for title, user_id in zip(titles, users, strict=True)]

    found = shoppers_found(small_bundle, WordEncoder(), texts(0), seed=1)
    assert found["n"] == 40 and found["among"] == 20 and found["generated"] > 0.9
    assert "references" not in found
    assert shoppers_found(small_bundle, WordEncoder(), texts(1), seed=1)["generated"] < 0.2


def test_an_endorsement_is_found_by_what_it_says_beyond_its_quotes(small_bundle: Bundle) -> None:
    store = small_bundle.store
    parts = [
        told(
            f"[target] {item.title}",
            user_id=f"u{i:02d}",
            task="product_endorsement",
            target_id=item.item_id,
            reference=f"Nothing like a {item.attributes['color']} [target] {item.kind} of {item.department}",
        )
        for i, item in enumerate(list(store.items.values())[:36])
    ]
    found = items_found(small_bundle, WordEncoder(), parts, seed=0)
    kept, bare = found["quoted facts kept"], found["quoted facts stripped"]
    assert kept["among"] == bare["among"] == 37  # the whole catalogue is smaller than a line-up
    assert kept["generated"] > 0.9 and bare["generated"] < 0.1  # all that was said was the title
    assert kept["of_references"] == pytest.approx(kept["generated"] / kept["references"])


def test_one_of_each_input_is_compared() -> None:
    again = [told("A."), told("B."), told("C.", user_id="u01"), told("D.", task="user_profile")]
    assert [each.shown.text for each in first_tellings(again)] == ["A.", "C.", "D."]


def test_variety_stands_beside_the_references() -> None:
    learned = Learned(frozenset({"The [1] kettle boils."}), frozenset({"The [] kettle boils."}))
    parts = [
        told("The [2] kettle boils. It sings.", reference="The [1] kettle boils."),
        told("The [2] kettle boils. It sings.", reference="The [1] kettle boils."),
        told("One two. One two.", user_id="u01", reference="It never sings."),
    ]
    report = variety_report(parts, learned, seed=0)
    generated, references = report["generated"], report["references"]
    assert (generated["n"], generated["compared"], references["n"]) == (3, 2, 2)
    assert generated["unique"] == pytest.approx(2 / 3) and references["unique"] == 1.0
    assert generated["loops"] == 0 and generated["words"] == 4.5
    # the [] kettle boils it sings: 5 bigrams, all different; one two one two: 3, one of them twice
    assert generated["distinct_2"] == pytest.approx(7 / 8)
    assert generated["verbatim"] == 0.0 and generated["verbatim_pointers_alike"] == pytest.approx(1 / 4)
    assert references["verbatim"] == pytest.approx(1 / 2)
    assert "verbatim" not in variety_report(parts, NOTHING_LEARNED, seed=0)["generated"]


def test_training_sentences_are_those_of_the_train_split(demo_bundle: Bundle) -> None:
    learned = learned_sentences(demo_bundle)
    own: dict[str, list[str]] = {"train": [], "test": []}
    for narrative in demo_bundle.store.narratives("user_summary_long"):
        for split, texts in own.items():
            if narrative.user_id in demo_bundle.splits[split]:
                texts.append(narrative.text.split(". ")[0].rstrip(".") + ".")
    assert learned.exact.issuperset(own["train"]) and not learned.exact.issuperset(own["test"])
    assert all("[1]" not in sentence for sentence in learned.alike)


def test_all_figures_of_what_references_say(demo_bundle: Bundle) -> None:
    users = demo_bundle.splits["train"]
    asked = occasions(demo_bundle, users, 4)
    parts = {
        task: [Told(each, Telling(each.reference, 1.0), Telling(each.reference, 1.0)) for each in each_task]
        for task, each_task in asked.items()
    }
    figures = faithfulness(demo_bundle, WordEncoder(), parts)
    assert set(figures["sentences"]) == {*TASKS, "all"}
    assert figures["sentences"]["all"]["n"] == 24
    assert figures["sentences"]["all"]["before"] == sum(
        figures["sentences"][task]["before"] for task in TASKS
    )
    assert figures["claims"]["all"]["noun"]["after"] == figures["claims"]["all"]["noun"]["references"] > 0
    assert set(figures["shopper among 20"]) == {"user_summary_brief", "user_summary_long", "user_profile"}
    for task in TASKS:
        generated, references = figures["variety"][task]["generated"], figures["variety"][task]["references"]
        assert generated == references and generated["verbatim"] == 1.0
    assert figures["endorsed item among 100"]["quoted facts kept"]["of_references"] == 1.0
    assert figures["time of the gate"]["all"]["median_ratio"] == 1.0
