"""What the narrator is asked: the task, and the facts of the product it is to speak of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from crs.narrator.quotes import quotable
from knowledge.types import Item, Task


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


def tally(history: Sequence[Item]) -> str:
    """How much was bought, in words for the prompt: what soft tokens are poor at is told outright."""
    departments = {item.department for item in history if item.department}
    told = f"{len(history)} purchases"
    return f"{told} in {len(departments)} departments" if departments else told


def question(
    tokenizer: PromptTokenizer, task: Task, target: Item | None, note: str = ""
) -> NDArray[np.int32]:
    """The token ids after the soft rows: the task, ``note``, and what the target's listing says."""
    listing = {} if target is None else quotable(target)
    return np.asarray(tokenizer.ask(task, listing, note), dtype=np.int32)
