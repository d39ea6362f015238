"""A study without a narrator: two settings on the small store's shoppers, texts written here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crs.studies.plan import Mode
from crs.studies.study import Study
from crs.studies.trials import Told, Trial, freeze
from knowledge.nouns import noun_of
from knowledge.store import Store
from knowledge.types import Task

SETTINGS = ("fused", "content")
ATTRIBUTES = {
    "reasons": ["veracity", "grounding", "clarity", "foresight", "personalization"],
    "summaries": ["veracity", "grounding", "clarity", "personalization"],
    "endorsement": ["veracity", "grounding", "clarity", "personalization"],
}


def make_study(
    folder: Path,
    store: Store,
    *,
    mode: Mode = "rate",
    n_shoppers: int = 2,
    n_checks: int = 1,
    raters: int = 2,
    per_rater: int | None = None,
    n_settings: int = 2,
    task: Task = "user_summary_brief",
) -> Study:
    """Trials are named after shopper and setting ("u00-fused", "u00-pair", "check-0")."""
    settings = SETTINGS[:n_settings]
    trials = []
    for number, user_id in enumerate(store.user_ids[: n_shoppers + n_checks]):
        history = tuple(store.history(user_id))
        is_about_last = task.startswith("purchase_reason")
        bought = history[:-1] if is_about_last else history
        about: dict[str, Any] = {
            "task": task,
            "user_id": user_id,
            "history": bought,
            "target_id": history[-1].item_id if is_about_last else None,
            "later": history[-1] if is_about_last else None,
        }
        nouns = [noun_of(store.items[purchase.item_id]) for purchase in history]
        told = [
            Told(setting, f"Bought the [{k}] {nouns[k - 1]}, says {setting[0]}.", number)
            for k, setting in enumerate(settings, start=1)
        ]
        if number >= n_shoppers:
            spoilt = Told("", f"Bought the [1] {'rake' if 'rake' not in nouns else 'whisk'}.", number)
            shown = (told[0], spoilt) if mode == "compare" else (spoilt,)
            check = f"check-{number - n_shoppers}"
            trials.append(Trial(check, narratives=shown, check="wrong claim", **about))
        elif mode == "compare":
            trials.append(Trial(f"{user_id}-pair", narratives=tuple(told), **about))
        else:
            trials += [Trial(f"{user_id}-{each.setting}", narratives=(each,), **about) for each in told]
    folder.mkdir(parents=True, exist_ok=True)
    plan = {
        "name": "tiny <study>",
        "mode": mode,
        "raters": raters,
        "per_rater": per_rater,
        "seed": 0,
        "attributes": ATTRIBUTES,
        "settings": [{"name": name} for name in settings],
    }
    manifest = {
        "name": "tiny", "fingerprint": "f00", "plan": plan, "versions": {}, "n_identical_pairs": 0,
    }  # fmt: skip
    freeze(folder, manifest, trials, store.items)
    return Study(folder)


def scores(study: Study, trial_id: str, value: int, **others: int) -> dict[str, Any]:
    """A form that gives every attribute ``value`` but for ``others``."""
    names = study.attributes_of(study.trials[trial_id].task)
    return {**dict.fromkeys((*names, "confidence"), value), "seconds": 12.5, **others}


def answer_all(study: Study, code: str, given: Mapping[str, Mapping[str, Any]]) -> None:
    """Answer the rater's whole queue; ``given``: the form of each trial by its id."""
    while (at := study.sitting(code)).trial is not None:
        study.answer(code, at.trial.trial_id, given[at.trial.trial_id])


def side_of(study: Study, code: str, choice: str) -> str:
    """ "left" or "right": where the rater sees the narrative that is "first" or "second" in the study now."""
    swapped = study.sitting(code).swapped
    return "left" if (choice == "first") != swapped else "right"
