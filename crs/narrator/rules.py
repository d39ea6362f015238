"""When a claim holds: what the slots of a wording are told, and the rules of the table in claims.py.

A rule answers True, False, or None where it cannot be known: such a claim passes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass

from crs.narrator.evidence import REASONS, Evidence, attribute_words, listing_text, words_of
from crs.narrator.sentence import Mention, Sentence
from knowledge.demo.grammar import number_word
from knowledge.types import MAX_HISTORY, Item

WORD_SLOTS = ("n", "look", "dept", "dept2")  # slots of words; the others hold products
_GOES_WITH_BY_LOOK = re.compile(r"\bmore [a-z -]+ to go with ")
_NUMBERS = {number_word(n): n for n in range(100)}


@dataclass(frozen=True, slots=True)
class Said:
    """What the slots of a wording hold in one sentence."""

    sentence: Sentence
    evidence: Evidence
    slots: dict[str, str | None]

    def all(self, *slots: str) -> list[Mention]:
        """The products of these slots, in order; none where they are not filled."""
        marks = [mark for slot in slots for mark in re.findall(r"\d+", self.slots.get(slot) or "")]
        return [self.sentence.mentions[int(mark)] for mark in marks]

    @property
    def number(self) -> int | None:
        """The number of the slot; None when the word there is none."""
        text = self.slots.get("n") or ""
        return int(text) if text.isdecimal() else _NUMBERS.get(text)

    @property
    def look(self) -> str | None:
        """The color or material of the slot; None when the store knows none of that name."""
        look = self.words("look")
        return look if look and self.evidence.words.looks[look] & {"color", "material"} else None

    @property
    def departments(self) -> list[str]:
        """The departments whose goods the slots name."""
        goods = [self.words(slot) for slot in ("dept", "dept2")]
        return [self.evidence.words.departments[words] for words in goods if words]

    def words(self, slot: str) -> str:
        """Of one of `WORD_SLOTS` the words that name something; "" where none do."""
        text = self.slots.get(slot) or ""
        if slot == "n":
            return text if text in _NUMBERS else ""
        words = self.evidence.words
        return _known_end(text, words.looks if slot == "look" else words.departments) or ""


Rule = Callable[[Said], bool | None]


def _known_end(text: str, known: Container[str]) -> str | None:
    """The longest run of words at the end of ``text`` that is known."""
    words = text.split()
    runs = (" ".join(words[start:]) for start in range(len(words)))
    return next((run for run in runs if run in known), None)


# --- stars


def stars_from(least: float, most: float = 5) -> Rule:
    """Each of <a> has from ``least`` to ``most`` stars; what has none can be neither loved nor regretted."""

    def rule(said: Said) -> bool:
        given = [said.evidence.stars_at(mention.position) for mention in said.all("a")]
        return all(stars is not None and least <= stars <= most for stars in given)

    return rule


def stars_as_said(said: Said) -> bool | None:
    """Each of <a> has <n> stars."""
    if said.number is None or said.number > 5:
        return None
    given = [said.evidence.stars_at(mention.position) for mention in said.all("a")]
    return all(stars is not None and round(stars) == said.number for stars in given)


def mean_stars_from(least: float, most: float) -> Rule:
    """What the shopper gives on average is from ``least`` to ``most``."""

    def rule(said: Said) -> bool | None:
        given = [stars for stars in said.evidence.stars if stars is not None]
        return least <= sum(given) / len(given) <= most if given else None

    return rule


# --- order and counts


def is_first(said: Said) -> bool:
    """<one> was bought first."""
    return all(mention.position == 1 for mention in said.all("one"))


def is_last(said: Said) -> bool:
    """<one> was bought last."""
    return all(mention.position == len(said.evidence.items) for mention in said.all("one"))


def a_after_b(said: Said) -> bool:
    """<a> was bought after <b>; the target, not bought yet, comes after everything."""
    n = len(said.evidence.items)
    later, earlier = ([mention.position or n + 1 for mention in said.all(slot)] for slot in "ab")
    return min(later) > max(earlier)


def n_purchases(said: Said) -> bool | None:
    """There are <n> purchases; of a history as long as is kept, at least as many."""
    n_known = len(said.evidence.items)
    if said.number is None or said.number == 1:  # "one order away" counts nothing
        return None
    return said.number >= n_known if n_known == MAX_HISTORY else said.number == n_known


def n_departments(said: Said) -> bool | None:
    """The purchases come from <n> departments."""
    departments = [item.department for item in said.evidence.items]
    return None if said.number is None or not all(departments) else said.number == len(set(departments))


def among_departments(top: int) -> Rule:
    """<dept> and <dept2> are among the ``top`` most bought from; equals share a place."""

    def rule(said: Said) -> bool | None:
        counts = Counter(item.department for item in said.evidence.items)
        if not said.departments or not all(counts):
            return None
        least = sorted(counts.values())[-top:][0]
        return all(counts[department] >= least for department in said.departments)

    return rule


def of_departments(said: Said) -> bool | None:
    """Each of <a> comes from <dept>, or from <dept2>."""
    named = [mention.item.department for mention in said.all("a") if mention.item]
    return all(name in said.departments for name in named) if said.departments and all(named) else None


# --- prices


def costs_most(said: Said) -> bool | None:
    """No purchase cost more than <one>."""
    return _is_beyond_all(said, sign=1)


def costs_least(said: Said) -> bool | None:
    """No purchase cost less than <one>."""
    return _is_beyond_all(said, sign=-1)


def _is_beyond_all(said: Said, *, sign: int) -> bool | None:
    item = said.all("one")[0].item
    if item is None or item.price is None:
        return None
    prices = [other.price for other in said.evidence.items]
    if any(price is not None and sign * price > sign * item.price for price in prices):
        return False
    return None if None in prices else True


def a_cheaper_than_b(said: Said) -> bool | None:
    """<a> costs less than <b>, or than the target where <b> is none."""
    items = [
        *(mention.item for mention in said.all("a", "b")),
        *([] if said.all("b") else [said.evidence.target]),
    ]
    prices = [item.price for item in items if item and item.price is not None]
    return prices[0] < prices[1] if len(prices) == 2 else None


# --- what one product is to another


def same_kind(said: Said) -> bool | None:
    """<a> is of the target's kind, for whatever takes its place."""
    mention = _a_alone(said)
    return None if mention is None else said.evidence.is_of_targets_kind(mention.position)


