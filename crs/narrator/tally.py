"""What is counted or given by the shopper rather than read off a product, and the words a reply has for it.

Soft tokens tell what a purchase is. How many there are, which were loved and which came last a small narrator
looks up badly. So it never spells such things: it says a slot ("[count] purchases") that is filled in, or a
mark before a pointer ("the [loved] [3] kettle") behind which only purchases can stand of which it is true.
Why a target was bought it is to read; behind "[need]" it spells out one of the needs that such things answer,
behind "[circle]" one of the circles that shoppers buy together in.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from crs.narrator.evidence import Evidence
from knowledge.demo.grammar import gerund, number_word
from knowledge.demo.words import Need
from knowledge.types import Item, pointer

COUNT, N_DEPARTMENTS = "[count]", "[departments]"
GOODS = ("[goods1]", "[goods2]")  # of the departments that most was bought from
HUES = ("[hue1]", "[hue2]")  # colors that most purchases share
AIMS = ("[aim1]", "[aim2]", "[aim3]")  # needs that purchases answer: "keep a garden"
AIMINGS = ("[aiming1]", "[aiming2]", "[aiming3]")  # the same as "keeping a garden"
PURPOSES, GAINS = ("[purpose1]", "[purpose2]"), ("[gain1]", "[gain2]")  # of the target's kind
TALLY_SLOTS = (COUNT, N_DEPARTMENTS, *GOODS, *HUES, *AIMS, *AIMINGS, *PURPOSES, *GAINS)

LOVED, LIKED, ENJOYED, DISLIKED = "[loved]", "[liked]", "[enjoyed]", "[disliked]"
FIRST, LAST, DEAREST, CHEAPEST = "[first]", "[last]", "[dearest]", "[cheapest]"
IN_HUES = ("[in-hue1]", "[in-hue2]")
FOR_AIMS = ("[for-aim1]", "[for-aim2]", "[for-aim3]")
MATCHING = "[matching]"  # of the target's color
SAME_KIND, PARTNER = "[same]", "[partner]"  # of the target's kind; used together with it
POINTER_MARKS = (
    LOVED, LIKED, ENJOYED, DISLIKED, FIRST, LAST, DEAREST, CHEAPEST, *IN_HUES, *FOR_AIMS, MATCHING,
    SAME_KIND, PARTNER,
)  # fmt: skip
EARLIER, LATER = "[earlier]", "[later]"  # than every purchase that the sentence has pointed at
TIME_MARKS = (EARLIER, LATER)
GENEROUS, FAIR, STRICT = "[generous]", "[fair]", "[strict]"  # before words on how the shopper gives stars
RATING_MARKS = (GENEROUS, FAIR, STRICT)
# Before why the target was bought: "keep a garden", "keeping a garden".
NEED, NEEDING = "[need]", "[needing]"
CIRCLE = "[circle]"  # before the circle of shoppers that it was bought for: "the [circle] Otter scouts"
REASON_MARKS = (NEED, NEEDING, CIRCLE)
MARKS = (*POINTER_MARKS, *RATING_MARKS, *REASON_MARKS, *TIME_MARKS)

# Stars of a purchase, from and to; then those that a shopper gives on average, whose bounds overlap.
STARS = {LOVED: (5.0, 5.0), LIKED: (4.0, 5.0), ENJOYED: (3.0, 5.0), DISLIKED: (1.0, 2.0)}
MEAN_STARS = {GENEROUS: (4.0, 5.0), FAIR: (3.4, 4.5), STRICT: (1.0, 4.0)}

_NOTED = (
    COUNT, N_DEPARTMENTS, *GOODS, *HUES, *AIMS,
    LOVED, LIKED, DISLIKED, LAST, DEAREST, *IN_HUES, *FOR_AIMS, MATCHING, SAME_KIND, PARTNER,
)  # fmt: skip
_MAX_NOTED = 10  # purchases behind a mark in the note, the latest
_BRACKETS = re.compile(r"[\[\]<>|]")


@dataclass(frozen=True, slots=True)
class Tally:
    """``slots``: slot -> what is filled in. ``marks``: mark -> the purchases (from 1) that may follow it;
    ``phrases``: mark -> the words that may follow it.

    A slot or a mark of which nothing is true is left out. ``ratings``: the marks that hold of how the
    shopper gives stars. ``departments``: those that `GOODS` stand for, ``sold``: slot of theirs -> the
    purchases of it; ``needs``: those of `AIMS`.
    """

    slots: Mapping[str, str]
    marks: Mapping[str, tuple[int, ...]]
    phrases: Mapping[str, tuple[str, ...]]
    ratings: tuple[str, ...]
    departments: tuple[str, ...]
    sold: Mapping[str, tuple[int, ...]]
    needs: tuple[Need, ...]

    @classmethod
    def of(cls, evidence: Evidence) -> Tally:
        """The tally of what is known when a narrative is told."""
        departments = _departments(evidence)
        hues = Counter(color for item in evidence.items if (color := _color(item)))
        shared = [color for color, n in hues.most_common(len(HUES)) if n > 1]
        needs = _needs(evidence)
        kind = evidence.words.kinds.get(evidence.target.kind or "") if evidence.target else None
        told = {
            COUNT: number_word(len(evidence.items)) if len(evidence.items) > 1 else "",
            N_DEPARTMENTS: number_word(len(departments)) if len(departments) > 1 else "",
            **dict(zip(GOODS, (_goods(name, evidence) for name in departments), strict=False)),
            **dict(zip(HUES, shared, strict=False)),
            **dict(zip(AIMS, (need.to for need in needs), strict=False)),
            **dict(zip(AIMINGS, (gerund(need.to) for need in needs), strict=False)),
            **_in_turn(PURPOSES, kind.purposes if kind else (), len(evidence.items)),
            **_in_turn(GAINS, kind.gains if kind else (), len(evidence.items)),
        }
        marks = {
            **{mark: _with_stars(evidence, *bounds) for mark, bounds in STARS.items()},
            **_ends(evidence),
            **{mark: _in(color, evidence) for mark, color in zip(IN_HUES, shared, strict=False)},
            **{mark: _answering(need, evidence) for mark, need in zip(FOR_AIMS, needs, strict=False)},
            MATCHING: _in(_color(evidence.target), evidence) if evidence.target else (),
            SAME_KIND: _where(evidence, evidence.is_of_targets_kind),
            PARTNER: _where(evidence, evidence.is_used_with_target),
        }
        return cls(
            {slot: _BRACKETS.sub("", text) for slot, text in told.items() if text},
            {mark: positions for mark, positions in marks.items() if positions},
            _reasons(evidence),
            _habits(evidence),
            departments[: len(GOODS)],
            {goods: _of(name, evidence) for goods, name in zip(GOODS, departments, strict=False)},
            needs,
        )

    def note(self) -> str:
        """What a prompt tells of it, in one line: slots and marks with what stands behind each."""
        told = []
        for name in _NOTED:
            if name in self.slots:
                told.append(f"{name} {self.slots[name]}")
            elif name in self.marks:
                told.append(" ".join([name, *map(pointer, self.marks[name][-_MAX_NOTED:])]))
        return " ".join([*told, *self.ratings])


def _departments(evidence: Evidence) -> tuple[str, ...]:
    """The departments bought from, most first; none where one is not known."""
    counts = Counter(item.department for item in evidence.items)
    return tuple(name for name, _ in counts.most_common() if name) if None not in counts else ()


def _of(department: str, evidence: Evidence) -> tuple[int, ...]:
    return tuple(k for k, item in enumerate(evidence.items, start=1) if item.department == department)


def _goods(department: str, evidence: Evidence) -> str:
    """What the goods of a department are called: one of its names, by turns."""
    known = evidence.words.departments
    names = [name for name, of in known.items() if of == department and name != department.lower()]
    return names[len(evidence.items) % len(names)] if names else department.lower()


def _needs(evidence: Evidence) -> tuple[Need, ...]:
    """The needs of the sort of shopper that most purchases speak of, those first that most answer.

    With a target there are none: why it is bought is to be read.
    """
    if evidence.target:
        return ()
    answers = [{need: len(_answering(need, evidence)) for need in needs} for needs in evidence.words.needs]
    likeliest = max(answers, key=lambda each: sum(each.values()), default={})
    ranked = sorted(likeliest, key=lambda need: -likeliest[need])
    return tuple(need for need in ranked[: len(AIMS)] if likeliest[need])


def _reasons(evidence: Evidence) -> dict[str, tuple[str, ...]]:
    """The needs that the target's kind answers, also as a sentence may open with them, and all circles."""
    kind = evidence.target.kind if evidence.target else None
    needs = [need.to for together in evidence.words.needs for need in together if kind in need.kinds]
    circles = list(evidence.words.circles) if evidence.target else []
    forms = {NEED: needs, NEEDING: [gerund(need) for need in needs], CIRCLE: circles}
    return {
        mark: tuple(form for text in texts for form in (text, text[:1].upper() + text[1:]))
        for mark, texts in forms.items()
        if texts
    }


