"""What the narrator is asked: the task, and the facts of the product it is to speak of."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from crs.narrator.tokenizer import NarratorTokenizer
from knowledge.types import Item, Task

MAX_FACT_TOKENS = 80
_TITLE_ENDS = re.compile(
    r"\s*(?:[,(\[|/;:]|\s[-–—]\s|\bfor\b|\bwith\b|\bby\b|\bpack of\b).*", re.IGNORECASE | re.DOTALL
)
_WORD = re.compile(r"[A-Za-z][A-Za-z'’-]+")


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


def question(tokenizer: NarratorTokenizer, task: Task, target: Item | None) -> NDArray[np.int32]:
    """The token ids after the soft rows: task, the target's facts if any, and the word to speak."""
    ids = [tokenizer.task_id(task)]
    if target is not None:
        # A listing may spell out "[3]" or a control token; in a prompt it would be one.
        words = [i for i in tokenizer.encode(facts(target)) if tokenizer.is_plain(i)]
        ids += words[:MAX_FACT_TOKENS]
    return np.asarray([*ids, tokenizer.say_id], dtype=np.int32)
