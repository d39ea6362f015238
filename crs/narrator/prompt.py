"""What the narrator is asked: the task, and the facts of the product it is to speak of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from knowledge.types import Item, Task

_TITLE_ENDS = re.compile(
    r"\s*(?:[,(\[|/;:]|\s[-–—]\s|\bfor\b|\bwith\b|\bby\b|\bpack of\b).*", re.IGNORECASE | re.DOTALL
)
_WORD = re.compile(r"[A-Za-z][A-Za-z'’-]+")


class PromptTokenizer(Protocol):
    """A tokenizer that also knows how its language model is asked: ``[head][soft rows][question][reply]``.

    To `NarratorTokenizer` (tokenizer.py) a pointer is one token, so those that point nowhere can be
    banned; `ForeignTokenizer` (foreign.py) spells pointers out.
    """

    head: NDArray[np.int32]  # ids before the soft rows
    eos_id: int
    pad_id: int
    pointer_ids: frozenset[int]  # tokens that pointers are made of
    pointer_ends: frozenset[int]  # tokens that complete a purchase's pointer

    def ask(self, task: Task, facts: str | None) -> list[int]:
        """Ids after the soft rows: the task, and what may be said of its target."""
        ...

    def exercise(self, kind: str, position: int) -> list[int]:
        """The same for `LIST` or `DESCRIBE` (tokenizer.py) of the ``position``-th purchase, 1..50."""
        ...

    def banned(self, n_history: int, *, target: bool) -> frozenset[int]:
        """Ids that no reply may hold, told from ``n_history`` purchases and (no) target."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of a reply's text, the end token left out."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``: pointers as ``[k]``, control tokens left out, a space at the front kept."""
        ...


def noun_of(item: Item) -> str:
    """What kind of thing the item is, lower case: its ``kind``, else the last word of its title's head.

    "Two-Pocket Folders, Green, Pack of 25" -> "folders". Falls back to "product".
    """
    if item.kind:
        return item.kind.lower()
    words = _WORD.findall(_TITLE_ENDS.sub("", item.title)) or _WORD.findall(item.title)
    return words[-1].lower() if words else "product"


def facts(item: Item) -> str:
    """One line of what may be said of a product: noun, brand, attributes, price in dollars, features."""
    parts = [noun_of(item)]
    if not item.kind:
        parts.append(" ".join(item.title.split()[:14]))
    if item.brand:
        parts.append(item.brand)
    parts += [value for value in item.attributes.values() if value][:4]
    if item.price is not None:
        parts.append(f"${item.price:.2f}")
    parts += list(item.features[:3])
    return "; ".join(parts)


def question(tokenizer: PromptTokenizer, task: Task, target: Item | None) -> NDArray[np.int32]:
    """The token ids after the soft rows: the task, and the target's facts if there is one."""
    return np.asarray(tokenizer.ask(task, None if target is None else facts(target)), dtype=np.int32)
