"""The sentence gate: is what a sentence says of the shopper, their purchases and the target so?

`check` names every claim it understands in a sentence and says whether it holds. Claims of looks, nouns,
brands, numbers and features are found wherever they stand; those that are made by a turn of phrase (stars,
order, counts) by the table in claims.py. What cannot be decided is no claim: it passes.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from crs.narrator.claims import TABLE, ClaimKind, Row
from crs.narrator.evidence import (
    REASONS,
    Evidence,
    listed_numbers,
    listing_text,
    listing_words,
    noun_forms,
    position_of,
    word_spans,
    words_of,
)
from crs.narrator.rules import Said, shows
from crs.narrator.sentence import MARK, POINTER, Mention, Sentence, names_kind, read
from knowledge.nouns import noun_of
from knowledge.types import TARGET_POINTER, Item, Task

__all__ = ["POINTER", "Claim", "check", "is_finished", "loops", "position_of"]

_SLOTS = {
    **{
        name: rf"(?P<{name}>{MARK}(?:(?:, {MARK})+,? (?:and|or) {MARK}| (?:and|or) {MARK})?)" for name in "ab"
    },
    "one": rf"(?P<one>{MARK})",
    "n": r"(?P<n>\b(?:\d+|[a-z]+(?:-[a-z]+)?))",
    "look": r"(?P<look>\b[a-z][a-z'-]*(?: [a-z][a-z'-]*){0,3}?)",
    **{name: rf"(?P<{name}>\b[a-z][a-z'-]*(?: [a-z&][a-z'-]*){{0,5}}?)" for name in ("dept", "dept2")},
    "end": r"(?=[,.;:!?”\"]|$| (?:and|or|to|with|which|that|as|for)\b)",
    "stop": r"(?=[,.;:!?”\"]|$)",
    "aux": r"(?:(?:had|has|have|was|were|is|are|being|been|also|both|all|really|already|clearly|soon) )*",
}
_SLOT = re.compile("<(" + "|".join(_SLOTS) + ")>")
_DENIED = r"(?<!\bnot )(?<!\bnever )(?<!n't )"  # "not pleased with" is no praise
_AMOUNT = re.compile(
    r"(?:(?P<at_most>under|below|less than|up to|within)|(?P<at_least>over|above|more than|at least))?"
    r"\s*\$\s?(?P<amount>\d+(?:,\d{3})*(?:\.\d+)?)",
    re.IGNORECASE,
)
_PRICED = re.compile(
    rf"({MARK}),? (?:which |that )?(?:for|at|costs?|is|was|were|priced at)(?: (?:only|just|about))?\s*$"
)
_PAID_FOR = re.compile(rf" (?:for|on) ({MARK})")
_NUMBER = re.compile(r"(?<![«\w$.,])[A-Za-z]*\d[\w.,/:-]*(?!»)")
_NAME_AT_START = re.compile(r"(?:'s|’s)? (?:made|makes|has|also|already)\b|(?:'s|’s) ")
_UNNAMED = re.compile(r"\b(?:the|their|your) (?=[ .,;!?])", re.IGNORECASE)  # "the   pleased"
_LISTED = re.compile(r"«»(?:, «»)*,? (?:and|or) «»")
_COUNTING = re.compile(r"\b(an?|this|these|those)$")
_N_GRAM, _TOO_OFTEN = 4, 3
_MAX_TITLE_WORDS = 10
_TOO_ALIKE = 0.5  # share of the runs of words that were said before


@dataclass(frozen=True, slots=True)
class Claim:
    """Something said that can be checked: the words that say it, and whether it holds."""

    kind: ClaimKind
    said: str
    holds: bool


def check(text: str, evidence: Evidence) -> list[Claim]:
    """Every claim of ``text``, one or more sentences, that is understood and can be decided."""
    sentence = read(text.strip(), evidence)  # a wording may ask for the sentence's start
    spent: list[tuple[int, int]] = []  # where numbers stand that are told of by the table
    return [
        *_pointers_and_nouns(sentence, evidence),
        *_agreements(sentence, evidence),
        *_looks(sentence, evidence),
        *_by_table(sentence, evidence, spent),
        *_brands(sentence, evidence),
        *_prices(sentence, evidence),
        *_numbers(sentence, evidence, spent),
        *_features(sentence, evidence),
        *_uses(sentence, evidence),
        *_circles(sentence, evidence),
    ]


def loops(sentence: str, told: str, evidence: Evidence) -> bool:
    """Whether ``sentence`` goes round in circles.

    It does when it repeats one of ``told``, or half of its words in the same order, be it of other products
    ("... drew the warmest praise"), says some four words in a row a third time, names a purchase twice, or
    links something with itself ("softness and softness").
    """
    purchases = [each for each in POINTER.findall(sentence) if each != TARGET_POINTER]
    if len(set(purchases)) < len(purchases) or _WITH_ITSELF.search(sentence):
        return True
    new, old = _plain_words(sentence), _plain_words(told)
    if len(new) > 2 and " ".join(new) in (
        " ".join(_plain_words(each)) for each in re.split(r"(?<=[.!?])\s", told)
    ):
        return True
    again = _grams(new)
    grams = Counter([*_grams(old), *again])
    if any(grams[gram] >= _TOO_OFTEN for gram in again) or _is_half_said(new, old):
        return True
    return _is_half_said(_frame(sentence, evidence), _frame(told, evidence))


def is_finished(sentence: str, task: Task) -> bool:
    """Whether a sentence has its end; the title of a profile needs none, but to be a title: short, with a
    capital, of nothing that was bought."""
    if task == "user_profile":
        is_short = len(sentence.split()) <= _MAX_TITLE_WORDS
        return is_short and not sentence.lstrip()[:1].islower() and not POINTER.search(sentence)
    return sentence.rstrip(" \n\"”’')").endswith((".", "!", "?", "…"))


# "softness and softness", "beech wood of beech wood", and what is longer with a word in between; idioms and
# short words may well come twice ("on and on").
_WITH_ITSELF = re.compile(
    r"\b(?!again\b|through\b)(?:(\w[\w' -]{4,})(?:,| and| or| of| in)? \1|(\w[\w' -]{8,}\w) [\w-]+ \2)\b",
    re.IGNORECASE,
)


def _plain_words(text: str) -> list[str]:
    return re.findall(r"[\w'’$.-]*\w", POINTER.sub(" ", text).lower())


def _is_half_said(new: list[str], old: list[str]) -> bool:
    said, again = set(_grams(old)), _grams(new)
    return bool(again) and sum(gram in said for gram in again) >= _TOO_ALIKE * len(again)


def _frame(text: str, evidence: Evidence) -> list[str]:
    """The words around products, which are a mark each, a list of them one; numbers are left out."""
    marked = _LISTED.sub("«»", re.sub(MARK, "«»", read(text, evidence).skeleton.lower()))
    return re.findall(r"«»|[\w'’-]*[^\W\d][\w'’-]*", marked)


def _grams(words: list[str]) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + _N_GRAM]) for start in range(len(words) - _N_GRAM + 1)]


# --- claims found wherever they stand


def _pointers_and_nouns(sentence: Sentence, evidence: Evidence) -> Iterator[Claim]:
    """Every pointer and what it is called; a product that is announced and left blank points nowhere."""
    for blank in _UNNAMED.findall(sentence.text):
        yield Claim("pointer", blank.strip(), False)
    for mention, pointer in zip(sentence.mentions, POINTER.findall(sentence.text), strict=True):
        yield Claim("pointer", pointer, mention.item is not None)
        verdict = None if mention.item is None else _is_called_rightly(mention, mention.item)
        if verdict is not None:
            yield Claim("noun", f"{pointer} {mention.noun or mention.following}".strip(), verdict)


def _agreements(sentence: Sentence, evidence: Evidence) -> Iterator[Claim]:
    """One is a "this", a pair a "these"; of a kind of which neither is known nothing is claimed."""
    for mention, found in zip(sentence.mentions, POINTER.finditer(sentence.text), strict=True):
        kind = evidence.words.kinds.get(mention.item.kind or "") if mention.item else None
        before = sentence.text[: found.start()].lower().rstrip()
        for look in reversed(mention.looks):
            before = before.removesuffix(look).rstrip()
        if kind and (determiner := _COUNTING.search(before)):
            is_plural = kind.is_plural or mention.noun == kind.plural
            is_right = is_plural == (determiner[1] in ("these", "those"))
            yield Claim("noun", f"{determiner[1]} {found[0]} {mention.noun}", is_right)


def _is_called_rightly(mention: Mention, item: Item) -> bool | None:
    if item.kind:
        longer = mention.noun if len(mention.noun.split()) > len(item.kind.split()) else ""
        return names_kind(mention.following, item.kind) and (not longer or longer in noun_forms(item.kind))
    if not mention.noun:
        return None
    if mention.noun in noun_forms(noun_of(item)):
        return True
    listed = listing_words(item)
    return all(not noun_forms(word).isdisjoint(listed) for word in words_of(mention.noun))


def _looks(sentence: Sentence, evidence: Evidence) -> Iterator[Claim]:
    for mention in sentence.mentions:
        for look in mention.looks:
            if mention.item is not None:
                yield Claim(_kind_of_look(look, evidence), look, shows(mention.item, look, evidence))


def _kind_of_look(look: str, evidence: Evidence) -> ClaimKind:
    names = evidence.words.looks[look]
    return "color" if "color" in names else "material" if "material" in names else "size"


def _brands(sentence: Sentence, evidence: Evidence) -> Iterator[Claim]:
    text = sentence.skeleton
    for first in re.finditer(r"(?<![\w-])[A-Za-z0-9][\w&.'’-]*", text):
        filed = evidence.words.brands.get(first[0]) or evidence.words.brands.get(
            first[0].removesuffix("."), ()
        )
        for brand in (*filed, *evidence.words.brands.get(re.sub(r"['’]s$|[.]$", "", first[0]), ())):
            after = text[first.start() + len(brand) :]
            if not text.startswith(brand, first.start()) or re.match(r"\w|-\w", after):
                continue
            if _opens_sentence(text, first.start()) and " " not in brand and not _NAME_AT_START.match(after):
                break  # any word has a capital there
            yield Claim("brand", brand, _is_brand_of_one(brand, text, first.start(), sentence, evidence))
            break


def _opens_sentence(text: str, start: int) -> bool:
    return not text[:start].strip() or text[:start].rstrip().endswith((".", "!", "?", ":", "“", '"'))


def _is_brand_of_one(brand: str, text: str, start: int, sentence: Sentence, evidence: Evidence) -> bool:
    """Whether the brand is that of the product it is said of, else of the target or one pointed at, else of
    any."""
    said_of = re.search(r"«(\d+)»,?(?: also)? (?:by|from) $", text[:start]) or re.match(
        r"(?:'s|’s)? «(\d+)»", text[start + len(brand) :]
    )
    if said_of:
        items = [sentence.mentions[int(said_of[1])].item]
    else:
        items = [evidence.target, *(mention.item for mention in sentence.mentions)]
    known = [item for item in (items if any(items) else evidence.items) if item is not None]
    name = f" {' '.join(words_of(brand))} "
    if any(brand == item.brand or name in f" {' '.join(words_of(item.title))} " for item in known):
        return True
    # A listing may name another's brand, "fits all HP printers", but not as its maker.
    made_by = said_of or text[:start].endswith(("by ", "from ", "maker ", "with ", "to "))
    return not made_by and any(name in listing_text(item) for item in known)


def _prices(sentence: Sentence, evidence: Evidence) -> Iterator[Claim]:
    for found in _AMOUNT.finditer(sentence.skeleton):
        priced = _PRICED.search(sentence.skeleton[: found.start()])
        priced = priced or _PAID_FOR.match(sentence.skeleton, found.end())
        if priced:
            items = [sentence.mentions[int(priced[1][1:-1])].item]
        elif evidence.target is not None:
            items = [evidence.target]
        else:
            items = [mention.item for mention in sentence.mentions]
        prices = [item.price for item in items if item is not None and item.price is not None]
        yield Claim("price", found[0].strip(), any(_is_price(found, price) for price in prices))


def _is_price(found: re.Match[str], price: float) -> bool:
    """ "$28.49" is the price to the cent, "$28" may be off by less than a dollar."""
    amount = float(found["amount"].replace(",", ""))
    if found["at_most"]:
        return price <= amount
    if found["at_least"]:
        return price >= amount
    return abs(amount - price) <= (0.005 if "." in found["amount"] else 0.995)


def _numbers(sentence: Sentence, evidence: Evidence, spent: list[tuple[int, int]]) -> Iterator[Claim]:
    """Digits must be listed of the target or of what is pointed at; without either, of any purchase."""
    items = [evidence.target, *(mention.item for mention in sentence.mentions)]
    listings = [item for item in (items if any(items) else evidence.items) if item is not None]
    for found in _NUMBER.finditer(sentence.skeleton):
        if any(start <= found.start() < end for start, end in spent):
            continue
        said = found[0].rstrip(".,:;/-")
        yield Claim("number", said, any(_is_listed(said, item) for item in listings))


def _is_listed(said: str, item: Item) -> bool:
    if f" {' '.join(words_of(said))} " in listing_text(item):
        return True
    if re.search(r"[A-Za-z]\d|\d[A-Za-z]{3,}", said):  # a model's number is as listed or is wrong
        return False
    digits = re.findall(r"\d+(?:[.,]\d+)*", said)
    return all(number.replace(",", "") in listed_numbers(item) for number in digits)


def _features(sentence: Sentence, evidence: Evidence) -> Iterator[Claim]:
    """A feature of the store, told word for word, must be the target's, or of the one that it is said of."""
    for feature, start in phrases(sentence, evidence.words.features):
        owners = _owners(sentence.skeleton[:start], sentence, evidence)
        if owners:
            yield Claim("feature", feature, any(f" {feature} " in listing_text(item) for item in owners))


