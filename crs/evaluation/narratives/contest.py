"""The contest: three students a fold, trained alike but for their signals, tell the same references anew.

Everything is kept under a folder named by what it was made from: a finished run is never made again, and one
that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crs.content import TextEncoder
from crs.evaluation.narratives.benchmark import Benchmark, Fold, Reference, content_text
from crs.evaluation.narratives.consensus import consensus
from crs.evaluation.narratives.hidden_reason import alternatives, true_reason_first, with_hidden_reason
from crs.evaluation.narratives.nearest import Cases
from crs.evaluation.narratives.rows import Content, Progress, encode_content, fold_factors, seen
from crs.narrator.evidence import Evidence, StoreWords
from crs.narrator.markup import MARKUP, Markup
from crs.narrator.narrate import MAX_TOKENS
from crs.narrator.tokenizer import NarratorTokenizer
from knowledge.types import SIGNALS, Signals

if TYPE_CHECKING:
    from crs.training.examples import Example, Shelf
    from crs.training.student import Student

NEAREST = "nearest"
SYSTEMS = (*SIGNALS, NEAREST)
N_VALID = 60  # examples that the training log reports on


@dataclass(frozen=True)
class Training:
    """How every student is trained: what differs from the defaults of crs/training (`Shape`, `Settings`)."""

    n_vocab: int = 4096
    shape: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Telling:
    """How every student tells: of ``n_samples`` the one that agrees most with the others.

    ``n_neighbours``: training texts of the nearest cases, by the signals that the student sees, which stand
    beside its samples to be chosen from; few texts teach a student little, and these are at hand.
    ``n_per_task``: references of a task and fold, None for all; ``n_reasons``: hidden reasons a fold.
    """

    n_per_task: int | None = None
    n_samples: int = 4
    n_neighbours: int = 0
    temperature: float = 0.8
    top_p: float = 0.95
    n_reasons: int = 40


@dataclass(frozen=True)
class Outcome:
    """What every system made of the same references: ``texts`` by system, in the order of ``references``.

    ``copied``: which of the texts are training texts, word for word. ``reason_first``: by model, for each
    hidden reason on an unseen item whether it ranked first.
    """

    references: list[Reference]
    is_unseen: list[bool]
    texts: dict[str, list[str]]
    copied: dict[str, list[bool]]
    reason_first: dict[str, list[bool]]


def hold_contest(
    benchmark: Benchmark,
    training: Training,
    telling: Telling,
    encoder: TextEncoder,
    cache_dir: Path,
    *,
    progress: Progress,
    say: Callable[[str], None],
) -> Outcome:
    """Train and let tell, for every fold and signal; what was done before is read from ``cache_dir``."""
    content = encode_content(benchmark, encoder, cache_dir / "content", progress)
    folder = cache_dir / f"{benchmark.name}-{_fingerprint(benchmark.fingerprint(), asdict(training), MARKUP)}"
    outcome = Outcome(
        [], [], {system: [] for system in SYSTEMS}, {system: [] for system in SYSTEMS},
        {signals: [] for signals in SIGNALS},
    )  # fmt: skip
    folds = benchmark.folds()
    for fold in folds:
        asked = benchmark.test_references(fold, telling.n_per_task)
        known = benchmark.training_references(fold)
        outcome.references.extend(asked)
        outcome.is_unseen.extend(r.narrative.target_id in fold.unseen for r in asked)
        ring = Ring(benchmark, fold, content, training, folder / f"fold-{fold.seed}")
        texts = {NEAREST: [near[0] if near else "" for near in ring.nearest(asked, known, "content", 1)]}
        for signals in SIGNALS:
            name = f"fold {fold.seed + 1} of {len(folds)}, {signals}"
            told = ring.tell(signals, asked, known, telling, name, progress, say)
            texts[signals] = told["texts"]
            outcome.reason_first[signals] += told["reason_first"]
        known_texts = {reference.narrative.text for reference in known}
        for system, own in texts.items():
            outcome.texts[system] += own
            outcome.copied[system] += [text in known_texts for text in own]
    return outcome


class Ring:
    """One fold: what its three students have in common, made when it is first needed."""

    def __init__(
        self, benchmark: Benchmark, fold: Fold, content: Content, training: Training, folder: Path
    ) -> None:
        self._benchmark, self._fold, self._content = benchmark, fold, content
        self._training, self._folder = training, folder
        self._cases = Cases(benchmark, content, fold_factors(benchmark, fold, fold.seed))
        self._words = StoreWords.of(benchmark.store.items.values())
        self._common: tuple[NarratorTokenizer, Shelf] | None = None

    def nearest(
        self, asked: Sequence[Reference], known: Sequence[Reference], signals: Signals, k: int
    ) -> list[list[str]]:
        """See `Cases.nearest_texts`."""
        return self._cases.nearest_texts(asked, known, signals, k)

    def tell(
        self,
        signals: Signals,
        asked: Sequence[Reference],
        known: Sequence[Reference],
        telling: Telling,
        name: str,
        progress: Progress,
        say: Callable[[str], None],
    ) -> dict[str, list[Any]]:
        """``texts`` for ``asked`` and ``reason_first`` of a student trained on ``known``."""
        done = self._folder / signals / f"told-{_fingerprint(asdict(telling))}.json"
        if done.exists():
            kept: dict[str, list[Any]] = json.loads(done.read_text(encoding="utf-8"))
            return kept
        tokenizer, shelf = self._in_common(known)
        own = seen(shelf, signals)
        student = self._student(signals, own, asked, known, lambda line: say(f"{name}: {line}"))
        if telling.n_neighbours and signals == "fused":
            self._cases = self._cases.fitted(known, telling.n_neighbours)
            say(f"{name}: nearest by CF at a weight of {self._cases.cf_weight} beside content")
        near = self.nearest(asked, known, signals, telling.n_neighbours)
        told: dict[str, list[Any]] = {
            "texts": self._texts(
                student,
                own,
                asked,
                near,
                signals,
                telling,
                self._longest(known),
                lambda *at: progress(name, *at),
            ),
            "reason_first": self._reasons(student, own, signals, telling.n_reasons),
        }
        beside = done.with_suffix(".new")
        beside.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
        os.replace(beside, done)
        return told

    def _in_common(self, known: Sequence[Reference]) -> tuple[NarratorTokenizer, Shelf]:
        if self._common is None:
            from crs.training.examples import Shelf
            from crs.training.words import soft_words

            self._folder.mkdir(parents=True, exist_ok=True)
            tokenizer = self._tokenizer(known)
            store = self._benchmark.store
            words = soft_words(tokenizer, store, [reference.narrative for reference in known])
            shelf = Shelf(
                store, self._content.histories, self._content.purchases, self._content.items,
                self._cases.factors, words,
            )  # fmt: skip
            self._common = tokenizer, shelf
        return self._common

    def _tokenizer(self, known: Sequence[Reference]) -> NarratorTokenizer:
        """Learned from the training texts and from what is known of the items, once a fold."""
        path = self._folder / "tokenizer.json"
        if not path.exists():
            items = self._benchmark.store.items
            texts = [r.narrative.text for r in known]
            texts += [content_text(item) for item in items.values() if item.item_id not in self._fold.unseen]
            NarratorTokenizer.train(texts, self._training.n_vocab).save(path)
        return NarratorTokenizer.load(path)

    def _student(
        self,
        signals: Signals,
        shelf: Shelf,
        asked: Sequence[Reference],
        known: Sequence[Reference],
        say: Callable[[str], None],
    ) -> Student:
        from crs.training.contestant import train_contestant
        from crs.training.loop import Settings
        from crs.training.student import Shape

        tokenizer, _ = self._in_common(known)
        settings = replace(Settings(), **{"seed": self._fold.seed, **self._training.settings})  # type: ignore[arg-type]
        return train_contestant(
            self._folder / signals, tokenizer, shelf, self._benchmark.reading_people(self._fold),
            self._examples(shelf, known, signals), self._examples(shelf, asked[:N_VALID], signals),
            signals=signals, shape=replace(Shape(), **self._training.shape), settings=settings, say=say,
        )  # fmt: skip

    def _examples(self, shelf: Shelf, references: Sequence[Reference], signals: Signals) -> list[Example]:
        """One example a reference, in their order."""
        from crs.training.examples import narrative_examples

        assert self._common is not None
        tokenizer = self._common[0]
        narratives = [reference.narrative for reference in references]
        examples = narrative_examples(shelf, tokenizer, narratives, quoting=self._quotes(signals))
        noted = [
            replace(example, prompt=_with_note(tokenizer, reference)) if reference.note else example
            for example, reference in zip(examples, references, strict=True)
        ]
        return [example.seen_by_cf() for example in noted] if signals == "cf" else noted

    def _texts(
        self,
        student: Student,
        shelf: Shelf,
        references: Sequence[Reference],
        near: Sequence[Sequence[str]],
        signals: Signals,
        telling: Telling,
        longest: Mapping[str, int],
        progress: Callable[[int, int], None],
    ) -> list[str]:
        from crs.training.decoding import Asked, sample

        assert self._common is not None
        tokenizer = self._common[0]
        known = [self._evidence(reference, signals) for reference in references]
        asked = [
            Asked(example, tokenizer.constraints(evidence), longest[evidence.task])
            for example, evidence in zip(self._examples(shelf, references, signals), known, strict=True)
        ]
        said = sample(
            student, tokenizer, shelf, asked, n_samples=telling.n_samples, temperature=telling.temperature,
            top_p=telling.top_p, seed=self._fold.seed, progress=progress,
        )  # fmt: skip
        markups = map(Markup, known)
        return [
            consensus([*(markup.render(tokenizer.decode(ids).strip()) for ids in replies), *others])
            for replies, markup, others in zip(said, markups, near, strict=True)
        ]

    def _longest(self, known: Sequence[Reference]) -> dict[str, int]:
        """Tokens of the longest text of each task among ``known``, within what the narrator may say."""
        assert self._common is not None
        longest = dict.fromkeys(MAX_TOKENS, 0)
        for reference in known:
            n_tokens = len(self._common[0].encode(reference.narrative.text))
            longest[reference.narrative.task] = max(longest[reference.narrative.task], n_tokens)
        return {task: min(MAX_TOKENS[task], n or MAX_TOKENS[task]) for task, n in longest.items()}

    def _reasons(self, student: Student, shelf: Shelf, signals: Signals, n: int) -> list[bool]:
        """Of test references on unseen items, whether the true hidden reason came first."""
        assert self._common is not None
        tokenizer = self._common[0]
        told = [
            reference
            for reference in self._benchmark.test_references(self._fold)
            if reference.narrative.target_id in self._fold.unseen
        ]
        hidden = with_hidden_reason(told)[:n]
        known = [self._evidence(reference, signals) for reference in hidden]
        replies = [
            [tokenizer.reply(text, evidence)[:-1] for text in alternatives(reference)]
            for reference, evidence in zip(hidden, known, strict=True)
        ]
        return true_reason_first(student, tokenizer, shelf, self._examples(shelf, hidden, signals), replies)

    def _quotes(self, signals: Signals) -> bool:
        """Whether a model points at facts of the listing; one that sees no content was not told them."""
        return self._benchmark.quoting and signals != "cf"

    def _evidence(self, reference: Reference, signals: Signals) -> Evidence:
        """What a model of ``signals`` may quote from and speak of."""
        narrative, items = reference.narrative, self._benchmark.store.items
        history = self._content.histories[narrative.user_id][: narrative.n_history]
        target = items[narrative.target_id] if narrative.target_id else None
        evidence = Evidence.of(history, items, narrative.task, target, self._words)
        return evidence if self._quotes(signals) else evidence.unlisted()


def _with_note(tokenizer: NarratorTokenizer, reference: Reference) -> NDArray[np.int32]:
    return np.asarray(tokenizer.ask(reference.narrative.task, {}, reference.note), dtype=np.int32)


def _fingerprint(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
