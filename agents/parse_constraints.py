"""Wishes in a message: price, brand, colour, department, kind, what to leave out, and free words."""

from __future__ import annotations

import re
from collections import defaultdict

from agents.critique import merge
from agents.homonyms import without_homonyms
from agents.language import any_of, word_set
from agents.lexicon import Field, Found, Lexicon
from agents.plan import Wishes
from agents.prices import parse_price
from agents.words import STOPWORDS, WORD, singular
from knowledge.types import Constraints

_NEGATOR = re.compile(any_of("negators"))
_SCOPE_END = re.compile(rf"[.;!?:]|{any_of('scope_ends')}")
_LIST_TAIL = re.compile(r",?\s*(?:and|or|nor|no|not)\s+(?:any\s+)?$|,\s*$")
_FREE_OF = re.compile(r"\b([^\W\d_]+)[- ]free\b(?! (?:of|from)\b)")
_POSITIVE_ONLY = re.compile(r"\bnothing (?:but|other than)\b|\bonly\b")
_EMPTY_WORDS = STOPWORDS | word_set("asking")
_LEAVING_OUT = re.compile(r"without|w/o|(?:except|excluding|(?:any|every)thing but).*")
_OF_ITS_MAKE = re.compile(
    r"\s*(?:any )?(?:with|made (?:of|from|out of)|containing|that (?:has|have|contains?)|having)\b"
)
_NON = re.compile(r"\bnon[- ]([^\W\d_]+)\b")
_MATERIALS, _LOOSE, _IDLE = word_set("materials"), word_set("loose_departments"), word_set("idle")
# Where "no" speaks of the product and not of the person: "tents, no poles", not "I have no clue".
_OF_PRODUCT = re.compile(r"(?:^|[.,;:!?/()-]|\b(?:with|and|but|please|also|absolutely|definitely|n))\s*$")
_LEFT_OUT = re.compile(rf",?(?: ones?)? {any_of('left_out')}")
_LACKED = re.compile(
    r"\b(?:i|we|he|she|they|you|ive|weve) (?:still |really |also )?(?:have|has|had|got|own)?(?: got)? ?$"
)
_IS_CLAUSE = re.compile(r"\s*(?:an?|the|i|it|its|that|this|we|you|they|show|give|make|one|to)\b")
_REPLACED_AFTER = re.compile(rf"{any_of('replaced_after')}(?: (?:the|that|a|an|this|those|my|in|any))* ?$")
_REPLACED_BETWEEN = re.compile(rf"{any_of('replaced_between')}(?: (?:the|that|a|an|this|those|my))? $")
_FOR_ANOTHER = re.compile(r"(?: \w+)? (?:for|to|with|into|by)\b")
_COMPLEMENT = re.compile(r" (?:for|in|of)(?: (?:my|the|a|an|our|his|her|their|some|using|writing))* ")
_MISSAID_BEFORE = re.compile(rf"{any_of('missaid_before')}(?: (?:the|that|a|an|in|for))* ?['\"]?$")
_MISSAID_AFTER = re.compile(rf"[^.;!?]{{0,40}}?{any_of('missaid_after')}")
_DEPARTMENT_WORD = re.compile(r"\s*(?:department|section|aisle|category|range)\b")
_THINGS = re.compile(
    r"\s*(?:stuff|things?|gear|gadgets?|items?|products?|essentials|decor|goods|equipment|accessories|"
    r"department|section|aisle|category|range)\b"
)
_FOR = re.compile(r"\b(?:for|in|from|out of) (?:the |our |my |your )?$")
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
    named = lexicon.find(rest)
    found = _wished(rest, without_homonyms(rest, named))
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
        avoid=_avoided(rest, named, scopes, lexicon),
        price=price.price,
    )


def _wished(text: str, found: list[Found]) -> list[Found]:
    """Without what is replaced ("pink instead of gray") and what a thing is for ("a case for pens")."""
    kept: list[Found] = []
    for number, hit in enumerate(found):
        before, previous = text[: hit.start], found[number - 1] if number else None
        gap = text[previous.end : hit.start] if previous else ""
        is_complement = (
            previous is not None
            and previous.field == hit.field == "kind"
            and _COMPLEMENT.fullmatch(gap) is not None
        )
        is_replaced = _REPLACED_AFTER.search(before) or (
            _REPLACED_BETWEEN.search(before) and _FOR_ANOTHER.match(text, hit.end)
        )
        is_missaid = _MISSAID_BEFORE.search(before) and _MISSAID_AFTER.match(text, hit.end)
        if not (is_complement or is_replaced or is_missaid):
            kept.append(hit)
    return kept


