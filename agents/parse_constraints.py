"""Wishes in a message: price, brand, colour, department, kind, what to leave out, and free words."""

from __future__ import annotations

import re
from collections import defaultdict

from agents.critique import merge
from agents.language import any_of, word_set
from agents.lexicon import Field, Found, Lexicon
from agents.plan import Wishes
from agents.prices import parse_price
from agents.words import STOPWORDS, WORD, singular
from knowledge.types import Constraints

_NEGATOR = re.compile(any_of("negators"))
_SCOPE_END = re.compile(rf"[.;!?:]|{any_of('scope_ends')}")
_LIST_TAIL = re.compile(r",?\s*(?:and|or|nor|no|not)\s+(?:any\s+)?$|,\s*$")
_FREE_OF = re.compile(r"\b([^\W\d_]+)[- ]free\b")
_POSITIVE_ONLY = re.compile(r"\bnothing (?:but|other than)\b|\bonly\b")
_EMPTY_WORDS = STOPWORDS | word_set("asking")
_LEAVING_OUT = ("without", "w/o")
_MATERIALS, _LOOSE = word_set("materials"), word_set("loose_departments")
_DEPARTMENT_WORD = re.compile(r"\s*(?:department|section|aisle|category|range)\b")
_THINGS = re.compile(
    r"\s*(?:stuff|things?|gear|gadgets?|items?|products?|essentials|decor|goods|equipment|accessories|"
    r"department|section|aisle|category|range)\b"
)
_FOR = re.compile(r"\b(?:for|in|from) (?:the |our |my |your )?$")
# The message takes something back: what comes after holds.
_TAKEN_BACK = re.compile(
    r"(?:\b(?:no,? wait|wait,? no|scratch that|actually|or rather|i mean|on second thoughts?|correction|"
    r"sorry|never ?mind|make (?:it|that)(?= (?:an? )?[^\W\d]+\b)"
    r"(?! (?:under|below|less|at most|around)))\b[,:]?)"
)


def parse_constraints(text: str, lexicon: Lexicon) -> Wishes:
    """Wishes of a text in normal form (`Lexicon.correct`); nothing found gives an empty `Wishes`.

    Where a message takes something back ("blue, no wait, red"), its latest word on a facet holds.
    """
    wishes = Wishes()
    for number, part in enumerate(_TAKEN_BACK.split(text)):
        new = _parse(part, lexicon)
        wishes = merge(wishes, new) if number else new
    return wishes


def _parse(text: str, lexicon: Lexicon) -> Wishes:
    price = parse_price(text)
    rest = price.rest
    found = lexicon.find(rest)
    scopes = _negated(rest, found)
    found = _without_loose_departments(rest, _without_repeats(found, scopes, lexicon), scopes)
    wanted: dict[Field, list[str]] = defaultdict(list)
    unwanted: dict[Field, list[str]] = defaultdict(list)
    for hit in found:
        side = unwanted if _inside(hit.start, scopes) else wanted
        if hit.name not in side[hit.field]:
            side[hit.field].append(hit.name)
    for field, names in unwanted.items():  # "she hates brown, anything but brown"
        wanted[field] = [name for name in wanted[field] if name not in names]
    return Wishes(
        Constraints(
            max_price=price.max_price,
            min_price=price.min_price,
            brands=tuple(wanted["brand"]),
            not_brands=tuple(unwanted["brand"]),
            colors=tuple(wanted["color"]),
            not_colors=tuple(unwanted["color"]),
            departments=tuple(wanted["department"]),
            not_departments=tuple(unwanted["department"]),
            kinds=tuple(wanted["kind"]),
            not_kinds=tuple(unwanted["kind"]),
            words=_free_words(rest, found, scopes),
        ),
        avoid=_avoided(rest, found, scopes, lexicon),
        price=price.price,
    )