def _uses(sentence: Sentence, evidence: Evidence) -> Iterator[Claim]:
    """What a product is said to be for must be true of its kind: of one pointed at, else of the target's."""
    pointed = [mention.item for mention in sentence.mentions]
    items = pointed or ([evidence.target] if evidence.target else evidence.items)
    kinds = {item.kind for item in items if item and item.kind}
    if kinds:
        for use, _ in phrases(sentence, evidence.words.use_phrases):
            yield Claim("use", use, not kinds.isdisjoint(evidence.words.uses[use]))


def _circles(sentence: Sentence, evidence: Evidence) -> Iterator[Claim]:
    """A circle must be one of the store's, and spoken of as it can be: "the Otter scouts", "to get ready for
    their camp"."""
    for found in evidence.words.circle_pattern.finditer(sentence.skeleton):
        before = sentence.skeleton[: found.start()].lower().split()[-1:]
        yield Claim("circle", found[0], before == [evidence.words.circles.get(found[0])])


def phrases(sentence: Sentence, filed: Mapping[tuple[str, ...], Sequence[str]]) -> Iterator[tuple[str, int]]:
    """Phrases, filed under their first two words, that the sentence holds word for word, and where."""
    spans = word_spans(sentence.skeleton)
    words = [word for word, _ in spans]
    start = 0
    while start < len(words) - 1:
        n_words = 1
        for phrase in filed.get((words[start], words[start + 1]), ()):
            if words[start : start + len(phrase.split())] == phrase.split():
                n_words = len(phrase.split())
                yield phrase, spans[start][1]
                break
        start += n_words


