"""Is a written text fit to learn from? The first thing that speaks against it, by name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from crs.narrator.evidence import StoreWords
from crs.narrator.gate import check
from crs.narrator.sentence import POINTER, sentences
from crs.writing.mending import spelt_title, stands_bare
from crs.writing.prompts import TOLERANCE, Question, example_answers, wanted
from knowledge.types import TARGET_POINTER, TARGET_TASKS, Task

QUOTED_WORDS = 8  # a run of so many words shared with a review is a quotation
SHORTEST_QUOTE = 5  # a whole review of at least so many words is one too
TITLE_RUN = 5  # so many words of a title in a row name the product, wherever they stand in it

_BRACKETED = re.compile(r"\[[^\[\]]*\]")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


def fault(text: str, task: Task, question: Question, words: StoreWords) -> str | None:
    """What makes ``text`` unfit as ``task``, in a few words for counting, or None.

    ``words``: what the store's listings call things, for the claims that the sentence gate understands: what
    the gate would not let the narrator say, it should not learn either.
    """
    return (
        _wrong_length(text, task)
        or _wrong_pointers(text, task, question)
        or _borrowed(text, question)
        or _wrong_claim(text, task, question, words)
    )


def _wrong_length(text: str, task: Task) -> str | None:
    asked, n_words = wanted(task), len(_words(text))
    if n_words < asked.min_words / TOLERANCE:
        return "too short"
    return "too long" if n_words > asked.max_words * TOLERANCE else None


def _wrong_pointers(text: str, task: Task, question: Question) -> str | None:
    bracketed = _BRACKETED.findall(text)
    if not question.places.keys() >= set(bracketed) or (bracketed and task == "user_profile"):
        return "points nowhere"
    if task in TARGET_TASKS and TARGET_POINTER not in bracketed:
        return "does not point at its target"
    if task == "user_summary_long" and not bracketed:
        return "points at no purchase"
    if any(map(stands_bare, POINTER.split(text)[2::2])):
        return "points without a noun"
    return None


def _borrowed(text: str, question: Question) -> str | None:
    words = _words(text)
    items = question.places.values()
    if any(spelt_title(text, item) or _shares_run(words, item.title, TITLE_RUN) for item in items):
        return "names a product"
    if any(_shares_run(words, review, QUOTED_WORDS) for review in question.reviews):
        return "quotes a review"
    if any(_shares_run(words, answer, QUOTED_WORDS) for answer in example_answers()):
        return "repeats an example"
    return None


def _wrong_claim(text: str, task: Task, question: Question, words: StoreWords) -> str | None:
    evidence = question.evidence(task, words)
    claims = (claim for sentence in sentences(text) for claim in check(sentence, evidence))
    return next((f"claims a wrong {claim.kind}" for claim in claims if not claim.holds), None)


def _shares_run(words: list[str], source: str, n: int) -> bool:
    """Whether ``words`` hold ``n`` words of ``source`` in a row, or all of them if it is a little shorter."""
    theirs = _words(source)
    n = min(n, len(theirs))
    return n >= SHORTEST_QUOTE and not set(_runs(words, n)).isdisjoint(_runs(theirs, n))


def _runs(words: list[str], n: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(n)), strict=False)


def _words(text: str) -> list[str]:
    return [word.lower().replace("’", "'") for word in _WORD.findall(POINTER.sub(" ", text))]
