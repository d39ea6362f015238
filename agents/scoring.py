"""How well messages are understood: a file of utterances, each with what should be read from it, scored.

A file is JSON lines. ``text``, ``intent``; where they apply ``before`` (the messages that came first),
``constraints`` (the fields of `Constraints` and "avoid", as they stand once the message is read),
``change`` ("cheaper", "premium", ...: a bound or a refusal that depends on what is shown), ``about`` (the
products meant: ``{"cards": [2]}`` of those shown, -1 the last of them, or ``{"bought": "kettle"}``) and
``voice``, who speaks.
Every utterance goes the whole way of a chat, in a conversation of its own; only the narrator is silent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.conversation import Assistant
from agents.events import Answer, Done, Understood
from agents.plan import INTENTS, Plan
from crs.quiet_shop import QuietShop
from knowledge.errors import InputError

FIELDS = (
    "max_price", "min_price", "brands", "not_brands", "colors", "not_colors", "departments",
    "not_departments", "kinds", "not_kinds", "avoid",
)  # fmt: skip
# What a change must have set; how far depends on the products shown, so no figure is asked for.
CHANGES: Mapping[str, str] = {
    "cheap": "max_price", "cheaper": "max_price", "premium": "min_price", "pricier": "min_price",
    "other_brand": "not_brands", "other_color": "not_colors",
}  # fmt: skip
SEARCHES = ("recommend", "critique")  # the intents whose answer has constraints
SHOPPER = "s0042"
UTTERANCES = Path(__file__).parents[1] / "assets" / "understanding"  # the embedded sets


@dataclass(frozen=True, slots=True)
class Utterance:
    """One message with what should be read from it; see the module."""

    text: str
    intent: str
    before: tuple[str, ...] = ()
    constraints: Mapping[str, Any] = field(default_factory=dict)
    change: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    voice: str = ""


@dataclass(frozen=True, slots=True)
class Miss:
    """One thing read otherwise than it should be: ``part`` is "intent", "constraints" or "about"."""

    part: str
    text: str
    expected: Any
    found: Any


@dataclass(frozen=True, slots=True)
class Score:
    """What was asked and what was missed, by part."""

    asked: Mapping[str, int]
    misses: tuple[Miss, ...]

    def share(self, part: str) -> float:
        """Right ones of those asked, 0 to 1; 1 where none was asked."""
        wrong = sum(miss.part == part for miss in self.misses)
        return 1 - wrong / self.asked[part] if self.asked[part] else 1.0

    def figures(self) -> dict[str, dict[str, float]]:
        """By part: how many were asked, how many were right, and their share."""
        return {
            part: {"asked": n, "right": round(n * self.share(part)), "share": round(self.share(part), 4)}
            for part, n in self.asked.items()
        }


def read_utterances(path: Path) -> list[Utterance]:
    """The utterances of a file. Raises InputError naming the line and field that is wrong."""
    if not path.is_file():
        raise InputError(path, "no such file; name one of JSON lines with text and intent")
    utterances = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if line.strip():
            utterances.append(_utterance(path, number, line))
    return utterances


def _utterance(path: Path, number: int, line: str) -> Utterance:
    try:
        row = json.loads(line)
        utterance = Utterance(**{**row, "before": tuple(row.get("before", ()))})
    except (ValueError, TypeError, AttributeError) as exc:
        raise InputError(path, f"{exc}; a line is one object with text and intent", line=number) from exc
    if utterance.intent not in INTENTS:
        known = ", ".join(INTENTS)
        raise InputError(path, f"'{utterance.intent}' is none of {known}", line=number, field="intent")
    if odd := utterance.constraints.keys() - set(FIELDS):
        named = f"{', '.join(sorted(odd))}: none of {', '.join(FIELDS)}"
        raise InputError(path, named, line=number, field="constraints")
    if utterance.change and utterance.change not in CHANGES:
        named = f"'{utterance.change}' is none of {', '.join(CHANGES)}"
        raise InputError(path, named, line=number, field="change")
    return utterance


def score(
    shop: QuietShop,
    utterances: Sequence[Utterance],
    *,
    shopper: str = SHOPPER,
    progress: Callable[[str, int, int], None] | None = None,
) -> Score:
    """Say every utterance to the assistant as ``shopper`` and compare what it reads from it."""
    assistant = Assistant(shop)
    said = {text for utterance in utterances for text in (*utterance.before, utterance.text)}
    read = assistant.steps.understanding.texts
    shop.encoder.encode([text for message in sorted(said) for text in read(message)])  # one batch for all
    asked = dict.fromkeys(("intent", "constraints", "about"), 0)
    misses: list[Miss] = []
    for number, utterance in enumerate(utterances):
        conversation = f"utterance-{number}"
        assistant.open(conversation, shopper)
        shown: list[str] = []
        for text in utterance.before:
            _, answer = _ask(assistant, conversation, text)
            shown = [card.id for card in answer.items]
        plan, answer = _ask(assistant, conversation, utterance.text)
        found = _found(utterance, plan, answer, shown, shop)
        for part, (expected, actual) in found.items():
            asked[part] += 1
            if expected != actual:
                misses.append(Miss(part, utterance.text, expected, actual))
        if progress:
            progress("utterances", number + 1, len(utterances))
    return Score(asked, tuple(misses))


def _ask(assistant: Assistant, conversation: str, text: str) -> tuple[Plan, Answer]:
    events = list(assistant.reply(conversation, text))
    plan = next(event.plan for event in events if isinstance(event, Understood))
    answer = next(event.answer for event in events if isinstance(event, Done))
    return plan, answer


def _found(
    utterance: Utterance, plan: Plan, answer: Answer, shown: Sequence[str], shop: QuietShop
) -> dict[str, tuple[Any, Any]]:
    """By part: what was expected and what was found."""
    found: dict[str, tuple[Any, Any]] = {"intent": (utterance.intent, _as_labelled(answer.intent))}
    if utterance.intent in SEARCHES:
        expected = _comparable(utterance.constraints)
        actual = _comparable({name: answer.constraints.get(name) for name in FIELDS})
        if utterance.change:
            bound = CHANGES[utterance.change]
            expected[bound] = "set" if bound in actual else f"set, as of {utterance.change}"
            actual |= {bound: "set"} if bound in actual else {}
            if utterance.change in ("cheap", "cheaper", "premium", "pricier"):
                other = "min_price" if bound == "max_price" else "max_price"
                expected.pop(other, None)
                actual.pop(other, None)
        found["constraints"] = (expected, actual)
    if utterance.about and _is_shown(utterance.about.get("cards", ()), len(shown)):
        found["about"] = _meant(utterance, plan, answer, shown, shop)
    return found


def _as_labelled(intent: str) -> str:
    """The intent by the names that utterances are labelled with: what is noted was an introduction."""
    return "introduce" if intent == "notes" else intent


def _comparable(constraints: Mapping[str, Any]) -> dict[str, Any]:
    """Only what is set, lists without their order."""
    return {
        name: sorted(value) if isinstance(value, (list, tuple)) else float(value)
        for name, value in constraints.items()
        if value
    }


def _is_shown(places: Sequence[int], n_shown: int) -> bool:
    """Whether every place is one of the cards shown: else it cannot be told what is meant."""
    return all(0 < abs(place) <= n_shown for place in places)


def _meant(
    utterance: Utterance, plan: Plan, answer: Answer, shown: Sequence[str], shop: QuietShop
) -> tuple[Any, Any]:
    ids = [plan.target_id] if plan.target_id else [*plan.candidates, *plan.compared]
    if "cards" in utterance.about:
        meant = (shown[place - 1 if place > 0 else place] for place in utterance.about["cards"])
        return sorted(meant), sorted(ids)
    bought = utterance.about["bought"]
    kinds = sorted({shop.items[item_id].kind or "" for item_id in ids})
    return [bought], [bought] if bought in kinds else kinds
