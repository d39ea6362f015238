"""The narrator's own byte-level BPE, in which every pointer and every task is one token."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crs.narrator.evidence import Evidence
from crs.narrator.markup import MARKUP, Markup
from crs.narrator.quotes import FEATURES
from crs.narrator.sampling import Constraints
from crs.narrator.tally import EARLIER, GAINS, LATER, MARKS, PURPOSES, RATING_MARKS, REASON_MARKS, TALLY_SLOTS
from knowledge.errors import ModelError
from knowledge.types import MAX_HISTORY, TARGET_POINTER, TASKS, Task, pointer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BOS, EOS, PAD, SAY = "<bos>", "<eos>", "<pad>", "<say>"
# Two exercises that are only practised in training: naming each purchase, and describing one.
LIST, DESCRIBE = "<|list|>", "<|describe|>"
POINTERS = (*(pointer(k) for k in range(1, MAX_HISTORY + 1)), TARGET_POINTER)
MAX_NOTE_TOKENS = 160
MAX_FACT_TOKENS = 24  # of one fact of a listing
_MIN_WORD = 3  # letters of a word that a profile says once; "a" and "of" may come again
_SMALL_WORDS = frozenset(("and", "of", "with", "in", "an", "a", "the", "for"))  # in a title without a capital
_OPENERS = ("(", "“", '"', "—")
_TITLE_BREAKS = ",:;"
_WORD_MARKS = ("-", "'", "’")  # what holds a word's parts together
_TITLE_WORDS = "title_words.txt"  # beside tokenizer.json, one a line


def task_token(task: str) -> str:
    """The token that asks for ``task``."""
    return f"<|{task}|>"


_CONTROL = (BOS, EOS, PAD, SAY, *(task_token(task) for task in TASKS), LIST, DESCRIBE)


class NarratorTokenizer:
    """A `tokenizers` BPE. Pointers and markup swallow the space before them; ``decode`` gives it back."""

    def __init__(self, tokenizer: Tokenizer, title_words: Iterable[str] = ()) -> None:
        """``title_words``: those that a title is made of; where there are none, any will do."""
        self._tokenizer = tokenizer
        self.title_words = frozenset(title_words)
        self.n_vocab: int = tokenizer.get_vocab_size()
        self.bos_id, self.eos_id, self.pad_id, self.say_id = (self._id(t) for t in (BOS, EOS, PAD, SAY))
        self._pointer_of = {self._id(text): k for k, text in enumerate(POINTERS[:-1], start=1)}
        self.target_id = self._id(TARGET_POINTER)
        self._pointer_of[self.target_id] = 0
        self._id_of = {position: token_id for token_id, position in self._pointer_of.items()}
        self._markup_ids = {text: self._id(text) for text in MARKUP}
        self._spelt = {self._id(text): text for text in (*POINTERS, *MARKUP)}
        self.control_ids = frozenset(self._id(token) for token in _CONTROL)
        self.head = np.asarray([self.bos_id], dtype=np.int32)
        self.pointer_ids = frozenset(self._pointer_of)
        self.repeatable = frozenset(self._spelt)
        self.reason_ids = [self._markup_ids[mark] for mark in REASON_MARKS]
        self.mark_ids = frozenset(self._markup_ids[mark] for mark in MARKS)
        self.pointer_ends = self.pointer_ids - {self.target_id}

    @classmethod
    def load(cls, path: Path) -> NarratorTokenizer:
        """Read a ``tokenizer.json`` and the title words beside it; ModelError when it is missing or not
        ours."""
        from tokenizers import Tokenizer

        words = path.with_name(_TITLE_WORDS)
        try:
            title_words = words.read_text(encoding="utf-8").split() if words.exists() else ()
            return cls(Tokenizer.from_file(str(path)), title_words)
        except Exception as exc:  # the library raises a bare Exception for every fault
            raise ModelError(f"{path}: not a narrator's tokenizer ({exc}); train the narrator again") from exc

    @classmethod
    def train(cls, texts: Iterable[str], n_vocab: int = 8192) -> NarratorTokenizer:
        """Learn a vocabulary of ``n_vocab`` (pointers, markup and controls included) from ``texts``."""
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        n_added = len(_CONTROL) + len(POINTERS) + len(MARKUP)
        trainer = trainers.BpeTrainer(
            vocab_size=n_vocab - n_added,
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
        tokenizer.train_from_iterator(texts, trainer)
        tokenizer.add_special_tokens([AddedToken(token, special=True) for token in _CONTROL])
        tokenizer.add_tokens(
            [AddedToken(token, lstrip=True, normalized=False) for token in (*POINTERS, *MARKUP)]
        )
        return cls(tokenizer)

    @classmethod
    def widened(cls, path: Path) -> NarratorTokenizer:
        """The tokenizer at ``path`` with all of today's markup: what it lacks comes after its last token."""
        from tokenizers import AddedToken, Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as exc:  # the library raises a bare Exception for every fault
            raise ModelError(f"{path}: not a narrator's tokenizer ({exc}); name a narrator's folder") from exc
        tokenizer.add_tokens([AddedToken(token, lstrip=True, normalized=False) for token in MARKUP])
        return cls(tokenizer)

    def save(self, path: Path) -> None:
        """Write ``tokenizer.json``, and the title words beside it."""
        self._tokenizer.save(str(path))
        if self.title_words:
            words = "".join(f"{word}\n" for word in sorted(self.title_words))
            path.with_name(_TITLE_WORDS).write_text(words, encoding="utf-8")

    def with_titles(self, replies: Iterable[Sequence[int]]) -> NarratorTokenizer:
        """The same tokenizer for titles of the words of these (token ids) only.

        A title is drawn evenly: now and then its word is pieced together to one that is none.
        """
        words = (word.strip(_TITLE_BREAKS) for ids in replies for word in self.decode(ids).split())
        return NarratorTokenizer(self._tokenizer, (word for word in words if word and "[" not in word))

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``; no control token is added."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``, control tokens left out; pointers (``[k]``) and markup after a space."""
        text, run = "", []
        for token_id in ids:
            spelt = self._spelt.get(token_id)
            if spelt is None:
                if token_id not in self.control_ids:
                    run.append(token_id)
                continue
            text += self._tokenizer.decode(run)
            run = []
            # The space that it swallowed.
            text += "" if not text or text.endswith((" ", *_OPENERS)) else " "
            text += spelt
        return text + str(self._tokenizer.decode(run))

    def ask(self, task: Task, listing: Mapping[str, str], note: str = "") -> list[int]:
        """The token ids after the soft rows: task, note, each fact behind its slot, and the word to speak."""
        ids = [self.task_id(task), *self._note(note)[:MAX_NOTE_TOKENS]]
        for slot, fact in listing.items():
            ids += [self._markup_ids[slot], *self._plain(" " + fact)[:MAX_FACT_TOKENS]]
        return [*ids, self.say_id]

    def _note(self, note: str) -> list[int]:
        return [i for i in self.encode(note) if i not in self.control_ids]

    def _plain(self, text: str) -> list[int]:
        # A listing may spell out "[3]" or a control token; in a prompt it would be one.
        return [i for i in self.encode(text) if i not in self._spelt and i not in self.control_ids]

    def reply(self, text: str, evidence: Evidence) -> list[int]:
        """Ids of a reply with its end token, as `Markup.write` writes it."""
        return [*self.encode(Markup(evidence).write(text)), self.eos_id]

    def exercise(self, kind: str, position: int) -> list[int]:
        """The same for an exercise, `LIST` or `DESCRIBE`, on the ``position``-th purchase."""
        return [self._id(kind), self.pointer_id(position), self.say_id]

    def constraints(self, evidence: Evidence) -> Constraints:
        """No control tokens, nothing that stands for nothing or is no reason; behind a mark only what it is
        true of, behind a purchase's pointer only what it is called, behind a department's goods only its own.

        A purchase or a slot of the tally comes once a sentence; a feature of the target, what it is good
        for, or a word of a profile, once a text; a purchase again only after all others.
        """
        markup, n_history = Markup(evidence), len(evidence.items)
        somewhere = [position for position in range(1, n_history + 1) if _may_be_named(position, evidence)]
        pointers = frozenset(map(self.pointer_id, somewhere))
        nowhere = self.pointer_ids - pointers - ({self.target_id} if evidence.target else set())
        after = {
            self._markup_ids[mark]: frozenset(map(self.pointer_id, positions)) - nowhere
            for mark, positions in markup.tally.marks.items()
        }
        empty = {token_id for text, token_id in self._markup_ids.items() if text not in markup.sayable}
        empty |= {mark for mark, following in after.items() if not following}
        constraints = Constraints(
            banned=(self.control_ids | nowhere | empty) - {self.eos_id},
            after={mark: following for mark, following in after.items() if following},
            phrases={
                self._markup_ids[mark]: frozenset(map(self._going_on, phrases))
                for mark, phrases in markup.tally.phrases.items()
            }
            | {
                self.pointer_id(position): frozenset(map(self._going_on, names))
                for position in somewhere  # the target's noun is a slot
                if (names := evidence.names_at(position))
            },
            joins=self._joins,
            once=self.pointer_ends | {self._markup_ids[slot] for slot in TALLY_SLOTS},
            stops=self._stops,
            bars={(i := self._markup_ids[slot]): frozenset({i}) for slot in (*FEATURES, *PURPOSES, *GAINS)},
            in_turn=pointers,
            order=tuple(map(self.pointer_id, range(1, n_history + 1))),
            in_time={self._markup_ids[EARLIER]: -1, self._markup_ids[LATER]: 1},
            within={
                self._markup_ids[goods]: frozenset(map(self.pointer_id, positions))
                for goods, positions in markup.tally.sold.items()
            },
        )
        if evidence.task != "user_profile":
            return constraints
        return self._titled(
            constraints, frozenset(self._markup_ids[text] for text in (*TALLY_SLOTS, *RATING_MARKS)) - empty
        )

    @functools.cache  # noqa: B019 - a store's phrases are some thousand at most, the tokenizer lives with it
    def _going_on(self, phrase: str) -> tuple[int, ...]:
        return tuple(self.encode(" " + phrase))

    @functools.cached_property
    def _texts(self) -> list[str]:
        """What each token spells, a space at its front kept."""
        return [self._tokenizer.decode([i]) for i in range(self.n_vocab)]

    @functools.cached_property
    def _same_words(self) -> dict[int, frozenset[int]]:
        """The tokens that begin a word of a title -> all that spell the same, with a space and without."""
        spelt: dict[str, set[int]] = {}
        for i, word in enumerate(map(str.strip, self._texts)):
            if len(word) >= _MIN_WORD and word[0].isupper() and i not in self._spelt:
                spelt.setdefault(word, set()).add(i)
        return {i: frozenset(ids) for ids in spelt.values() for i in ids}

    def _titled(self, constraints: Constraints, slots: frozenset[int]) -> Constraints:
        """``constraints`` of a title, in which every word has a capital but for some small ones.

        ``slots``: markup that stands for words, or before some.
        """
        texts = list(enumerate(self._texts))
        capitals = frozenset(i for i, text in texts if text[:1] == " " and text[1:2].isupper())
        begins = frozenset(i for i, text in texts if text[:1].isupper())
        small = {i for i, text in texts if text.strip() in _SMALL_WORDS and text[:1] == " "}
        lower = {i for i, text in texts if text[:1] == " " and text[1:2].islower()}
        breaks = [self.encode(mark)[-1] for mark in _TITLE_BREAKS]
        words, joins, strange = self._title_phrases, constraints.joins, frozenset[int]()
        if words:
            strange = capitals - words.keys()
            begins &= words.keys()
            joins |= self._word_marks
        return replace(
            constraints,
            banned=constraints.banned | (lower - small) | strange,
            after={
                **constraints.after,
                **dict.fromkeys((*small, *breaks), slots | small | capitals - strange),
            },
            phrases={**constraints.phrases, **words},
            joins=joins,
            begins=slots | begins,
            bars={**constraints.bars, **self._same_words},
        )

    @functools.cached_property
    def _title_phrases(self) -> dict[int, frozenset[tuple[int, ...]]]:
        """The first token of each word that titles are made of -> what such words go on with."""
        found: dict[int, set[tuple[int, ...]]] = {}
        for word in self.title_words:
            for first, *more in (self.encode(word), self.encode(" " + word)):
                if word[:1].isupper():
                    found.setdefault(first, set()).add(tuple(more))
        return {first: frozenset(going_on) for first, going_on in found.items()}

    @functools.cached_property
    def _joins(self) -> frozenset[int]:
        """Tokens that go on with a word: they begin with a letter and no space."""
        return frozenset(
            i for i, text in enumerate(self._texts) if text[:1].isalpha() and i not in self._spelt
        )

    @functools.cached_property
    def _word_marks(self) -> frozenset[int]:
        """Tokens that go on with a word of several parts."""
        return frozenset(i for i, text in enumerate(self._texts) if text.startswith(_WORD_MARKS))

    @functools.cached_property
    def _stops(self) -> frozenset[int]:
        """Tokens that a sentence ends with."""
        ends = (".", "!", "?")
        return frozenset(i for i, text in enumerate(self._texts) if text.rstrip("\"”’'").endswith(ends))

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


def _may_be_named(position: int, evidence: Evidence) -> bool:
    """A title names no purchase, a reason only those that have to do with the target."""
    if evidence.task == "purchase_reason":
        return evidence.has_to_do_with_target(position)
    return evidence.task != "user_profile"
