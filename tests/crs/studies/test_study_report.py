"""What ratings come to: agreement, win rates, careless raters, the auto-rater beside people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crs.studies.agreement import agreement
from crs.studies.auto_rater import read_auto_ratings
from crs.studies.draw import draw
from crs.studies.report import figures_of, markdown
from crs.studies.study import Study
from knowledge.errors import InputError, NotFoundError
from knowledge.store import Store
from tests.crs.studies.tiny_study import answer_all, make_study, scores, side_of


def rated(folder: Path, store: Store, careless: bool = False) -> Study:
    """Two raters who find "fused" better by two points, and one who says 7 to everything if ``careless``."""
    study = make_study(folder, store, n_shoppers=3, n_checks=2, raters=3)
    for code, lift in ((study.join(), 0), (study.join(), 1)):
        given = {
            trial_id: scores(study, trial_id, (1 if trial.check else 5 if "fused" in trial_id else 3) + lift)
            for trial_id, trial in study.trials.items()
        }
        answer_all(study, code, given)
    if careless:
        answer_all(study, study.join(), {trial_id: scores(study, trial_id, 7) for trial_id in study.trials})
    return study


def compared(folder: Path, store: Store) -> Study:
    """ "fused" wins with two shoppers, loses with one, and one is a tie."""
    study = make_study(folder, store, mode="compare", n_shoppers=4, n_checks=2)
    choices = {"u00-pair": "first", "u01-pair": "first", "u02-pair": "second", "u03-pair": "tie"}
    code = study.join()
    while (at := study.sitting(code)).trial is not None:
        choice = choices.get(at.trial.trial_id, "first")  # of a check the first is the honest one
        side = choice if choice == "tie" else side_of(study, code, choice)
        study.answer(code, at.trial.trial_id, {"choice": side, "confidence": 6, "seconds": 2})
    return study


def test_alpha_is_that_of_the_textbook() -> None:
    """Krippendorff, Computing Krippendorff's Alpha-Reliability (2011): ordinal .815 on twelve units."""
    nan = np.nan
    data = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
        [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
    ]
    values = [
        (str(unit), int(value) - 1) for row in data for unit, value in enumerate(row) if not np.isnan(value)
    ]
    found = agreement(values, 7, "ordinal")
    assert found["alpha"] == pytest.approx(0.815, abs=5e-4)
    assert found["trials"] == 11 and found["low"] < found["alpha"] < found["high"] <= 1


def test_alpha_of_nothing_to_agree_on_is_null() -> None:
    for values in ([("a", 3)], [("a", 3), ("a", 3), ("b", 3), ("b", 3)], []):
        found = agreement(values, 7, "ordinal")
        assert (found["alpha"], found["low"], found["high"]) == (None, None, None)


def test_scores_wins_and_agreement(small_store: Store, tmp_path: Path) -> None:
    study = rated(tmp_path, small_store)
    figures = figures_of(study)
    assert (figures["items"], figures["items with all ratings"], figures["ratings"]) == (6, 0, 12)
    clarity = figures["scores"]["fused"]["summaries"]["clarity"]
    assert clarity["mean"] == 5.5 and clarity["counts"] == [0, 0, 0, 0, 3, 3, 0] and clarity["n"] == 6
    (win,) = figures["wins"]
    assert (win["first"], win["wins"], win["ties"], win["losses"], win["rate"]) == ("fused", 6, 0, 0, 1.0)
    assert (win["points"], win["points low"], win["points high"]) == (2.0, 2.0, 2.0)
    alpha = figures["agreement"]["veracity"]["alpha"]
    assert figures["agreement"].keys() == {
        "veracity", "grounding", "clarity", "personalization", "confidence",
    }  # fmt: skip
    assert 0.3 < alpha < 1  # one is a point above the other throughout
    assert [row["distance from others"] for row in figures["raters"]] == [1.0, 1.0]
    assert [row["median seconds"] for row in figures["raters"]] == [12.5, 12.5]
    study.close()


