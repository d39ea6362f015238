"""What a narrative is held against: the purchases, the target, and the words that the store uses."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from knowledge.demo.grammar import gerund
from knowledge.demo.words import WORDS_DIR, Kind, Need, load_words, read_toml
from knowledge.nouns import is_plural, noun_of
from knowledge.types import TARGET_POINTER, Interaction, Item, Task

# Looks that every shop speaks of, whether or not its listings name them as attributes.
_COLORS = """black white gray red blue green yellow orange purple violet pink brown beige navy teal
    turquoise gold silver ivory cream maroon burgundy charcoal khaki olive lavender magenta tan"""
_MATERIALS = """leather cotton wool linen silk velvet denim canvas suede steel aluminum copper brass bamboo
    ceramic porcelain glass plastic rubber silicone nylon polyester oak walnut marble cork"""
_SPELT_ALIKE = {"grey": "gray", "colour": "color", "aluminium": "aluminum"}
REASONS: frozenset[Task] = frozenset({"purchase_reason", "purchase_reason_explanation"})
_WORD = re.compile(r"[a-z0-9]+(?:['’.-][a-z0-9]+)*")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
MAX_PHRASE_WORDS = 6  # of a color, a material, a size or a noun
_MAX_FEATURE_WORDS = 14  # a longer "feature" of a listing is a paragraph that nobody repeats by chance


@dataclass(frozen=True)
class StoreWords:
    """The words by which a store's listings call things, in lower case but for brands.

    ``looks``: a color, material, size ... -> the names of the attributes it is a value of. ``nouns``: kinds,
    in singular and plural. ``brands`` and ``features`` are filed under their first and their first two
    words, the longest first. ``departments``: what goods are called -> the department they are sold in.
    ``kinds``: what is known of the store's kinds beyond their listings; ``needs`` that they answer,
    by the sort of shopper who has them; ``circles``: how those are spoken of that shoppers buy together in
    -> the word that must stand before it.
    """

    looks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    nouns: frozenset[str] = frozenset()
    brands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    features: Mapping[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    departments: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    needs: tuple[tuple[Need, ...], ...] = ()
    circles: Mapping[str, str] = field(default_factory=dict)

    @functools.cached_property
    def uses(self) -> dict[str, frozenset[str]]:
        """What a product is for, brings or is needed for -> the kinds of which it is true."""
        uses: dict[str, set[str]] = {}
        for kind in self.kinds.values():
            for phrase in (*kind.purposes, *kind.gains):
                uses.setdefault(" ".join(words_of(phrase)), set()).add(kind.kind)
        for need in (need for together in self.needs for need in together):
            for phrase in (need.to, gerund(need.to)):
                uses.setdefault(" ".join(words_of(phrase)), set()).update(need.kinds)
        # What is a part of a feature is true of the kinds that have it.
        features = {kind.kind: _in_words(kind.features) for kind in self.kinds.values()}
        anywhere = _in_words(features.values())
        for phrase in uses:
            if phrase in anywhere:
                uses[phrase].update(kind for kind, listed in features.items() if phrase in listed)
        # What is also a part of what a sort of shopper is called is not said of a product.
        sorts = _in_words(persona.label for persona in load_words().personas)
        return {phrase: frozenset(kinds) for phrase, kinds in uses.items() if phrase not in sorts}

    @functools.cached_property
    def use_phrases(self) -> dict[tuple[str, ...], tuple[str, ...]]:
        """The uses under their first two words, the longest first."""
        filed: dict[tuple[str, ...], set[str]] = {}
        for phrase in self.uses:
            filed.setdefault(tuple(phrase.split()[:2]), set()).add(phrase)
        return {first: _longest_first(phrases) for first, phrases in filed.items()}

    @functools.cached_property
    def circle_pattern(self) -> re.Pattern[str]:
        """Finds what is said of a circle, also where nobody buys together in one: then it was made up."""
        return re.compile("|".join(map(re.escape, _circle_phrases())))

    @functools.cached_property
    def look_ends(self) -> frozenset[str]:
        """The last words of looks, by which most words are told to be none."""
        return frozenset(look.split()[-1] for look in self.looks)

    @classmethod
    def of(cls, items: Iterable[Item]) -> StoreWords:
        """The words of all these listings; built once for a store."""
        looks: dict[str, set[str]] = {color: {"color"} for color in _COLORS.split()}
        for material in _MATERIALS.split():
            looks.setdefault(material, set()).add("material")
        nouns: set[str] = set()
        brands: dict[str, set[str]] = {}
        features: dict[tuple[str, ...], set[str]] = {}
        departments: set[str] = set()
        for item in items:
            nouns.add(noun_of(item))
            departments.add(item.department or "")
            for name, value in item.attributes.items():
                words = " ".join(words_of(value))
                if words and len(words.split()) <= MAX_PHRASE_WORDS and not words.isdigit():
                    looks.setdefault(words, set()).add(one_spelling(name))
            if item.brand and is_name(item.brand):
                brands.setdefault(item.brand.split()[0], set()).add(item.brand)
            for feature in item.features:
                words = " ".join(words_of(feature))
                if 2 <= len(words.split()) <= _MAX_FEATURE_WORDS:
                    features.setdefault(tuple(words.split()[:2]), set()).add(words)
        return cls(
            looks={look: frozenset(names) for look, names in looks.items()},
            nouns=frozenset(form for noun in nouns for form in noun_forms(noun)),
            brands={first: _longest_first(names) for first, names in brands.items()},
            features={first: _longest_first(told) for first, told in features.items()},
            departments=_department_phrases(departments - {""}),
            kinds=(kinds := {name: kind for name, kind in load_words().kinds.items() if name in nouns}),
            needs=tuple(persona.needs for persona in load_words().personas) if kinds else (),
            circles=_circle_phrases() if kinds else {},
        )


@dataclass(frozen=True)
class Evidence:
    """All that is known when a narrative is told; ``items`` are the purchases, oldest first: [1] is
    ``items[0]``.

    ``stars``: the stars (1 to 5) that the shopper gave each, or None; left out, none is known. ``reviews``:
    what they wrote of each, "" for nothing; no claim is held against it.
    """

    items: Sequence[Item]
    task: Task = "user_summary_long"
    target: Item | None = None
    stars: Sequence[float | None] = ()
    words: StoreWords = field(default_factory=StoreWords, repr=False)
    reviews: Sequence[str] = ()

    @classmethod
    def of(
        cls,
        history: Sequence[Interaction],
        items: Mapping[str, Item],
        task: Task,
        target: Item | None,
        words: StoreWords,
    ) -> Evidence:
        """The purchases of ``history``, oldest first, with the stars given to them; ``items`` by their id."""
        stars = [purchase.rating for purchase in history]
        return cls([items[purchase.item_id] for purchase in history], task, target, stars, words)

    def unlisted(self) -> Evidence:
        """The same for who sees no listing: products are known by id alone."""
        items = [Item(item.item_id, "") for item in self.items]
        return replace(self, items=items, target=self.target and Item(self.target.item_id, ""))

    def item_of(self, pointer: str) -> Item | None:
        """The product that a pointer's text stands for, None when it points nowhere."""
        return self.item_at(position_of(pointer))

    def item_at(self, position: int) -> Item | None:
        """The ``position``-th purchase, counted from 1; the target at 0."""
        if position == 0:
            return self.target
        return self.items[position - 1] if position <= len(self.items) else None

    def names_at(self, position: int) -> tuple[str, ...]:
        """What its listing calls the product at a pointer, in singular and plural; () where none is known."""
        item = self.item_at(position)
        if item is None or not (item.kind or item.title):
            return ()
        if kind := self.words.kinds.get(item.kind or ""):
            return kind.kind, kind.plural
        noun = noun_of(item)
        return (noun,) if is_plural(noun) else (noun, f"{noun}s")

    def has_to_do_with_target(self, position: int) -> bool:
        """Whether a purchase can be why the target was bought: of its kind, maker or look, or used with it.

        Of products whose kinds the store's words do not tell any may be.
        """
        item, target = self.item_at(position), self.target
        is_used_with = self.is_used_with_target(position)
        if item is None or target is None or is_used_with is None:
            return True
        looks = set(item.attributes.values()) & set(target.attributes.values())
        is_of_one_maker = item.brand is not None and item.brand == target.brand
        return is_used_with or bool(self.is_of_targets_kind(position)) or is_of_one_maker or bool(looks)

    def is_of_targets_kind(self, position: int) -> bool | None:
        """Whether a purchase and the target are of one kind; None where either's is not listed."""
        item, target = self.item_at(position), self.target
        kinds = [each.kind for each in (item, target) if each and each.kind]
        return kinds[0] == kinds[1] if len(kinds) == 2 else None

    def is_used_with_target(self, position: int) -> bool | None:
        """Whether a purchase and the target are used together; None where the store's words do not tell."""
        items = (self.item_at(position), self.target)
        one, other = (self.words.kinds.get(item.kind or "") if item else None for item in items)
        if one is None or other is None:
            return None
        return one.kind in other.goes_with or other.kind in one.goes_with

    def stars_at(self, position: int) -> float | None:
        """The stars of the ``position``-th purchase; the target has none yet."""
        return self.stars[position - 1] if 1 <= position <= len(self.stars) else None


