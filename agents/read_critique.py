"""What a message changes of a search under way: bounds, refusals, additions, comparatives."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import cast

from agents.language import any_of, patterns
from agents.letting_go import LetGo
from agents.plan import Change, Plan, Reference, Wishes
from knowledge.types import Constraints

_CHANGES = cast("list[tuple[Change, re.Pattern[str]]]", patterns("changes"))
_ADDING = re.compile(any_of("adding"))
_OF_THE_SAME = re.compile(r"\b(?:it|they|them|those|these|that one|this one|the same|ones|results?|list)\b")
_DIRECTED = ("cheaper", "pricier", "other_brand", "other_color")
_REFUSES = re.compile(
    r"(?:(?:and|but|also|ok|okay|please|well|hmm|oh|ugh|yeah|nah)[,. ]+)*(?:no|not|without|nothing|never|"
    r"anything but)\b"
)
_OF_ONE = re.compile(
    r"^(?:so |and |ok |but )*(?:is|are|does|do|can|will|would|has|have|why|what|how|which)\b"
)  # a question of a product
QUESTION = re.compile(
    r"\?|(?:^|[,.;!] ?|\b(?:so|and|but|ok|just wondering|wondering|hey|hi|hello|please) )"
    r"(?:is|are|was|does|do|did|can|could|will|would|has|have|should|how|what|whats|which|who|where|when|"
    r"whether|any idea)\b"
)


def parse_critique(
    plan: Plan, text: str, dropped: LetGo, wishes: Wishes, like: Reference | None = None
) -> Plan:
    """The plan with what ``text`` (in normal form) changes: ``wishes`` are those of ``dropped.rest``."""
    change: Change = next((name for name, pattern in _CHANGES if pattern.search(dropped.rest)), "")
    if like is not None and change not in ("cheaper", "pricier", "other_brand", "other_color"):
        change = "more_like"
    elif change in ("cheaper", "pricier") and (wishes.constraints.max_price or wishes.constraints.min_price):
        change = ""  # "pricey, anything below 50?": the figure says how much
    elif change == "more" and (wishes or dropped.facets):
        change = ""  # "another one in blue": the wish is the change
    if change or dropped.facets:  # the words were spent on the change: they describe no product
        wishes = replace(wishes, price="", constraints=replace(wishes.constraints, words=""))
    return replace(
        plan,
        wishes=wishes,
        change=change,
        relax=dropped.facets,
        adds=_ADDING.search(text) is not None,
        like=like,
    )


def is_concrete(wishes: Wishes) -> bool:
    """Whether more than loose words was wished for."""
    return bool(replace(wishes, constraints=replace(wishes.constraints, words="")))


def is_bare(wishes: Wishes) -> bool:
    """Whether a message is a product's kind or department and its traits, without a word besides."""
    asked = wishes.constraints
    return bool(asked.kinds or asked.departments) and not asked.words


def refines(text: str, wishes: Wishes, likes: bool) -> bool:
    """Whether a request only narrows or changes what is shown, and names no new product."""
    constraints = wishes.constraints
    if likes or constraints.departments or (constraints.kinds and not _ADDING.search(text)):
        return False
    if _REFUSES.match(text) and narrows(text, wishes):
        return True
    if constraints.words and not (_OF_THE_SAME.search(text) and len(constraints.words.split()) <= 4):
        return False
    return is_concrete(wishes) or any(pattern.search(text) for _, pattern in _CHANGES)


def narrows(text: str, wishes: Wishes) -> bool:
    """Whether a message states a bound or a refusal, or adds something, and asks nothing of a product."""
    asked = wishes.constraints
    bounds = asked.max_price or asked.min_price or asked.not_brands or asked.not_colors or asked.not_kinds
    stated = bounds or asked.not_departments or wishes.avoid
    names_new = asked.kinds or asked.departments
    if _ADDING.search(text):
        return is_concrete(wishes)
    change = next((change for change, pattern in _CHANGES if pattern.search(text)), "")
    if change in _DIRECTED:  # "is it too expensive?" asks, "what do the other makers have?" does not
        return not names_new and (change == "other_brand" or not QUESTION.search(text))
    return bool(stated) and not (names_new or _OF_ONE.search(text))


def asks_anew(text: str, wishes: Wishes, current: Constraints) -> bool:
    """Whether a message that sounds like a critique names a product other than the one looked for."""
    kinds = wishes.constraints.kinds
    if current.kinds and _ADDING.search(text):
        return False
    return (
        bool(kinds)
        and not set(kinds) & set(current.kinds)
        and not any(
            pattern.search(text)
            for change, pattern in _CHANGES
            if change in ("cheaper", "pricier", "more_like")
        )
    )
