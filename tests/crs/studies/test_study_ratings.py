"""Raters, their queues and their answers: on disk, resumed, taken back, dealt out evenly."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from crs.studies.ratings import RatingsFile
from crs.studies.study import Study, plain_code
from knowledge.errors import FeedbackError, InputError, NotFoundError
from knowledge.store import Store
from tests.crs.studies.tiny_study import make_study, scores, side_of

ROOT = Path(__file__).resolve().parents[3]


def genuine(study: Study, code: str) -> list[str]:
    number = study.ratings.number_of(code)
    assert number is not None
    queue = [place.trial_id for place in study.ratings.queue(number)]
    return [trial_id for trial_id in queue if study.trials[trial_id].check is None]


def test_an_answer_is_on_disk_and_found_again_by_the_code(small_store: Store, tmp_path: Path) -> None:
    study = make_study(tmp_path, small_store)
    code = study.join()
    at = study.sitting(code)
    assert at.trial is not None and (at.n_done, at.n_all) == (0, 5)
    trial_id = at.trial.trial_id
    after = study.answer(code, trial_id, scores(study, trial_id, 5, veracity=2))
    assert after.n_done == 1 and after.trial is not None and after.trial.trial_id != trial_id

    reopened = Study(tmp_path)  # as after a kill: nothing was closed
    spelt = f" {code[:4].lower()}-{code[4:]}"
    assert plain_code(spelt) == code and reopened.sitting(spelt).trial == after.trial
    (kept,) = reopened.ratings.answers()
    assert (kept.rater, kept.trial_id, kept.answer.confidence) == (1, trial_id, 5)
    assert kept.answer.scores["veracity"] == 2 and kept.answer.seconds == 12.5
    reopened.close()
    study.close()


KILLED = """
import os, sys
from pathlib import Path
from crs.studies.ratings import Answer, Place, RatingsFile
ratings = RatingsFile(Path(sys.argv[1]))
code = ratings.join(lambda number, dealt, answered: [Place("a", False)])
ratings.record(1, "a", Answer(5, {"clarity": 3}))
sys.stdout.write(code)
sys.stdout.flush()
os.kill(os.getpid(), 9)
"""


def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "ratings.sqlite"
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert ran.returncode == -9, ran.stderr
    ratings = RatingsFile(path)
    assert ratings.number_of(ran.stdout) == 1
    (kept,) = ratings.answers()
    assert (kept.answer.confidence, kept.answer.scores) == (5, {"clarity": 3})
    ratings.close()


def test_an_answer_sent_twice_counts_once_and_can_be_taken_back(small_store: Store, tmp_path: Path) -> None:
    study = make_study(tmp_path, small_store)
    code = study.join()
    at = study.sitting(code)
    assert at.trial is not None
    form = scores(study, at.trial.trial_id, 6)
    study.answer(code, at.trial.trial_id, form)
    again = study.answer(code, at.trial.trial_id, form)
    assert again.n_done == 1 and len(list(study.ratings.answers())) == 1

    back = study.undo(code)
    assert back.trial == at.trial and back.n_done == 0 and back.swapped == at.swapped
    assert back.before is not None and back.before.scores["clarity"] == 6
    assert list(study.ratings.answers()) == []
    assert study.undo(code).n_done == 0  # there is nothing more to take back
    study.answer(code, at.trial.trial_id, {**form, "clarity": 1})
    (kept,) = study.ratings.answers()
    assert kept.answer.scores["clarity"] == 1
    study.close()


@pytest.mark.parametrize(("field", "value"), [("clarity", 8), ("veracity", None), ("confidence", True)])
def test_an_answer_that_is_not_whole_is_refused(
    field: str, value: object, small_store: Store, tmp_path: Path
) -> None:
    study = make_study(tmp_path, small_store)
    code = study.join()
    at = study.sitting(code)
    assert at.trial is not None
    with pytest.raises(InputError, match=f"field '{field}'"):
        study.answer(code, at.trial.trial_id, {**scores(study, at.trial.trial_id, 4), field: value})
    assert study.sitting(code).n_done == 0
    with pytest.raises(NotFoundError, match="no rater has the code"):
        study.sitting("WRONG")
    study.close()


def test_a_choice_is_kept_by_text_and_not_by_side(small_store: Store, tmp_path: Path) -> None:
    study = make_study(tmp_path, small_store, mode="compare", n_shoppers=8, n_checks=0)
    code = study.join()
    sides = set()
    while (at := study.sitting(code)).trial is not None:
        side = side_of(study, code, "first")
        assert at.shown[0 if side == "left" else 1].setting == "fused"
        sides.add(side)
        study.answer(code, at.trial.trial_id, {"choice": side, "confidence": 3})
    assert sides == {"left", "right"}
    assert {each.answer.choice for each in study.ratings.answers()} == {"first"}
    other = study.join()
    trial = study.sitting(other).trial
    assert trial is not None
    with pytest.raises(InputError, match="field 'choice'"):
        study.answer(other, trial.trial_id, {"confidence": 3})
    study.close()


def test_items_are_dealt_until_each_has_its_raters(small_store: Store, tmp_path: Path) -> None:
    study = make_study(tmp_path, small_store, n_shoppers=6, raters=2, per_rater=4)
    dealt: Counter[str] = Counter()
    codes = [study.join() for _ in range(6)]
    for code in codes:
        own = genuine(study, code)
        assert len(own) == len(set(own)) == 4
        dealt.update(own)
    assert set(dealt.values()) == {2} and len(dealt) == 12  # six queues of four: each item twice
    orders = {tuple(genuine(study, code)) for code in codes}
    assert len(orders) > 3

    for code in codes[:3]:  # the other three never come back
        while (at := study.sitting(code)).trial is not None:
            study.answer(code, at.trial.trial_id, scores(study, at.trial.trial_id, 4))
    newcomers = [study.join() for _ in range(3)]
    for code in newcomers:
        while (at := study.sitting(code)).trial is not None:
            study.answer(code, at.trial.trial_id, scores(study, at.trial.trial_id, 4))
    n_rated = Counter(each.trial_id for each in study.ratings.answers() if "check" not in each.trial_id)
    assert set(n_rated.values()) == {2} and len(n_rated) == 12
    nothing_left = study.sitting(study.join())
    assert (nothing_left.trial, nothing_left.n_all) == (None, 0)
    study.close()


def test_who_asks_to_be_forgotten_leaves_no_byte(small_store: Store, tmp_path: Path) -> None:
    study = make_study(tmp_path, small_store, n_checks=0)
    leaving, staying = study.join(), study.join()
    for code in (leaving, staying):
        trial = study.sitting(code).trial
        assert trial is not None
        study.answer(code, trial.trial_id, scores(study, trial.trial_id, 3))
    assert study.forget(leaving.lower()) == 1
    assert [each.rater for each in study.ratings.answers()] == [2]
    with pytest.raises(NotFoundError, match="no rater has the code"):
        study.sitting(leaving)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert leaving.encode() not in kept and staying.encode() in kept
    newcomer = study.ratings.number_of(study.join())
    assert newcomer == 3  # nobody takes the place of who was forgotten
    study.close()


def test_a_file_of_a_newer_version_or_of_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ratings.sqlite"
    RatingsFile(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(FeedbackError, match="newer version"):
        RatingsFile(path)
    path.write_text("not a database, but long enough to be mistaken for one" * 40)
    with pytest.raises(FeedbackError, match="could not be opened"):
        RatingsFile(path)
