"""What a study's ratings come to: figures as JSON and Markdown. Only raters who read are counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

from crs.evaluation.rater.cases import STAGE_OF, Attribute
from crs.evaluation.rater.votes import SCALE, counts
from crs.ranking.metrics import interval
from crs.studies.agreement import agreement, deviation
from crs.studies.auto_rater import against_auto_rater, read_auto_ratings
from crs.studies.outcomes import Duel, checks_passed, duels, genuine, trusted
from crs.studies.plan import STAGES_OF_TEXTS
from crs.studies.ratings import Answered
from crs.studies.study import Study
from knowledge.types import TASKS

Figures = dict[str, Any]
CONFIDENCE, CHOICE = "confidence", "choice"
_CHOICES = ("first", "second", "tie")


def figures_of(study: Study, auto_ratings: Path | None = None) -> Figures:
    """All figures. ``auto_ratings``: the ratings.jsonl of `python -m crs rate` on the study's narratives.

    ``scores``: {setting: {stage: {attribute: {mean, low, high, counts (7,), n}}}} where texts were rated.
    ``wins``: for each pair of settings and task, the first's votes, ties, losses, and its rate (a tie counts
    half) with a 95 % interval over shoppers. ``agreement``: Krippendorff's alpha (agreement.py).
    """
    answers = list(study.ratings.answers())
    kept = trusted(study, answers)
    n_of = Counter(each.trial_id for each in genuine(study, answers))
    trials = [trial for trial in study.trials.values() if trial.check is None]
    figures: Figures = {
        "study": study.name,
        "mode": study.mode,
        "settings": study.settings,
        "items": len(trials),
        "items with all ratings": sum(n_of[trial.trial_id] >= study.n_raters for trial in trials),
        "pairs left out as alike": study.manifest["n_identical_pairs"],
        "ratings": sum(n_of.values()),
        "ratings counted": len(kept),
        "raters": _raters(study, answers, kept),
        "agreement": _agreement(study, kept),
    }
    if study.mode == "rate":
        figures["scores"] = _scores(study, kept)
    else:
        figures["chosen on the left"] = _left_share(kept)
    figures["wins"] = _wins(list(duels(study, kept)))
    if auto_ratings is not None:
        figures["auto-rater"] = against_auto_rater(study, kept, read_auto_ratings(auto_ratings))
    return figures


def _raters(study: Study, answers: Sequence[Answered], kept: Sequence[Answered]) -> list[Figures]:
    """A row a rater: how much, how carefully, how fast, how far from the others."""
    counted = {each.rater for each in kept}
    rows = []
    for rater, (n_passed, n_checks) in sorted(checks_passed(study, answers).items()):
        own = [each for each in answers if each.rater == rater]
        said = Counter(
            value for each in own for value in (*each.answer.scores.values(), each.answer.choice) if value
        )
        took = [each.answer.seconds for each in own if each.answer.seconds]
        rows.append(
            {
                "rater": f"r{rater}",
                "ratings": len(own),
                "checks passed": n_passed,
                "checks": n_checks,
                "counted": rater in counted,
                "median seconds": median(took) if took else None,
                "same answer": said.most_common(1)[0][1] / said.total() if said else None,
                "distance from others": deviation(genuine(study, answers), rater),
            }
        )
    return rows


def _agreement(study: Study, kept: Sequence[Answered]) -> Figures:
    if study.mode == "compare":
        chosen = [(each.trial_id, _CHOICES.index(each.answer.choice)) for each in kept if each.answer.choice]
        return {CHOICE: agreement(chosen, len(_CHOICES), "nominal")}
    by_name: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for each in kept:
        for name, score in _all_scores(each).items():
            by_name[name].append((each.trial_id, score - SCALE[0]))
    return {name: agreement(values, len(SCALE), "ordinal") for name, values in by_name.items()}


def _scores(study: Study, kept: Sequence[Answered]) -> Figures:
    found: Figures = {}
    for setting in study.settings:
        for stage in STAGES_OF_TEXTS:
            here = [
                each
                for each in kept
                if STAGE_OF[(trial := study.trials[each.trial_id]).task] == stage
                and trial.narratives[0].setting == setting
            ]
            if here:
                names: list[Attribute | str] = [*here[0].answer.scores, CONFIDENCE]
                found.setdefault(setting, {})[stage] = {
                    name: _distribution(
                        [_all_scores(each)[name] for each in here],
                        [study.trials[each.trial_id].user_id for each in here],
                    )
                    for name in names
                }
    return found


def _all_scores(each: Answered) -> dict[str, int]:
    scores: dict[str, int] = dict(each.answer.scores.items())
    return scores | {CONFIDENCE: each.answer.confidence}


def _distribution(scores: Sequence[int], users: Sequence[str]) -> Figures:
    low, high = _interval(scores, users)
    return {"mean": mean(scores), "low": low, "high": high, "counts": counts(scores), "n": len(scores)}


def _wins(fought: Sequence[Duel]) -> list[Figures]:
    """By pair of settings: over all tasks, then task by task."""
    pairs = dict.fromkeys((duel.first.setting, duel.second.setting) for duel in fought)
    rows = []
    for first, second in pairs:
        of_pair = [duel for duel in fought if (duel.first.setting, duel.second.setting) == (first, second)]
        tasks = [task for task in TASKS if any(duel.trial.task == task for duel in of_pair)]
        for task in ("all", *(tasks if len(tasks) > 1 else ())):
            here = [duel for duel in of_pair if task in ("all", duel.trial.task)]
            rows.append({"first": first, "second": second, "task": task, **_tally(here)})
    return rows


def _tally(fought: Sequence[Duel]) -> Figures:
    votes = [vote for duel in fought for vote in duel.votes]
    users = [duel.trial.user_id for duel in fought for _ in duel.votes]
    low, high = _interval(votes, users)
    row = {
        "wins": votes.count(1.0),
        "ties": votes.count(0.5),
        "losses": votes.count(0.0),
        "items": len(fought),
        "rate": mean(votes),
        "low": low,
        "high": high,
    }
    if gaps := [gap for duel in fought for gap in duel.gaps]:
        row["points"] = mean(gaps)
        row["points low"], row["points high"] = _interval(gaps, users)
    return row


def _left_share(kept: Sequence[Answered]) -> float | None:
    """How often the text on the left was preferred, ties left out; a half where sides do not matter."""
    left = [
        (each.answer.choice == "first") != each.swapped for each in kept if each.answer.choice in _CHOICES[:2]
    ]
    return mean(left) if left else None


def _interval(values: Iterable[float], users: Sequence[str]) -> list[float]:
    _, owner = np.unique(np.asarray(users), return_inverse=True)
    return interval(np.asarray(list(values), dtype=np.float64), owner.astype(np.int64))


def markdown(figures: Figures, picture: str | None = None) -> str:
    """The figures for people to read; ``picture``: the file name of their drawing."""
    lines = [
        f"# {figures['study']}",
        "",
        f"{figures['items']} items, {figures['items with all ratings']} of them with all ratings asked for; "
        f"{figures['ratings']} ratings by {len(figures['raters'])} raters, "
        f"{figures['ratings counted']} counted.",
    ]
    if figures["pairs left out as alike"]:
        lines.append(f"Left out as alike, word for word: {figures['pairs left out as alike']} pairs.")
    if picture:
        lines += ["", f"![What was answered, by setting]({picture})"]
    if figures["wins"]:
        lines += ["", "## Who was preferred", ""]
        lines += [
            "| | against | task | items | wins | ties | losses | rate, 95 % |",
            "|---|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {row['first']} | {row['second']} | {row['task']} | {row['items']} | {row['wins']} "
            f"| {row['ties']} | {row['losses']} | {_ranged(row['rate'], row['low'], row['high'])} |"
            for row in figures["wins"]
        ]
    if figures.get("scores"):
        lines += ["", "## Scores, 1 to 7", ""]
        lines += ["| setting | texts | attribute | mean, 95 % | ratings |", "|---|---|---|---|---|"]
        lines += [
            f"| {setting} | {stage} | {name} | {_ranged(one['mean'], one['low'], one['high'])} | {one['n']} |"
            for setting, stages in figures["scores"].items()
            for stage, attributes in stages.items()
            for name, one in attributes.items()
        ]
    lines += ["", "## Agreement (Krippendorff's alpha)", ""]
    lines += ["| | alpha, 95 % | items with two ratings or more |", "|---|---|---|"]
    lines += [
        f"| {name} | {_ranged(one['alpha'], one['low'], one['high'])} | {one['trials']} |"
        for name, one in figures["agreement"].items()
    ]
    lines += ["", "## Raters", ""]
    lines += [
        "| rater | ratings | checks passed | counted | median seconds | commonest answer | from the others |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['rater']} | {row['ratings']} | {row['checks passed']} of {row['checks']} "
        f"| {'yes' if row['counted'] else 'no'} | {_number(row['median seconds'], 0)} "
        f"| {_number(row['same answer'])} | {_number(row['distance from others'])} |"
        for row in figures["raters"]
    ]
    if "chosen on the left" in figures:
        lines += ["", f"The text on the left was preferred in {_number(figures['chosen on the left'])}."]
    if "auto-rater" in figures:
        lines += ["", "## Against the auto-rater", "", *_auto_lines(figures["auto-rater"])]
    return "\n".join(lines) + "\n"


def _auto_lines(auto: Figures) -> list[str]:
    if "agrees" in auto:
        return [f"It prefers the same text as people in {auto['agrees']} of {auto['items']} items."]
    return [
        "| attribute | items | people | auto-rater | mean distance | rank correlation |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {one['items']} | {_number(one['people'])} | {_number(one['auto-rater'])} "
            f"| {_number(one['distance'])} | {_number(one['spearman'])} |"
            for name, one in auto.items()
        ),
    ]


def _ranged(value: float | None, low: float | None, high: float | None) -> str:
    return "-" if value is None else f"{value:.2f} ({_number(low)} to {_number(high)})"


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
