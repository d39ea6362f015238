"""Words of a message: normal form, tokens, plurals, spelling distance, numbers in words."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

from agents.language import pictures, replacements, word_set
from crs.content import english_words

WORD = re.compile(r"[^\W_]+")
_APOSTROPHES = re.compile(r"(?<=[^\W\d_])['’`´](?=[^\W\d_])")

STOPWORDS = word_set("stop")
_SPOKEN = replacements("spoken")
_PICTURES = pictures()
_PICTURE = re.compile(
    rf"(?P<before>^|\b(?:an?|some|any|new|need|want|for|and|good|cheap|nice|the|best|your|"
    rf"got) )(?P<picture>[{''.join(_PICTURES)}])"
    r"(?=\s*(?:$|[?!.,<$£€\d]|(?:under|below|less|max|pls|please|in|for|around|about|from|by|cheap)\b))"
)

_IRREGULAR = {
    "knives": "knife", "shelves": "shelf", "bookshelves": "bookshelf", "leaves": "leaf", "scarves": "scarf",
    "loaves": "loaf", "halves": "half", "mice": "mouse",
}  # fmt: skip
_PLURALS = {one: several for several, one in _IRREGULAR.items()}
_ONES_TO_NINETEEN = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_ONES = {word: number for number, word in enumerate(WORD.findall(_ONES_TO_NINETEEN))}
_TWENTY_TO_NINETY = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {word: 10 * number for number, word in enumerate(WORD.findall(_TWENTY_TO_NINETY), start=2)}
_TENS["fourty"] = 40
_SMALL = "|".join([*_TENS, *_ONES])
_NUMBER_WORDS = re.compile(
    rf"\b(?=\w)(?:(?P<thousands>an?|couple(?: of)?|\d+|{_SMALL}) (?P<thousand>thousand|"
    rf"grand)(?: and)?(?: (?=\w))?)?"
    rf"(?:(?:(?P<hundreds>an?|{_SMALL}|couple(?: of)?|\d) )?(?P<hundred>hundred)(?: and)?)?"
    rf"(?P<space> )?(?P<spoken>(?:one|two|three) (?={'|'.join(_TENS)}))?"
    rf"(?P<tens>{'|'.join(_TENS)})?(?:[ -]?(?P<ones>{'|'.join(_ONES)}))?\b"
)
_MONEY_FOLLOWS = re.compile(
    r"\s*(?:(?:and|to|or|until|till|-)\s*[\w-]+\s*)?(?:dollars?|bucks?|usd|quid|euros?|pounds|tops\b|"
    r"max\b)\b"
)
# Before a number that is a price: "under nine", "up to one twenty".
_PRICE_PRECEDES = re.compile(
    r"\b(?:under|below|than|over|above|most|to|least|max|maximum|min|minimum|about|around|between|budget|"
    r"spend|for|of|is)"
    r"(?: an?| like| say| about| around)? $"
)
_ENDS_THERE = re.compile(r"\s*(?:$|[.,;!?)]|(?:please|each|max|or|and|but|if|for|in)\b)")
_NOTES = re.compile(
    r"\b(?:(?P<count>an?|couple(?: of)?|two|three|four|five|2|3|4|5) )?(?P<note>tenner|fiver)s?\b"
)
_COUNTED = {"a": 1, "an": 1, "couple": 2, "couple of": 2}


def normalise(text: str) -> str:
    """Lower case, single spaces, no apostrophes inside words ("don't" is "dont"), "&" as "and"."""
    text = unicodedata.normalize("NFKC", text).lower().replace("&", " and ").replace("\ufe0f", "")
    return " ".join(_APOSTROPHES.sub("", text).replace("’", "'").split())


def spelt_out(text: str) -> str:
    """A text in normal form with what people write short spelt out ("gimme smth 4 my mum", "🎧 under 40")."""
    text = _PICTURE.sub(lambda match: match["before"] + _PICTURES[match["picture"]], text)
    for pattern, full in _SPOKEN:
        text = pattern.sub(full, text)
    return text


def words(text: str) -> list[str]:
    """The words of a text in normal form."""
    return WORD.findall(normalise(text))


@cache
def singular(word: str) -> str:
    """A plural's singular, near enough to compare two words by ("knives" and "knife" become one)."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or word.endswith(("ss", "us", "is")) or not word.endswith("s"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes", "zzes")):
        return word[:-2]
    return word[:-1]


