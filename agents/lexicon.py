"""The store's own words (brands, colours, departments, kinds), found in a message whatever their form."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from agents.language import synonyms, word_set
from agents.words import (
    STOPWORDS,
    WORD,
    allowed_edits,
    common_words,
    edit_distance,
    normalise,
    singular,
    spelt_out,
    words,
)
from knowledge.types import Constraints

if TYPE_CHECKING:
    from crs.shop import Vocabulary

Field = Literal["brand", "color", "department", "kind"]
_FIELDS: tuple[Field, ...] = ("kind", "color", "brand", "department")  # the earlier wins a word
_SHORTENED: tuple[Field, ...] = ("kind", "color", "department")
_SPELLINGS = {"gray": "grey", "colour": "color", "colours": "color", "colors": "color"}

_NO_SHORT_FORMS = STOPWORDS | word_set("no_short_forms")
_SETS = ("set", "kit")  # a "paint brush set" is a brush to people
_COMMANDS = word_set("commands")
_MATERIAL_COLORS = word_set("material_colors")
_AS_COLOR = re.compile(r"\bin (?:a )?$")  # "in stone" is a colour; "a stone bowl" is made of it
_OR = re.compile(r",? (?:or|and) (?:in )?")  # "in sage or moss"
_ENDING = re.compile(r"(?:y|ish|able|ful|less|proof|ness|ing|ed|ly)$")  # "scratchy" is a word as "scratch" is
_PART = re.compile(r"[,;:.!?+/()|]")
_WHERE = r"(?:under|below|beneath|on|onto|in|into|inside|over|around|round|with|at)"
_FOR_WHAT = re.compile(  # "a bed for my dog", "a mat for under the litter", "a light that straps on my head"
    rf" (?:for(?: {_WHERE})?|to (?:go|put|wear|hang|sit|use) {_WHERE}|(?:that|which|you|i|"
    rf"one) (?:\w+ ){{0,2}}?"
    rf"(?:straps?|wears?|goes|go|puts?|hangs?|fits?|sits?|sticks?|clips?|mounts?)(?: it| up)? {_WHERE})"
    r" (?:(?:my|the|a|an|our|his|her|their|your|some) )?(?:[^\W\d_]+ )?$"
)
_WHICH_ONE = re.compile(
    r"[,;]? (?:i mean )?(?:an? |the |but |only |just |preferably |some )*$"
)  # "trains, the wooden ones"
_ONES = re.compile(r" (?:one|ones|kind|type|sort)\b")
_DOES = re.compile(r"\b(?:that|which|to|for|can|will) $")
_TO_WHAT = re.compile(r" (?:(?:my|the|a|an|our|his|her|their|your|some) )?$")
_INVERTED_SPAN = 7  # words from the thing to what it is for


@dataclass(frozen=True, slots=True)
class Found:
    """Vocabulary found in a message: a ``name`` of one field, at ``start`` to ``end`` of the text.

    ``is_short``: a short form ("kitchen") rather than a whole name ("kitchen & dining").
    """

    field: Field
    name: str
    start: int
    end: int
    is_short: bool = False


class Lexicon:
    """Finds the store's vocabulary in text. ``listing_words``: every word the listings use.

    People shorten: "pen" for every kind of pen, "blue" for "slate blue", "kitchen" for "kitchen & dining". A
    short form is found under its own name; `spell_out` turns it into the store's full names.
    """

    def __init__(self, vocabulary: Vocabulary, listing_words: Iterable[str] = ()) -> None:
        self._phrases: dict[tuple[str, ...], tuple[Field, str]] = {}
        self._short: dict[tuple[Field, str], tuple[str, ...]] = {}
        named: dict[Field, Sequence[str]] = {
            "kind": vocabulary.kinds,
            "color": vocabulary.colors,
            "brand": vocabulary.brands,
            "department": vocabulary.departments,
        }
        for field in _FIELDS:
            for name in named[field]:
                self._phrases.setdefault(_key(name), (field, name.lower()))
        for field in _SHORTENED:  # departments last
            self._add_short_forms(field, named[field])
        self._add_brand_beginnings(vocabulary.brands)
        self._add_synonyms()
        self._longest = max((len(key) for key in self._phrases), default=1)
        self._joined = {"".join(key): hit for key, hit in self._phrases.items() if hit[0] != "department"}
        self._spellings = {word for key in self._phrases for word in key if len(word) > 3} | _COMMANDS
        self._color_words = {word for name in vocabulary.colors for word in _key(name)}
        self.listing_words = frozenset(listing_words)

    def _add_brand_beginnings(self, names: Sequence[str]) -> None:
        """ "Foxglen" for "Foxglen Parlor": a brand's first word, where it is no everyday one."""
        for name in names:
            first, *rest = _key(name) or ("",)
            if rest and len(first) > 4 and first not in common_words():
                self._phrases.setdefault((first,), ("brand", name.lower()))

    def _add_synonyms(self) -> None:
        """What people call the kinds that this store lists."""
        for name, others in synonyms().items():
            hit = self._phrases.get(_key(name))
            if hit is None or hit[0] != "kind":
                continue
            for other in others:
                self._phrases.setdefault(_key(other), hit)

    def _add_short_forms(self, field: Field, names: Sequence[str]) -> None:
        """Department: any of its words; kind and colour: the last one. A whole name is never a short form."""
        meant: dict[str, list[str]] = defaultdict(list)
        for name in names:
            key = _key(name)
            for word in key if field == "department" else key[-1 - (key[-1] in _SETS and len(key) > 2) :][:1]:
                if len(word) > 2 and word not in _NO_SHORT_FORMS:
                    meant[word].append(name.lower())
        for word, values in meant.items():
            full = tuple(dict.fromkeys(values))
            taken = self._phrases.get((word,))
            if taken in self._short and field == "department":  # "toys" are a whole department's
                del self._short[self._phrases.pop((word,))]
            # what only one name can mean is that name
            name = full[0] if len(full) == 1 and field != "color" else word
            hit = self._phrases.setdefault((word,), (field, name))
            if hit[0] == field and _key(hit[1]) == (word,):  # "gray" is a name, and short for light gray
                self._short[hit] = full

    def names_of(self, field: Field, name: str) -> tuple[str, ...]:
        """The store's names that a short form may mean, without itself; none where it is no short form."""
        return tuple(full for full in self._short.get((field, name), ()) if full != name)

    def spell_out(self, constraints: Constraints) -> Constraints:
        """The same constraints with every short form replaced by the names the store uses."""

        def full(field: Field, names: Sequence[str]) -> tuple[str, ...]:
            spelt = (each for name in names for each in self._short.get((field, name), (name,)))
            return tuple(dict.fromkeys(spelt))

        return replace(
            constraints,
            kinds=full("kind", constraints.kinds),
            not_kinds=full("kind", constraints.not_kinds),
            colors=full("color", constraints.colors),
            not_colors=full("color", constraints.not_colors),
            departments=full("department", constraints.departments),
            not_departments=full("department", constraints.not_departments),
        )

    def correct(self, text: str) -> str:
        """The text in normal form, short forms spelt out, slips in vocabulary and steering words mended."""
        return WORD.sub(lambda match: self._mend(match.group()), spelt_out(normalise(text)))

    def find(self, text: str) -> list[Found]:
        """Vocabulary in a text in normal form, longest phrases first, left to right, without overlap."""
        tokens = list(WORD.finditer(text))
        keys = [_word_key(token.group()) for token in tokens]
        found: list[Found] = []
        at = 0
        while at < len(tokens):
            for length in range(min(self._longest, len(tokens) - at), 0, -1):
                key = tuple(keys[at : at + length])
                end = at + length - 1
                if _PART.search(text, tokens[at].end(), tokens[end].start()):
                    continue  # "fountain pen + ink" are two things
                hit = self._phrases.get(key) or self._run_together(key, tokens[at : at + length])
                if hit:
                    span = tokens[at].start(), tokens[end].end()
                    found.append(Found(*hit, *span, is_short=hit in self._short))
                    at = end
                    break
            at += 1
        return _one_color_each(self._turned_round(text, found), text)

    def _run_together(
        self, key: tuple[str, ...], tokens: Sequence[re.Match[str]]
    ) -> tuple[Field, str] | None:
        """A name written apart ("head phones") or as one word ("waterbottle")."""
        joined = "".join(key)
        if len(joined) < 6 or (len(key) == 1 and tokens[0].group() in common_words()):
            return None
        return self._joined.get(joined)

    def _turned_round(self, text: str, found: list[Found]) -> list[Found]:
        """The names found, and "a bed for my dog" as the dog bed that it is."""
        for what, start, end in self._inverted(text):
            named = [hit for hit in found if hit.start <= start < hit.end]
            if not any(hit.field == "kind" and not hit.is_short and " " in hit.name for hit in named):
                found = [hit for hit in found if hit.end <= start or hit.start >= end]
                found.append(Found("kind", what, start, end))
        return sorted(found, key=lambda hit: hit.start)

    def _inverted(self, text: str) -> list[tuple[str, int, int]]:
        """(kind, start, end) wherever a two-word kind is said the other way round.

        Its last word may be "for" its first one, be made plain by it, or be what does it ("finds studs").
        """
        tokens = list(WORD.finditer(text))
        keys = [_word_key(token.group()) for token in tokens]
        spans = []
        for at, (thing, token) in enumerate(zip(keys, tokens, strict=True)):
            does = _DOES.search(text[: token.start()]) is not None
            for later in range(at + 1, min(at + _INVERTED_SPAN, len(tokens))):
                between = text[token.end() : tokens[later].start()]
                hit = self._phrases.get((keys[later], thing))
                is_inverted = bool(
                    _FOR_WHAT.fullmatch(between)
                    or (_WHICH_ONE.fullmatch(between) and _ONES.match(text, tokens[later].end()))
                )
                if does and _TO_WHAT.fullmatch(between):  # "a thing that finds studs"
                    hit = self._phrases.get((keys[later], _doer(thing)))
                    is_inverted = True
                if hit and hit[0] == "kind" and is_inverted:
                    spans.append((hit[1], token.start(), tokens[later].end()))
        return spans

    def _mend(self, word: str) -> str:
        key = _word_key(word)
        limit = allowed_edits(word)
        if not limit or key in self._spellings or word in self._spellings or self._is_known(word):
            return word
        nearest = min(
            (
                (distance, candidate)
                for candidate in self._spellings
                if candidate[0] == word[0]
                and (
                    min(len(word), len(candidate)) >= 5
                    or sorted(word) == sorted(candidate)
                    or (len(word) == len(candidate) == 4 and word[:3] == candidate[:3])
                    or (len(candidate) == len(word) + 1 and candidate in self._color_words)
                    or (len(candidate) == 5 and candidate in _COMMANDS)
                )
                and (distance := min(edit_distance(form, candidate, limit) for form in {word, key}))
                <= min(limit, allowed_edits(candidate))
            ),
            default=None,
        )
        return nearest[1] if nearest else word

    def _is_known(self, word: str) -> bool:
        known = common_words()
        if word in known or word in self.listing_words or singular(word) in known:
            return True
        stem = _ENDING.sub("", word)
        return len(stem) > 3 and stem in known


def _doer(verb: str) -> str:
    """What does it: "finder" of "find" or "finding", "maker" of "make", "carrier" of "carry"."""
    stem = verb.removesuffix("ing").removesuffix("e")
    return f"{stem[:-1]}ier" if stem.endswith("y") else f"{stem}er"


def _word_key(word: str) -> str:
    return _SPELLINGS.get(word) or _SPELLINGS.get(singular(word)) or singular(word)


def _key(name: str) -> tuple[str, ...]:
    return tuple(_word_key(word) for word in words(name))


def _one_color_each(found: list[Found], text: str) -> list[Found]:
    """Of "navy blue" only the navy, and no "steel" that says what a thing is made of."""
    kept: list[Found] = []
    for hit in found:
        if hit.field == "color":
            before = kept[-1] if kept else None
            follows = before and before.field == "color" and _OR.fullmatch(text[before.end : hit.start])
            if hit.name in _MATERIAL_COLORS and not follows and not _AS_COLOR.search(text[: hit.start]):
                continue
            if before and before.field == "color" and not text[before.end : hit.start].strip():
                continue
        kept.append(hit)
    return kept
