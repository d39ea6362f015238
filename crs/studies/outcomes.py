"""What answers say of two settings that told the same: who was preferred, and by how much."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean

from crs.evaluation.rater.votes import SCALE
from crs.studies.ratings import Answer, Answered
from crs.studies.study import Study
from crs.studies.trials import Told, Trial

TRUE_ENOUGH = 4  # "cannot be told": who gives a spoilt text more veracity did not read it
MIN_CHECKS = 2  # from so few no rater is judged
_VOTES = {"first": 1.0, "second": 0.0, "tie": 0.5}


@dataclass(frozen=True, slots=True)
class Duel:
    """Two settings' texts for one occasion. ``votes``: 1 for the first, 0 for the second, .5 for a tie.

    ``gaps``: by how many points the first was rated better, one a vote; empty where two were compared.
    """

    trial: Trial
    first: Told
    second: Told
    votes: tuple[float, ...]
    gaps: tuple[float, ...] = ()


def overall(answer: Answer) -> float:
    """Mean of an answer's scores, 1 to 7; foresight, of which less is better, counts turned round."""
    top = SCALE[0] + SCALE[-1]
    return mean(top - score if name == "foresight" else score for name, score in answer.scores.items())


def genuine(study: Study, answers: Sequence[Answered]) -> list[Answered]:
    """Those to trials that were not spoilt."""
    return [each for each in answers if study.trials[each.trial_id].check is None]


def passed(trial: Trial, answer: Answer) -> bool:
    """Whether an answer to a planted check shows that the text was read."""
    return answer.choice == "first" or answer.scores.get("veracity", SCALE[-1]) < TRUE_ENOUGH


def checks_passed(study: Study, answers: Sequence[Answered]) -> dict[int, tuple[int, int]]:
    """By rater: planted checks passed, and answered."""
    found: dict[int, list[bool]] = {}
    for each in answers:
        trial, of_rater = study.trials[each.trial_id], found.setdefault(each.rater, [])
        if trial.check is not None:
            of_rater.append(passed(trial, each.answer))
    return {rater: (sum(results), len(results)) for rater, results in found.items()}


def trusted(study: Study, answers: Sequence[Answered]) -> list[Answered]:
    """The answers to genuine trials of those raters who passed at least half of their checks."""
    careless = {
        rater
        for rater, (n_passed, n_checks) in checks_passed(study, answers).items()
        if n_checks >= MIN_CHECKS and 2 * n_passed < n_checks
    }
    return [each for each in genuine(study, answers) if each.rater not in careless]


def duels(study: Study, answers: Sequence[Answered]) -> Iterator[Duel]:
    """Every pair of settings on every occasion that somebody judged both of.

    Where texts were rated one by one, a rater's vote is for the one they gave the better overall score.
    """
    given: dict[str, dict[int, Answer]] = defaultdict(dict)
    for each in answers:
        given[each.trial_id][each.rater] = each.answer
    if study.mode == "compare":
        for trial_id, of_trial in given.items():
            trial = study.trials[trial_id]
            votes = tuple(_VOTES[answer.choice] for answer in of_trial.values() if answer.choice)
            if trial.check is None:
                first, second = trial.narratives
                yield Duel(trial, first, second, votes)
        return
    occasions: dict[tuple[object, ...], list[Trial]] = defaultdict(list)
    for trial_id in given:
        trial = study.trials[trial_id]
        told = trial.narratives[0]
        occasions[trial.user_id, trial.task, trial.target_id, len(trial.history), told.seed].append(trial)
    for trials in occasions.values():
        trials.sort(key=lambda trial: study.settings.index(trial.narratives[0].setting))
        for one, other in itertools.combinations(trials, 2):
            of_one, of_other = given[one.trial_id], given[other.trial_id]
            gaps = tuple(
                overall(answer) - overall(of_other[rater])
                for rater, answer in of_one.items()
                if rater in of_other
            )
            if gaps and one.narratives[0].text != other.narratives[0].text:
                votes = tuple(0.5 if abs(gap) < 1e-9 else float(gap > 0) for gap in gaps)
                yield Duel(one, one.narratives[0], other.narratives[0], votes, gaps)
