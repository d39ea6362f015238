"""LLM-Rec's prompts, by name: basic, recommendation-driven, engagement-guided, and the last two together."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, get_args

from crs.llm.chat import Message, Schema
from crs.llm.material import one_line
from crs.writing.prompts import PROMPTS_DIR

Strategy = Literal[
    "paraphrase",
    "tags",
    "inference",
    "recommendation-paraphrase",
    "recommendation-tags",
    "recommendation-inference",
    "engagement",
    "recommendation-engagement",
]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
GUIDED: frozenset[Strategy] = frozenset({"engagement", "recommendation-engagement"})  # shown neighbours

LISTING_WORDS, TITLE_WORDS = 120, 25
LONGEST = 600  # characters of an answer; two or three sentences have half as many
MAX_TOKENS = 400
SCHEMA: Schema = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 1, "maxLength": LONGEST}},
    "required": ["text"],
    "additionalProperties": False,
}


def prompt(strategy: Strategy, text: str, neighbour_titles: Sequence[str] = ()) -> tuple[Message, ...]:
    """What a language model is told to augment ``text``, an item's listing.

    ``neighbour_titles``: of the items that matter most to those who took it; only `GUIDED` strategies show
    them, and fall back to nothing related where there are none.
    """
    words = _words()
    material = words["material"].format(text=one_line(text, LISTING_WORDS))
    if strategy in GUIDED:
        titles = [f"- {one_line(title, TITLE_WORDS)}" for title in neighbour_titles] or ["(none yet)"]
        material += words["related"].format(neighbours="\n".join(titles))
    asked = f"{material.strip()}\n\n{words['ask'][strategy]}"
    return Message("system", words["role"].strip()), Message("user", asked)


@cache
def _words() -> dict[str, Any]:
    return tomllib.loads((PROMPTS_DIR / "llmrec.toml").read_text(encoding="utf-8"))