def _in_words(texts: Iterable[str]) -> str:
    """The words of texts in one string in which a phrase is found within one of them only."""
    return " . ".join(" ".join(words_of(text)) for text in texts)


def position_of(pointer: str) -> int:
    """k for ``[k]``, 0 for the target's pointer, beyond every history for a pointer that cannot be."""
    if pointer == TARGET_POINTER:
        return 0
    return int(pointer[1:-1]) or 10**9  # "[0]" is no purchase and not the target either


def one_spelling(word: str) -> str:
    """American English of a word that is also spelt otherwise."""
    return _SPELT_ALIKE.get(word, word)


def words_of(text: str) -> list[str]:
    """The words of ``text`` in lower case, one spelling for each."""
    return [one_spelling(word) for word in _WORD.findall(text.lower())]


def word_spans(text: str) -> list[tuple[str, int]]:
    """The words as `words_of` gives them, each with where it starts in ``text``."""
    return [(one_spelling(found[0]), found.start()) for found in _WORD.finditer(text.lower())]


def listing_words(item: Item) -> frozenset[str]:
    """Every word of the item's listing."""
    return frozenset(listing_text(item).split())


def listing_text(item: Item) -> str:
    """The item's listing as its words with one space between, and one at either end."""
    return _plain(_listing(item))


