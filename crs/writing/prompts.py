"""The questions put to a language model about one shopper: why they bought, who they are, what to pitch.

As in REGEN (section 3.2, appendix F) reasons and summaries are asked with examples before them and the
endorsement without, and the endorsement does not see the last review. Unlike there, each is a question of its
own, so that what a text may point at is what stands in its prompt.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from crs.llm.chat import Message, Schema
from crs.llm.material import listing, opinion
from crs.narrator.evidence import Evidence, StoreWords
from knowledge.types import TARGET_POINTER, Interaction, Item, Task, pointer

PROMPTS_DIR = Path(__file__).resolve().parents[2] / "assets" / "prompts"

Topic = Literal["reasons", "summaries", "endorsement"]
TOPICS: dict[Topic, tuple[Task, ...]] = {
    "reasons": ("purchase_reason", "purchase_reason_explanation"),
    "summaries": ("user_summary_brief", "user_summary_long", "user_profile"),
    "endorsement": ("product_endorsement",),
}
MAY_BE_NULL: frozenset[Task] = frozenset(TOPICS["reasons"])  # where nothing shown tells the reason
assert tuple(TOPICS) == get_args(Topic)

PROMPT_WORDS = 2000  # listings and reviews of one prompt together; 50 purchases share it
TOLERANCE = 1.5  # how much longer or shorter than asked a text may be
_CHARACTERS_A_WORD, _TOKENS_A_WORD = 10, 3  # more than English needs: a bound, not an estimate

Purchase = tuple[Item, Interaction]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a task's text, and how many words it may have."""

    ask: str
    min_words: int
    max_words: int


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt about one shopper, and what the answer may speak of.

    ``history``: the products that ``[1]`` .. ``[n]`` stand for. ``reviews``: all that the shopper wrote,
    whether the prompt shows it or not; none of it may be repeated.
    """

    user_id: str
    topic: Topic
    tasks: tuple[Task, ...]
    history: tuple[Item, ...]
    stars: tuple[float | None, ...]  # of the history
    target: Item | None
    reviews: tuple[str, ...]
    messages: tuple[Message, ...]
    schema: Schema
    max_tokens: int

    @property
    def places(self) -> dict[str, Item]:
        """Product by pointer; the target first, for a title that several share is most likely its."""
        target = {} if self.target is None else {TARGET_POINTER: self.target}
        return target | {pointer(k): item for k, item in enumerate(self.history, start=1)}

    def evidence(self, task: Task, words: StoreWords) -> Evidence:
        """What a text for ``task`` is held against."""
        return Evidence(self.history, task, self.target, self.stars, words)


def questions(user_id: str, purchases: Sequence[Purchase], tasks: Collection[Task]) -> list[Question]:
    """What to ask of one shopper with ``purchases`` (oldest first, at least two): one question a topic.

    Reasons and endorsement are of the last purchase, told from those before it. Its review is shown for the
    reasons, where it may tell the need, and withheld from the endorsement.
    """
    return [
        _question(user_id, purchases, topic, wanted)
        for topic, its_tasks in TOPICS.items()
        if (wanted := tuple(task for task in its_tasks if task in tasks))
    ]


def wanted(task: Task) -> Wanted:
    """What the prompts ask of ``task`` (assets/prompts/writing.toml)."""
    entry = _texts()["tasks"][task]
    return Wanted(entry["ask"], *entry["words"])


@cache
def example_answers() -> tuple[str, ...]:
    """The texts of the examples; an answer that repeats them speaks of somebody else."""
    return tuple(text for _, answers in _examples() for text in answers.values())


def _question(user_id: str, purchases: Sequence[Purchase], topic: Topic, tasks: tuple[Task, ...]) -> Question:
    n_words = sum(wanted(task).max_words for task in tasks) * TOLERANCE
    has_target = topic != "summaries"
    items = [item for item, _ in purchases]
    n_history = len(items) - has_target
    return Question(
        user_id=user_id,
        topic=topic,
        tasks=tasks,
        history=tuple(items[:n_history]),
        stars=tuple(purchase.rating for _, purchase in purchases[:n_history]),
        target=items[-1] if has_target else None,
        reviews=tuple(text for _, p in purchases for text in (p.review_title, p.review) if text),
        messages=(
            Message("system", _instructions(topic, tasks)),
            *_shown_examples(topic, tasks),
            Message("user", _material(purchases, topic, tasks)),
        ),
        schema=_schema(tasks),
        max_tokens=int(n_words * _TOKENS_A_WORD) + 100,
    )


def _instructions(topic: Topic, tasks: Sequence[Task]) -> str:
    texts = _texts()
    fields = "\n".join(f"- {task}: {_asked(task)}" for task in tasks)
    rules = texts["rules"].strip().replace("{places}", texts[topic]["places"])
    return "\n\n".join((texts["role"], texts[topic]["task"].strip() + "\nFields:\n" + fields, rules))


def _asked(task: Task) -> str:
    one = wanted(task)
    return f"{one.ask} ({one.min_words} to {one.max_words} words)"


def _shown_examples(topic: Topic, tasks: Sequence[Task]) -> list[Message]:
    if topic == "endorsement":
        return []
    messages = []
    for purchases, answers in _examples():
        reply = {task: answers.get(task) for task in tasks}
        messages += [
            Message("user", _material(purchases, topic, tasks)),
            Message("assistant", json.dumps(reply, ensure_ascii=False)),
        ]
    return messages


def _material(purchases: Sequence[Purchase], topic: Topic, tasks: Sequence[Task]) -> str:
    """The purchases as text, each under its place, and a reminder of what to do with them."""
    n_words = PROMPT_WORDS // len(purchases)
    blocks = []
    for position, (item, purchase) in enumerate(purchases, start=1):
        is_target = topic != "summaries" and position == len(purchases)
        lines = listing(TARGET_POINTER if is_target else pointer(position), item, n_words // 3)
        if not (is_target and topic == "endorsement"):
            lines += opinion(purchase, n_words * 2 // 3)
        blocks.append("\n".join(lines))
    closing = _texts()["closing"].replace("{fields}", ", ".join(tasks))
    return "\n\n".join(("Purchases, oldest first:", *blocks, closing))


def _schema(tasks: Sequence[Task]) -> Schema:
    properties: dict[str, Any] = {}
    for task in tasks:
        n_characters = int(wanted(task).max_words * TOLERANCE * _CHARACTERS_A_WORD)
        properties[task] = {"type": "string", "minLength": 1, "maxLength": n_characters}
        if task in MAY_BE_NULL:
            properties[task] = {"anyOf": [properties[task], {"type": "null"}]}
    return {
        "type": "object",
        "properties": properties,
        "required": list(tasks),
        "additionalProperties": False,
    }


@cache
def _texts() -> dict[str, Any]:
    return tomllib.loads((PROMPTS_DIR / "writing.toml").read_text(encoding="utf-8"))


@cache
def _examples() -> list[tuple[list[Purchase], dict[Task, str]]]:
    read = tomllib.loads((PROMPTS_DIR / "writing_examples.toml").read_text(encoding="utf-8"))
    return [
        ([_example_purchase(**purchase) for purchase in shopper["purchases"]], shopper["answers"])
        for shopper in read["shoppers"]
    ]


def _example_purchase(
    title: str, brand: str, kind: str, price: float, about: str, stars: int, review: str
) -> Purchase:
    item = Item("", title, about, brand, price, kind=kind)
    return item, Interaction("", "", 0, rating=float(stars), review=review)