def _answering(need: Need, evidence: Evidence) -> tuple[int, ...]:
    return tuple(k for k, item in enumerate(evidence.items, start=1) if item.kind in need.kinds)


def _in_turn(slots: Sequence[str], phrases: Sequence[str], turn: int) -> dict[str, str]:
    """As many phrases as there are slots, others at another turn."""
    return {slot: phrases[(turn + i) % len(phrases)] for i, slot in enumerate(slots) if i < len(phrases)}


def _where(evidence: Evidence, holds: Callable[[int], bool | None]) -> tuple[int, ...]:
    return tuple(k for k in range(1, len(evidence.items) + 1) if holds(k))


def _color(item: Item) -> str:
    return item.attributes.get("color", "")


def _in(color: str, evidence: Evidence) -> tuple[int, ...]:
    return tuple(k for k, item in enumerate(evidence.items, start=1) if color and _color(item) == color)


def _with_stars(evidence: Evidence, least: float, most: float) -> tuple[int, ...]:
    given = enumerate(evidence.stars[: len(evidence.items)], start=1)
    return tuple(k for k, stars in given if stars is not None and least <= stars <= most)


def _ends(evidence: Evidence) -> dict[str, tuple[int, ...]]:
    """The first and the last purchase, and what cost most and least where every price is known."""
    n = len(evidence.items)
    prices = [item.price for item in evidence.items if item.price is not None]
    extremes = {mark: end for mark, end in ((DEAREST, max), (CHEAPEST, min)) if n and len(prices) == n}
    return {
        FIRST: (1,) if n else (),
        LAST: (n,) if n else (),
        **{mark: (prices.index(end(prices)) + 1,) for mark, end in extremes.items()},
    }


def _habits(evidence: Evidence) -> tuple[str, ...]:
    given = [stars for stars in evidence.stars if stars is not None]
    mean = sum(given) / len(given) if given else 0.0
    return tuple(mark for mark, (least, most) in MEAN_STARS.items() if least <= mean <= most)
