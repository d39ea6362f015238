"""Words of a message: normal form, tokens, plurals, spelling distance, numbers in words."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

from agents.language import replacements, word_set
from crs.content import english_words

WORD = re.compile(r"[^\W_]+")
_APOSTROPHES = re.compile(r"(?<=[^\W\d_])['’`´](?=[^\W\d_])")

STOPWORDS = word_set("stop")
_SPOKEN = replacements("spoken")

_IRREGULAR = {
    "knives": "knife", "shelves": "shelf", "bookshelves": "bookshelf", "leaves": "leaf", "scarves": "scarf",
    "loaves": "loaf", "halves": "half", "mice": "mouse",
}  # fmt: skip
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
    rf"\b(?=\w)(?:(?:(?:an?|(?P<hundreds>{_SMALL}|couple)) )?(?P<hundred>hundred)(?: and)?)?"
    rf"(?P<space> )?(?P<tens>{'|'.join(_TENS)})?(?:[ -]?(?P<ones>{'|'.join(_ONES)}))?\b"
)
_MONEY_FOLLOWS = re.compile(
    r"\s*(?:(?:and|to|or|until|till|-)\s*[\w-]+\s*)?(?:dollars?|bucks?|usd|quid|euros?)\b"
)


def normalise(text: str) -> str:
    """Lower case, single spaces, no apostrophes inside words ("don't" is "dont"), "&" as "and"."""
    text = unicodedata.normalize("NFKC", text).lower().replace("&", " and ")
    return " ".join(_APOSTROPHES.sub("", text).replace("’", "'").split())


def spelt_out(text: str) -> str:
    """A text in normal form with what people write short spelt out ("gimme smth 4 my mum")."""
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
    """Number words from ten up, and any before a currency, as digits ("forty bucks", "five dollars")."""

    def replace(match: re.Match[str]) -> str:
        hundred, tens, ones = match["hundred"], match["tens"], match["ones"]
        if not (hundred or tens or ones):
            return match.group()
        value = (_TENS.get(tens, 0) if tens else 0) + (_ONES[ones] if ones else 0)
        if hundred:
            count = match["hundreds"]
            value += 100 * (2 if count == "couple" else {**_ONES, **_TENS}.get(count, 1) if count else 1)
        money_follows = _MONEY_FOLLOWS.match(text, match.end())
        if value < 10 and not money_follows:
            return match.group()
        return (" " if match["space"] and not hundred else "") + str(value)

    text = re.sub(r"\ba tenner\b", "10 dollars", re.sub(r"\ba fiver\b", "5 dollars", text))
    return _NUMBER_WORDS.sub(replace, text)


@cache
def common_words() -> frozenset[str]:
    """Everyday words, those of the example phrases too, that are never taken for a misspelt product."""
    here = Path(__file__).parent
    phrases = words((here / "phrases.toml").read_text("utf-8") + (here / "language.toml").read_text("utf-8"))
    listed = (here / "common_words.txt").read_text("utf-8").split()
    return english_words() | frozenset(listed) | frozenset(phrases)
