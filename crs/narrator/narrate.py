"""A narrative, sentence by sentence: purchases and a task in, checked text with citations out."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from crs.fusion import FUSED_DIM
from crs.narrator.claims import ClaimKind
from crs.narrator.evidence import Evidence, StoreWords
from crs.narrator.gate import POINTER, check, is_finished, loops, position_of
from crs.narrator.language_model import ANYONE, Caller, LanguageModel, Segment
from crs.narrator.markup import Markup
from crs.narrator.plain import plain_statement
from crs.narrator.prompt import HistoryReader, PromptTokenizer, question
from crs.narrator.sampling import Constraints, Sampling
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
TRIES = 6  # how often a sentence is sampled before the narrative ends without it
FIRST_TRIES = 12  # and the first, without which there would be no narrative
_QUESTION_TOKENS = 256  # more than most questions take
# A title is four words, and many are to be told apart: drawn more evenly, of fewer words.
_WARMER: dict[Task, float] = {"user_profile": 1.7}
_NARROWER: dict[Task, float] = {"user_profile": 0.87}
_SUMMARIES: frozenset[Task] = frozenset({"user_summary_brief", "user_summary_long"})
_LEADING_NOWHERE: frozenset[ClaimKind] = frozenset({"loop", "pointer"})  # begun alike they would again
_CALMER = 0.5  # every other try is drawn at this share of the temperature: the likeliest may be right
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
    ``is_plain``: nothing that was drawn held, a plain statement stands in (plain.py). Every sentence drawn is
    checked, gated or not: ``claims_checked`` counts its claims by kind as (right, wrong),
    ``sentences_wrong`` those with a wrong one; ``rejected`` counts, by kind of fault, what the gate kept
    back. ``gate_ms``: what the gate cost, checking and drawing sentences that were kept back.
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
    is_plain: bool = False
    sentences_drawn: int = 0
    sentences_wrong: int = 0
    rejected: Mapping[ClaimKind, int] = field(default_factory=dict)
    claims_checked: Mapping[ClaimKind, tuple[int, int]] = field(default_factory=dict)
    gate_ms: float = 0.0


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
    """A language model, how it reads purchases (an adapter in front of it, or text) and its vocabulary."""

    def __init__(
        self,
        language_model: LanguageModel,
        tokenizer: PromptTokenizer,
        history: HistoryReader,
        sampling: Sampling | None = None,
        *,
        words: StoreWords | None = None,
        gated: bool = True,
    ) -> None:
        """``words``: the store's, by which the gate knows a brand, a color or a feature when it reads one.

        Without the gate (``gated`` False) every sentence is shown; claims are checked and counted all the
        same. Raises ModelError when adapter and language model belong to two narrators.
        """
        if history.llm_dim not in (None, language_model.embedding_dim):
            raise ModelError(
                f"the adapter makes soft tokens of {history.llm_dim} dimensions, the language model "
                f"{language_model.name} reads {language_model.embedding_dim}; they belong to two narrators"
            )
        self._gated = gated
        self._words = words or StoreWords()
        self._language_model = language_model
        self._tokenizer = tokenizer
        self._history = history
        self._sampling = replace(
            sampling or Sampling(temperature=0.6, top_p=0.92, repeat_penalty=1.05),
            penalty_exempt=tokenizer.repeatable,
        )

    def narrate(
        self,
        rows: NDArray[np.float32],
        task: Task,
        *,
        history: Sequence[Item],
        target: Item | None = None,
        stars: Sequence[float | None] = (),
        reviews: Sequence[str] = (),
        seed: int = 0,
        stop: threading.Event | None = None,
        caller: Caller = ANYONE,
    ) -> NarrationStream:
        """Stream a narrative.

        ``rows``: fused rows (n_soft, 512) of ``history`` (oldest first, at most 50) and then, for a task
        about a target, of the target. ``stars``: what the shopper gave each purchase, 1 to 5 or None; without
        them nothing may be said to have been liked. ``reviews``: what they wrote of each. Raises ModelError
        when they do not fit together.
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
        evidence = Evidence(list(history), task, target, stars, self._words, reviews)
        return NarrationStream(self._stream(rows, evidence, seed, stop, caller, result), result)

    def prompt(self, rows: NDArray[np.float32], evidence: Evidence) -> list[Segment]:
        """``[head][purchases][question]`` as the language model takes it."""
        head, asked = self._tokenizer.head, question(self._tokenizer, evidence)
        # Whatever is asked, the same is left to the purchases: what was read of them serves the next task.
        n_kept = max(len(asked), _QUESTION_TOKENS) + max(MAX_TOKENS.values()) + 1
        n_free = self._language_model.context_length - len(head) - n_kept
        purchases = self._history.segments(rows, evidence, n_free)
        # Segments are remembered whole: all but a token serves another try.
        return [head, *purchases, asked[:-1], asked[-1:]]

    def _stream(
        self,
        rows: NDArray[np.float32],
        evidence: Evidence,
        seed: int,
        stop: threading.Event | None,
        caller: Caller,
        result: list[Narrated],
    ) -> Iterator[Piece]:
        def stopping() -> bool:
            return stop is not None and stop.is_set()

        started = time.perf_counter()
        caller = replace(caller, since_s=time.monotonic() if caller.since_s is None else caller.since_s)
        tokenizer, ledger = self._tokenizer, _Ledger(evidence)
        prompt = self.prompt(rows, evidence)
        markup, constraints = Markup(evidence), self._constraints(evidence)
        room = self._language_model.context_length - sum(len(segment) for segment in prompt) - 1
        limit = min(MAX_TOKENS[evidence.task], room)
        said: list[int] = []
        told = ""
        openings: set[tuple[int, int]] = set()  # of sentences that led nowhere
        n_draws = tries = 0
        first_token_ms = first_sentence_ms = 0.0
        cut = False
        # A summary's turns of phrase ask for several purchases.
        ended = self._gated and evidence.task in _SUMMARIES and len(evidence.items) < 2
        while not ended and len(said) < limit:
            drawn = self._language_model.generate(
                # Token by token, as they were drawn: the engine keeps whole segments, none is decoded anew.
                [*prompt, *(np.asarray([token_id], dtype=np.int32) for token_id in said)],
                self._draw_sampling(evidence.task, seed + 7919 * n_draws, tries, limit - len(said)),
                constraints=replace(constraints.going_on(said), openings=frozenset(openings)),
                stop=stop,
                caller=caller,
            )
            n_draws += 1
            rejected = False
            begun = time.perf_counter()
            for sentence, is_whole in self._sentences(drawn, limit - len(said), started, stopping):
                first_token_ms = first_token_ms or sentence.first_token_ms
                cut = not is_whole and not stopping()
                if not is_whole and (said or stopping()):
                    break  # end well, without half a sentence
                text = tokenizer.decode([*said, *sentence.ids])[len(tokenizer.decode(said)) :]
                text = markup.render(text)
                if not ledger.passes(text, told) and self._gated:
                    if ledger.reject(since=begun) & _LEADING_NOWHERE:
                        openings.update(itertools.pairwise(sentence.ids[:2]))
                    rejected = True
                    break
                tries = 0
                first_sentence_ms = first_sentence_ms or (time.perf_counter() - started) * 1e3
                text = text if told else text.lstrip()
                yield from _pieces(text)
                told += text
                said += sentence.ids
                begun = time.perf_counter()
            drawn.close()
            tries += 1
            goes_on = rejected or (self._gated and not told.strip())
            ended = stopping() or not goes_on or tries >= (TRIES if told else FIRST_TRIES)
        is_plain = self._gated and not told.strip() and not stopping()
        if is_plain:
            told = plain_statement(evidence)
            yield from _pieces(told)
        result.append(
            Narrated(
                text=told,
                cites=tuple(position_of(pointer) for pointer in POINTER.findall(told)),
                sentences_rejected=ledger.n_rejected,
                n_soft=sum(len(segment) for segment in prompt if segment.ndim == 2),
                first_token_ms=round(first_token_ms, 1),
                first_sentence_ms=round(first_sentence_ms, 1),
                tokens=len(said),
                stopped=stopping(),
                cut=not is_plain and (cut or len(said) >= limit),
                is_plain=is_plain,
                sentences_drawn=ledger.n_sentences,
                sentences_wrong=ledger.n_wrong,
                rejected=dict(ledger.rejected),
                claims_checked=ledger.claims_checked,
                gate_ms=round(ledger.gate_s * 1e3, 1),
            )
        )

    def _constraints(self, evidence: Evidence) -> Constraints:
        constraints = self._tokenizer.constraints(evidence)
        n_vocab = self._language_model.n_vocab
        return replace(constraints, banned=frozenset(i for i in constraints.banned if i < n_vocab))

    def _draw_sampling(self, task: Task, seed: int, tries: int, max_tokens: int) -> Sampling:
        temperature = self._sampling.temperature * _WARMER.get(task, 1) * (_CALMER if tries % 2 else 1)
        top_p = self._sampling.top_p * _NARROWER.get(task, 1)
        return replace(self._sampling, seed=seed, temperature=temperature, top_p=top_p, max_tokens=max_tokens)

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


