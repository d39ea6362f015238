"""Quoting a listing by pointing at it: slots that stand for what a product's listing says, word for word.

As a pointer is shown as a product's name, so a slot is shown as a fact of the target's listing. The narrator
says where a fact goes and never spells it, so a brand, a price or a feature is as listed or is not said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from knowledge.demo.grammar import starts_with_vowel
from knowledge.money import dollars
from knowledge.nouns import is_plural, noun_of
from knowledge.types import TARGET_POINTER, Item

NOUN, BRAND, COLOR, MATERIAL, PRICE = "[noun]", "[brand]", "[color]", "[material]", "[price]"
FEATURES = ("[feature1]", "[feature2]", "[feature3]")
SLOTS = (NOUN, BRAND, COLOR, MATERIAL, PRICE, *FEATURES)

# With the article before it, which must suit whatever is filled in.
_SLOT = re.compile(
    rf"(?:\b(?P<article>[Aa])n? (?P<between>(?:{re.escape(TARGET_POINTER)} )?))?(?P<slot>\[[a-z]+[1-3]?\])"
)
_STARTS_SENTENCE = re.compile(r"(?:^|[.!?]\s)\s*$")
_BRACKETS = str.maketrans("[]", "()")  # else a listing could spell a pointer
_SEGMENT_ENDS = re.compile(r"[;|()\[\]]+|,(?!\d)|\s[-–—]\s")
_SENTENCE_ENDS = re.compile(r"[.!?;](?:\s|$)")
# A pronoun before a feature, or before the second of two.
_SAID_OF = re.compile(r"\b(it|they)\b((?: also)? \[feature\d\])", re.IGNORECASE)
_QUOTING = (
    ('is listed as "{}"', 'are listed as "{}"'),
    ('is described as "{}"', 'are described as "{}"'),
    ('is sold as "{}"', 'are sold as "{}"'),
)


def quotable(item: Item) -> dict[str, str]:
    """What may be quoted of ``item``: slot -> text, in the order of `SLOTS`; without what is not listed."""
    features = item.features[: len(FEATURES)] or _phrases(item)
    told = {
        NOUN: noun_of(item),
        BRAND: item.brand or "",
        COLOR: item.attributes.get("color", ""),
        MATERIAL: item.attributes.get("material", ""),
        PRICE: "" if item.price is None else dollars(item.price),
        **dict(zip(FEATURES, features, strict=False)),
    }
    return {slot: text.translate(_BRACKETS) for slot, text in told.items() if text}


def fill(text: str, told: Mapping[str, str]) -> str:
    """``text`` with every slot replaced by what ``told`` says for it; one that is not there vanishes."""

    def quote(found: re.Match[str]) -> str:
        if found["slot"] == TARGET_POINTER:
            return found[0]
        fact = told.get(found["slot"], "")
        if found["article"]:
            return f"{found['article']}{'n' if starts_with_vowel(fact) else ''} {found['between']}{fact}"
        return _capital(fact) if _STARTS_SENTENCE.search(text[: found.start()]) else fact

    text = _agreeing(text, told.get(NOUN, ""))
    return _SLOT.sub(quote, text)


def _agreeing(text: str, noun: str) -> str:
    """``text`` with the pronouns that features are said of in the number of ``noun``, as features are."""
    if not noun:
        return text
    forms = ("they", "They") if is_plural(noun) else ("it", "It")
    return _SAID_OF.sub(lambda found: forms[found[1][0].isupper()] + found[2], text)


def hide(text: str, item: Item | None) -> str:
    """``text`` with the quotable facts of ``item`` as slots; `fill` gives it back."""
    if item is None:
        return text
    told = quotable(item)
    noun = told.pop(NOUN, "")
    for slot, fact in sorted(told.items(), key=lambda entry: -len(entry[1])):
        # A color before another purchase's pointer is that purchase's, even where both are alike.
        stop = r"(?!\w)(?!(?: \w+)?(?: \[[a-z-]+[1-3]?\])* \[\d)" if slot in (COLOR, MATERIAL) else r"(?!\w)"
        for form in dict.fromkeys((fact, _capital(fact))):
            text = re.sub(r"(?<![\w\[])" + re.escape(form) + stop, slot, text)
    if noun:
        text = re.sub(re.escape(f"{TARGET_POINTER} {noun}") + r"\b", f"{TARGET_POINTER} {NOUN}", text)
    return text


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _phrases(item: Item) -> tuple[str, ...]:
    """Up to three phrases of a real listing, quoted as such, so that any of them fits into a sentence."""
    parts = _SEGMENT_ENDS.split(item.title)[1:] + _SENTENCE_ENDS.split(item.description)
    own = {(item.brand or "").lower(), item.title.lower()}
    kept: dict[str, str] = {}
    for part in (part.strip(" .:*\"'") for part in parts):
        if 2 <= len(part.split()) <= 8 and len(part) <= 60 and '"' not in part and part.lower() not in own:
            kept.setdefault(part.lower(), part)
    plural = is_plural(noun_of(item))
    return tuple(
        forms[plural].format(part) for forms, part in zip(_QUOTING, list(kept.values())[:3], strict=False)
    )