def listed_numbers(item: Item) -> frozenset[str]:
    """Every number of the item's listing, without the commas of thousands."""
    return _numbers(_listing(item) + ("" if item.price is None else f" {item.price:.2f} {item.price:g}"))


def attribute_words(item: Item, names: Iterable[str]) -> str:
    """The values of the item's attributes of these names, as words with a space at either end; "" without
    any."""
    values = [value for name, value in item.attributes.items() if one_spelling(name) in names]
    return _plain(" . ".join(values)) if any(values) else ""


@functools.lru_cache(maxsize=4096)  # an item is no key: its attributes are a mapping
def _plain(text: str) -> str:
    return f" {' '.join(words_of(text))} "


@functools.lru_cache(maxsize=4096)
def _numbers(text: str) -> frozenset[str]:
    return frozenset(number.replace(",", "") for number in _NUMBER.findall(text))


def _listing(item: Item) -> str:
    parts = (item.title, item.description, item.kind or "", item.brand or "")
    return " . ".join((*parts, *item.attributes.values(), *item.features))


@functools.lru_cache(maxsize=8192)
def noun_forms(noun: str) -> frozenset[str]:
    """A noun in singular and plural, as far as endings tell: "shelf" -> shelf, shelves, ..."""
    noun = noun.lower()
    last = noun.split()[-1]
    stems = {last, last + "s", last + "es", last.removesuffix("s"), last.removesuffix("y") + "ies"}
    stems |= {last.removesuffix("fe") + "ves", last.removesuffix("f") + "ves", last.removesuffix("ies") + "y"}
    stems.add(last.removesuffix("es") if last.endswith(("shes", "ches", "xes", "sses")) else last)
    head = noun.removesuffix(last)
    return frozenset(head + stem for stem in stems if stem)


def is_name(brand: str) -> bool:
    """Whether a brand can be told from a common word where it stands: it has a capital or a digit, and
    length."""
    return len(brand) > 1 and any(letter.isupper() or letter.isdigit() for letter in brand)


def _longest_first(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(texts, key=lambda text: (-len(text), text)))


@functools.cache
def _circle_phrases() -> dict[str, str]:
    """What tells one circle from another in each way to speak of it, the longest first."""
    circles = load_words().circles
    leads = {circle.to: "to" for circle in circles}
    leads |= {name.removeprefix("the "): "the" for each in circles for name in (each.list_name, each.group)}
    return {phrase: leads[phrase] for phrase in _longest_first(leads)}


def _department_phrases(departments: Iterable[str]) -> dict[str, str]:
    """What the demo's narratives call the goods of these departments, and the departments' own names."""
    things = read_toml(WORDS_DIR / "phrases" / "departments.toml")["things"]
    file_of = {name: file for file, name in load_words().departments.items()}
    phrases = {name.lower(): name for name in departments}
    return phrases | {
        phrase.lower(): name for name in departments for phrase in things.get(file_of.get(name, ""), ())
    }
