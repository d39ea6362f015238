"""What the narrator is asked: the task, and the facts of the product it is to speak of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from crs.narrator.quotes import quotable
from knowledge.types import Item, Task, pointer

_BRACKETS = re.compile(r"[\[\]<>|]")


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

    def ask(self, task: Task, listing: Mapping[str, str], note: str = "") -> list[int]:
        """Ids after the soft rows: the task, what else is known, and the target's listing (slot -> text)."""
        ...

    def exercise(self, kind: str, position: int) -> list[int]:
        """The same for `LIST` or `DESCRIBE` (tokenizer.py) of the ``position``-th purchase, 1..50."""
        ...

    def banned(self, n_history: int, *, target: Item | None) -> frozenset[int]:
        """Ids that no reply may hold, told from ``n_history`` purchases and (no) target."""
        ...

    def reply(self, text: str, target: Item | None) -> list[int]:
        """Ids of ``text`` as it should be learned, its end included: ``target``'s listing quoted by slots."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of a reply's text, the end token left out."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``: pointers as ``[k]``, control tokens left out, a space at the front kept."""
        ...


def tally(history: Sequence[Item], stars: Sequence[float | None] = ()) -> str:
    """What is counted or given by the shopper rather than read, in words: soft tokens are poor at it.

    How much was bought and where, which purchases earned five, four, or at most two stars, and the dearest.
    ``stars``: of each purchase, or nothing.
    """
    told = [f"{len(history)} purchases"]
    departments = Counter(item.department for item in history if item.department)
    if departments:
        told[0] += f" in {len(departments)} departments"
        # A department is a listing's word, and a bracket in it could pass for a pointer.
        told.append(_BRACKETS.sub("", "most of " + ", then ".join(n for n, _ in departments.most_common(2))))
    for word, low, high in (("loved", 5.0, 5.0), ("liked", 4.0, 4.99), ("disliked", 1.0, 2.0)):
        rated = [k for k, given in enumerate(stars, start=1) if given is not None and low <= given <= high]
        if rated:
            told.append(" ".join([word, *map(pointer, rated)]))
    prices = [item.price or 0.0 for item in history]
    if any(prices):
        told.append(f"dearest {pointer(prices.index(max(prices)) + 1)}")
    return "; ".join(told)


def question(
    tokenizer: PromptTokenizer, task: Task, target: Item | None, note: str = ""
) -> NDArray[np.int32]:
    """The token ids after the soft rows: the task, ``note``, and what the target's listing says."""
    listing = {} if target is None else quotable(target)
    return np.asarray(tokenizer.ask(task, listing, note), dtype=np.int32)
