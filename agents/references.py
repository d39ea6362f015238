"""What "the second one", "my kettle", "it" or "what I bought last spring" points at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agents.catalogue import Catalogue
from agents.language import word_set
from agents.plan import Reference
from agents.words import STOPWORDS, words
from knowledge.types import Interaction

_ORDINALS = {
    word: position
    for position, names in enumerate(
        ("first 1st one 1", "second 2nd two 2", "third 3rd three 3", "fourth 4th four 4", "fifth 5th five 5",
         "sixth 6th six 6", "seventh 7th seven 7", "eighth 8th eight 8"), start=1
    )
    for word in names.split()
}  # fmt: skip
_PLACE_NAMES = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
_SEVERAL = re.compile(r" (?:two|three|few|ones|[2-5])\b")
_DOUBLED = re.compile(r"\b(the|one)(?: \1)+\b")
_NO_PLACE = (
    r"(?! (?:time|aid|hand|place\b(?! one)|thing (?:in|tomorrow|on)|of all|off\b|rate|class|degree|floor|"
    r"thoughts?|nature|world|cousin|grade))"
)
_ORDINAL = re.compile(
    r"(?:\bno\.? ?#?(?P<abbreviated>[1-8])(?! ?(?:person|people|man|pack|x)\b)|\b(?:number|option|nr\.?|"
    r"num|numero|card|pick|item|choice)\s*#?\s*(?P<number>[1-8]\b|one|two|three|four|five|six|"
    r"seven|eight)(?! (?:tips?|reasons?|ideas?|things?|dollars?|bucks?))|(?<!\w)#\s*(?P<hash>[1-8])|"
    r"\b(?P<ordinal>first|1st|second|2nd|third|3rd|fourth|4th|fifth|5th|sixth|6th|seventh|7th|eighth|"
    rf"8th){_NO_PLACE}|"
    r"^(?:(?:ok|okay|yes|yeah|so|um|right|fine|and|hmm)[,.]? )*(?P<alone>[1-8])(?=[ ,.!]*(?:it is|please|"
    r"pls|then|thanks|for me|$))|"
    r"\b(?:take|taking|want|go with|going with|pick|choose|get|have|convince me on|"
    r"sell me) (?P<taken>[1-8])(?=[ ,.!?]*$|[,.!?]| (?:please|pls|then|thanks)))\b"
)
_FROM_END = re.compile(
    r"\b(?:(?P<behind>second|2nd|third|3rd)(?: (?:one )?(?:to|from)(?: the)?)?[ -]last|"
    r"last but (?P<but>one|two)|next to(?: the)? last|penultimate)\b"
)
_MIDDLE = re.compile(
    r"\b(?:middle|central|cent(?:er|re))(?: (?:one|option|card|pick|item))?\b(?! (?:school|schoolers?|of|"
    r"aged?|east|piece))"
)
_BY_PRICE = re.compile(
    r"\b(?:(?P<low>cheapest|least (?:expensive|pricey)|lowest[- ]priced?|(?:cheaper|"
    r"less expensive)(?: one)?(?= (?:of|from|among|between))|(?<=the )cheaper one)|"
    r"(?P<high>most expensive|priciest|dearest(?= (?:one|of|card|option))|highest[- ]priced?|(?:dearer|"
    r"pricier|more expensive)(?: one)?(?= (?:of|from|among|between))|(?<=the )(?:dearer|pricier) one))\b"
)
_OF_TWO = re.compile(r"\b(?P<end>first|last|top|bottom)? ?(?:two|2)\b")
_TOP = re.compile(
    r"\b(?:top|former) (?:one|pick|choice|card|item|result|suggestion)\b|\bthe (?:top|former)\b"
)
_LAST = re.compile(
    r"(?:\b(?:the|my|our|your|that|this|its|bought|got|ordered|purchased|very|in|and|or|with|vs|versus|"
    r"against) (?:very )?"
    r"(?:last|bottom|final|latter)\b|^(?:last|bottom|final|latter)\b|"
    r"\b(?:last|bottom|final) (?:one|card|option|item|thing|purchase|order|pick|product|buy)\b)"
    r"(?! (?:spring|summer|autumn|fall|winter|year|month|week|night|time|christmas|january|february|march|"
    r"april|may|june|july|august|september|october|november|december|\d|two|three|few|but))"
)
_PURCHASE = re.compile(
    r"\b(?:purchas\w*|(?:my|our|last|latest|recent|previous) (?:\w+ ){0,2}orders?|"
    r"ordered|bought|did i buy|got|owned|acquired|picked up|shopped|acquisition)\b"
)
_RECENT = re.compile(
    r"\b(?:most recent(?:ly)?|latest|newest|last (?:thing|purchase|order|buy|item|acquisition)|"
    r"recent (?:purchase|order))\b"
)
_PRONOUN = re.compile(r"\b(?:its?|they|this|that|these|those|them|same one)\b")
_POINTING = word_set("pointing")
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_MONTHS = {
    name: month
    for month, names in enumerate(
        ("january jan", "february feb", "march", "april apr", "may", "june jun", "july jul", "august aug",
         "september sept sep", "october oct", "november nov", "december dec"), start=1
    )
    for name in names.split()
}  # fmt: skip
_NAMED = "|".join([*_SEASONS, *_MONTHS, "christmas"])
_DATE = re.compile(
    rf"\b(?:(?:in|last|this|past|during|back in|around|early|late)(?: (?:the|last|this|early|late))? "
    rf"(?P<named>{_NAMED})(?:(?: of| in)? (?P<of>(?:19|20)\d\d))?|"
    r"(?:in|during|from|back in) (?P<year>(?:19|20)\d\d)|last (?P<last>year|month|week)|"
    r"this (?P<this>year|month)|"
    r"(?P<count>a|an|one|two|three|four|five|six|\d+) (?P<unit>years?|months?|weeks?) (?:ago|back))\b"
)
_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}


_ANY_PLACE = re.compile(
    _ORDINAL.pattern + r"|(?<![\w.$])(?P<bare>[1-8])(?![\w.%])|"
    r"\b(?P<word>one|two|three|four|five)(?=,? (?:(?:and|or|vs|with) )?(?:two|three|four|five)\b)|"
    r"(?<=\bone and )(?P<after>two|three|four|five)|(?<=\btwo and )(?P<later>three|four|five)"
)
_FIRST_FEW = re.compile(
    r"\b(?:(?:first|top|these|those|the|all|your) )+(?P<count>two|three|2|3)\b(?! (?:dollars?|bucks?|star))"
)
_LAST_FEW = re.compile(
    r"\b(?:last|bottom|final|latter) (?P<count>two|three|2|3)\b(?! (?:dollars?|bucks?|star))"
)
_EXACT_FEW = re.compile(r"\b(?:first|top) (?P<count>two|three|2|3)\b(?! (?:dollars?|bucks?|star))")
_BETWEEN = re.compile(r"\b(?:and|or|vs|versus|with|to|against|from|between)\b|,")
_ALL_OF = re.compile(r"\b(?:all|these|those|them|they|three|3)\b(?! two)")


@dataclass(frozen=True, slots=True)
class InSight:
    """What words can point at: the cards shown last, what is talked about, the purchases (oldest first)."""

    shown: Sequence[str] = ()
    focus: str | None = None
    history: Sequence[Interaction] = ()


def resolve(reference: Reference, sight: InSight, catalogue: Catalogue) -> list[str]:
    """The item ids that a reference fits, best first; several where it cannot be told which; maybe none.

    Looked for among the shown cards, then the purchases (first when ``owned``), then the whole store.
    """
    text, name = reference.words, _name(reference.words)
    bought = list(dict.fromkeys(interaction.item_id for interaction in reversed(sight.history)))
    of_purchases = reference.owned or bool(_PURCHASE.search(text))
    dated = _bought_then(text, sight.history)
    if dated is not None:
        return catalogue.match(name, dated) or dated
    if of_purchases or not sight.shown:
        placed = _placed_purchase(text, sight.history)
        if placed:
            return [placed]
    if not reference.owned and (few := _placed_cards(text, sight.shown)):
        return few
    placed = None if reference.owned else _placed_card(text, sight.shown)
    if placed or (placed := None if reference.owned else _priced_card(text, sight.shown, catalogue)):
        return [placed]
    places = [bought, list(sight.shown)] if of_purchases else [list(sight.shown), bought]
    for place in places:
        named = catalogue.match(name, place)
        if named:
            return named
    if _position(text) and not name:
        return []  # "the fifth one" of three cards
    if _PRONOUN.search(text) or not name:
        pointed = sight.focus or (sight.shown[0] if sight.shown else None)
        if pointed:
            return [pointed]
    return [] if reference.owned else catalogue.match(name)


def resolve_several(reference: Reference, sight: InSight, catalogue: Catalogue, most: int) -> list[str]:
    """The products to set side by side, in the order named: places, names, what is talked about.

    Where fewer than two are named, those shown fill up; still fewer than two means that it cannot be told.
    """
    text, shown = reference.words, list(sight.shown)
    found: list[str] = [shown[place - 1] for place in _places(text) if place <= len(shown)]
    if counted := _LAST_FEW.search(text):
        found = shown[-_count(counted["count"]) :]
    if (behind := _behind_last(text)) and behind <= len(shown):
        found = [shown[-behind]]
    if _MIDDLE.search(text) and shown:
        found.append(shown[(len(shown) - 1) // 2])
    if _LAST.search(text) and shown:
        found.append(shown[-1])
    if counted := _FIRST_FEW.search(text):
        found += shown[: _count(counted["count"])]
    bought = list(dict.fromkeys(interaction.item_id for interaction in reversed(sight.history)))
    for part in _BETWEEN.split(text) if len(found) < 2 else ():
        name = _name(_ORDINAL.sub(" ", part))
        places = [bought, shown] if _PURCHASE.search(part) or "my " in part else [shown, bought]
        fits = next((fits for place in places if (fits := catalogue.match(name, place))), [])
        if len(fits) == 1 or (fits and not found):
            found += fits
        elif not fits and not shown:
            found += catalogue.match(name)[:1]
    found = list(dict.fromkeys(found))
    if len(found) < 2:
        enough = most if _ALL_OF.search(text) else 2
        rest = [sight.focus] if sight.focus and found else []
        found = list(dict.fromkeys([*found, *rest, *shown]))[:enough]
    return found[:most]


def pointed_at(text: str, names: Sequence[str]) -> str:
    """What of a question points at a product: places, dates, the ``names`` in it; "it" where nothing does."""
    pointing = (_EXACT_FEW, _LAST_FEW, _FROM_END, _MIDDLE, _ORDINAL, _TOP, _LAST, _BY_PRICE, _DATE)
    places = [match.group() for pattern in pointing for match in pattern.finditer(text)]
    pronouns = ["it"] if _PRONOUN.search(text) or not places + list(names) else []
    return " ".join([*places, *names, *pronouns])


def _places(text: str) -> list[int]:
    """All positions named, in order: "the first and #3", "2 or 4", "one and three"."""
    return [
        _ORDINALS[next(place for place in match.groups() if place)]
        for match in _ANY_PLACE.finditer(text)
        if not _FIRST_FEW.match(text, match.start())
    ]


def choose(text: str, among: Sequence[str], catalogue: Catalogue) -> list[str]:
    """The items of a short list that a text picks, by place ("the second") or by name; maybe none."""
    placed = _placed_card(text, among)
    return [placed] if placed else catalogue.match(_name(text), among)


def _placed_cards(text: str, shown: Sequence[str]) -> list[str]:
    """The cards meant by "the first two", "the first and the third"; none where a text names but one."""
    if _BY_PRICE.search(text) or _behind_last(text):
        return []  # "the cheaper of the first two"
    if few := _EXACT_FEW.search(text):
        return list(shown[: _count(few["count"])])
    if few := _LAST_FEW.search(text):
        return list(shown[-_count(few["count"]) :])
    said = [_ORDINALS[next(place for place in match.groups() if place)] for match in _ORDINAL.finditer(text)]
    found = [shown[place - 1] for place in dict.fromkeys(said) if place <= len(shown)]
    found += [shown[-1]] if found and _LAST.search(text) and shown[-1] not in found else []
    return found if len(found) > 1 else []


def _placed_card(text: str, shown: Sequence[str]) -> str | None:
    """The card meant by "the second", "#3", "the last one"."""
    if not shown:
        return None
    if behind := _behind_last(text):
        return shown[-behind] if behind <= len(shown) else None
    if _MIDDLE.search(text):
        return shown[(len(shown) - 1) // 2]
    if _LAST.search(text):
        return shown[-1]
    if _TOP.search(text):
        return shown[0]
    position = _position(text)
    return shown[position - 1] if position and position <= len(shown) else None


def _behind_last(text: str) -> int:
    """2 for "the second to last", 3 for the one before it; 0 where a text says neither."""
    match = _FROM_END.search(text)
    if match is None:
        return 0
    return 3 if (match["behind"] or "").startswith(("third", "3")) or match["but"] == "two" else 2


def _priced_card(text: str, shown: Sequence[str], catalogue: Catalogue) -> str | None:
    """The card meant by "the cheapest", "the cheaper of the last two"."""
    match = _BY_PRICE.search(text)
    if match is None:
        return None
    two = _OF_TWO.search(text, match.end())
    among = (shown[-2:] if two["end"] in ("last", "bottom") else shown[:2]) if two else shown
    prices = {item_id: price for item_id in among if (price := catalogue.items[item_id].price) is not None}
    if not prices:
        return None
    return (min if match["low"] else max)(prices, key=prices.__getitem__)


def without_superlatives(text: str) -> str:
    """The text without "cheapest" and the like, where they say how something should be, not which it is."""
    return _BY_PRICE.sub(" ", text)


def names_place(text: str) -> bool:
    """Whether a text says which of the products shown it means: "the second", "the last one", "#3"."""
    return any(each.search(text) for each in (_ORDINAL, _FROM_END, _MIDDLE, _TOP, _LAST, _LAST_FEW))


def spelt_places(text: str) -> str:
    """The text with every place as "the second one", however it was said ("no. 2", "#2", "the 2nd")."""
    text = _MIDDLE.sub("second", text)

    def spelt(match: re.Match[str]) -> str:
        if _SEVERAL.match(text, match.end()):
            return match.group()  # "the first two"
        place = next(place for place in match.groups() if place)
        lead = match.group()[: match.start(match.lastindex or 0) - match.start()]
        kept = lead if match["alone"] or match["taken"] else ""
        return f"{kept}the {_PLACE_NAMES[_ORDINALS[place] - 1]} one"

    return _DOUBLED.sub(r"\1", _ORDINAL.sub(spelt, text))


def _count(word: str) -> int:
    return _COUNTS.get(word) or int(word)


def _placed_purchase(text: str, history: Sequence[Interaction]) -> str | None:
    """The purchase meant by "my first purchase", "the last thing I bought"."""
    if not history:
        return None
    if _RECENT.search(text) or _LAST.search(text):
        return history[-1].item_id
    position = _position(text)
    return history[position - 1].item_id if position and position <= len(history) else None


def _position(text: str) -> int | None:
    match = _ORDINAL.search(text)
    return _ORDINALS[next(place for place in match.groups() if place)] if match else None


def _name(text: str) -> str:
    """What is left of a reference when time and words of pointing are taken out: the product's own words."""
    said = words(_DATE.sub(" ", text))
    return " ".join(word for word in said if word not in STOPWORDS and word not in _POINTING)


