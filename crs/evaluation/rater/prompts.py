"""The question put to the rater about one case: its words are in assets/prompts/rating.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from crs.evaluation.rater.cases import ATTRIBUTES, Attribute, Case
from crs.evaluation.rater.votes import SCALE
from crs.llm.chat import Message, Schema
from crs.llm.material import ABOUT_WORDS, listing, one_line, opinion
from knowledge.store import Store
from knowledge.types import TARGET_POINTER, Interaction, Item, pointer

PROMPT_FILE = Path(__file__).resolve().parents[3] / "assets" / "prompts" / "rating.toml"

NOTE_WORDS = 80
PROMPT_WORDS = 3000  # listings and reviews of one prompt together; 50 purchases share it
_NOTE_CHARACTERS = 10 * NOTE_WORDS


@dataclass(frozen=True, slots=True)
class Question:
    """A case in words, and the form of the answer."""

    case: Case
    messages: tuple[Message, ...]
    schema: Schema


@dataclass(frozen=True, slots=True)
class AttributeWords:
    """What an attribute asks, and what scores of 1, 4 and 7 stand for."""

    asks: str
    lowest: str
    middle: str
    highest: str


def attribute_words(attribute: Attribute) -> AttributeWords:
    """How the attribute is put to every rater, language model or person."""
    return AttributeWords(**_texts()["attributes"][attribute])


def question(case: Case, store: Store) -> Question:
    """The messages that ask for the scores of ``case``. NotFoundError for a user that the store lacks."""
    texts = _texts()
    attributes = ATTRIBUTES[case.stage]
    asked = [
        texts["stages"][case.stage]["ask"].strip(),
        "Attributes:\n" + "\n".join(_described(attribute) for attribute in attributes),
        texts["answer"]
        .strip()
        .replace("{note_words}", str(NOTE_WORDS))
        .replace("{attributes}", ", ".join(attributes)),
    ]
    told = [f'<text task="{task}">{_unmarked(text)}</text>' for task, text in case.texts.items()]
    messages = (
        Message("system", "\n\n".join((texts["role"], texts["guide"].strip()))),
        Message("user", "\n\n".join([*_material(case, store), *told, *asked])),
    )
    return Question(case, messages, _schema(attributes))


def _described(attribute: Attribute) -> str:
    words = attribute_words(attribute)
    return f"- {attribute}: {words.asks} 1 = {words.lowest}, 4 = {words.middle}, 7 = {words.highest}"


def _material(case: Case, store: Store) -> list[str]:
    """The purchases that the texts were told from, and the target with what was written of it later."""
    texts = _texts()
    bought = store.history(case.user_id)
    history, later = bought[: case.n_history], bought[case.n_history :]
    n_words = PROMPT_WORDS // (len(history) + 1)
    blocks = [
        "\n".join(
            [
                *_product(pointer(place), store.items[purchase.item_id], n_words),
                *opinion(purchase, n_words // 2),
            ]
        )
        for place, purchase in enumerate(history, start=1)
    ]
    if history:
        blocks = [texts["material"], *blocks]
    if case.target_id is not None:
        target = _product(TARGET_POINTER, store.items[case.target_id], PROMPT_WORDS)
        written = _review_of(case.target_id, later)
        blocks += [
            "\n".join([texts["target"], *target]),
            "\n".join([texts["target_review"], *written]) if written else texts["no_target_review"],
        ]
    return blocks


def _product(place: str, item: Item, n_words: int) -> list[str]:
    """The listing with its features, which a text may quote and the rater must find."""
    lines = listing(place, item, n_words // 4)
    if item.description and item.features:
        lines.append("features: " + one_line("; ".join(item.features), min(ABOUT_WORDS, n_words // 4)))
    return lines


def _review_of(target_id: str, later: Sequence[Interaction]) -> list[str]:
    for purchase in later:
        if purchase.item_id == target_id:
            return opinion(purchase, PROMPT_WORDS)
    return []


def _unmarked(text: str) -> str:
    """The text on one line, its pointers kept; it cannot end itself."""
    return " ".join(text.replace("<", "(").replace(">", ")").split())


def _schema(attributes: Sequence[Attribute]) -> Schema:
    one_of_seven = {"type": "integer", "enum": list(SCALE)}
    judged = {
        "type": "object",
        "properties": {"score": one_of_seven, "confidence": one_of_seven},
        "required": ["score", "confidence"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        # The notes come first, so that the scores are drawn from them and not the other way round.
        "properties": {
            "notes": {"type": "string", "maxLength": _NOTE_CHARACTERS},
            **dict.fromkeys(attributes, judged),
        },
        "required": ["notes", *attributes],
        "additionalProperties": False,
    }


@cache
def _texts() -> dict[str, Any]:
    return tomllib.loads(PROMPT_FILE.read_text(encoding="utf-8"))
