"""A second opinion on the sentence gate: the same claims, judged by walking over a sentence's words.

It shares no code with the gate. Where the gate looks for turns of phrase in a skeleton, this goes from
mention to mention and asks what stands right before and right after. It knows the demo store's way of
speaking only.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from dataclasses import dataclass

from crs.narrator.evidence import Evidence
from knowledge.demo.grammar import gerund, number_word
from knowledge.demo.words import WORDS_DIR, load_words, read_toml
from knowledge.store import Store
from knowledge.types import Item

_ONES = [number_word(n) for n in range(20)]
_TENS = {number_word(n): n for n in range(20, 100, 10)}

# What says how many stars a product has, from (least) to (most): words just before a mention, or just after.
_BEFORE = {
    (5, 5): (
        "you loved", "they loved", "delighted with", "favorites are", "top of the list are",
        "better of", "better still of", "five stars for", "even better of", "you gave",
        "marks, as did", "marks, and so did",
        "from the customer, as did",
    ),
    (4, 5): (
        "fans of", "who liked", "you liked", "happy with", "pleased with", "glad of", "favorites include",
        "among the favorites are", "judging by", "soft spot for things like", "praise is concerned,",
        "what pleased,", "speaks well of", "speak well of", "think how well", "well, and so did", "and with",
        "won over to", "whereas",
    ),
    (1, 2): (
        "let down by", "unhappy with", "trouble with", "poor experience with", "deserve better than",
        "better choice than", "fresh start after", "put up with", "rating of", "went well:", "pleased,",
        "your way,", "not everything pleased:", "what",
    ),
}  # fmt: skip
_AFTER = {
    (5, 5): (
        "earned five stars", "got five stars", "all five stars", "earned full marks", "got all five",
        "earned all five", "earned top marks", "stood out with full", "drew the warmest", "was a hit",
        "were a hit", "proved a clear success", "had delighted", "are the high points", "earned five",
    ),
    (4, 5): (
        "earned your praise", "won your praise", "had worked out well", "had pleased", "worked out well",
        "went down well", "pleased because", "won praise", "won you over", "turned out", "came close",
        "hit it", "had shown what", "come to mind", "pleased.", "did not, and",
    ),
    (3, 5): ("had been well received", "had been good enough", "served you well"),
    (1, 2): (
        "disappointed", "fell short", "failed to", "let you down", "did not please", "missed the mark",
        "had disappointed", "had let them down", "had fallen short", "earned few stars", "earned a poor",
        "had earned only a poor", "had earned barely", "had left", "least of all", ", which disappointed",
        ", which fell short", ", which never satisfied", "had turned out to be a poor", "got wrong",
    ),
}  # fmt: skip
_LATER_FIRST = (
    "took over from", "took the place of", "replaced", "joined", "followed when", "followed as a match",
    "was chosen to match", "were chosen to match", "was picked to match", "were picked to match",
    "was bought to go with", "were bought to go with", "came from the maker of", "followed",
)  # fmt: skip
_EARLIER_FIRST = ("gave way to", "was replaced by", "were replaced by", "followed by", "so")
_HINDSIGHT = ("ince then", "fter using it", "have been pleased with the [target]")


@dataclass
class _Group:
    """Products listed together, and the words on either side."""

    positions: list[int]
    before: str
    after: str


def faults(sentence: str, evidence: Evidence, store: Store) -> list[str]:
    """What is wrong with ``sentence``, as far as this checker knows; an empty list is a pass."""
    found = _faults_of_mentions(sentence, evidence)
    if found:
        return found  # the rest makes no sense then
    groups = _groups(sentence, evidence)
    found += _faults_of_stars(groups, evidence)
    found += _faults_of_order(groups, evidence)
    found += _faults_of_counts(sentence, evidence)
    found += _faults_of_listing(sentence, evidence, store)
    found += _faults_of_departments(sentence, evidence)
    found += _faults_of_uses(sentence, evidence)
    found += _faults_of_pairs(sentence, evidence)
    if evidence.task.startswith("purchase_reason"):
        found += [cue for cue in _HINDSIGHT if cue in sentence]
    return found


def _item(name: str, evidence: Evidence) -> Item | None:
    if name == "target":
        return evidence.target
    return evidence.items[int(name) - 1] if 0 < int(name) <= len(evidence.items) else None


def _faults_of_mentions(sentence: str, evidence: Evidence) -> list[str]:
    words = sentence.lower().split(" ")
    found = [
        f"nothing behind {word!r}"
        for word, following in zip(words, words[1:], strict=False)
        if word in ("the", "their", "your") and following.strip(".,;!?") == ""
    ]
    for pointed in re.finditer(r"\[(\w+)\] ?", sentence):
        item = _item(pointed[1], evidence)
        if item is None:
            found.append(f"{pointed[0]} points nowhere")
        elif item.kind and not sentence[pointed.end() :].startswith(item.kind):
            found.append(f"{pointed[0]} is no {sentence[pointed.end() :][:20]}")
        else:
            found += _faults_of_adjectives(sentence[: pointed.start()], item)
    return found


def _faults_of_adjectives(before: str, item: Item) -> list[str]:
    """Every listed color or material of any kind that ends right before a pointer must be the item's."""
    own = " ".join(item.attributes.values()).lower().split()
    words = re.split(r"\b(?:the|their|your|an?|this|these|of)\b", before.lower())[-1].split()
    return [
        f"{word} is no look of {item.kind}" for word in words if word in _look_words() and word not in own
    ]


