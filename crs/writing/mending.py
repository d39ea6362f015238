"""What a rule can put right in a written text: titles become pointers, and pointers stand before nouns."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import takewhile

from crs.writing.prompts import Question
from knowledge.nouns import noun_of
from knowledge.text import clean
from knowledge.types import Item

NAME_WORDS = 3  # so many of a title's first words name the product

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_TOKEN = re.compile(r"[^\W_]+")
_DETERMINER = re.compile(r"an?|the|th(?:is|at|ese|ose)|his|her|its|their|your|another|one", re.IGNORECASE)
# After these no noun can be under way: the pointer before them stands without one.
_NO_NOUN = re.compile(
    r"and|or|but|nor|a[st]|by|for|from|in|into|o[fn]|to|with|without|is|are|was|were|be|been|has|have|had|which"
    r"|that|who|because|since|while|when|after|before|than|then|so|also|too|will|could|would|can",
    re.IGNORECASE,
)


def mend(text: str, question: Question) -> str:
    """``text`` on one line without markup, with pointers in place of titles and a noun after each pointer."""
    text = clean(text).replace("**", "")
    for place, item in question.places.items():
        text = _without_title(text, place, item)
    for place, item in question.places.items():
        text = _before_its_noun(text, place, item)
    return text


def spelt_title(text: str, item: Item) -> tuple[int, int] | None:
    """Where ``text`` first spells the title's first words: more of them than its brand or its kind has."""
    title = _TOKEN.findall(item.title)
    n_needed = 1 + max(NAME_WORDS - 1, *(len(_TOKEN.findall(own or "")) for own in (item.brand, item.kind)))
    if len(title) < n_needed:
        return None
    tokens = list(_TOKEN.finditer(text))
    for i, token in enumerate(tokens):
        # "How to win" is a title where it is spelt as one; in "learn how to win" it is not.
        if token[0][0] != title[0][0]:
            continue
        pairs = zip(tokens[i:], title, strict=False)
        n_same = len(list(takewhile(lambda pair: pair[0][0].lower() == pair[1].lower(), pairs)))
        if n_same >= n_needed:
            return token.start(), tokens[i + n_same - 1].end()
    return None


def stands_bare(following: str) -> bool:
    """Whether a pointer with ``following`` after it is followed by no noun."""
    found = re.match(rf"\s+({_WORD.pattern})", following)
    return found is None or not _may_be_noun(found[1])


def _without_title(text: str, place: str, item: Item) -> str:
    while span := spelt_title(text, item):
        start, end = span
        before, after = text[:start].rstrip("\"'“‘ "), text[end:].lstrip("\"'”’")
        noun = noun_of(replace(item, title=text[start:end]))
        text = f"{before.removesuffix(place).rstrip()} {place} {noun}{after}".lstrip()
    return text


def _before_its_noun(text: str, place: str, item: Item) -> str:
    """``text`` with every ``place`` right before a noun, the product's kind in full where it is known."""
    pieces = text.split(place)
    for i in range(len(pieces) - 1):
        before, following = pieces[i].rstrip(), pieces[i + 1]
        if stands_bare(following):
            pieces[i] = _noun_for(before, place, item)
        elif item.kind:
            pieces[i], pieces[i + 1] = _next_to_kind(before, place, following, item.kind)
        else:
            pieces[i] += place
    return "".join(pieces)


def _noun_for(before: str, place: str, item: Item) -> str:
    """``before`` and a bare ``place`` with a noun: "the kettle [2]" turned round, or else the kind put in."""
    last = before.rpartition(" ")[2]
    own = {word.lower() for word in _WORD.findall(f"{item.title} {item.kind or ''}")}
    if _may_be_noun(last) and {last.lower(), last.lower().removesuffix("s")} & own:
        return f"{before.removesuffix(last)}{place} {last}"
    if not item.kind:
        return f"{before} {place}".lstrip()
    if _DETERMINER.fullmatch(last):
        return f"{before} {place} {item.kind}"
    the = "the" if before and before[-1] not in ".!?" else "The"
    return f"{before} {the} {place} {item.kind}".lstrip()


def _next_to_kind(before: str, place: str, following: str, kind: str) -> tuple[str, str]:
    """``before`` with ``place``, and ``following``: "[2] red kettle" becomes "red [2] kettle"."""
    first, _, last = kind.rpartition(" ")
    found = re.match(
        rf"((?:\s+{_WORD.pattern}){{0,3}}?)\s+({re.escape(last)}(?:e?s)?\b.*)", following, re.I | re.S
    )
    if found is None or not all(map(_may_be_noun, found[1].split())):
        return f"{before} {place}".lstrip(), following
    told = f"{before}{found[1]}".lstrip()
    if first and told.lower().endswith(first.lower()):
        told = told[: -len(first)].rstrip()
    return f"{told} {place}".lstrip(), f" {first} {found[2]}" if first else f" {found[2]}"


def _may_be_noun(word: str) -> bool:
    return not (_NO_NOUN.fullmatch(word) or _DETERMINER.fullmatch(word))