def _owners(before: str, sentence: Sentence, evidence: Evidence) -> list[Item]:
    """Of what something is said: the product just before it, else the target, else all pointed at."""
    said_of = re.search(r"«(\d+)» (?:that |which )?(?:also )?$", before)
    if said_of:
        items = [sentence.mentions[int(said_of[1])].item]
    elif evidence.target is not None:
        items = [evidence.target]
    else:
        items = [mention.item for mention in sentence.mentions]
    return [item for item in items if item is not None]


# --- claims made by a turn of phrase


def _by_table(sentence: Sentence, evidence: Evidence, spent: list[tuple[int, int]]) -> list[Claim]:
    claims: list[Claim] = []
    skeleton = sentence.skeleton.lower()
    for row, pattern in wordings():
        for found in pattern.finditer(skeleton):
            said = Said(sentence, evidence, found.groupdict())
            if said.number is not None:
                spent.append(found.span("n"))
            verdict = row.rule(said)
            if verdict is not None:
                claims.append(Claim(_kind(row, said), found[0].strip(), verdict))
    return list(dict.fromkeys(claims))  # two wordings may find the same


def _kind(row: Row, said: Said) -> ClaimKind:
    if row.kind == "color":
        return _kind_of_look(said.look or "", said.evidence)
    told_of_target = row.kind == "stars" and any(mention.position == 0 for mention in said.all("a"))
    return "hindsight" if told_of_target and said.evidence.task in REASONS else row.kind


@functools.cache
def wordings() -> tuple[tuple[Row, re.Pattern[str]], ...]:
    """Every wording of the table, compiled, with its row."""
    return tuple((row, _compiled(wording, row.kind)) for row in TABLE for wording in row.wordings)


def _compiled(wording: str, kind: ClaimKind) -> re.Pattern[str]:
    pattern = re.sub(r"(?<!\\)\((?!\?)", "(?:", wording)
    pattern = _SLOT.sub(lambda slot: _SLOTS[slot[1]], pattern)
    if wording[0].isalpha() or wording.startswith("("):
        pattern = (_DENIED if kind == "stars" else "") + r"(?<!\w)(?:" + pattern + ")"
    if wording[-1].isalpha() or wording.endswith(")"):
        pattern = f"(?:{pattern})" + r"(?!\w)"
    return re.compile(pattern)
