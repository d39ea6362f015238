"""What the narrator practises on: a history, perhaps a target, and what should be said of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from crs.narrator.prompt import PromptTokenizer, noun_of, question
from crs.narrator.tokenizer import DESCRIBE, LIST
from knowledge.store import Store
from knowledge.types import MAX_HISTORY, TARGET_TASKS, Interaction, Item

MAX_LISTED = 16
_STARS = {1: "disappointed", 2: "disappointed", 3: "lukewarm", 4: "liked", 5: "loved"}


@dataclass(frozen=True, slots=True)
class Example:
    """One exercise. ``prompt`` follows the soft rows and ends with the word to speak."""

    user_id: str
    n_history: int
    target_row: int  # the item's row, or -1
    task: str
    prompt: NDArray[np.int32]
    reply: NDArray[np.int32]
    cause: str = ""

    @property
    def n_soft(self) -> int:
        """How many soft rows stand before the prompt."""
        return self.n_history + (self.target_row >= 0)

    def __len__(self) -> int:
        return 1 + self.n_soft + len(self.prompt) + len(self.reply)


@dataclass(frozen=True)
class Shelf:
    """A store with the rows that training needs; ``signals`` says which halves mean anything here."""

    store: Store
    purchase_content: Mapping[str, NDArray[np.float16]]  # user -> (n, 384), oldest first
    item_content: NDArray[np.float32]  # (n_items, 384)
    item_cf: NDArray[np.float32]  # (n_items, 128), already divided by the mean norm
    words: list[NDArray[np.int64]] = field(default_factory=list)  # per item: tokens that tell of it

    def rows(self, example: Example) -> NDArray[np.float32]:
        """Fused rows (n_soft, 512) of the example's history, then its target."""
        history = self.store.history(example.user_id)[: example.n_history]
        items = [self.store.item_index[i.item_id] for i in history]
        content = self.purchase_content[example.user_id][: example.n_history].astype(np.float32)
        if example.target_row >= 0:
            items.append(example.target_row)
            content = np.concatenate([content, self.item_content[example.target_row][None]])
        return np.concatenate([self.item_cf[items], content], axis=1)

    def row_words(self, example: Example) -> list[NDArray[np.int64]]:
        """For each soft row the tokens it should tell of: its item's words."""
        history = self.store.history(example.user_id)[: example.n_history]
        items = [self.store.item_index[i.item_id] for i in history]
        return [self.words[i] for i in (*items, example.target_row) if i >= 0]


def item_words(tokenizer: PromptTokenizer, item: Item) -> NDArray[np.int64]:
    """Distinct tokens of the item's noun, title, attributes and department (at most 28)."""
    told = (" " + noun_of(item), item.title, *item.attributes.values(), item.department or "")
    distinct = dict.fromkeys(tokenizer.encode(" ".join((*told, *item.features[:2]))))
    return np.asarray(list(distinct)[:28], dtype=np.int64)


def narrative_examples(store: Store, tokenizer: PromptTokenizer, users: frozenset[str]) -> list[Example]:
    """One example a reference narrative of ``users``; those of more than 50 purchases are left out."""
    examples = []
    for narrative in store.narratives():
        if narrative.user_id not in users or narrative.n_history > MAX_HISTORY:
            continue
        target = store.items[narrative.target_id] if narrative.target_id else None
        if (target is None) == (narrative.task in TARGET_TASKS):
            continue
        examples.append(
            Example(
                user_id=narrative.user_id,
                n_history=narrative.n_history,
                target_row=store.item_index[target.item_id] if target else -1,
                task=narrative.task,
                prompt=question(tokenizer, narrative.task, target),
                reply=_reply(tokenizer, narrative.text),
                cause=narrative.cause,
            )
        )
    return examples


def reading_examples(
    store: Store, tokenizer: PromptTokenizer, users: Sequence[str], rng: random.Random
) -> Iterator[Example]:
    """Endless reading practice: name each purchase in turn, or describe one of them."""
    while True:
        user_id = rng.choice(users)
        history = store.history(user_id)
        n_history = rng.randint(1, len(history)) if rng.random() < 0.5 else len(history)
        items = [store.items[i.item_id] for i in history[:n_history]]
        if rng.random() < 0.4:
            start = rng.randrange(max(1, n_history - MAX_LISTED + 1))
            listed = items[start : start + MAX_LISTED]
            named = [f"[{k}] {noun_of(item)}" for k, item in enumerate(listed, start=start + 1)]
            prompt = tokenizer.exercise(LIST, start + 1)
            reply = " ".join(named)
        else:
            k = rng.randrange(n_history)
            prompt = tokenizer.exercise(DESCRIBE, k + 1)
            reply = f"[{k + 1}] {description(items[k], history[k])}"
        yield Example(
            user_id, n_history, -1, "reading", np.asarray(prompt, np.int32), _reply(tokenizer, reply)
        )


def description(item: Item, interaction: Interaction) -> str:
    """What is to be read off one soft token, from the noun to how the buyer liked it."""
    parts = [noun_of(item)]
    if not item.kind:
        parts.append(" ".join(item.title.split()[:14]))
    parts += [value for value in item.attributes.values() if value][:3]
    if item.features:
        parts.append(item.features[0])
    if interaction.rating is not None and interaction.review:
        parts.append(_STARS[round(interaction.rating)])
    return "; ".join(parts)


def _reply(tokenizer: PromptTokenizer, text: str) -> NDArray[np.int32]:
    return np.asarray([*tokenizer.encode(text), tokenizer.eos_id], dtype=np.int32)
