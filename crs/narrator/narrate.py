"""A narrative, sentence by sentence: soft tokens and a task in, checked text with citations out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crs.adapter import SoftTokens
from crs.fusion import FUSED_DIM
from crs.narrator.gate import POINTER, position_of, resolver, without_dangling, wrong_nouns, wrong_prices
from crs.narrator.language_model import LanguageModel, Segment
from crs.narrator.prompt import PromptTokenizer, question
from crs.narrator.sampling import Sampling
from knowledge.errors import ModelError
from knowledge.types import MAX_HISTORY, TARGET_TASKS, Item, Task

# About twice the longest reference of each task, in tokens: a limit that a sound narrative never meets.
MAX_TOKENS: dict[Task, int] = {
    "purchase_reason": 80,
    "purchase_reason_explanation": 180,
    "user_summary_brief": 160,
    "user_summary_long": 380,
    "user_profile": 32,
    "product_endorsement": 320,
}
TRIES = 4  # how often a sentence is sampled before the narrative ends without it
_QUOTES = "\"”’'"  # a sentence may close with one after its full stop


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text, or (``cite`` given) a pointer: 1..n to a purchase, 0 to the target."""

    text: str
    cite: int | None = None


@dataclass(frozen=True, slots=True)
class Narrated:
    """A finished narrative. ``text`` names products by pointers; times are in milliseconds.

    ``cut``: the length limit ended it; half a sentence at its end is left out, unless it is all there is.
    """

    text: str
    cites: tuple[int, ...]
    sentences_rejected: int
    n_soft: int
    first_token_ms: float
    first_sentence_ms: float
    tokens: int
    stopped: bool
    cut: bool = False


class NarrationStream:
    """Iterate over it for the pieces as they are ready; ``result`` is there once it is exhausted."""

    def __init__(self, pieces: Iterator[Piece], result: list[Narrated]) -> None:
        self._pieces = pieces
        self._result = result

    def __iter__(self) -> Iterator[Piece]:
        return self._pieces

    @property
    def result(self) -> Narrated:
        """What was said; ModelError while the stream has not ended."""
        if not self._result:
            raise ModelError("the narrative is not finished; read the stream to its end first")
        return self._result[0]


