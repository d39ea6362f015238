"""Words that only look like the store's vocabulary: "thanks, honey", a niece called Olive, "board exams"."""

from __future__ import annotations

import re

from agents.language import any_of, word_set
from agents.lexicon import Found
from agents.words import STOPWORDS, singular

_NAMES = word_set("given_names")  # colours that people are called by
_ENDEARMENTS = word_set("endearments")
_PERSON_BEFORE = re.compile(rf"{any_of('people_named')}(?:,| is)? $")
_ADDRESSED = re.compile(
    r"(?:^|[.,;!?] ?|\b(?:hi|hey|hello|thanks|thank you|please|ok|okay|yes|no|sorry|well|bye|morning|"
    r"dear|my) )$"
)
_ADDRESS_ENDS = re.compile(r"\s*(?:$|[.,;!?])")
_COLORED_THINGS = re.compile(rf"[ -]{any_of('colored_things')}")  # "golden retriever", "black friday"
_SURROUNDINGS = re.compile(  # "the sofa is cream"
    rf"\b(?:the|my|our|his|her|their|your) (?:\w+ )?{any_of('surroundings')}"
    r" (?:is|are|being|has|have)"
    r"(?: (?:all|mostly|already|painted|kind of|done(?: out)?|decorated|in|very|an?))*(?: \w+ and)? $"
)
_SAYINGS = re.compile(any_of("color_sayings"))  # "out of the blue"
_VERB_BEFORE = re.compile(
    r"\b(?:to|can|cant|could|will|would|cannot|wont|dont|doesnt|didnt|should|i|you|we|they|lets|ill|"
    r"youll|id) $"
)
_VERBS_BEFORE = re.compile(r"\b(?:that|who|it|he|she) $")
_DETERMINED = re.compile(
    r"\b(?:an?|the|my|our|your|his|her|their|this|that|some|any|new|good|nice|cheap|for|need|want) $"
)
_PART_BEFORE = re.compile(r"\b(?:without|w/o)(?: (?:an?|any|the|its|their))? $")  # "a kite without string"
_NEXT_WORD = re.compile(r" ([^\W\d_]+)")
_IS_SORTED = re.compile(
    r"(?: \w+){0,2} (?:is |are |s |was |were )?(?:all |now |already |both )*(?:sorted|done|covered|settled|"
    r"taken care of|ticked off|out of the way|off (?:my|the) list)\b"
)
_NEITHER_SORTED = re.compile(r"\b(?:not|never|need|needs|get|want|isnt|arent|havent)\b")


def without_homonyms(text: str, found: list[Found]) -> list[Found]:
    """The vocabulary found in a text that is meant as such, and not dealt with ("pens are sorted")."""
    return [hit for hit in found if not _is_other(text, hit, found)]


def _is_other(text: str, hit: Found, found: list[Found]) -> bool:
    before, said = text[: hit.start], text[hit.start : hit.end]
    if hit.field == "color":
        return (
            (said in _NAMES and _PERSON_BEFORE.search(before) is not None)
            or (said in _ENDEARMENTS and _is_address(text, hit))
            or (_COLORED_THINGS.match(text, hit.end) is not None and not _is_of_kind(hit, found))
            or _SURROUNDINGS.search(before) is not None
            or any(start <= hit.start < end for start, end in _spans(_SAYINGS, text))
        )
    if hit.field != "kind":
        return False
    if _is_verb(before, said):
        return True
    stands_for_longer = " " not in said and (hit.is_short or " " in hit.name)
    if stands_for_longer and (_PART_BEFORE.search(before) or _is_modifier(text, hit, found)):
        return True
    sorted_out = _IS_SORTED.match(text, hit.end)
    return sorted_out is not None and _NEITHER_SORTED.search(sorted_out.group()) is None


def _is_of_kind(hit: Found, found: list[Found]) -> bool:
    """Whether a kind follows a colour at once: "a gray sofa blanket"."""
    return any(other.field == "kind" and other.start == hit.end + 1 for other in found)


def _is_address(text: str, hit: Found) -> bool:
    return bool(_ADDRESSED.search(text[: hit.start]) and _ADDRESS_ENDS.match(text, hit.end)) and not (
        hit.start == 0 and hit.end == len(text)
    )


def _is_verb(before: str, said: str) -> bool:
    """ "To light the way", "a lamp that straps on": a single word right after what only a verb can follow."""
    if " " in said:
        return False
    is_plural = said != singular(said)
    return (_VERBS_BEFORE if is_plural else _VERB_BEFORE).search(before) is not None


def _is_modifier(text: str, hit: Found, found: list[Found]) -> bool:
    """ "Board exams" are exams: a short form that a plural noun follows at once."""
    following = _NEXT_WORD.match(text, hit.end)
    if following is None:
        return False
    word = following[1]
    if word not in ("type", "style") and (_DETERMINED.search(text[: hit.start]) or hit.start == 0):
        return False
    return (
        word not in STOPWORDS
        and (singular(word) != word or word in ("type", "style"))
        and not any(other.start == following.start(1) for other in found)
    )


def _spans(pattern: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    return [match.span() for match in pattern.finditer(text)]
