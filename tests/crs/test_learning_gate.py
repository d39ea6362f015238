from pathlib import Path

import pytest

from crs.bundle import Bundle, derive_bundle
from crs.evaluation.occasions import Occasion as Asked
from crs.learning.gate import Held, Narratives, difference_interval, judge, preference_accuracy
from crs.learning.preferences import Occasion, Preference
from crs.learning.report import Outcome, side_by_side
from crs.measures import Measured
from crs.narrator.evidence import Evidence, StoreWords
from crs.narrator.narrate import Narrated
from crs.rows import FusedRows
from crs.training.preference import Judged, TuningSettings, tune
from crs.tuning import Lesson, TunableNarrator
from tests.conftest import WordEncoder


def told(*texts: str, wrong: int = 0, plain: bool = False) -> Narratives:
    """Narratives of four sentences each, ``wrong`` of them so."""
    asked = [
        Asked(f"u{i}", "user_profile" if i else "user_summary_brief", 1, None, i) for i in range(len(texts))
    ]
    narrated = [
        Narrated(text, (), 0, 1, 1.0, 1.0, 9, False, is_plain=plain, sentences_drawn=4, sentences_wrong=wrong)
        for text in texts
    ]
    return Narratives(tuple(zip(asked, narrated, strict=True)))


def wrong_in_one_of(n: int) -> Narratives:
    return Narratives((*told("a", wrong=1).told, *told(*"b" * (n - 1)).told))


def held(
    hit_rate: float = 0.3, loss: float | None = 2.0, narratives: Narratives | None = None,
    accuracy: float | None = None,
) -> Held:  # fmt: skip
    return Held(Measured(hit_rate, loss), told("a") if narratives is None else narratives, accuracy)


@pytest.mark.parametrize(
    ("after", "why_not"),
    [
        (held(), ""),
        (held(0.31, 2.005), ""),
        (held(0.295), ""),  # within 2 %
        (held(0.29, 1.0), "finds fewer held-out purchases"),
        (held(0.4, 2.05), "tells held-out narratives worse"),
        (held(loss=None), ""),
        (held(narratives=told("a", wrong=1)), "more wrong claims"),
        (held(narratives=told("a", plain=True)), "nothing of its own to tell"),
        (held(narratives=wrong_in_one_of(3)), ""),  # as many may be found by chance
        (held(accuracy=0.51), ""),
        (held(accuracy=0.5), "does not move towards what held-out people like"),
    ],
)
def test_the_verdict(after: Held, why_not: str) -> None:
    before = held(narratives=told(*"a" * len(after.narratives.told)))
    promoted, reason = judge(before, after)
    assert promoted is not bool(why_not)
    assert (why_not or "it is not worse") in reason


def test_the_difference_of_two_shares_is_as_uncertain_as_they_are_few() -> None:
    low, high = difference_interval(wrong_in_one_of(40).wrong_sentences, told(*"a" * 40).wrong_sentences)
    assert -0.03 < low < -0.00625 < high == 0
    certain = difference_interval(told(*"a" * 9).wrong_sentences, told(*"a" * 9, wrong=1).wrong_sentences)
    assert certain == (0.25, 0.25)


def test_narratives_are_counted() -> None:
    narratives = told("one two three", "one", wrong=1)
    assert (narratives.wrong_claims, narratives.empty, narratives.words) == (0.25, 0.0, 2.0)
    nothing = Narratives(())
    assert (nothing.wrong_claims, nothing.empty, nothing.words) == (0.0, 0.0, 0.0)


def test_the_report_shows_what_changed() -> None:
    before = held(narratives=told("The [1] one.", "same", "old words"))
    after = held(0.4, 1.9, told("The [1] one, the [2] one for $5.", "same", "new"), accuracy=0.8)
    report = Outcome("v2", True, "fine", 2, 3, 3, before, after).lines()
    assert report[0] == "learned from 2 liked or owned products and from 3 preferences of 3 people"
    assert "  33.3% name a price (0.0%)" in report
    assert "  they name 0.7 purchases on average (0.3)" in report
    assert "  it moves towards what held-out people like in 80.0% of comparisons (chance: 50%)" in report
    assert report[-1] == "version v2 is now in use: fine"
    assert report.count("  before: The [1] one.") == 1 and "  after:  new" in report
    assert "  before: same" not in report
    assert list(side_by_side(told("a"), told("a"))) == ["not one narrative changed"]
    many = side_by_side(told(*"abcdefgh"), told(*"ijklmnop"))
    assert sum(line.startswith("  before") for line in many) == 5
    assert Outcome(None, False, "nothing").lines()[-1] == "the old version stays in use: nothing"
    nothing_told = held(narratives=Narratives(()))
    refused = Outcome("v3", False, "worse", 0, 1, 1, nothing_told, nothing_told).lines()
    assert refused[0].endswith("1 preferences of 1 person")


def test_preference_accuracy_of_a_version_that_has_learned(
    small_narrating_bundle: Bundle, tmp_path: Path
) -> None:
    old = small_narrating_bundle
    rows = FusedRows(old, WordEncoder())
    preferences = [
        Preference(
            user_id,
            Occasion(user_id, "user_profile", None, tuple(i.item_id for i in old.store.history(user_id))),
            "Tea for her.",
            "The rain keeps out.",
        )
        for user_id in old.store.user_ids[:4]
    ]
    assert preference_accuracy(old, old, rows, preferences) == 0.5
    assert preference_accuracy(old, old, rows, []) is None

    narrator, in_use = TunableNarrator(old.narrator_dir), TunableNarrator(old.narrator_dir)
    words = StoreWords.of(old.store.items.values())
    judged = []
    for each in preferences[:2]:
        history = old.store.history(each.rater)
        evidence = Evidence.of(history, old.store.items, "user_profile", None, words)
        texts = [Lesson(rows.of(history), evidence, text) for text in each.texts]
        judged.append(Judged(*texts))
    tune(narrator, in_use, judged, [], TuningSettings(learning_rate=1e-3, epochs=40), tmp_path / "work")
    narrator.save(tmp_path / "tuned")
    new = derive_bundle(old.path, tmp_path / "new", reads_factors=True, narrator=tmp_path / "tuned")
    assert preference_accuracy(old, new, rows, preferences) == 1.0
    assert preference_accuracy(new, old, rows, preferences) == 0.0
    alone = [Preference(p.rater, p.occasion, p.liked, None) for p in preferences]
    alone += [Preference(p.rater, p.occasion, None, p.disliked) for p in preferences]
    assert preference_accuracy(old, new, rows, alone) == 1.0
    assert preference_accuracy(old, new, rows, alone[:2]) is None