def _look_words() -> frozenset[str]:
    if not _LOOKS:
        for kind in load_words().kinds.values():
            for look in (*kind.colors, *kind.materials):
                _LOOKS.update(look.lower().split())
        _LOOKS.difference_update(("and", "with", "body"))
    return frozenset(_LOOKS)


_LOOKS: set[str] = set()


def _groups(sentence: str, evidence: Evidence) -> list[_Group]:
    """Mentions with their determiner, looks and noun taken out, and neighbors in a list put together."""
    pieces, names = [""], []
    rest = sentence
    while pointed := re.search(r"\[(\w+)\]", rest):
        item = _item(pointed[1], evidence)
        assert item is not None
        before = rest[: pointed.start()]
        for look in sorted(item.attributes.values(), key=len, reverse=True):
            before = before.removesuffix(f"{look} ")
        before = re.sub(
            r"\b(?:[Tt]he|[Tt]heir|[Yy]our|[Aa]n?|[Tt]his|[Tt]hese)( (?:pair|set) of)? $", "", before
        )
        pieces[-1] += before
        names.append(0 if pointed[1] == "target" else int(pointed[1]))
        rest = rest[pointed.end() :].removeprefix(f" {item.kind}")
        pieces.append("")
    pieces[-1] += rest
    groups: list[_Group] = []
    for i, name in enumerate(names):
        joint = pieces[i].strip()
        if groups and i and joint in (",", "and") and _is_list(pieces, i):
            groups[-1].positions.append(name)
            groups[-1].after = pieces[i + 1].strip()
        else:
            groups.append(_Group([name], joint.lower(), pieces[i + 1].strip()))
    return groups


def _is_list(pieces: list[str], i: int) -> bool:
    """Whether the joint before mention ``i`` is a list's: a bare comma is one only where "and" ends the
    list."""
    return pieces[i].strip() == "and" or (i + 1 < len(pieces) and pieces[i + 1].strip() == "and")


def _faults_of_stars(groups: list[_Group], evidence: Evidence) -> list[str]:
    found = []
    for group in groups:
        stars = [0 if position == 0 else evidence.stars[position - 1] or 0 for position in group.positions]
        claims = [
            (bounds, cue)
            for bounds, cues in _AFTER.items()
            for cue in cues
            if re.match(re.escape(cue) + r"(?!\w)", group.after) and _is_praise_or_blame(cue, group)
        ]
        claims += [
            (bounds, cue)
            for bounds, cues in _BEFORE.items()
            for cue in cues
            if _ends_with(group.before, cue) and _is_about_stars(cue, group)
        ]
        for (least, most), cue in claims:
            if not all(least <= each <= most for each in stars):
                found.append(f"stars {stars}: {cue}")
    return found


