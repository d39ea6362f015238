"""What kind of thing a product is, in a word: the noun that follows its pointer."""

from __future__ import annotations

import re

from knowledge.types import Item

_TITLE_ENDS = re.compile(
    r"\s*(?:[,(\[|/;:]|\s[-–—]\s|\bfor\b|\bwith\b|\bby\b|\bpack of\b).*", re.IGNORECASE | re.DOTALL
)
_WORD = re.compile(r"[A-Za-z][A-Za-z'’-]+")
# Words that end the head of many a title and are no kind of thing: looks, sizes, measures.
_NO_NOUNS = frozenset(
    _WORD.findall(
        """black white red blue green yellow orange pink purple violet brown gray grey gold
        silver clear magenta cyan navy teal beige ivory tan multicolor assorted color colors
        colored tri-color large small medium mini jumbo extra wide narrow long short letter-size
        legal-size standard standard-size digital electric automatic classic premium deluxe
        heavy-duty strung visibility ruled new original genuine professional office mm cm ml oz
        inch inches in ft lb lbs ct count pk pkg pack packs box each pcs pc ea bm xl dz dozen
        per and of the to or an"""
    )
)


def noun_of(item: Item) -> str:
    """What kind of thing the item is, lower case: its ``kind``, else made of its title.

    "Two-Pocket Folders, Green, Pack of 25" -> "folders". Falls back to "product".
    """
    if item.kind:
        return item.kind.lower()
    head = _WORD.findall(_TITLE_ENDS.sub("", item.title))
    for words in (head, _WORD.findall(item.title)):
        nouns = [word.lower() for word in words if word.lower() not in _NO_NOUNS]
        if nouns:
            return str(nouns[-1])
    return "product"


def is_plural(noun: str) -> bool:
    """Whether verbs agree with ``noun`` in the plural, judged by its ending."""
    return noun.endswith("s") and not noun.endswith(("ss", "us", "is"))
