"""The narrator's own byte-level BPE, in which every pointer and every task is one token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from knowledge.errors import ModelError
from knowledge.types import MAX_HISTORY, TARGET_POINTER, TASKS, Task, pointer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BOS, EOS, PAD, SAY = "<bos>", "<eos>", "<pad>", "<say>"
# Two exercises that are only practised in training: naming each purchase, and describing one.
LIST, DESCRIBE = "<|list|>", "<|describe|>"
POINTERS = (*(pointer(k) for k in range(1, MAX_HISTORY + 1)), TARGET_POINTER)
MAX_FACT_TOKENS = 80
_OPENERS = ("(", "“", '"', "—")


def task_token(task: str) -> str:
    """The token that asks for ``task``."""
    return f"<|{task}|>"


_CONTROL = (BOS, EOS, PAD, SAY, *(task_token(task) for task in TASKS), LIST, DESCRIBE)


class NarratorTokenizer:
    """Wraps a `tokenizers` BPE. A pointer swallows the space before it; ``decode`` gives it back."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.n_vocab: int = tokenizer.get_vocab_size()
        self.bos_id, self.eos_id, self.pad_id, self.say_id = (self._id(t) for t in (BOS, EOS, PAD, SAY))
        self._pointer_of = {self._id(text): k for k, text in enumerate(POINTERS[:-1], start=1)}
        self.target_id = self._id(TARGET_POINTER)
        self._pointer_of[self.target_id] = 0
        self._id_of = {position: token_id for token_id, position in self._pointer_of.items()}
        self.control_ids = frozenset(self._id(token) for token in _CONTROL)
        self.head = np.asarray([self.bos_id], dtype=np.int32)
        self.pointer_ids = frozenset(self._pointer_of)
        self.pointer_ends = self.pointer_ids - {self.target_id}

    @classmethod
    def load(cls, path: Path) -> NarratorTokenizer:
        """Read a ``tokenizer.json``; ModelError when it is missing or not ours."""
        from tokenizers import Tokenizer

        try:
            return cls(Tokenizer.from_file(str(path)))
        except Exception as exc:  # the library raises a bare Exception for every fault
            raise ModelError(f"{path}: not a narrator's tokenizer ({exc}); train the narrator again") from exc

    @classmethod
    def train(cls, texts: Iterable[str], n_vocab: int = 8192) -> NarratorTokenizer:
        """Learn a vocabulary of ``n_vocab`` (pointers, tasks and controls included) from ``texts``."""
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        n_added = len(_CONTROL) + len(POINTERS)
        trainer = trainers.BpeTrainer(
            vocab_size=n_vocab - n_added,
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
        tokenizer.train_from_iterator(texts, trainer)
        tokenizer.add_special_tokens([AddedToken(token, special=True) for token in _CONTROL])
        tokenizer.add_tokens([AddedToken(token, lstrip=True, normalized=False) for token in POINTERS])
        return cls(tokenizer)

    def save(self, path: Path) -> None:
        """Write ``tokenizer.json``."""
        self._tokenizer.save(str(path))

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``; no control token is added."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``, control tokens left out, each pointer as ``[k]`` after a space."""
        text, run = "", []
        for token_id in ids:
            position = self._pointer_of.get(token_id)
            if position is None:
                if token_id not in self.control_ids:
                    run.append(token_id)
                continue
            text += self._tokenizer.decode(run)
            run = []
            # The space that the pointer swallowed.
            text += "" if not text or text.endswith((" ", *_OPENERS)) else " "
            text += POINTERS[position - 1]
        return text + str(self._tokenizer.decode(run))

    def ask(self, task: Task, facts: str | None) -> list[int]:
        """The token ids after the soft rows: task, facts if any, and the word to speak."""
        # A listing may spell out "[3]" or a control token; in a prompt it would be one.
        special = self.pointer_ids | self.control_ids
        words = [token_id for token_id in self.encode(facts or "") if token_id not in special]
        return [self.task_id(task), *words[:MAX_FACT_TOKENS], self.say_id]

    def exercise(self, kind: str, position: int) -> list[int]:
        """The same for an exercise, `LIST` or `DESCRIBE`, on the ``position``-th purchase."""
        return [self._id(kind), self.pointer_id(position), self.say_id]

    def banned(self, n_history: int, *, target: bool) -> frozenset[int]:
        """Control tokens, and pointers that point nowhere given ``n_history`` purchases and (no) target."""
        nowhere = {
            token_id
            for token_id, position in self._pointer_of.items()
            if position > n_history or (position == 0 and not target)
        }
        return (self.control_ids | nowhere) - {self.eos_id}

    def pointer_id(self, position: int) -> int:
        """The token of the ``position``-th purchase (1..50), or of the target (0)."""
        return self._id_of[position]

    def task_id(self, task: Task) -> int:
        """The token that asks for ``task``."""
        return self._id(task_token(task))

    def _id(self, token: str) -> int:
        token_id = self._tokenizer.token_to_id(token)
        if token_id is None:
            raise ModelError(f"the token {token} is missing")
        return int(token_id)