def belongs_with(said: Said) -> bool | None:
    """<a> and the target are used together, as far as the store's words tell."""
    mention = _a_alone(said)
    if mention is None or _GOES_WITH_BY_LOOK.search(said.sentence.skeleton.lower()):
        return None
    return said.evidence.is_used_with_target(mention.position)


def with_nothing(said: Said) -> bool | None:
    """Nothing is named that a target would replace or go with: the wording alone is the fault."""
    return False if said.evidence.target is not None else None


def _a_alone(said: Said) -> Mention | None:
    mentions = said.all("a")
    return mentions[0] if len(mentions) == 1 else None


# --- brands and looks


def same_maker(said: Said) -> bool | None:
    """<a> and <b>, or the target where <b> is none, are of one brand."""
    others = [mention.item for mention in said.all("b")] or [said.evidence.target]
    brands = [item.brand for item in (*others, *(mention.item for mention in said.all("a"))) if item]
    return len(set(brands)) == 1 if len(brands) > 1 and all(brands) else None


def other_maker(said: Said) -> bool | None:
    """They are of different brands."""
    same = same_maker(said)
    return None if same is None else not same


def look_of(*slots: str) -> Rule:
    """The look is that of the products in ``slots``, or of the target where those hold none."""

    def rule(said: Said) -> bool | None:
        look = said.look
        items = [mention.item for mention in said.all(*slots)] or [said.evidence.target]
        if look is None or None in items:
            return None
        return all(shows(item, look, said.evidence) for item in items if item)

    return rule


def look_of_both(said: Said) -> bool | None:
    """The look is that of <a> and <b> and, where there is one, of the target."""
    of_owned, of_target = look_of("a", "b")(said), look_of()(said)
    return False if of_target is False else of_owned


def shows(item: Item, look: str, evidence: Evidence) -> bool:
    """Whether the item's listing gives it this look: every word of it in its attributes or title."""
    listed = attribute_words(item, evidence.words.looks.get(look, frozenset()))
    words = [*listed.split(), *words_of(item.title)] if listed else listing_text(item).split()
    return all(word in words for word in look.split())


# --- what was known when


def known_only_later(said: Said) -> bool | None:
    """A reason tells of the time before the purchase: what came after is wrong to tell, whatever it is."""
    if said.evidence.task not in REASONS:
        return None
    positions = [mention.position for mention in said.all("one")]
    return False if not positions or 0 in positions else None


def not_owned_yet(said: Said) -> bool | None:
    """What is recommended is not owned: <one> may not be the target then."""
    is_offered = said.evidence.task == "product_endorsement" and said.all("one")[0].position == 0
    return False if is_offered else None