class _Ledger:
    """What the gate finds in one narrative, and what finding it costs."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._right: Counter[ClaimKind] = Counter()
        self._wrong: Counter[ClaimKind] = Counter()
        self._faults: frozenset[ClaimKind] = frozenset()  # of the sentence looked at last
        self.rejected: Counter[ClaimKind] = Counter()
        self.n_sentences = self.n_wrong = self.n_rejected = 0
        self.gate_s = self._check_s = 0.0

    @property
    def claims_checked(self) -> dict[ClaimKind, tuple[int, int]]:
        """Claims by kind: (right, wrong)."""
        kinds = sorted({*self._right, *self._wrong})
        return {kind: (self._right[kind], self._wrong[kind]) for kind in kinds}

    def passes(self, sentence: str, told: str) -> bool:
        """Check and count a sentence that would follow ``told``; False when something in it is wrong."""
        begun = time.perf_counter()
        claims = check(sentence, self._evidence)
        self._right.update(claim.kind for claim in claims if claim.holds)
        wrong: list[ClaimKind] = [claim.kind for claim in claims if not claim.holds]
        if loops(sentence, told, self._evidence):
            wrong.append("loop")
        if not is_finished(sentence, self._evidence.task):
            wrong.append("ending")
        self._wrong.update(wrong)
        self._faults = frozenset(wrong)
        self.n_sentences += 1
        self.n_wrong += bool(wrong)
        self._check_s = time.perf_counter() - begun
        self.gate_s += self._check_s
        return not wrong

    def reject(self, *, since: float) -> frozenset[ClaimKind]:
        """Count the sentence looked at last as kept back; it took from ``since`` (perf_counter) until now.

        What was wrong with it is returned.
        """
        self.n_rejected += 1
        self.rejected.update(self._faults)
        self.gate_s += time.perf_counter() - since - self._check_s
        return self._faults