class Narrator:
    """The trained narrator: a language model, the adapter in front of it and their vocabulary."""

    def __init__(
        self,
        language_model: LanguageModel,
        tokenizer: PromptTokenizer,
        soft_tokens: SoftTokens,
        sampling: Sampling | None = None,
        *,
        gated: bool = True,
    ) -> None:
        if soft_tokens.llm_dim != language_model.embedding_dim:
            raise ModelError(
                f"the adapter makes soft tokens of {soft_tokens.llm_dim} dimensions, the language model "
                f"{language_model.name} reads {language_model.embedding_dim}; they belong to two narrators"
            )
        self._gated = gated
        self._language_model = language_model
        self._tokenizer = tokenizer
        self._soft_tokens = soft_tokens
        self._sampling = replace(
            sampling or Sampling(temperature=0.7, top_p=0.92, repeat_penalty=1.05),
            penalty_exempt=tokenizer.pointer_ids,
        )

    def narrate(
        self,
        rows: NDArray[np.float32],
        task: Task,
        *,
        history: Sequence[Item],
        target: Item | None = None,
        seed: int = 0,
        stop: threading.Event | None = None,
    ) -> NarrationStream:
        """Stream a narrative.

        ``rows``: fused rows (n_soft, 512) of ``history`` (oldest first, at most 50) and then, for a task
        about a target, of the target. Raises ModelError when they do not fit together.
        """
        if (target is None) == (task in TARGET_TASKS):
            raise ModelError(f"{task}: it {'needs a' if target is None else 'has no'} target product")
        n_soft = len(history) + (target is not None)
        if rows.shape != (n_soft, FUSED_DIM) or len(history) > MAX_HISTORY:
            raise ModelError(
                f"{task}: rows {rows.shape} do not fit {len(history)} purchases (at most {MAX_HISTORY}); "
                f"they must be ({n_soft}, {FUSED_DIM})"
            )
        result: list[Narrated] = []
        return NarrationStream(self._stream(rows, task, list(history), target, seed, stop, result), result)

    def prompt(
        self, rows: NDArray[np.float32], task: Task, n_history: int, target: Item | None
    ) -> list[Segment]:
        """``[head][soft rows][question]`` as the language model takes it."""
        positions = np.asarray([*range(1, n_history + 1), *([0] if target else [])], dtype=np.int64)
        return [
            self._tokenizer.head,
            self._soft_tokens(rows, positions),
            question(self._tokenizer, task, target),
        ]

    def _stream(
        self,
        rows: NDArray[np.float32],
        task: Task,
        history: list[Item],
        target: Item | None,
        seed: int,
        stop: threading.Event | None,
        result: list[Narrated],
    ) -> Iterator[Piece]:
        def stopping() -> bool:
            return stop is not None and stop.is_set()

        started = time.perf_counter()
        tokenizer, item_of = self._tokenizer, resolver(history, target)
        prompt = self.prompt(rows, task, len(history), target)
        banned = tokenizer.banned(len(history), target=target is not None)
        banned = frozenset(token_id for token_id in banned if token_id < self._language_model.n_vocab)
        room = self._language_model.context_length - sum(len(segment) for segment in prompt) - 1
        limit = min(MAX_TOKENS[task], room)
        said: list[int] = []
        told = ""
        n_rejected = tries = 0
        first_token_ms = first_sentence_ms = 0.0
        ended = cut = False
        while not ended and len(said) < limit:
            sampling = replace(self._sampling, seed=seed + 7919 * n_rejected, max_tokens=limit - len(said))
            drawn = self._language_model.generate(
                [*prompt, np.asarray(said, dtype=np.int32)], sampling, banned=banned, stop=stop
            )
            rejected = False
            for sentence, is_whole in self._sentences(drawn, sampling.max_tokens, started, stopping):
                first_token_ms = first_token_ms or sentence.first_token_ms
                text = tokenizer.decode([*said, *sentence.ids])[len(tokenizer.decode(said)) :]
                is_last_try = tries + 1 >= TRIES
                is_wrong = (
                    self._gated
                    and is_whole
                    and bool(wrong_nouns(text, item_of) or wrong_prices(text, target))
                )
                if is_wrong and not (is_last_try and not said):
                    n_rejected, tries, rejected = n_rejected + 1, tries + 1, True
                    ended = is_last_try
                    break
                cut = not is_whole and not stopping()
                if not is_whole and (said or stopping()):
                    break  # end well, without half a sentence
                tries = 0
                first_sentence_ms = first_sentence_ms or (time.perf_counter() - started) * 1e3
                if self._gated:
                    text = without_dangling(text, item_of)
                text = text if told else text.lstrip()
                yield from _pieces(text)
                told += text
                said += sentence.ids
            drawn.close()
            ended = ended or not rejected or stopping()
        result.append(
            Narrated(
                text=told,
                cites=tuple(position_of(pointer) for pointer in POINTER.findall(told)),
                sentences_rejected=n_rejected,
                n_soft=len(rows),
                first_token_ms=round(first_token_ms, 1),
                first_sentence_ms=round(first_sentence_ms, 1),
                tokens=len(said),
                stopped=stopping(),
                cut=cut or len(said) >= limit,
            )
        )

    def _sentences(
        self, drawn: Iterator[int], max_tokens: int, started: float, stopping: Callable[[], bool]
    ) -> Iterator[tuple[_Sentence, bool]]:
        """Group tokens into sentences; the flag is False for one that the limit or a stop broke off."""
        ids: list[int] = []
        first_token_ms = 0.0
        n_drawn = 0
        for token_id in drawn:
            n_drawn += 1
            first_token_ms = first_token_ms or (time.perf_counter() - started) * 1e3
            if ids and self._is_closed(ids) and self._opens_word(token_id):
                yield _Sentence(ids, first_token_ms), True
                ids = []
            ids.append(token_id)
        if ids:
            broken_off = n_drawn >= max_tokens or stopping()
            yield _Sentence(ids, first_token_ms), not broken_off or self._is_closed(ids)

    def _is_closed(self, ids: list[int]) -> bool:
        # A closing quote may be a token or two of its own.
        return self._tokenizer.decode(ids[-4:]).rstrip(_QUOTES).endswith((".", "!", "?"))

    def _opens_word(self, token_id: int) -> bool:
        # A full stop inside a number ("$34.99") is followed by a token without a space.
        return self._tokenizer.decode([token_id]).startswith((" ", "\n", "["))


def _pieces(text: str) -> Iterator[Piece]:
    for part in POINTER.split(text):
        if POINTER.fullmatch(part):
            yield Piece("", position_of(part))
        elif part:
            yield Piece(part)


@dataclass(frozen=True, slots=True)
class _Sentence:
    ids: list[int]
    first_token_ms: float
