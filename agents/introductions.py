"""What people say they own, like and dislike: "I bought a kettle and love it, and I'm into gardening"."""

from __future__ import annotations

import re

from agents.language import patterns, word_set
from agents.plan import Stated
from agents.words import STOPWORDS, words

LOVED, LIKED, DISLIKED = 5.0, 4.0, 1.0

_VERB = re.compile("|".join(f"(?P<{name}>{pattern.pattern})" for name, pattern in patterns("introductions")))
_SPLIT = re.compile(r",|;|:|\band\b|\bbut\b|\bplus\b|\bas well as\b|\bor\b")
_CLAUSE_END = re.compile(r"[.!?]|\b(?:what|can you|could you|which|so|recommend|suggest|show|for my)\b")
_NO_THINGS = STOPWORDS | word_set("no_things")


def parse_introduction(text: str) -> tuple[Stated, ...]:
    """Things stated in a text in normal form, in order; a verdict on "it" goes to the thing before it."""
    stated: list[Stated] = []
    verbs = list(_VERB.finditer(text))
    ends = [*(verb.start() for verb in verbs), len(text)][1:]
    for verb, end in zip(verbs, ends, strict=True):
        stop = _CLAUSE_END.search(text, verb.end(), end)
        things = [_thing(part) for part in _SPLIT.split(text[verb.end() : stop.start() if stop else end])]
        rating = _rating(verb)
        named = [Stated(thing, rating) for thing in things if thing]
        if not named and rating is not None and stated:
            stated[-1] = Stated(stated[-1].words, rating)
        stated += named
    best: dict[str, Stated] = {}
    for each in stated:
        best[each.words] = each
    return tuple(best.values())


def _thing(part: str) -> str:
    return " ".join(word for word in words(part) if word not in _NO_THINGS)


def _rating(verb: re.Match[str]) -> float | None:
    if verb["dislike"]:
        return DISLIKED
    if verb["love"]:
        return LOVED
    return LIKED if verb["like"] else None