def _ends_with(before: str, cue: str) -> bool:
    return re.search(r"(?<!\w)" + re.escape(cue) + "$", before) is not None


def _is_praise_or_blame(cue: str, group: _Group) -> bool:
    return not (cue == "turned out" and "poor" in group.after)


def _is_about_stars(cue: str, group: _Group) -> bool:
    if cue == "you gave":
        return group.after.startswith("all five")
    if cue == "whereas":
        return group.after.startswith(("pleased", "hit it", "had shown"))
    if cue == "what":
        return group.after.startswith("got wrong")
    if cue == "judging by":
        return "good thing" in group.after
    if cue in ("pleased,", "your way,"):
        return "not every" in group.before
    if cue == "and with":
        return group.after.startswith("too")
    return not (cue == "favorites are" and "among the" in group.before)


def _faults_of_order(groups: list[_Group], evidence: Evidence) -> list[str]:
    n = len(evidence.items)
    found = []
    for group in groups:
        if re.search(r"\bbegan with$", group.before) and group.positions != [1]:
            found.append("not the first")
        is_last = group.after.startswith(("came last", "most recently", ", the latest order"))
        if (is_last or group.before.endswith("most recently,")) and group.positions[-1] != n:
            found.append("not the last")
        is_dearest = re.match(r"(was|were|being) the (biggest|largest|costliest)|cost the most", group.after)
        prices = [item.price or 0 for item in evidence.items]
        if is_dearest and prices[group.positions[-1] - 1] < max(prices):
            found.append("not the dearest")
    for one, other in zip(groups, groups[1:], strict=False):
        between, first, second = one.after, one.positions[-1] or n + 1, other.positions[0] or n + 1
        if between.startswith(_LATER_FIRST) and other.before == between.lower() and first < second:
            found.append(f"order: {between}")
        takes_over = not between.endswith("so") or other.after.startswith("took over")
        if takes_over and re.search(r"\b(?:" + "|".join(_EARLIER_FIRST) + r")$", between) and first > second:
            found.append(f"order: {between}")
    return found


def _number(word: str) -> int | None:
    word = word.lower()
    if word in _ONES:
        return _ONES.index(word)
    tens, _, ones = word.partition("-")
    return (
        _TENS[tens] + (_ONES.index(ones) if ones else 0) if tens in _TENS and ones in ("", *_ONES) else None
    )


def _faults_of_counts(sentence: str, evidence: Evidence) -> list[str]:
    words = re.findall(r"[\w'-]+", sentence)
    n_departments = len({item.department for item in evidence.items})
    found = []
    for word, after, second in zip(words, words[1:], [*words[2:], ""], strict=False):
        n = _number(word)
        if n is None or n == 1:
            continue
        is_count = after in ("purchases", "orders") or (after, second) == ("earlier", "orders")
        is_count |= after == "times" and ("so far" in sentence or "ordered" in sentence)
        is_count |= after == "things" and "had ordered" in sentence
        if is_count and n != len(evidence.items):
            found.append(f"{n} purchases")
        if after == "departments" and n != n_departments:
            found.append(f"{n} departments")
    return found


def _faults_of_listing(sentence: str, evidence: Evidence, store: Store) -> list[str]:
    found = []
    mentioned = [_item(name, evidence) for name in re.findall(r"\[(\w+)\]", sentence)]
    about = [item for item in (evidence.target, *mentioned) if item]
    for amount in re.findall(r"\$(\d+(?:\.\d\d)?)", sentence):
        if evidence.target is None or evidence.target.price != float(amount):
            found.append(f"${amount}")
    for brand in {item.brand for item in store.items.values() if item.brand}:
        if brand in sentence and brand not in [item.brand for item in about]:
            found.append(brand)
    if evidence.target and evidence.target.kind:
        told = evidence.target.features
        of_kind = {
            f for item in store.items.values() if item.kind == evidence.target.kind for f in item.features
        }
        found += [f for f in of_kind if f in sentence and not any(f in own for own in told)]
    return found


