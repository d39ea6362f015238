"""Budgets in people's words: "under $30", "between ten and twenty bucks", "around 50", "25 tops"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from agents.language import any_of
from agents.plan import Price
from agents.words import in_digits

AROUND = 0.25  # "around 40" means from 30 to 50
LEAST_BARE_RANGE = 5  # "5-10" may be a price, "2-3" counts something

_UNIT = r"(?:dollars?|bucks?|usd|quid|euros?)"
# A number of something else than money: "a 2 person tent", "under 20 oz", "five words".
_NOT_MONEY = (
    r"(?![\d.,]*\d)(?!\s*-?\s*(?:inch(?:es)?|in\b(?=\s*(?:wide|long|tall|deep))|oz|ounces?|cm|mm|m\b|ft|feet|"
    r"foot|lbs?|pounds?|kg|g\b|grams?|l\b|lit(?:er|re)s?|ml|gallons?|quarts?|watts?|w\b|volts?|v\b|years?|"
    r"yrs?|months?|weeks?|days?|hours?|minutes?|people|persons?|kids?|guests?|words?|packs?|pieces?|pcs|"
    r"cups?|stars?|percent|%|options?|items?|products?|things?|ideas?|more\b(?!\s+than)|st\b|nd\b|rd\b|th\b|x\b|"
    r"am\b|pm\b))"
)


def _amount(name: str) -> str:
    number = rf"(?P<{name}>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    sign, unit = rf"(?P<{name}_sign>(?:us)?\$\s*)?", rf"(?:\s*(?P<{name}_unit>{_UNIT}|\$))?"
    return rf"(?<![\w.]){sign}{number}{unit}{_NOT_MONEY}"


_A, _B = _amount("a"), _amount("b")
_ABOUT = (
    r"(?:around|about|roughly|approx(?:imately)?|approx\.|circa|near(?:ly)?|somewhere (?:around|near)|~|"
    r"close to|in the (?:region|neighbou?rhood|vicinity|range|area|ballpark) of|"
    r"(?:maybe|say|like|perhaps)(?=\s\$?\d))"
)
_FILLER = rf"(?:\s+(?:of|is|at|to|only|just|like|{_ABOUT}|a|the))*\s*[:=]?\s*"
_NO = (
    r"(?:no|not|nothing|never|dont|doesnt|do not|does not|shouldnt|should not|cant|cannot|wont|will not|"
    r"without|isnt|arent|wouldnt|rather not)"
)
_MORE_THAN = (
    r"(?:more than|over|above|exceed(?:s|ing)?|past|beyond|north of|higher than|upwards of|going over)"
)
_AT_MOST = (
    r"(?:sub|make (?:it|that)(?: an?)?|under|underneath|below|beneath|less than|lower than|cheaper than|"
    r"less expensive than|at most|up to|upto|"
    r"max(?:imum)?|maxing out at|within|inside|capped|cap|limit(?:ed)?|ceiling|budget(?:s|ed)?|"
    r"afford|spend|pay|<=?|i(?:ve)? (?:only |just )?(?:have|got)(?: got)?)"
)
_AT_LEAST = (
    r"(?:at least|min(?:imum)?|from|starting (?:at|from)|upwards of|no less than|not less than|not under|>=?)"
)
_OR_MORE = (
    r"(?:\+|plus\b|or more|or (?:over|above)|and (?:up|above|over)|upwards?|min(?:imum)?\b|at least)"
)
_OR_LESS = (
    r"(?:max(?:imum)?\b|tops\b|or (?:less|under|below|cheaper|lower)|at (?:the )?most|limit\b|budget\b|"
    r"and (?:under|below|less)|ceiling\b)"
)
_OR_SO = r"[-,]?\s*(?:ish\b|or so\b|(?:or )?thereabouts|give or take|range\b)"

_Meaning = Literal["range", "max", "min", "around", "bare"]
# The first meaning that fits is taken, so the more specific ones stand first.
_MEANINGS: tuple[tuple[_Meaning, str], ...] = (
    ("range", rf"(?:between|from)\s+{_A}\s*(?:and|to|through|until|till?|-|–|—)\s*{_B}"),
    ("range", rf"(?:more than|over|above|at least|min(?:imum)?|>)\s*{_A}\s*(?:,|and|but)*"
     rf"\s*(?:less than|under|below|at most|max(?:imum)?|not (?:more than|over)|up to|<)\s*{_B}"),
    ("range", rf"(?:less than|under|below|at most|max(?:imum)?|not (?:more than|over)|up to|<)\s*{_A}"
     rf"\s*(?:,|and|but)*\s*(?:more than|over|above|at least|min(?:imum)?|not (?:less than|under)|>)\s*{_B}"),
    ("range", rf"{_A}\s*(?:-|–|—|to|until|till?|or)\s*{_B}"),
    ("max", rf"\b{_NO}\b(?:(?! (?:not?|and|but)\b)[^.,;\d$]){{0,24}}?\b{_MORE_THAN}{_FILLER}{_A}"),
    ("min", rf"\b{_NO} (?:less than|under|below|cheaper than){_FILLER}{_A}"),
    ("min", rf"{_A}\s*{_OR_MORE}"),
    ("max", rf"{_A}\s*{_OR_LESS}"),
    ("around", rf"{_A}\s*{_OR_SO}"),
    ("around", rf"(?<!\w)(?:spend|pay(?:ing)?|spending|budget(?: is| of)?)\s+{_ABOUT}\s*(?:the )?{_A}"),
    ("min", rf"(?<!\w)at least{_FILLER}{_A}"),
    ("max", rf"(?<!\w){_AT_MOST}{_FILLER}{_A}"),
    ("min", rf"(?<!\w)(?:{_AT_LEAST}|{_MORE_THAN}){_FILLER}{_A}"),
    ("around", rf"(?<!\w){_ABOUT}\s+(?:the )?{_A}"),
    ("bare", rf"(?:for\s+)?{_A}"),
)
_PATTERNS = tuple((meaning, re.compile(pattern)) for meaning, pattern in _MEANINGS)
_NOT = re.compile(r"\b(?:not|no|isnt|nothing)(?: (?:the|a|an|too|so|some))? $")
_CHEAP, _PREMIUM = re.compile(any_of("cheap")), re.compile(any_of("premium"))


@dataclass(frozen=True, slots=True)
class PriceWish:
    """Bounds in dollars, or a word about price; ``rest``: the text with all that blanked out."""

    rest: str
    min_price: float | None = None
    max_price: float | None = None
    price: Price = ""


def parse_price(text: str) -> PriceWish:
    """The price a text in normal form asks for; a bare "$30" is taken as the most to pay."""
    text = in_digits(text)
    for meaning, pattern in _PATTERNS:
        match = next((each for each in pattern.finditer(text) if _is_money(each, meaning)), None)
        if match is not None:
            low, high = _bounds(match, meaning)
            return PriceWish(f"{text[: match.start()]} ; {text[match.end() :]}", low, high)
    if (found := _CHEAP.search(text)) and not _NOT.search(text[: found.start()]):
        return PriceWish(_cut(text, found), price="cheap")
    if found := _PREMIUM.search(text):
        return PriceWish(_cut(text, found), price="premium")
    return PriceWish(text)


def _bounds(match: re.Match[str], meaning: _Meaning) -> tuple[float | None, float | None]:
    amount = _value(match["a"])
    if meaning == "range":
        other = _value(match["b"])
        return min(amount, other), max(amount, other)
    if meaning == "around":
        return round(amount * (1 - AROUND), 2), round(amount * (1 + AROUND), 2)
    return (amount, None) if meaning == "min" else (None, amount)


def _is_money(match: re.Match[str], meaning: _Meaning) -> bool:
    """A bare number is money only with a currency; a range also when it is introduced or sizeable."""
    marked = any(value for name, value in match.groupdict().items() if name.endswith(("sign", "unit")))
    if meaning == "range":
        introduced = match.group().startswith(("between", "from"))
        return marked or introduced or _value(match["a"]) >= LEAST_BARE_RANGE
    return marked or meaning != "bare"


def _value(digits: str) -> float:
    return float(digits.replace(",", ""))


def _cut(text: str, found: re.Match[str]) -> str:
    return f"{text[: found.start()]} {text[found.end() :]}"
