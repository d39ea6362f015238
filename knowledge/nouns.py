"""What kind of thing a product is, in a word or two: the noun that a sentence calls it by.

Where a listing names no kind its title has to tell, and one title tells little: "Noodler's Bottle Refill
Baystate" is a refill, as the other titles show that end with that word.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence

from knowledge.types import Item

_TITLE_ENDS = re.compile(
    r"\s*(?:[,(\[|/;:]|\s[-–—]\s|\bfor\b|\bwith\b|\bby\b|\bpack of\b).*", re.IGNORECASE | re.DOTALL
)
_WORD = re.compile(r"[A-Za-z][A-Za-z'’-]*[A-Za-z]")
# Words that end the head of many a title and are no kind of thing: looks, sizes, measures.
_NO_NOUNS = frozenset(
    _WORD.findall(
        """black white red blue green yellow orange pink purple violet brown gray grey gold
        silver clear magenta cyan navy teal beige ivory tan multicolor assorted color colors
        colored tri-color large small medium mini jumbo extra wide narrow long short letter-size
        legal-size standard standard-size digital electric automatic classic premium deluxe
        heavy-duty strung visibility ruled new original genuine professional office mm cm ml oz
        inch inches in ft lb lbs ct count pk pkg pack packs box each pcs pc ea bm xl dz dozen
        per bl and of the to or an replacement value style size usa weekly monthly daily yearly glossy matte
        point tip compatible fine bold capacity high low import free retail bulk clear"""
    )
)
# Things that are no part of a name: a "fine point marker" is no point marker.
_NO_PARTS = frozenset(
    (
        "point",
        "letter",
        "combo",
        "plus",
        "value",
        "size",
        "color",
        "sheet",
        "count",
        "pro",
        "no",
        "steel",
        "stick",
        "strip",
    )
)
_MIN_TITLES = 3  # that end with a word before it counts as a kind of thing
_MIN_COMPOUND = 5  # titles in which two words stand side by side before they are one name
_SHARE_OF_COMPOUND = 0.6  # of those a third word before them must stand in to belong to the name


def nouns_of(titles: Sequence[str], makers: Sequence[str] = ()) -> list[str]:
    """The noun of each title, lower case, told by what the titles have in common; "product" for none.

    ``makers``: of each title's product, "" where none is known; a name that opens its title is no noun.

    "Pilot G2 Gel Ink Pens, Fine" -> "gel ink pens" where many titles speak of gel ink pens.
    """
    bare = [
        title[len(maker) :] if maker and title.lower().startswith(maker.lower()) else title
        for title, maker in itertools.zip_longest(titles, makers, fillvalue="")
    ]
    heads = [_words(_TITLE_ENDS.sub("", title)) for title in bare]
    wholes = [_words(title) for title in titles]
    ends = Counter(_stem(_last(head)) for head in heads if head)
    starts = Counter(_stem(whole[0]) for whole in wholes if whole)
    # A maker's name may end a title as well, but it begins more of them.
    things = {word for word, n in ends.items() if n >= _MIN_TITLES and n > starts[word]} - {""}
    runs: Counter[tuple[str, ...]] = Counter()
    for whole in wholes:
        stems = [_stem(word) for word in whole]
        runs.update({tuple(stems[i : i + n]) for n in (2, 3) for i in range(len(stems) - n + 1)})
    return [_noun(head, _words(title), things, starts, runs) for head, title in zip(heads, bare, strict=True)]


def noun_of(item: Item) -> str:
    """What to call the item, lower case: its kind, else what its title says."""
    return (item.kind or item.noun or nouns_of([item.title])[0]).lower()


def is_plural(noun: str) -> bool:
    """Whether verbs agree with ``noun`` in the plural, judged by its ending."""
    return noun.endswith("s") and not noun.endswith(("ss", "us", "is"))


def _noun(
    head: list[str],
    whole: list[str],
    things: set[str],
    starts: Counter[str],
    runs: Counter[tuple[str, ...]],
) -> str:
    for words in (head, whole):
        found = [i for i, word in enumerate(words) if _stem(word) in things]
        if found:
            compound = _compound(words, found[-1], starts, runs)
            before = words[found[-1] - 1] if len(compound) == 1 and found[-1] else ""
            # What it is a thing of: "cup" alone tells little of a pencil cup.
            is_part = (
                _stem(before) in things
                and before not in _NO_NOUNS | _NO_PARTS
                and _stem(before) != _stem(compound[0])
            )
            return " ".join([before, *compound] if is_part else compound)
    return _last(head) or _last(whole) or "product"


def _compound(words: list[str], at: int, starts: Counter[str], runs: Counter[tuple[str, ...]]) -> list[str]:
    """The name that ends with ``words[at]``: one to three words."""
    stems = [_stem(word) for word in words]
    two = runs[tuple(stems[max(0, at - 1) : at + 1])]
    if (
        at < 1
        or stems[at - 1] == stems[at]
        or two < _MIN_COMPOUND
        or not _may_belong(words[at - 1], two, starts)
    ):
        return words[at : at + 1]
    three = runs[tuple(stems[max(0, at - 2) : at + 1])]
    if at > 1 and three >= _SHARE_OF_COMPOUND * two and _may_belong(words[at - 2], three, starts):
        return words[at - 2 : at + 1]
    return words[at - 1 : at + 1]


def _may_belong(word: str, n_together: int, starts: Counter[str]) -> bool:
    return word not in _NO_NOUNS and n_together > starts[_stem(word)] / 2


def _words(title: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(title)]


def _last(words: list[str]) -> str:
    return next((word for word in reversed(words) if word not in _NO_NOUNS), "")


def _stem(word: str) -> str:
    return word[:-1] if is_plural(word) else word
