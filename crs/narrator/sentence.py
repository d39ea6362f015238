"""Reading a sentence for the gate: its mentions of products, and a skeleton in which each is a mark.

"They loved the sage green [3] kettle and the [1] mug." becomes "They loved «0» and «1».", so that what is
claimed of a product can be found by the words around its mark, whatever it is called.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from crs.narrator.evidence import (
    MAX_PHRASE_WORDS,
    Evidence,
    StoreWords,
    listing_words,
    noun_forms,
    one_spelling,
    position_of,
    words_of,
)
from knowledge.nouns import noun_of
from knowledge.types import Item

POINTER = re.compile(r"(\[(?:\d+|target)\])")
MARK = r"«\d+»"
_FOLLOWING = re.compile(r"\s*([^\[\].,;:!?“”]*)")
_LAST_WORD = re.compile(r"\b([a-z][a-z'’-]*)\s+$")  # in lower case: a name is not passed over
_DETERMINER = re.compile(
    r"(?:\b(?:an?|the|this|that|these|those|their|your|his|her|its|our|my)\s+)"
    r"(?:(?:pair|set|box|pack|bag|roll|bottle|tube|skein|piece|sheet)s?\s+of\s+)?$",
    re.IGNORECASE,
)
_SENTENCE_GAP = re.compile(r"(?<=[.!?])([\"”’']?)\s+(?=[\"“‘\[A-Z])")
# After a pointer these begin no noun.
_NO_NOUN = frozenset(
    re.findall(
        r"\w+",
        "is are was were be been has have had do does did will would can could should may might must and "
        "or but nor so as in on at to for with by from of that which who whose it they this these earned got "
        "won came comes made makes followed replaced joined cost costs looks pleased disappointed",
    )
)


@dataclass(frozen=True, slots=True)
class Mention:
    """A pointer with the words that belong to it.

    ``position``: 1.. for a purchase, 0 for the target. ``looks``: colors, materials, sizes before it.
    ``noun``: the longest noun the store knows that follows it, "" when what follows is none;
    ``following`` all that follows. ``span``: from where to where the mark stands for the sentence's text.
    """

    position: int
    item: Item | None
    looks: tuple[str, ...]
    noun: str
    following: str
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, its mentions in order, and its skeleton: ``«i»`` stands for ``mentions[i]``."""

    text: str
    mentions: tuple[Mention, ...]
    skeleton: str


def read(text: str, evidence: Evidence) -> Sentence:
    """Find what ``text`` points at and what it calls it."""
    text = text.replace("«", '"').replace("»", '"')  # else they would pass for marks
    mentions: list[Mention] = []
    skeleton, done = "", 0
    for found in POINTER.finditer(text):
        position = position_of(found[0])
        item = evidence.item_at(position)
        following = _FOLLOWING.match(text, found.end())
        assert following is not None  # it matches nothing at all, too
        noun = _noun(following[1], item, evidence.words.nouns)
        looks, before = _looks(text[done : found.start()], evidence.words)
        skeleton += f"{before}«{len(mentions)}»"
        called = _n_letters(following[1], noun or _guess(following[1], item))
        start = done + len(before)
        done = following.start(1) + called if called else found.end()
        mentions.append(Mention(position, item, looks, noun, following[1].strip(), (start, done)))
    return Sentence(text, tuple(mentions), skeleton + text[done:])


def sentences(text: str) -> list[str]:
    """``text`` split after full stops; the pieces, but for the space between them, are the text."""
    marked = _SENTENCE_GAP.sub(lambda found: found[1] + "\n", text)
    return [sentence for sentence in marked.split("\n") if sentence.strip()]


def names_kind(words: str, kind: str) -> bool:
    """Whether ``words`` begin with the noun ``kind``, in singular or plural."""
    said = " ".join(words.lower().split())
    return any(
        said.startswith(form) and not said[len(form) : len(form) + 1].isalnum() for form in noun_forms(kind)
    )


def _noun(following: str, item: Item | None, nouns: frozenset[str]) -> str:
    own = noun_forms(noun_of(item)) if item else frozenset()
    words = following.lower().split()[:MAX_PHRASE_WORDS]
    for n_words in range(len(words), 0, -1):
        whole = " ".join(words[:n_words])
        for candidate in (whole, whole.removesuffix("'s").removesuffix("’s")):
            if candidate in own or candidate in nouns:
                return candidate
    return ""


def _guess(following: str, item: Item | None) -> str:
    """The words that seem to be the noun where the store knows none: those of the listing, or the first."""
    listed = listing_words(item) if item else frozenset()
    kept: list[str] = []
    for word in following.lower().split()[:MAX_PHRASE_WORDS]:
        if word in _NO_NOUN or (kept and not listed.issuperset(words_of(word))):
            break
        kept.append(word)
    return " ".join(kept)


def _n_letters(following: str, noun: str) -> int:
    """How many letters of ``following`` are the noun, whatever spaces are between its words."""
    if not noun:
        return 0
    found = re.match(r"\s+".join(map(re.escape, noun.split())), following, re.IGNORECASE)
    return found.end() if found else 0


def _looks(before: str, known: StoreWords) -> tuple[tuple[str, ...], str]:
    """The looks that ``before`` ends with, first one first, and what is left without them and the
    determiner."""
    looks: list[str] = []
    rest = before
    while look := _look_at_end(rest, known):
        looks.insert(0, look)
        n_words = len(look.split())
        left = rest.rsplit(None, n_words)
        rest = left[0] + " " if len(left) > n_words else ""
    plain = _DETERMINER.sub("", rest)
    if plain == rest and (word := _LAST_WORD.search(rest)):  # "the trusty [3] kettle"
        closer = rest[: word.start()]
        plain = _DETERMINER.sub("", closer)
        plain = rest if plain == closer else plain
    return tuple(looks), plain


def _look_at_end(text: str, words: StoreWords) -> str:
    said = text[-80:].lower().split()[-MAX_PHRASE_WORDS:]
    if not said or one_spelling(said[-1]) not in words.look_ends:
        return ""
    for n_words in range(len(said), 0, -1):
        look = " ".join(one_spelling(word) for word in said[-n_words:])
        if look in words.looks:
            return look
    return ""
