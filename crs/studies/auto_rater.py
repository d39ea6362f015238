"""People's scores beside those that a language model gave the same texts (`python -m crs rate`)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from crs.evaluation.rater.cases import Attribute
from crs.studies.outcomes import duels, overall
from crs.studies.ratings import Answer, Answered
from crs.studies.study import Study
from knowledge.errors import InputError, NotFoundError
from knowledge.types import Task


@dataclass(frozen=True, slots=True)
class TextId:
    """What makes a text the same in both: the shopper, the task, and its words."""

    user_id: str
    task: Task
    text: str


AutoRatings = Mapping[TextId, Mapping[Attribute, int]]


def read_auto_ratings(path: Path) -> AutoRatings:
    """Scores by text from a ratings.jsonl. Raises NotFoundError or InputError naming the line."""
    found: dict[TextId, Mapping[Attribute, int]] = {}
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError as exc:
        raise NotFoundError(
            f"{path}: no such file; make it with `python -m crs rate --narratives STUDY/narratives.jsonl`"
        ) from exc
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            row = json.loads(line)
            for task, text in row["texts"].items():
                found[TextId(row["user_id"], task, text)] = row["scores"]
        except (ValueError, LookupError, TypeError, AttributeError) as exc:
            problem = "is no line of a ratings.jsonl; name the file that `python -m crs rate` wrote"
            raise InputError(path, problem, line=number) from exc
    return found


def against_auto_rater(study: Study, kept: Sequence[Answered], auto: AutoRatings) -> dict[str, Any]:
    """How the auto-rater compares with people on the texts that both rated.

    Of rated texts, by attribute: ``people`` and ``auto-rater`` (means), mean ``distance``, ``spearman`` (null
    where one side is all alike). Of compared ones: in how many ``items`` it ``agrees`` with most people.
    """
    if study.mode == "compare":
        return _on_pairs(study, kept, auto)
    by_trial: dict[str, list[Answer]] = defaultdict(list)
    for each in kept:
        by_trial[each.trial_id].append(each.answer)
    sides: dict[Attribute, list[tuple[float, int]]] = defaultdict(list)
    for trial_id, answers in by_trial.items():
        trial = study.trials[trial_id]
        scores = auto.get(TextId(trial.user_id, trial.task, trial.narratives[0].text), {})
        for name in study.attributes_of(trial.task):
            if name in scores:
                sides[name].append((mean(answer.scores[name] for answer in answers), scores[name]))
    return {name: _compared(pairs) for name, pairs in sides.items()}


def _compared(pairs: Sequence[tuple[float, int]]) -> dict[str, Any]:
    people, model = zip(*pairs, strict=True)
    rank = None
    if len(set(people)) > 1 and len(set(model)) > 1:
        from scipy.stats import spearmanr

        rank = float(spearmanr(people, model).statistic)
    return {
        "items": len(pairs),
        "people": mean(people),
        "auto-rater": mean(model),
        "distance": mean(abs(one - other) for one, other in pairs),
        "spearman": rank,
    }


def _on_pairs(study: Study, kept: Sequence[Answered], auto: AutoRatings) -> dict[str, Any]:
    agrees = []
    for duel in duels(study, kept):
        about = duel.trial.user_id, duel.trial.task
        scores = [auto.get(TextId(*about, told.text)) for told in (duel.first, duel.second)]
        people = mean(duel.votes) - 0.5
        if scores[0] and scores[1] and people:
            gap = overall(Answer(1, dict(scores[0]))) - overall(Answer(1, dict(scores[1])))
            if gap:
                agrees.append((gap > 0) == (people > 0))
    return {"items": len(agrees), "agrees": sum(agrees)}