def _without_repeats(found: list[Found], scopes: list[tuple[int, int]], lexicon: Lexicon) -> list[Found]:
    """Of "a bag, a dry bag" only the dry bag: a short form steps back behind one of the names it may mean."""
    named = {hit.name for hit in found if not hit.is_short and not _inside(hit.start, scopes)}
    return [hit for hit in found if not (hit.is_short and named & set(lexicon.names_of(hit.field, hit.name)))]


def _without_loose_departments(text: str, found: list[Found], scopes: list[tuple[int, int]]) -> list[Found]:
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
        if _inside(match.start(), positive) or (
            match.group() == "no" and _LACKED.search(text[: match.start()])
        ):
            continue
        stop = _SCOPE_END.search(text, match.end())
        end = stop.start() if stop else len(text)
        comma = text.find(",", match.end(), end)
        if comma >= 0:
            end = _list_end(text, match.end(), end, found) or comma
        scopes.append((match.start(), end))
    return scopes + _left_out(text, found)


def _left_out(text: str, found: list[Found]) -> list[tuple[int, int]]:
    """Where names stand that a word after them leaves out, lists included ("chew toys and leashes aside")."""
    scopes = []
    for number, hit in enumerate(found):
        if not _LEFT_OUT.match(text, hit.end):
            continue
        first = number
        while first and found[first - 1].field == hit.field:
            if not _LIST_TAIL.fullmatch(text[found[first - 1].end : found[first].start]):
                break
            first -= 1
        scopes.append((found[first].start, hit.end))
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
    avoided += [match[1] for match in _NON.finditer(text) if match[1] in _MATERIALS]
    avoided += [
        match.group()
        for match in WORD.finditer(text)
        if match.group() in _MATERIALS and _LEFT_OUT.match(text, match.end())
    ]
    covered = [(hit.start, hit.end) for hit in found]
    for start, end in scopes:
        negator = _NEGATOR.match(text, start)
        if negator is None:
            continue  # names that a word after them leaves out
        again = _NEGATOR.search(text, negator.end(), end)
        content = [
            match
            for match in WORD.finditer(text, negator.end(), again.start() if again else end)
            if not _inside(match.start(), covered)
            and not any(end == match.start() - 1 for _, end in covered)  # "no red handles" is about the red
            and _is_content(match.group())
        ]
        named = [
            match.group()
            for match in content
            if match.group() in lexicon.listing_words or match.group() in _MATERIALS
        ]
        is_direct = _LEAVING_OUT.fullmatch(negator.group()) or _OF_ITS_MAKE.match(text, negator.end())
        is_plain = (
            (
                negator.group() == "no"
                and len(content) in (1, 2)
                and _speaks_of_product(text, start, found, scopes)
            )
            or (is_direct and len(content) == 1 and not content[0].group().endswith(("ing", "ed")))
        ) and content[0].group() not in _IDLE
        if is_plain and not _IS_CLAUSE.match(text, negator.end()):
            avoided.append(_material_of(content, text))  # "no fringe", whatever the listings say
            continue
        is_plural = negator.group() == "no" and len(named) == 1 and named[0] != singular(named[0])
        avoided += [word for word in named if is_direct or is_plural or word in _MATERIALS]
    return tuple(dict.fromkeys(avoided))


def _speaks_of_product(text: str, start: int, found: list[Found], scopes: list[tuple[int, int]]) -> bool:
    """Whether a "no" at ``start`` speaks of the product: it opens a clause, follows a name or a "no"."""
    before = text[:start].rstrip()
    if _tells(text, start, found):
        return False
    follows = any(hit.end == len(before) for hit in found) or any(s < start < end for s, end in scopes)
    return follows or _OF_PRODUCT.search(text[:start]) is not None


def _tells(text: str, start: int, found: list[Found]) -> bool:
    """Whether a "no" goes on with a tale before the wish: "three kids screaming, no coffee. A kettle"."""
    opening = max(text.rfind(mark, 0, start) for mark in ".!?") + 1
    closing = re.search(r"[.!?]", text[start:])
    if closing is None or not text[opening:start].strip():
        return False
    end = start + closing.end()
    return not any(opening <= hit.start < end for hit in found) and bool(text[end:].strip())


def _material_of(content: list[re.Match[str]], text: str) -> str:
    """Of "wood handle" the wood; of any other words the first."""
    return next((match.group() for match in content if match.group() in _MATERIALS), content[0].group())


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