def _without_repeats(
    found: list[Found], scopes: list[tuple[int, int]], lexicon: Lexicon
) -> list[Found]:
    """Of "a bag, a dry bag" only the dry bag: a short form steps back behind one of the names it may mean."""
    named = {hit.name for hit in found if not hit.is_short and not _inside(hit.start, scopes)}
    return [hit for hit in found if not (hit.is_short and named & set(lexicon.names_of(hit.field, hit.name)))]


def _without_loose_departments(
    text: str, found: list[Found], scopes: list[tuple[int, int]]
) -> list[Found]:
    """A "tent for the garden" need not be a garden product: beside a kind, "garden" is only a word."""
    has_kind = any(hit.field == "kind" and not _inside(hit.start, scopes) for hit in found)

    def is_meant(hit: Found) -> bool:
        if hit.field != "department" or _DEPARTMENT_WORD.match(text, hit.end):
            return True
        if has_kind:
            return _inside(hit.start, scopes)
        is_loose = hit.name in _LOOSE
        return not is_loose or bool(_THINGS.match(text, hit.end) or _FOR.search(text[: hit.start]))

    return [hit for hit in found if is_meant(hit)]


def _negated(text: str, found: list[Found]) -> list[tuple[int, int]]:
    """Where a negation holds: from its word to the clause's end, lists included ("not red, blue or tan")."""
    positive = [match.span() for match in _POSITIVE_ONLY.finditer(text)]
    scopes = []
    for match in _NEGATOR.finditer(text):
        if _inside(match.start(), positive):
            continue
        stop = _SCOPE_END.search(text, match.end())
        end = stop.start() if stop else len(text)
        comma = text.find(",", match.end(), end)
        if comma >= 0:
            end = _list_end(text, match.end(), end, found) or comma
        scopes.append((match.start(), end))
    return scopes


def _list_end(text: str, start: int, limit: int, found: list[Found]) -> int | None:
    """The end of a list of one field's words that an "or" closes; None where commas part clauses."""
    hits = [hit for hit in found if start <= hit.start < limit]
    end, closed = None, False
    for before, after in zip(hits, hits[1:], strict=False):
        between = text[before.end : after.start]
        if before.field != after.field or not _LIST_TAIL.fullmatch(between):
            break
        end, closed = after.end, closed or "or" in between
    return end if closed else None


def _avoided(
    text: str, found: list[Found], scopes: list[tuple[int, int]], lexicon: Lexicon
) -> tuple[str, ...]:
    """Words a listing must not contain: those under a negation that the listings use ("no plastic")."""
    avoided = [match[1] for match in _FREE_OF.finditer(text) if match[1] in lexicon.listing_words]
    covered = [(hit.start, hit.end) for hit in found]
    for start, end in scopes:
        negator = _NEGATOR.match(text, start)
        assert negator is not None  # a scope begins at its negator
        named = [
            match.group()
            for match in WORD.finditer(text, negator.end(), end)
            if match.group() in lexicon.listing_words
            and not _inside(match.start(), covered)
            and not any(end == match.start() - 1 for _, end in covered)  # "no red handles" is about the red
            and _is_content(match.group())
        ]
        is_direct = negator.group() in _LEAVING_OUT
        is_plural = negator.group() == "no" and len(named) == 1 and named[0] != singular(named[0])
        avoided += [word for word in named if is_direct or is_plural or word in _MATERIALS]
    return tuple(dict.fromkeys(avoided))


def _free_words(text: str, found: list[Found], scopes: list[tuple[int, int]]) -> str:
    """What is left when everything understood is taken out: matched to products by meaning."""
    covered = [(hit.start, hit.end) for hit in found] + scopes
    covered += [match.span() for match in _FREE_OF.finditer(text)]
    left = [
        match.group()
        for match in WORD.finditer(text)
        if _is_content(match.group()) and not _inside(match.start(), covered)
    ]
    return " ".join(left)


def _is_content(word: str) -> bool:
    return not word.isdigit() and word not in _EMPTY_WORDS and singular(word) not in _EMPTY_WORDS


def _inside(at: int, spans: list[tuple[int, int]]) -> bool:
    return any(start <= at < end for start, end in spans)
