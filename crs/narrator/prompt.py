"""What the narrator is asked: the task, and the facts of the product it is to speak of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from crs.narrator.evidence import Evidence
from crs.narrator.language_model import Segment
from crs.narrator.quotes import quotable
from crs.narrator.sampling import Constraints
from crs.narrator.tally import Tally
from knowledge.types import Task


class HistoryReader(Protocol):
    """How purchases get into a prompt: as soft rows (`SoftTokens`), or as text (`TextHistory`)."""

    @property
    def llm_dim(self) -> int | None:
        """Width of the soft rows that it makes; None where it makes none."""
        ...

    def segments(self, rows: NDArray[np.float32], evidence: Evidence, n_free: int) -> list[Segment]:
        """The purchases of ``evidence``, for text in at most ``n_free`` positions.

        ``rows``: fused rows (n, 512) of the purchases, then of the target, if there is one.
        """
        ...


class PromptTokenizer(Protocol):
    """A tokenizer that also knows how its language model is asked: ``[head][history][question][reply]``.

    To `NarratorTokenizer` (tokenizer.py) a pointer is one token, so those that point nowhere can be
    banned; `ForeignTokenizer` (foreign.py) spells pointers out.
    """

    head: NDArray[np.int32]  # ids before the purchases
    eos_id: int
    pad_id: int
    repeatable: frozenset[int]  # tokens that no penalty keeps from being said again
    pointer_ends: frozenset[int]  # tokens that complete a purchase's pointer

    def ask(self, task: Task, listing: Mapping[str, str], note: str = "") -> list[int]:
        """Ids after the purchases: the task, what else is known, and the target's listing (slot -> text)."""
        ...

    def exercise(self, kind: str, position: int) -> list[int]:
        """The same for `LIST` or `DESCRIBE` (tokenizer.py) of the ``position``-th purchase, 1..50."""
        ...

    def constraints(self, evidence: Evidence) -> Constraints:
        """What no reply that is told with ``evidence`` may hold."""
        ...

    def reply(self, text: str, evidence: Evidence) -> list[int]:
        """Ids of ``text`` as it should be learned, its end included."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of a reply's text, the end token left out."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``: pointers as ``[k]``, control tokens left out, a space at the front kept."""
        ...


def question(tokenizer: PromptTokenizer, evidence: Evidence) -> NDArray[np.int32]:
    """The token ids (n,) after the purchases: the task, the tally, and what the target's listing says."""
    listing = {} if evidence.target is None else quotable(evidence.target)
    return np.asarray(tokenizer.ask(evidence.task, listing, Tally.of(evidence).note()), dtype=np.int32)