def _faults_of_uses(sentence: str, evidence: Evidence) -> list[str]:
    """A purpose, a gain or a need must suit something pointed at, the target, or else any purchase."""
    about = [_item(name, evidence) for name in re.findall(r"\[(\w+)\]", sentence)]
    kinds = {item.kind for item in about or [evidence.target] if item} or {i.kind for i in evidence.items}
    text = sentence.lower()
    for label in (persona.label for persona in load_words().personas):
        text = text.replace(label.lower(), "")
    for feature in (feature for kind in load_words().kinds.values() for feature in kind.features):
        text = text.replace(feature.lower(), "")
    told = {phrase for phrase in _uses() if phrase in text}
    longest = {one for one in told if not any(one != other and one in other for other in told)}
    return [f"{use} with {kinds}" for use in longest if kinds.isdisjoint(_uses()[use])]


_IN_PLACE_OF = ("replace", "restock after", "move up from", "move on from", "replacement for", "step up from")
_BESIDE = ("more out of", "round out", "use alongside", "companion for", "companion to", "partner for")


def _faults_of_pairs(sentence: str, evidence: Evidence) -> list[str]:
    """What the target takes the place of is of its kind; what it is for use beside goes with it."""
    target, kinds, found = evidence.target, load_words().kinds, []
    for cue in (*_IN_PLACE_OF, *_BESIDE):
        for name in re.findall(rf"\b{cue} (?:[a-z'-]+ ){{0,6}}\[(\d+)\]", sentence):
            item = _item(name, evidence)
            if item is None or target is None or item.kind not in kinds or target.kind not in kinds:
                continue
            beside = item.kind in kinds[target.kind].goes_with or target.kind in kinds[item.kind].goes_with
            if not (beside if cue in _BESIDE else item.kind == target.kind):
                found.append(f"{cue} [{name}]")
    return found


@functools.cache
def _uses() -> dict[str, set[str]]:
    words, uses = load_words(), dict[str, set[str]]()
    for kind in words.kinds.values():
        for phrase in kind.purposes + kind.gains:
            uses.setdefault(phrase.lower(), set()).add(kind.kind)
    for need in [need for persona in words.personas for need in persona.needs]:
        for phrase in (need.to, gerund(need.to)):
            uses.setdefault(phrase.lower(), set()).update(need.kinds)
    return uses


def _faults_of_departments(sentence: str, evidence: Evidence) -> list[str]:
    """In a summary whatever goods are named must be of a department bought from, those shopped for of the
    top two."""
    if evidence.target or evidence.task == "user_profile":
        return []
    things = read_toml(WORDS_DIR / "phrases" / "departments.toml")["things"]
    names, counts = load_words().departments, Counter(item.department for item in evidence.items)
    for words in ("took up the biggest share of the basket, ", "among ", " bought "):
        for file, told in things.items():
            for phrase in (*told, names[file].lower()):
                before, _, after = sentence.lower().partition(f"{words}{phrase}, ")
                if words.startswith("took"):
                    before, _, after = sentence.lower().partition(f"{phrase} {words}")
                is_said = after and (words == " bought " or not before)
                sold = [_item(name, evidence) for name in re.findall(r"\[(\d+)\]", after)] if is_said else []
                if any(item and item.department != names[file] for item in sold):
                    return [f"not all of {phrase}"]
    second = sorted(counts.values())[-2:][0]
    return [
        phrase
        for file, told in things.items()
        for phrase in told
        if (len(phrase.split()) > 1 and phrase in sentence.lower() and names[file] not in counts)
        or (re.search(rf"shops? for ([a-z ]+ and )?{phrase}[. ]", sentence) and counts[names[file]] < second)
    ]
