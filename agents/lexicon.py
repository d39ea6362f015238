"""The store's own words (brands, colours, departments, kinds), found in a message whatever their form."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from agents.language import word_set
from agents.words import (
    STOPWORDS,
    WORD,
    allowed_edits,
    common_words,
    edit_distance,
    normalise,
    singular,
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
_COMMANDS = word_set("commands")


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
        for field in _SHORTENED:
            self._add_short_forms(field, named[field])
        self._longest = max((len(key) for key in self._phrases), default=1)
        self._spellings = {word for key in self._phrases for word in key} | _COMMANDS
        self.listing_words = frozenset(listing_words)

    def _add_short_forms(self, field: Field, names: Sequence[str]) -> None:
        """Department: any of its words; kind and colour: the last one. A whole name is never a short form."""
        meant: dict[str, list[str]] = defaultdict(list)
        for name in names:
            key = _key(name)
            for word in key if field == "department" else key[-1:]:
                if len(word) > 2 and word not in _NO_SHORT_FORMS:
                    meant[word].append(name.lower())
        for word, values in meant.items():
            if self._phrases.setdefault((word,), (field, word)) == (field, word):
                self._short[field, word] = tuple(dict.fromkeys(values))

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
        """The text in normal form, with slips in vocabulary and steering words mended."""
        return WORD.sub(lambda match: self._mend(match.group()), normalise(text))

    def find(self, text: str) -> list[Found]:
        """Vocabulary in a text in normal form, longest phrases first, left to right, without overlap."""
        tokens = list(WORD.finditer(text))
        keys = [_word_key(token.group()) for token in tokens]
        found, at = [], 0
        while at < len(tokens):
            for length in range(min(self._longest, len(tokens) - at), 0, -1):
                hit = self._phrases.get(tuple(keys[at : at + length]))
                if hit:
                    end = at + length - 1
                    span = tokens[at].start(), tokens[end].end()
                    found.append(Found(*hit, *span, is_short=hit in self._short))
                    at = end
                    break
            at += 1
        return found

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
                and len(candidate) >= 5
                and (distance := min(edit_distance(form, candidate, limit) for form in {word, key})) <= limit
            ),
            default=None,
        )
        return nearest[1] if nearest else word

    def _is_known(self, word: str) -> bool:
        return word in common_words() or word in self.listing_words or singular(word) in common_words()


def _word_key(word: str) -> str:
    return _SPELLINGS.get(word) or _SPELLINGS.get(singular(word)) or singular(word)


def _key(name: str) -> tuple[str, ...]:
    return tuple(_word_key(word) for word in words(name))
