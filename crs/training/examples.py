"""What the narrator practises on: a history, perhaps a target, and what should be said of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from crs.narrator.evidence import Evidence, StoreWords
from crs.narrator.prompt import PromptTokenizer, question
from crs.narrator.tally import Tally
from crs.narrator.tokenizer import DESCRIBE, LIST
from knowledge.nouns import noun_of
from knowledge.store import Store
from knowledge.types import MAX_HISTORY, TARGET_TASKS, Interaction, Item, Narrative

MAX_LISTED = 16
_STARS = {1: "disappointed", 2: "disappointed", 3: "lukewarm", 4: "liked", 5: "loved"}


@dataclass(frozen=True, slots=True)
class Example:
    """One exercise. ``prompt`` follows the soft rows and ends with the word to speak.

    ``blind_prompt`` keeps silent on the target's listing; with ``blind`` it takes the other's place and of
    the target only its CF is seen.
    """

    user_id: str
    n_history: int
    target_row: int  # the item's row, or -1
    task: str
    prompt: NDArray[np.int32]
    reply: NDArray[np.int32]
    cause: str = ""
    blind_prompt: NDArray[np.int32] | None = None
    blind: bool = False

    def seen_by_cf(self) -> Example:
        """The same exercise with the target's content and listing withheld, where there is a target."""
        if self.blind_prompt is None:
            return self
        return replace(self, prompt=self.blind_prompt, blind=True)

    @property
    def n_soft(self) -> int:
        """How many soft rows stand before the prompt."""
        return self.n_history + (self.target_row >= 0)

    def __len__(self) -> int:
        return 1 + self.n_soft + len(self.prompt) + len(self.reply)


@dataclass(frozen=True)
class Shelf:
    """A store with the rows that training needs."""

    store: Store
    histories: Mapping[str, list[Interaction]]  # user -> what may be learned from, oldest first
    purchase_content: Mapping[str, NDArray[np.float16]]  # user -> (n, 384), a row a purchase of `histories`
    item_content: NDArray[np.float32]  # (n_items, 384)
    item_cf: NDArray[np.float32]  # (n_items, 128), already divided by the mean norm
    words: list[NDArray[np.int64]] = field(default_factory=list)  # per item: tokens that tell of it

    def of(self, users: Iterable[str]) -> Shelf:
        """The same shelf for these users only."""
        return replace(self, histories={user_id: self.histories[user_id] for user_id in users})

    def items(self, user_id: str) -> list[Item]:
        """What the user bought, oldest first."""
        return [self.store.items[purchase.item_id] for purchase in self.histories[user_id]]

    def rows(self, example: Example) -> NDArray[np.float32]:
        """Fused rows (n_soft, 512) of the example's history, then its target."""
        items = self._item_rows(example)
        content = self.purchase_content[example.user_id][: example.n_history].astype(np.float32)
        if example.target_row >= 0:
            seen = self.item_content[example.target_row][None]
            content = np.concatenate([content, np.zeros_like(seen) if example.blind else seen])
        return np.concatenate([self.item_cf[items], content], axis=1)

    def row_words(self, example: Example) -> list[NDArray[np.int64]]:
        """For each soft row the ids of the tokens it should tell of (n_words,): its item's words."""
        return [self.words[i] for i in self._item_rows(example)]

    def _item_rows(self, example: Example) -> list[int]:
        history = self.histories[example.user_id][: example.n_history]
        rows = [self.store.item_index[purchase.item_id] for purchase in history]
        return [*rows, example.target_row] if example.target_row >= 0 else rows


def narrative_examples(
    shelf: Shelf,
    tokenizer: PromptTokenizer,
    narratives: Iterable[Narrative],
    *,
    quoting: bool = True,
) -> list[Example]:
    """One example a narrative of the shelf's users; those of more than 50 purchases are left out.

    ``quoting``: where the tokenizer has slots, listings are quoted by them.
    """
    examples = []
    words = StoreWords.of(shelf.store.items.values())
    for narrative in narratives:
        if narrative.user_id not in shelf.histories or narrative.n_history > MAX_HISTORY:
            continue
        target = shelf.store.items[narrative.target_id] if narrative.target_id else None
        if (target is None) == (narrative.task in TARGET_TASKS):
            continue
        history = shelf.histories[narrative.user_id][: narrative.n_history]
        evidence = Evidence.of(history, shelf.store.items, narrative.task, target, words)
        quoted = evidence if quoting else evidence.unlisted()
        blind = tokenizer.ask(narrative.task, {}, Tally.of(replace(quoted, target=None)).note())
        examples.append(
            Example(
                user_id=narrative.user_id,
                n_history=narrative.n_history,
                target_row=shelf.store.item_index[target.item_id] if target else -1,
                task=narrative.task,
                prompt=question(tokenizer, evidence),
                reply=np.asarray(tokenizer.reply(narrative.text, quoted), np.int32),
                cause=narrative.cause,
                blind_prompt=np.asarray(blind, np.int32) if target else None,
            )
        )
    return examples


def reading_examples(shelf: Shelf, tokenizer: PromptTokenizer, rng: random.Random) -> Iterator[Example]:
    """Endless reading practice: name each purchase in turn, or describe one of them."""
    users = list(shelf.histories)
    while True:
        user_id = rng.choice(users)
        history, items = shelf.histories[user_id], shelf.items(user_id)
        n_history = rng.randint(1, len(history)) if rng.random() < 0.5 else len(history)
        if rng.random() < 0.4:
            start = rng.randrange(max(1, n_history - MAX_LISTED + 1))
            listed = items[start : min(n_history, start + MAX_LISTED)]
            named = [f"[{k}] {noun_of(item)}" for k, item in enumerate(listed, start=start + 1)]
            prompt = tokenizer.exercise(LIST, start + 1)
            reply = " ".join(named)
        else:
            k = rng.randrange(n_history)
            prompt = tokenizer.exercise(DESCRIBE, k + 1)
            reply = f"[{k + 1}] {description(items[k], history[k])}"
        yield Example(
            user_id, n_history, -1, "reading", np.asarray(prompt, np.int32),
            np.asarray([*tokenizer.encode(reply), tokenizer.eos_id], np.int32),
        )  # fmt: skip


def description(item: Item, interaction: Interaction) -> str:
    """What is to be read off one soft token, from the noun to how the buyer liked it."""
    parts = [noun_of(item)]
    if not item.kind:
        parts.append(" ".join(item.title.split()[:14]))
    if item.brand:
        parts.append(item.brand)
    parts += [value for value in item.attributes.values() if value][:3]
    if item.features:
        parts.append(item.features[0])
    if interaction.rating is not None and interaction.review:
        parts.append(_STARS[round(interaction.rating)])
    return "; ".join(parts)
