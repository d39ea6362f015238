"""A small grammar that turns facts into English: phrases with slots, agreement and articles.

A phrase is text with ``{slot}`` and ``<this|that>``. A slot is filled from the facts of the text at hand or,
failing that, by one of the phrases of that name; a phrase whose slots cannot be filled is not used.

    {name}              a fact (drawn without repetition from its alternatives) or another phrase
    {who:buys/buy}      the subject and its verb: a noun at first, later also "they"
    {whom}              the same noun, where no verb depends on it
    {@likes/like}       agrees with the subject last named
    {#fits/fit}         agrees with the target
    {^was/were}         agrees with the item last pointed at
    {?name}             nothing, but only where that fact is there
    {name?}             left out where nothing fills it
    {it} {them}         the target by pronoun, or by name where the pronoun would not be clear
    a(n)                becomes "a" or "an" by the sound of what follows
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from knowledge.demo.words import read_toml
from knowledge.errors import InputError

# Vowel letters that sound like a consonant, and the reverse.
_CONSONANT_SOUND = re.compile(r"^(?:u(?:ni|se|su|ti|ku|k)|eu|one\b|once)", re.IGNORECASE)
_VOWEL_SOUND = re.compile(r"^(?:[aeiou]|hour|honest|heir|8|11\b|18\b)", re.IGNORECASE)
_ARTICLE = re.compile(r"\b([Aa])\(n\) ((?:\[\w+\] )?)([\w'’-]+)")
_SENTENCE_START = re.compile(r"(^|[.!?] )([a-z])")
_TOKEN = re.compile(r"[{}<>|]")
_DOUBLED = {
    "set",
    "get",
    "run",
    "plan",
    "knit",
    "put",
    "fit",
    "stop",
    "swim",
    "trim",
    "swap",
    "wrap",
    "sit",
    "tag",
    "equip",
}


class Unfilled(Exception):
    """Internal: a phrase has a slot that nothing can fill here; another phrase is tried."""


class Keyed(str):
    """A fact that counts as said once any fact with the same ``key`` was said."""

    key: str

    def __new__(cls, text: str, key: str) -> Keyed:
        keyed = super().__new__(cls, text)
        keyed.key = key
        return keyed


class Mention(Protocol):
    """An item that a text can point at."""

    @property
    def key(self) -> str: ...
    @property
    def is_plural(self) -> bool: ...
    def render(self, rng: random.Random) -> str: ...


@dataclass(frozen=True, slots=True)
class Slot:
    name: str
    singular: str = ""
    plural: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    options: tuple[tuple[Part, ...], ...]


Part = str | Slot | Choice
Phrase = tuple[Part, ...]
Phrases = Mapping[str, tuple[Phrase, ...]]
Fact = str | tuple[str, ...] | tuple[Mention, ...]
Facts = Mapping[str, Fact]


@cache
def parse(text: str) -> Phrase:
    """``text`` as parts. Raises ValueError when a bracket is not closed."""
    parts, end = _parse(text, 0, "")
    if end != len(text):
        raise ValueError(f"unbalanced bracket at {end} in phrase: {text}")
    return parts


def _parse(text: str, start: int, closing: str) -> tuple[Phrase, int]:
    parts: list[Part] = []
    position = start
    while position < len(text):
        token = _TOKEN.search(text, position)
        if token is None:
            if text[position:]:
                parts.append(text[position:])
            position = len(text)
            break
        if token.start() > position:
            parts.append(text[position : token.start()])
        position = token.start()
        if token.group() in closing:
            return tuple(parts), position
        if token.group() == "{":
            end = text.index("}", position)
            parts.append(_slot(text[position + 1 : end]))
            position = end + 1
        elif token.group() == "<":
            options: list[Phrase] = []
            while True:
                option, position = _parse(text, position + 1, "|>")
                options.append(option)
                if position >= len(text):
                    raise ValueError(f"'<' not closed in phrase: {text}")
                if text[position] == ">":
                    break
            parts.append(Choice(tuple(options)))
            position += 1
        else:
            raise ValueError(f"unexpected '{token.group()}' at {position} in phrase: {text}")
    return tuple(parts), position


def _slot(inner: str) -> Slot:
    if inner[0] in "#@^":
        singular, plural = inner[1:].split("/")
        return Slot(inner[0], singular, plural)
    if inner[0] == "?":
        return Slot("?", inner[1:])
    if inner[-1] == "?":
        return Slot("maybe", inner[:-1])
    name, _, verbs = inner.partition(":")
    singular, _, plural = verbs.partition("/")
    return Slot(name, singular, plural)


@dataclass(frozen=True)
class Grammar:
    """Plans (ways to build a whole text) and the phrases they are made of."""

    plans: tuple[Phrase, ...]
    phrases: dict[str, tuple[Phrase, ...]]
    by_cause: dict[str, dict[str, tuple[Phrase, ...]]]

    def for_cause(self, cause: str) -> dict[str, tuple[Phrase, ...]]:
        """The common phrases with those of ``cause`` added to them."""
        return {**self.phrases, **self.by_cause.get(cause, {})}


def load_grammar(path: Path, *shared: Path) -> Grammar:
    """A grammar file, with the phrases of ``shared`` files beside its own.

    Raises InputError with the file and the phrase when one is broken.
    """
    phrases: dict[str, tuple[Phrase, ...]] = {}
    by_cause: dict[str, dict[str, tuple[Phrase, ...]]] = {}
    plans: tuple[Phrase, ...] = ()
    for file in (*shared, path):
        data = read_toml(file)
        try:
            plans = tuple(parse(plan) for plan in data.get("plans", ()))
            phrases.update(
                {name: tuple(map(parse, texts)) for name, texts in data.get("phrases", {}).items()}
            )
            for cause, tables in data.get("by_cause", {}).items():
                merged = by_cause.setdefault(cause, {})
                merged.update({name: tuple(map(parse, texts)) for name, texts in tables.items()})
        except ValueError as exc:
            raise InputError(file, f"{exc}; correct the brackets") from exc
    return Grammar(plans, phrases, by_cause)


_State = tuple[set[object], bool, bool, bool, str]
_TARGET_SLOTS = frozenset({"t", "look_t", "a_t", "look_a_t", "this_t", "look_this_t"})


class Draft:
    """One text in the making: remembers what was already said so that nothing is said twice."""

    def __init__(self, rng: random.Random, phrases: Phrases, facts: Facts) -> None:
        self._rng, self._phrases, self._facts = rng, phrases, facts
        self._noun = rng.choice(
            ("the customer", "this customer", "the shopper", "this shopper", "this person")
        )
        self._used: set[object] = set()
        self._introduced = False
        self._subject_plural = False
        self._item_plural = False
        self._last_item = ""

    def write(self, plans: tuple[Phrase, ...]) -> str | None:
        """The first of ``plans``, in random order, that can be filled; None when none can."""
        for plan in self._shuffled(plans):
            saved = self._save()
            try:
                return finish("".join(self._expand(plan)))
            except Unfilled:
                self._restore(saved)
        return None

    def _save(self) -> _State:
        return set(self._used), self._introduced, self._subject_plural, self._item_plural, self._last_item

    def _restore(self, saved: _State) -> None:
        self._used, self._introduced, self._subject_plural, self._item_plural, self._last_item = saved

    def _expand(self, phrase: Phrase) -> str:
        texts: list[str] = []
        for part in phrase:
            if isinstance(part, str):
                texts.append(part)
            elif isinstance(part, Slot):
                texts.append(self._fill(part))
            else:
                texts.append(self._first_that_fits(part.options))
        return "".join(texts)

    def _first_that_fits(self, options: tuple[Phrase, ...]) -> str:
        for option in self._shuffled(options):
            saved = self._save()
            try:
                text = self._expand(option)
                self._used.add(id(option))
                return text
            except Unfilled:
                self._restore(saved)
        raise Unfilled

    def _shuffled(self, options: tuple[Phrase, ...]) -> Iterator[Phrase]:
        """``options`` in random order, those not used yet first; lazy, as mostly the first one fits."""
        fresh = [option for option in options if id(option) not in self._used]
        used = [option for option in options if id(option) in self._used] if len(fresh) < len(options) else []
        for pool in (fresh, used):
            while pool:
                last = len(pool) - 1
                chosen = int(self._rng.random() * len(pool))
                pool[chosen], pool[last] = pool[last], pool[chosen]
                yield pool.pop()

    def _fill(self, slot: Slot) -> str:
        if slot.name == "who":
            return self._subject(slot)
        if slot.name == "whom":
            self._introduced = True
            return self._noun
        if slot.name in "#@^":
            plural = {
                "#": self._facts.get("target_plural") == "yes",
                "@": self._subject_plural,
                "^": self._item_plural,
            }
            return slot.plural if plural[slot.name] else slot.singular
        if slot.name == "?":
            if slot.singular not in self._facts:
                raise Unfilled(slot.singular)
            return ""
        if slot.name == "maybe":
            return self._maybe(Slot(slot.singular))
        if slot.name in ("it", "them") and "t" in self._facts and self._last_item != "target":
            slot = Slot("t")
        if slot.name in _TARGET_SLOTS:
            self._last_item = "target"
            self._item_plural = self._facts.get("target_plural") == "yes"
        fact = self._facts.get(slot.name)
        if fact is None:
            options = self._phrases.get(slot.name)
            if not options:
                raise Unfilled(slot.name)
            return self._first_that_fits(options)
        if isinstance(fact, str):
            return fact
        return self._draw(fact)

    def _maybe(self, slot: Slot) -> str:
        saved = self._save()
        try:
            return self._fill(slot) if self._rng.random() < 0.85 else ""
        except Unfilled:
            self._restore(saved)
            return ""

    def _draw(self, fact: tuple[str, ...] | tuple[Mention, ...]) -> str:
        fresh = [value for value in fact if _key(value) not in self._used]
        if not fresh:
            raise Unfilled
        value = fresh[int(self._rng.random() * len(fresh))]
        self._used.add(_key(value))
        if isinstance(value, str):
            return value
        self._item_plural, self._last_item = value.is_plural, value.key
        return value.render(self._rng)

    def _subject(self, slot: Slot) -> str:
        if self._introduced and self._rng.random() < 0.7:
            self._subject_plural = True
            return f"they {slot.plural}"
        self._introduced = True
        self._subject_plural = False
        noun = self._noun
        return f"{noun} {slot.singular}"


def _key(value: str | Mention) -> str:
    return value if isinstance(value, str) and not isinstance(value, Keyed) else value.key


def finish(text: str) -> str:
    """Articles by sound, single spaces, capitals after full stops."""
    text = _ARTICLE.sub(
        lambda match: f"{match[1]}{'n' if starts_with_vowel(match[3]) else ''} {match[2]}{match[3]}", text
    )
    text = " ".join(text.split()).replace(" ,", ",").replace(" .", ".")
    return _SENTENCE_START.sub(lambda match: match[1] + match[2].upper(), text)


def starts_with_vowel(word: str) -> bool:
    """Whether ``word`` starts with a vowel sound: umbrella does, ukulele does not."""
    return bool(_VOWEL_SOUND.match(word)) and not _CONSONANT_SOUND.match(word)


def gerund(infinitive: str) -> str:
    """The -ing form of a bare infinitive phrase: "set up a desk" -> "setting up a desk"."""
    verb, space, rest = infinitive.partition(" ")
    if verb in _DOUBLED:
        verb += verb[-1]
    elif verb.endswith("ie"):
        verb = verb[:-2] + "y"
    elif verb.endswith("e") and not verb.endswith(("ee", "ye", "oe")):
        verb = verb[:-1]
    return f"{verb}ing{space}{rest}"


_NUMBERS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def number_word(number: int) -> str:
    """English for 0 to 99: 21 -> "twenty-one"."""
    if number <= 20:
        return _NUMBERS[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens - 2] + (f"-{_NUMBERS[ones]}" if ones else "")
