"""Budgets in people's words: "under $30", "between ten and twenty bucks", "around 50", "25 tops".

Every amount of a text is read by what stands before and after it; together they are the bounds. What comes
later in a message holds against what came before it ("45 is too little, go to 70").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from agents.language import any_of
from agents.plan import Price
from agents.words import in_digits

AROUND = 0.25  # "around 40" means from 30 to 50
LEAST_BARE_RANGE = 5  # "5-10" may be a price, "2-3" counts something
LEAST_PRICE_OF_MANY = 10  # "under 40 candles" may be a price, "at most 3 candles" counts them

_UNIT = (
    r"(?:dollars?|dollarz|bucks?|usd|quid|euros?|eur|gbp|cad|aud|pounds\b|pound sterling|smackers|[$£€])"
    r"(?!\w)"
)
_SIGN = r"(?:(?:us|ca|au|nz|a|c)?[$£€]|(?:usd|eur|gbp|cad|aud)\b)"
# A number of something else than money: "a 2 person tent", "under 20 oz", "five words".
_NOT_MONEY = (
    r"(?![\d.,]*\d)(?!\s*-?\s*(?:[\"″°%]|(?:inch(?:es)?|in(?=\s*(?:wide|long|tall|deep|screen))|oz|"
    r"ounces?|cm|mm|m|ft|"
    r"feet|foot|lbs?|pound|kgs?|kilos?|g|grams?|l|lit(?:er|re)s?|ml|gallons?|quarts?|watts?|w|volts?|v|"
    r"gb|tb|mb|mah|hz|"
    r"db|lumens?|degrees?|miles?|km|met(?:er|re)s?|years?|yrs?|yo|y/?o|months?|weeks?|days?|nights?|"
    r"hours?|hrs?|"
    r"minutes?|mins|seconds?|people|ppl|persons?|man|men|guests?|players?|kids?|children|adults?|"
    r"friends?|cats?|dogs?|"
    r"words?|packs?|pieces?|pcs|pockets?|drawers?|compartments?|pages?|sheets?|colou?rs|strings?|"
    r"seasons?|tiers?|slots?|"
    r"ports?|keys?|cups?|stars?|percent|options?|items?|products?|things?|ideas?|of (?:us|them|you|these|"
    r"those|my|our|the)|"
    r"more(?!\s+than)|st|nd|rd|th|x|am|pm|oclock)\b))"
)
_NUMBER = r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?P<thousand>k\b)?"
_AMOUNT = re.compile(
    rf"(?<![\w.#\"])(?P<sign>{_SIGN}\s*)?{_NUMBER}(?:\s*(?P<unit>{_UNIT}))?{_NOT_MONEY}(?!(?!ish\b)[^\W\d_])"
)
# A number that counts or names something: "size 9", "number 3", "a pack of 6", "3) blue".
_NAMED_BY_NUMBER = re.compile(
    r"(?:#|\b(?:number|no\.?|option|card|size|sizes|aged?|ages|turn(?:s|ing|ed)|version|model|grade|"
    r"(?:pack|set|box|case|bag|family|group|class|party|crew|team|child|kid|boy|girl)s? of|since|level|"
    r"iphone|round))\s*$"
)
_IS_BULLET = re.compile(r"\)")
# Where a message speaks of weight, "35 pounds" is no price.
_OF_WEIGHT = re.compile(
    r"\b(?:kettlebells?|dumbbells?|weigh\w*|heavy|heavier|lifts?|lifting|holds? up|load|body ?weight|"
    r"kilos?)\b|"
    r"\b(?:dog|lab|pup|puppy|cat|shepherd|retriever)(?: \w+){0,2} (?:of|is|at|about|"
    r"around) (?:\w+ )?[\d.]+ pounds"
)
_ANOTHER_AMOUNT = rf"(?!\s*(?:of|is|:|=|at|price|budget)?\s*(?:{_SIGN}\s*)?\d)"
_MANY = re.compile(
    r"\s+(?:(?:different|other|big|small|large|hungry|little|old) )?"
    r"(?!(?:tops|plus|pls|is|its|this|thus|thanks|always|as|was|has|yes|less|ones|us|"
    r"pens)\b)[^\W\d_]{2,}s\b"
)

_ABOUT = (
    r"(?:around|about|round about|roughly|approx(?:imately)?|approx\.|circa|near(?:ly)?|"
    r"somewhere (?:around|near|about)|~|"
    r"close to|not far (?:off|from)|in the (?:region|neighbou?rhood|vicinity|range|area|ballpark) of|"
    r"give or take|"
    r"(?:maybe|say|like|perhaps|lets say))"
)
_FILLER = (
    rf"(?:\s*\b(?:of|is|was|be|should be|would be|must be|at|to|only|just|like|{_ABOUT}|an?|the|my|our|"
    rf"me|us|total|"
    r"price|budget|spend|cost|it|that|this|for (?:this|it|that|them|each|one)))*\s*[:=]?\s*"
)
_NO = (
    r"(?:no|not|nothing|never|dont|doesnt|do not|does not|shouldnt|should not|cant|cannot|wont|will not|"
    r"without|isnt|arent|wouldnt|rather not|must not|mustnt|may not|aint)"
)
_MORE_THAN = (
    r"(?:more than|more then|over|above|exceed(?:s|ing)?|past|pass(?:es|ing)?|beyond|north of|"
    r"higher than|upwards of|"
    r"going over|greater than|dearer than|pricier than|more expensive than|bigger than)"
)
_UNDER = (
    r"(?:sub|under|underneath|below|beneath|less than|less then|lower than|cheaper than|"
    r"less expensive than|at most|at the most|"
    r"up to|upto|as (?:high|much|far) as|max(?:imum)?|maxing out at|tops|within|inside|capped|cap|"
    r"limit(?:ed)?|"
    r"ceiling|south of|shy of|<=?)"
)
# A budget that is moved: "push it to 70", "we can go until 260".
_MOVED_TO = (
    r"\b(?:go|goes|going|gone|push|bump|raise|lift|increase|stretch|extend|move|up|bring|lower|drop|cut|"
    r"reduce|"
    r"change|set|put|keep|get|come|knock|take)(?:ed|d|s)?\b[^.,;!?]{0,32}?\b(?:to|until|til|till|down|up)"
)
_AT_MOST = (
    r"(?:(?:can|could|ill|id|well|lets|might|would|happy to|willing to|prepared to) "
    r"(?:do|manage|swing|go|offer|give|part with|shell out|fork out|run to|say)|"
    r"make (?:it|that)(?: an?)?|budget(?:s|ed)?|afford|spend|spending|pay|paying|got|"
    r"(?:i|we|ive|weve) (?:only |just )?(?:have|got)(?: got)?|theres|there is|call it|now)"
)
_LEAST = r"(?:at least|at the least|min(?:imum)?(?: \w+){0,2} to|min(?:imum)?|no less than|not less than|>=?)"
_FROM = rf"(?:from|starting (?:at|from)|start(?:s)? (?:at|from)|upwards of|{_MORE_THAN})"
_THEIR_END = (
    r"(?:(?:s| is| are| would be| will be| as)?\s*(?:my|our|the|an?|her|his)?\s*"
    r"(?:absolute |very |upper |hard |top |price |spending )*"
)

_Meaning = Literal["range", "max", "min", "around", "bare"]
# What stands right after an amount, and right before it, in the order of their force.
_AFTER_WORDS: tuple[tuple[_Meaning, str], ...] = (
        ("min", rf"(?:\+(?!\s*\d)|plus\b|or more\b|or (?:over|above|higher|up)\b|and (?:up|above|over|"
                rf"more|beyond)\b|upwards?\b|"
         rf"(?:at least|min(?:imum)?|{_THEIR_END}(?:min(?:imum)?|floor)))\b{_ANOTHER_AMOUNT})"),
        ("max", rf"(?:or (?:less|under|below|cheaper|lower|fewer)\b|and (?:under|below|less|not (?:an?|"
                rf"one) \w+ more|no more)\b|"
         rf"(?:not (?:an?|one) \w+|no) more\b|to (?:spend|play with|blow|burn|spare|use)\b|"
         rf"at (?:the )?outside\b|"
         rf"at (?:the )?(?:very )?most\b{_ANOTHER_AMOUNT}|at a push\b|"
         rf"{_THEIR_END}(?:max(?:imum)?|tops|limit|budget|ceiling|cap|top)\b){_ANOTHER_AMOUNT})"),
)  # fmt: skip
_AFTER = tuple(
    (meaning, re.compile(rf"\s*(?:each|apiece|a piece|per piece|in total|altogether)?\s*,?\s*{pattern}"))
    for meaning, pattern in _AFTER_WORDS
)
_OR_SO = re.compile(
    r"\s*[-,]?\s*(?:ish\b|or so\b|(?:or )?there ?abouts|give or take|(?:price )?range\b|"
    r"(?:price )?mark\b|ballpark\b|area\b|more or less)"
)
_BEFORE_WORDS: tuple[tuple[_Meaning, str], ...] = (
    ("max", rf"{_NO}\b(?:(?! (?:not?|and|but)\b)[^.,;\d$]){{0,24}}?\b{_MORE_THAN}"),
    ("min", rf"{_NO} (?:less than|under|below|cheaper than|lower than)"),
    ("min", _LEAST),
    ("max", _UNDER),
    ("min", _FROM),
    ("max", _MOVED_TO),
)
_BEFORE = tuple((meaning, re.compile(rf"(?<!\w){pattern}{_FILLER}$")) for meaning, pattern in _BEFORE_WORDS)
_ABOUT_BEFORE = re.compile(rf"(?<!\w){_ABOUT}\s*(?:the |an? )?$")
_WEAKLY_BEFORE = re.compile(rf"(?<!\w){_AT_MOST}{_FILLER}$")
_BETWEEN = re.compile(r"(?<!\w)(?:between|from|anywhere from)\s*$")
_TO = re.compile(r"\s*(?:-|–|—|to|until|till?|through|or)\s*")
_AND = re.compile(r"\s*(?:and|to|through|until|till?|or|-|–|—)\s*")
_MOVED_FROM = re.compile(
    r"\b(?:bump|raise|push|up|increase|lift|stretch|extend|go|lower|drop|cut|bring|reduce|"
    r"change)\b[^.,;!?\d]{0,24}\bfrom\s*$"
)
_NOT = re.compile(r"\b(?:not|no|isnt|nothing)(?: (?:the|a|an|too|so|some))? $")
_CHEAP, _PREMIUM = re.compile(any_of("cheap")), re.compile(any_of("premium"))


@dataclass(frozen=True, slots=True)
class PriceWish:
    """Bounds in dollars, or a word about price; ``rest``: the text with all that blanked out."""

    rest: str
    min_price: float | None = None
    max_price: float | None = None
    price: Price = ""


@dataclass(frozen=True, slots=True)
class _Priced:
    """What one or two amounts say, and where they and the words about them stand."""

    meaning: _Meaning
    low: float | None
    high: float | None
    start: int
    end: int


def parse_price(text: str) -> PriceWish:
    """The price a text in normal form asks for; a bare "$30" is taken as the most to pay."""
    text = in_digits(text)
    said = list(_priced(text))
    said = [each for each in said if each.meaning != "bare"] or said
    if said:
        low, high = _together(said)
        return PriceWish(_blanked(text, said), low, high)
    if (found := _CHEAP.search(text)) and not _NOT.search(text[: found.start()]):
        return PriceWish(_cut(text, found), price="cheap")
    if found := _PREMIUM.search(text):
        return PriceWish(_cut(text, found), price="premium")
    return PriceWish(text)


def _priced(text: str) -> Iterator[_Priced]:
    """All that a text says of prices, from left to right."""
    amounts = [match for match in _AMOUNT.finditer(text) if not _counts(text, match)]
    behind, at = 0, 0
    while at < len(amounts):
        amount, following = amounts[at], amounts[at + 1] if at + 1 < len(amounts) else None
        left = text[behind : amount.start()]
        if following and (pair := _range(text, left, amount, following)):
            yield pair
            at, behind = at + 2, pair.end
            continue
        if one := _alone(text, left, amount):
            yield one
        at, behind = at + 1, one.end if one else amount.end()


def _range(text: str, left: str, low: re.Match[str], high: re.Match[str]) -> _Priced | None:
    """The range that two amounts span ("20 to 30"); None where they stand apart."""
    between, opened = text[low.end() : high.start()], _BETWEEN.search(left)
    if not (_AND if opened else _TO).fullmatch(between):
        return None
    values = _value(low), _value(high)
    if moved := _MOVED_FROM.search(left):
        return _Priced("max", None, values[1], low.start() - len(left) + moved.start(), high.end())
    if not (opened or _is_marked(low) or _is_marked(high) or values[0] >= LEAST_BARE_RANGE):
        return None
    start = low.start() - (len(left) - opened.start() if opened else 0)
    tail = _OR_SO.match(text, high.end())
    return _Priced("range", min(values), max(values), start, tail.end() if tail else high.end())


def _alone(text: str, left: str, amount: re.Match[str]) -> _Priced | None:
    """What a single amount says; None where it may be no price."""
    value, start, end = _value(amount), amount.start(), amount.end()
    is_marked = _is_marked(amount)
    many = not is_marked and _MANY.match(text, end)
    for meaning, pattern in _AFTER:
        if not many and (after := pattern.match(text, end)):
            before = next((m for _, each in _BEFORE if (m := each.search(left))), None)
            return _one(meaning, value, start - (len(left) - before.start() if before else 0), after.end())
    for meaning, pattern in _BEFORE:
        if before := pattern.search(left):
            if many and value < LEAST_PRICE_OF_MANY:
                return None
            return _one(meaning, value, start - len(left) + before.start(), end)
    if many:
        return None
    weak, about = _WEAKLY_BEFORE.search(left), _ABOUT_BEFORE.search(left)
    begin = min((start - len(left) + each.start() for each in (weak, about) if each), default=start)
    if so := _OR_SO.match(text, end):
        return _one("around", value, begin, so.end())
    if about:
        return _one("around", value, begin, end)
    if weak:
        return _one("max", value, begin, end)
    return _one("bare", value, start, end) if is_marked else None


def _one(meaning: _Meaning, value: float, start: int, end: int) -> _Priced:
    low: float | None = None if meaning in ("max", "bare") else value
    high: float | None = None if meaning == "min" else value
    if meaning == "around":
        low, high = round(value * (1 - AROUND), 2), round(value * (1 + AROUND), 2)
    return _Priced(meaning, low, high, start, end)


def _together(said: list[_Priced]) -> tuple[float | None, float | None]:
    """The bounds that hold in the end: a later one replaces what it contradicts."""
    low: float | None = None
    high: float | None = None
    for each in said:
        below = each.low is not None and high is not None and high <= each.low
        above = each.high is not None and low is not None and low >= each.high
        if each.low is not None or above:
            low = each.low
        if each.high is not None or below:
            high = each.high
    return low, high


def _counts(text: str, amount: re.Match[str]) -> bool:
    """Whether a number counts, weighs or names something: it is no price."""
    left = text[: amount.start()]
    if _IS_BULLET.match(text, amount.end()) and left.count("(") <= left.count(")"):
        return True
    if amount["unit"] == "pounds" and _OF_WEIGHT.search(text):
        return True
    return not _is_marked(amount) and _NAMED_BY_NUMBER.search(left) is not None


def _is_marked(amount: re.Match[str]) -> bool:
    return bool(amount["sign"] or amount["unit"])


def _value(amount: re.Match[str]) -> float:
    return float(amount["number"].replace(",", "")) * (1000 if amount["thousand"] else 1)


def _blanked(text: str, said: list[_Priced]) -> str:
    for each in reversed(said):
        text = f"{text[: each.start]} ; {text[each.end :]}"
    return text


def _cut(text: str, found: re.Match[str]) -> str:
    return f"{text[: found.start()]} {text[found.end() :]}"
