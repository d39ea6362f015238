"""A study for others to learn from: ratings, and two layouts of preferences, as JSON lines and parquet.

    ratings       a row a rating, scores as columns; spoilt texts are marked by ``check``
    preferences   prompt, chosen, rejected (the layout of DPO): a row a pair of which one was preferred
    completions   prompt, completion, label (the layout of KTO): a row a text that raters found good, or not

Preferences and completions come from the raters who passed their checks. Texts keep their pointers.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from crs.evaluation.rater.cases import ATTRIBUTES
from crs.narrator.evidence import Evidence
from crs.narrator.foreign import spelt_out
from crs.narrator.quotes import quotable
from crs.narrator.text_history import purchase_lines
from crs.studies.outcomes import duels, genuine, overall, trusted
from crs.studies.ratings import Answered
from crs.studies.study import Study
from crs.studies.trials import Trial
from knowledge.errors import InputError

Row = dict[str, Any]
MIDDLE = 4  # of the scale: a text above is good, one below is not
_SCORED = ATTRIBUTES["reasons"]
_ABOUT = [
    *((name, pa.string()) for name in ("task", "user_id", "target_id")),
    ("history_ids", pa.list_(pa.string())),
]
SCHEMAS = {
    "ratings": pa.schema(
        [
            *((name, pa.string()) for name in ("rater", "item")),
            *_ABOUT,
            ("settings", pa.list_(pa.string())),
            ("seeds", pa.list_(pa.int64())),
            ("texts", pa.list_(pa.string())),
            *((name, pa.int64()) for name in _SCORED),
            ("chosen", pa.string()),
            ("confidence", pa.int64()),
            ("seconds", pa.float64()),
            ("check", pa.string()),
        ]
    ),
    "preferences": pa.schema(
        [
            *((name, pa.string()) for name in ("prompt", "chosen", "rejected")),
            *_ABOUT,
            *((name, pa.int64()) for name in ("seed_chosen", "seed_rejected")),
        ]
    ),
    "completions": pa.schema(
        [
            *((name, pa.string()) for name in ("prompt", "completion")),
            ("label", pa.bool_()),
            *_ABOUT,
            ("seed", pa.int64()),
        ]
    ),
}


def export(study: Study, folder: Path, *, margin: float = 1.0) -> dict[str, int]:
    """Write three tables into ``folder``, each twice; returns how many rows each has.

    ``margin``: by how many points of its mean score a text must be ahead to be preferred, where texts were
    rated one by one, or away from the middle to be good or bad. Of compared ones most votes decide. Raises
    InputError when the folder cannot be written to.
    """
    answers = list(study.ratings.answers())
    kept = trusted(study, answers)
    tables: dict[str, list[Row]] = {
        "ratings": list(rating_rows(study, answers)),
        "preferences": list(preference_rows(study, kept, margin)),
        "completions": list(completion_rows(study, kept, margin)),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in tables.items():
            _write(rows, SCHEMAS[name], folder / name)
    except OSError as exc:
        raise InputError(folder, f"cannot be written to ({exc.strerror}); choose another folder") from exc
    return {name: len(rows) for name, rows in tables.items()}


def rating_rows(study: Study, answers: Sequence[Answered]) -> Iterator[Row]:
    """Every rating as it was given; ``chosen`` is a setting, "tie", or null where texts were rated."""
    for each in answers:
        trial, answer = study.trials[each.trial_id], each.answer
        chosen = answer.choice
        if chosen in ("first", "second"):
            chosen = trial.narratives[chosen == "second"].setting  # type: ignore[assignment]
        yield {
            "rater": f"r{each.rater}",
            "item": trial.trial_id,
            **_about(trial),
            "settings": [told.setting for told in trial.narratives],
            "seeds": [told.seed for told in trial.narratives],
            "texts": [told.text for told in trial.narratives],
            **{name: answer.scores.get(name) for name in _SCORED},
            "chosen": chosen,
            "confidence": answer.confidence,
            "seconds": answer.seconds,
            "check": trial.check,
        }


def preference_rows(study: Study, kept: Sequence[Answered], margin: float) -> Iterator[Row]:
    """One row for each pair of texts that one of them wins clearly."""
    for duel in duels(study, kept):
        lead = mean(duel.votes) - 0.5
        if duel.gaps:
            ahead = mean(duel.gaps)
            lead = ahead if abs(ahead) >= margin else 0.0
        if lead:
            chosen, rejected = (duel.first, duel.second) if lead > 0 else (duel.second, duel.first)
            yield {
                "prompt": prompt_of(study, duel.trial),
                "chosen": chosen.text,
                "rejected": rejected.text,
                **_about(duel.trial),
                "seed_chosen": chosen.seed,
                "seed_rejected": rejected.seed,
            }


def completion_rows(study: Study, kept: Sequence[Answered], margin: float) -> Iterator[Row]:
    """One row for each text that is good or bad: by its mean score, or by having been preferred."""
    if study.mode == "compare":
        for row in preference_rows(study, kept, margin):
            about = {name: row[name] for name in ("task", "user_id", "target_id", "history_ids")}
            for side, label in (("chosen", True), ("rejected", False)):
                text = {"prompt": row["prompt"], "completion": row[side], "label": label}
                yield {**text, **about, "seed": row[f"seed_{side}"]}
        return
    scores: dict[str, list[float]] = defaultdict(list)
    for each in genuine(study, kept):
        scores[each.trial_id].append(overall(each.answer))
    for trial_id, given in scores.items():
        trial, away = study.trials[trial_id], mean(given) - MIDDLE
        if abs(away) >= margin:
            told = trial.narratives[0]
            text = {"prompt": prompt_of(study, trial), "completion": told.text, "label": away > 0}
            yield {**text, **_about(trial), "seed": told.seed}


def prompt_of(study: Study, trial: Trial) -> str:
    """The trial's task as it is put to a language model that reads purchases as text."""
    target = study.items[trial.target_id] if trial.target_id is not None else None
    said = [". ".join(filter(None, (each.review_title, each.review))) for each in trial.history]
    evidence = Evidence(
        [study.items[each.item_id] for each in trial.history],
        trial.task,
        target,
        [each.rating for each in trial.history],
        reviews=said,
    )
    listing: Mapping[str, str] = {} if target is None else quotable(target)
    return spelt_out(trial.task, purchase_lines(evidence), listing)


def _about(trial: Trial) -> Row:
    return {
        "task": trial.task,
        "user_id": trial.user_id,
        "target_id": trial.target_id,
        "history_ids": [purchase.item_id for purchase in trial.history],
    }


def _write(rows: Sequence[Row], schema: pa.Schema, path: Path) -> None:
    """``path`` with .jsonl and with .parquet: the same rows."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.with_suffix(".jsonl").write_text("".join(lines), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(list(rows), schema), path.with_suffix(".parquet"))