def test_who_does_not_read_is_not_counted(small_store: Store, tmp_path: Path) -> None:
    study = rated(tmp_path, small_store, careless=True)
    figures = figures_of(study)
    counted = {row["rater"]: row["counted"] for row in figures["raters"]}
    assert counted == {"r1": True, "r2": True, "r3": False}
    last = figures["raters"][-1]
    assert (last["checks passed"], last["checks"], last["same answer"]) == (0, 2, 1.0)
    assert (figures["ratings"], figures["ratings counted"]) == (18, 12)
    assert figures["wins"][0]["rate"] == 1.0  # seven throughout would have been six ties
    study.close()


def test_a_comparison_counts_ties_as_a_half(small_store: Store, tmp_path: Path) -> None:
    study = compared(tmp_path / "study", small_store)
    figures = figures_of(study)
    (win,) = figures["wins"]
    assert (win["wins"], win["ties"], win["losses"], win["rate"]) == (2, 1, 1, 0.625)
    assert 0 <= win["low"] < 0.625 < win["high"] <= 1
    assert 0 <= figures["chosen on the left"] <= 1
    assert figures["raters"][0]["checks passed"] == 2
    assert figures["agreement"]["choice"]["alpha"] is None  # one rater agrees with nobody
    draw(figures, tmp_path / "wins.png")
    assert (tmp_path / "wins.png").read_bytes().startswith(b"\x89PNG")
    study.close()


def auto_line(study: Study, trial_id: str, score: int, narrative: int = 0) -> dict[str, Any]:
    trial = study.trials[trial_id]
    texts = {trial.task: trial.narratives[narrative].text}
    return {"user_id": trial.user_id, "texts": texts, "scores": {"veracity": score, "clarity": 4}}


def test_the_auto_rater_is_held_against_people(small_store: Store, tmp_path: Path) -> None:
    study = rated(tmp_path / "study", small_store)
    path = tmp_path / "ratings.jsonl"
    lines = [auto_line(study, f"u0{n}-{setting}", score)
             for n in range(2) for setting, score in (("fused", 7), ("content", 2))]  # fmt: skip
    lines.append({"user_id": "u00", "texts": {"user_profile": "Another text"}, "scores": {"veracity": 1}})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    figures = figures_of(study, path)
    auto = figures["auto-rater"]
    assert auto["veracity"] == {
        "items": 4, "people": 4.5, "auto-rater": 4.5, "distance": 1.5, "spearman": pytest.approx(1.0),
    }  # fmt: skip
    assert auto["clarity"]["spearman"] is None  # it said the same of all
    text = markdown(figures, "report.png")
    assert "| veracity | 4 | 4.50 | 4.50 | 1.50 | 1.00 |" in text and "![" in text
    draw(figures, tmp_path / "scores.png")
    assert (tmp_path / "scores.png").read_bytes().startswith(b"\x89PNG")
    study.close()


def test_the_auto_rater_may_prefer_the_same_text(small_store: Store, tmp_path: Path) -> None:
    study = compared(tmp_path / "study", small_store)
    path = tmp_path / "ratings.jsonl"
    lines = [auto_line(study, f"u0{n}-pair", score, at) for n in range(4) for at, score in ((0, 6), (1, 3))]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    figures = figures_of(study, path)
    assert figures["auto-rater"] == {"items": 3, "agrees": 2}  # the tie decides nothing
    assert "in 2 of 3 items" in markdown(figures)
    study.close()


def test_a_file_that_is_no_rating_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="rate --narratives"):
        read_auto_ratings(tmp_path / "none.jsonl")
    (tmp_path / "odd.jsonl").write_text('{"user_id": "u"}\n')
    with pytest.raises(InputError, match="line 1"):
        read_auto_ratings(tmp_path / "odd.jsonl")
