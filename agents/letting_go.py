"""Wishes that a message lets go: "forget the budget", "doesn't have to be green", "any brand is fine"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from agents.language import any_of
from agents.lexicon import Found, Lexicon
from agents.plan import Facet
from agents.words import in_digits
from knowledge.types import Constraints

_FACETS: Mapping[str, Facet] = {
    "budget": "price", "price": "price", "money": "price", "cost": "price", "limit": "price", "cap": "price",
    "ceiling": "price", "maximum": "max_price", "max": "max_price",
    "minimum": "min_price", "min": "min_price",
    "brand": "brand", "make": "brand", "maker": "brand", "manufacturer": "brand", "label": "brand",
    "company": "brand", "color": "color", "department": "department", "kind": "kind", "wording": "words",
    "rest": "words",
}  # fmt: skip
_FACET = (
    rf"(?:(?:price|budget|spending|money|color|brand) )?(?P<facet>{'|'.join(_FACETS)})s?"
    r"(?! (?:to|of|is \d|\d))"
)
_ANY_FACET = r"(?P<facet>brand|color|price|budget|department|maker|make|manufacturer|company|label)s?"
_FINE = (
    r"(?: \w+){0,3}? (?:ok|okay|fine|good|cool|works?|alright|great|welcome|do|does|goes|acceptable|"
    r"no problem)"
)
_RELAXING = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{any_of('letting_go')}(?: what i said)?(?: about| on| with)?(?: the| my| that| any| your|"
        rf" this)?(?: whole)? {_FACET}"
        rf"(?: (?:thing|idea|filter|part|preference|requirement|restriction|bit|altogether|entirely))*\b",
        r"\b(?:without|no)(?: an?| the| my| any)? (?P<facet>budget|price|limit|brand|color)"
        r"(?: (?:limit|preference|restriction|cap))?\b(?! (?:name|new))",
        rf"\b(?:any|whatever|whichever|every|all)(?: old)? {_ANY_FACET}{_FINE}\b",
        r"\b(?:any|whatever) (?P<facet>brand|color|price|budget|department)s?\b(?! (?:but|except|other|"
        r"besides|apart|is|bar))",
        rf"\b{_FACET} (?:really )?(?:doesnt|does not|isnt|dont|is not|not|do not|is no|is not an?|no longer|"
        rf"isnt an?|wont)"
        r"(?: \w+){0,2}? ?(?:matters?|important|care|object|issue|concern|problem|obstacle|mind|"
        r"bother)\b(?: any ?more| now)?",
        r"\b(?P<facet>money|price|cost) (?:is )?no object\b",
        r"\b(?:dont|do not|doesnt|couldnt|not|no longer|never)(?: really| much)? (?:mind|care|fussed|"
        r"bothered|worried|fussy)(?: about| what| which| for)*"
        r"(?: the)? (?P<facet>price|cost|brand|color|budget|money|make|maker)s?\b(?! (?:that|this|"
        r"from))(?: it (?:is|costs?))?",
        r"\b(?:dont|do not|doesnt|not)(?: really)? (?:mind|care) (?:how (?:much|expensive)|"
        r"what it) (?P<cost>costs?|it costs?|it is)?",
        r"\b(?:dont|do not|doesnt|not)(?: really)? (?:mind|care) who (?P<who>makes?|made)(?: it| them)?",
    )
)
_BEFORE_NAME = re.compile(
    rf"(?:{any_of('letting_go')}|{any_of('not_needed')})"
    r"(?:,? ?(?:about|an?|the|that|those|these|this|my|whole|entire|all|of|in|from|by))* $"
)
_NEXT_NAME = re.compile(r"(?: ones?)?,? (?:and|or|nor) (?:the |that |in |from |by )*|, (?:the )?")
_AMOUNT = r"[$£€]? ?(?P<amount>\d+(?:\.\d+)?)(?: ?(?:dollars?|bucks?|quid|pounds|euros?))?"
_AMOUNTS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{any_of('letting_go')}"
        rf"(?: (?:about|that|the|my|limit|minimum|maximum|min|max|of|under|over|from))* {_AMOUNT}"
        r"(?! ?(?:to|and|-|instead|or)\b)(?: (?:thing|part|bit|limit|minimum|maximum|min|max|cap|floor))?\b",
        rf"\bthe {_AMOUNT} {any_of('was_wrong')}",
    )
)
_AFTER_NAME = re.compile(rf"(?: one| color| thing)? {any_of('was_wrong')}(?: any ?more)?")


@dataclass(frozen=True, slots=True)
class LetGo:
    """The facets whose wishes no longer hold, and the text without the words that say so.

    ``refused``: brands and colours let go that nobody had wished for: they are not wanted.
    """

    facets: tuple[Facet, ...]
    rest: str
    refused: tuple[Found, ...] = ()


def let_go(text: str, lexicon: Lexicon, current: Constraints | None = None) -> LetGo:
    """What a text in normal form lets go, by facet ("the budget"), name ("the green") or bound ("the 30").

    ``current``: the wishes that hold so far, if known.
    """
    facets: list[Facet] = []
    refused: list[Found] = []
    for pattern in _AMOUNTS:
        match = pattern.search(digits := in_digits(text))
        bound = _bound(float(match["amount"]), current) if match and current else None
        if match and bound:
            facets.append(bound)
            text = f"{digits[: match.start()]} ; {digits[match.end() :]}"
    for pattern in _RELAXING:
        while match := pattern.search(text):
            said = match.groupdict()
            facets.append("brand" if said.get("who") else _FACETS[said.get("facet") or "cost"])
            text = f"{text[: match.start()]} ; {text[match.end() :]}"
    spans: list[tuple[int, int]] = []
    listed: Found | None = None  # the name before, where it is let go: "the Acme and the Nimbury"
    for hit in lexicon.find(text):
        before, after = _BEFORE_NAME.search(text[: hit.start]), _AFTER_NAME.match(text, hit.end)
        goes_on = listed and listed.field == hit.field and _NEXT_NAME.fullmatch(text[listed.end : hit.start])
        listed = hit if before or after or goes_on else None
        if listed is None:
            continue
        start = before.start() if before else spans[-1][1] if goes_on else hit.start
        spans.append((start, after.end() if after else hit.end))
        if not (before or goes_on) or _is_wished(hit, lexicon, current):
            facets.append(hit.field)
        else:
            refused.append(hit)
    for start, end in reversed(spans):
        text = f"{text[:start]} ; {text[end:]}"
    return LetGo(tuple(dict.fromkeys(facets)), text, tuple(refused))


def _bound(amount: float, current: Constraints) -> Facet | None:
    if amount == current.min_price:
        return "min_price"
    return "max_price" if amount == current.max_price else None


def _is_wished(hit: Found, lexicon: Lexicon, current: Constraints | None) -> bool:
    """Whether a name is among the wishes so far, as far as that can be told."""
    if current is None or hit.field not in ("brand", "color"):
        return True
    wished = current.brands if hit.field == "brand" else current.colors
    return bool({hit.name, *lexicon.names_of(hit.field, hit.name)} & set(wished))