def _bought_then(text: str, history: Sequence[Interaction]) -> list[str] | None:
    """Items bought in the time that the text names, latest first; None where it names no time.

    Time is counted from the latest purchase: a store's records may end long before today.
    """
    match = _DATE.search(text)
    if match is None or not history:
        return None
    start, end = _span(match, datetime.fromtimestamp(history[-1].timestamp, UTC))
    then = [i for i in history if start.timestamp() <= i.timestamp < end.timestamp()]
    return list(dict.fromkeys(interaction.item_id for interaction in reversed(then)))


def _span(match: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    """Beginning and end of the time named, the last such time up to ``now`` where no year is said."""
    if match["year"]:
        return _months(int(match["year"]), 1, 12)
    if match["named"]:
        month, length = _named_months(match["named"])
        if match["of"]:
            return _months(int(match["of"]), month, length)
        start, end = _months(now.year, month, length)
        return (start, end) if start <= now else _months(now.year - 1, month, length)
    if match["last"] or match["this"]:
        if match["last"] == "week":
            return now - timedelta(days=7), now + timedelta(seconds=1)
        back = 1 if match["last"] else 0
        if "year" in (match["last"], match["this"]):
            return _months(now.year - back, 1, 12)
        return _months(now.year, now.month - back, 1)
    count = _COUNTS.get(match["count"]) or int(match["count"])
    if match["unit"].startswith("year"):
        return _months(now.year - count, 1, 12)
    if match["unit"].startswith("month"):
        return _months(now.year, now.month - count, 1)
    return now - timedelta(weeks=count + 1), now - timedelta(weeks=count - 1)


def _named_months(name: str) -> tuple[int, int]:
    """First month and number of months of a season, a month or Christmas (November and December)."""
    if name in _SEASONS:
        return _SEASONS[name], 3
    return (11, 2) if name == "christmas" else (_MONTHS[name], 1)


def _months(year: int, month: int, length: int) -> tuple[datetime, datetime]:
    """The span of ``length`` months; ``month`` may lie outside 1 to 12 and then moves the year."""
    first, after = year * 12 + month - 1, year * 12 + month - 1 + length
    return (
        datetime(first // 12, first % 12 + 1, 1, tzinfo=UTC),
        datetime(after // 12, after % 12 + 1, 1, tzinfo=UTC),
    )