def plural(noun: str) -> str:
    """Several of what a kind names: "tents", "computer mice", "chef's knives"; "headphones" are several."""
    head, space, last = noun.rpartition(" ")
    if last in _PLURALS:
        return f"{head}{space}{_PLURALS[last]}"
    if last.endswith("s") and not last.endswith(("ss", "us", "is")):
        return noun
    if last.endswith(("s", "x", "z", "ch", "sh")):
        return f"{noun}es"
    if last.endswith("y") and last[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun[:-2]}ves" if last.endswith("fe") else f"{noun}s"


def edit_distance(left: str, right: str, limit: int) -> int:
    """Edits from one word to the other, swapped neighbours counting as one; ``limit + 1`` when above it.

    Optimal string alignment (Damerau 1964, restricted).
    """
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before, row = [0] * (len(right) + 1), list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        older, before, row = before, row, [i]
        for j, b in enumerate(right, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
    return row[-1]


def allowed_edits(word: str) -> int:
    """Spelling slips forgiven in a word of this length: short words are too easily another word."""
    return 0 if len(word) < 3 else 1 if len(word) < 7 else 2


def in_digits(text: str) -> str:
    """Number words from ten up, and any that are a price, as digits ("forty bucks", "five dollars").

    "One twenty" is 120 where a price is spoken of; a "tenner" is ten dollars.
    """

    def replace(match: re.Match[str]) -> str:
        hundred, tens, ones, spoken = match["hundred"], match["tens"], match["ones"], match["spoken"]
        if not (match["thousand"] or hundred or tens or ones):
            return match.group()
        is_price = _MONEY_FOLLOWS.match(text, match.end()) or _PRICE_PRECEDES.search(text[: match.start()])
        value = (_TENS.get(tens, 0) if tens else 0) + (_ONES[ones] if ones else 0)
        before = match["space"] or "" if not hundred and not match["thousand"] else ""
        if spoken and not (is_price or _PRICE_PRECEDES.search(text[: match.start()] + before)):
            return f"{before}{spoken}{value}"
        value += 100 * _ONES[spoken.strip()] if spoken else 0
        value += 100 * _count(match["hundreds"]) if hundred else 0
        value += 1000 * _count(match["thousands"]) if match["thousand"] else 0
        if value < 10 and not (
            _MONEY_FOLLOWS.match(text, match.end())
            or (value > 1 and is_price and _ENDS_THERE.match(text, match.end()))
        ):
            return match.group()
        after = " " if match["space"] and not (before or tens or ones) else ""
        return f"{before}{value}{after}"

    def note(match: re.Match[str]) -> str:
        return f"{_count(match['count']) * (10 if match['note'] == 'tenner' else 5)} dollars"

    text = _NOTES.sub(note, text)
    return _NUMBER_WORDS.sub(replace, text)


def _count(word: str | None) -> int:
    """The number that stands before "hundred" or "tenner"; one where none does."""
    if word is None:
        return 1
    return int(word) if word.isdigit() else {**_COUNTED, **_ONES, **_TENS}[word]


@cache
def common_words() -> frozenset[str]:
    """Everyday words, those of the example phrases too, that are never taken for a misspelt product."""
    here = Path(__file__).parent
    phrases = words((here / "phrases.toml").read_text("utf-8") + (here / "language.toml").read_text("utf-8"))
    listed = (here / "common_words.txt").read_text("utf-8").split()
    return english_words() | frozenset(listed) | frozenset(phrases)
