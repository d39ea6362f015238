"""What is put before the rater: a shopper's texts, grouped into the four stages of REGEN, section 3.3."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from knowledge.store import Store
from knowledge.types import Narrative, Task

Stage = Literal["richness", "reasons", "summaries", "endorsement"]
STAGES: tuple[Stage, ...] = get_args(Stage)
Attribute = Literal["veracity", "grounding", "clarity", "foresight", "personalization", "richness"]

# The seventh attribute, confidence, is asked for with each of these.
ATTRIBUTES: dict[Stage, tuple[Attribute, ...]] = {
    "richness": ("richness",),
    "reasons": ("veracity", "grounding", "clarity", "foresight", "personalization"),
    "summaries": ("veracity", "grounding", "clarity", "personalization"),
    "endorsement": ("veracity", "grounding", "clarity", "foresight", "personalization"),
}
STAGE_OF: dict[Task, Stage] = {
    "purchase_reason": "reasons",
    "purchase_reason_explanation": "reasons",
    "user_summary_brief": "summaries",
    "user_summary_long": "summaries",
    "user_profile": "summaries",
    "product_endorsement": "endorsement",
}


@dataclass(frozen=True, slots=True)
class Case:
    """What one stage judges together: ``texts`` by task, told from the user's first ``n_history`` purchases.

    The stage "richness" judges the purchases themselves and has no texts.
    """

    stage: Stage
    user_id: str
    n_history: int
    target_id: str | None
    texts: dict[Task, str]


def cases_of(narratives: Iterable[Narrative], store: Store, stages: Collection[Stage] = STAGES) -> list[Case]:
    """The narratives as cases, in their order; the richness of each shopper comes before their texts.

    Texts of a stage are one case if they share shopper, history and target; a second text of the same task
    begins another case.
    """
    cases: list[Case] = []
    open_cases: dict[tuple[Stage, str, int, str | None], Case] = {}
    shoppers: set[str] = set()
    for told in narratives:
        if told.user_id not in shoppers and "richness" in stages:
            cases.append(Case("richness", told.user_id, len(store.history(told.user_id)), None, {}))
        shoppers.add(told.user_id)
        stage = STAGE_OF[told.task]
        if stage not in stages:
            continue
        key = (stage, told.user_id, told.n_history, told.target_id)
        case = open_cases.get(key)
        if case is None or told.task in case.texts:
            case = open_cases[key] = Case(stage, told.user_id, told.n_history, told.target_id, {})
            cases.append(case)
        case.texts[told.task] = told.text
    return cases
