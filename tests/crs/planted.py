"""False sentences made from true ones: one thing in each is changed so that it no longer holds."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator

from crs.narrator.evidence import Evidence, StoreWords
from knowledge.demo.grammar import number_word
from knowledge.demo.words import WORDS_DIR, load_words, read_toml
from knowledge.store import Store
from knowledge.types import Item, Narrative, pointer

PRAISE = re.compile(
    r"five stars|full marks|top marks|happy with|pleased with|glad of|praise|loved|liked|favorites"
    r"|went down well|worked out|a hit with|high points|clear success|know a good thing|come to mind"
)
BLAME = re.compile(
    r"disappointed|fell short|failed to|let down|let you down|unhappy with|few stars|poor rating|least of all"
    r"|missed the mark|trouble with|poor experience|better than|low rating|poor buy"
)
_COUNTED = re.compile(
    r"\b([a-z-]+)(?= (?:purchases|orders|departments|earlier orders|things, from|times so far|times\.))", re.I
)
_PAIR = re.compile(
    r"took over from|took the place of|followed|replaced|joined|gave way to|so .* took over|to match"
)
_FIRST_OR_LAST = re.compile(r"began with|came last|most recently|latest order")
_PAIRED = re.compile(
    r"(?:replace|restock after|move up from|replacement for|a step up from|more out of|companion for|"
    r"partner for|round out|use alongside)(?: the| their| your)? (?:[a-z-]+ )*$|"
    r"(?:replace|restock after|move up from|more out of|round out|use alongside) "
)
_COSTLIEST = re.compile(r"outlay|cost the most|costliest")
NUMBERS = [number_word(n) for n in range(100)]


def evidence_for(narrative: Narrative, store: Store, words: StoreWords) -> Evidence:
    """What a reference narrative was written from."""
    history = store.history(narrative.user_id)[: narrative.n_history]
    target = store.items[narrative.target_id] if narrative.target_id else None
    items = [store.items[purchase.item_id] for purchase in history]
    return Evidence(items, narrative.task, target, [purchase.rating for purchase in history], words)


def planted(text: str, evidence: Evidence, store: Store, rng: random.Random) -> dict[str, str]:
    """Kind of claim -> ``text`` with one claim of that kind made wrong, for the kinds it makes."""
    made: dict[str, str] = {}
    for kind, change in _CHANGES.items():
        wrong = change(text, evidence, store, rng)
        if wrong is not None and wrong != text:
            made[kind] = wrong
    return made


def _mentions(text: str, evidence: Evidence) -> Iterator[tuple[str, int, Item]]:
    """Each purchase's mention: its words from the looks on, its position, its item."""
    for found in re.finditer(r"\[(\d+)\]", text):
        item = evidence.item_at(int(found[1]))
        if item is None or not item.kind or not text.startswith(f" {item.kind}", found.end()):
            continue
        start = found.start()
        for look in (item.attributes.get("color"), item.attributes.get("material")):
            if look and text[:start].endswith(f" {look} "):
                start -= len(look) + 1
        yield text[start : found.end() + 1 + len(item.kind)], int(found[1]), item


def _named(position: int, evidence: Evidence) -> str:
    item = evidence.items[position - 1]
    return f"{pointer(position)} {item.kind}"


def _pointer(text: str, evidence: Evidence, store: Store, rng: random.Random) -> str | None:
    named = re.search(r"\b(?:the|their|your) (\[(\d+)\])", text, re.IGNORECASE)
    if named and rng.random() < 0.3:  # announced, and not named
        return text.replace(f"{named[1]} {evidence.items[int(named[2]) - 1].kind}", "", 1)
    return re.sub(r"\[\d+\]", pointer(len(evidence.items) + rng.randint(1, 9)), text, count=1)


def _noun(text: str, evidence: Evidence, store: Store, rng: random.Random) -> str | None:
    found = re.search(r"\[(\d+)\]", text)
    if found is None:
        return None
    kind = evidence.items[int(found[1]) - 1].kind
    others = [k for k, item in enumerate(evidence.items, 1) if item.kind != kind]
    return text.replace(found[0], pointer(rng.choice(others)), 1) if others else None


def _price(text: str, evidence: Evidence, store: Store, rng: random.Random) -> str | None:
    found = re.search(r"\$(\d+)", text)
    return text.replace(found[0], f"${int(found[1]) + rng.choice((-2, 3, 10, 25))}", 1) if found else None


def _brand(text: str, evidence: Evidence, store: Store, rng: random.Random) -> str | None:
    known = {item.brand for item in (*evidence.items, *([evidence.target] if evidence.target else []))}
    said = next((brand for brand in known if brand and brand in text), None)
    others = sorted({item.brand or "" for item in store.items.values()} - known)
    return text.replace(said, rng.choice(others)) if said else None


def _look(name: str) -> Callable[[str, Evidence, Store, random.Random], str | None]:
    def change(text: str, evidence: Evidence, store: Store, rng: random.Random) -> str | None:
        found = re.search(r"\[(\d+|target)\]", text)
        if found is None:
            return None
        item = evidence.item_of(found[0])
        look = item.attributes.get(name) if item else None
        if not item or not look or not text[: found.start()].endswith(f" {look} "):
            return None
        own = set(f"{item.title} {' '.join(item.attributes.values())}".lower().split())
        looks = {each.attributes.get(name, "") for each in store.items.values()}
        others = sorted(other for other in looks if other and not own & set(other.split()))
        start = found.start() - len(look) - 1
        return f"{text[:start]}{rng.choice(others)} {text[found.start() :]}"

    return change


def _count(text: str, evidence: Evidence, store: Store, rng: random.Random) -> str | None:
    found = next((found for found in _COUNTED.finditer(text) if found[1].lower() in NUMBERS), None)
    if found is None:
        return None
    n = NUMBERS.index(found[1].lower())
    wrong = number_word(n + rng.choice((-1, 1, 2, 4)) if n > 2 else n + 2)
    wrong = wrong.capitalize() if found[1][0].isupper() else wrong
    return text[: found.start()] + wrong + text[found.end() :]


def _stars(text: str, evidence: Evidence, store: Store, rng: random.Random) -> str | None:
    mentions = list(_mentions(text, evidence))
    praised, blamed = bool(PRAISE.search(text)), bool(BLAME.search(text))
    given = [evidence.stars_at(position) or 0 for _, position, _ in mentions]
    if praised == blamed or not given or not (min(given) >= 4 if praised else max(given) <= 2):
        return None
    wanted = range(1, 3) if praised else range(4, 6)
    others = [k for k in range(1, len(evidence.items) + 1) if (evidence.stars_at(k) or 0) in wanted]
    return text.replace(mentions[0][0], _named(rng.choice(others), evidence), 1) if others else None


def _order(text: str, evidence: Evidence, store: Store, rng: random.Random) -> str | None:
    mentions = list(_mentions(text, evidence))
    last = len(evidence.items)
    if _FIRST_OR_LAST.search(text):
        edge = 1 if "began with" in text else last
        said = next((words for words, position, _ in mentions if position == edge), None)
        others = [k for k in range(1, last + 1) if k != edge and pointer(k) not in text]
        return text.replace(said, _named(rng.choice(others), evidence), 1) if said and others else None
    if _PAIR.search(text) and len(mentions) == 2 and mentions[0][1] != mentions[1][1]:
        (one, _, _), (other, _, _) = mentions
        return text.replace(one, "\0").replace(other, one).replace("\0", other)
    return None


def _cost(text: str, evidence: Evidence, store: Store, rng: random.Random) -> str | None:
    mentions = list(_mentions(text, evidence))
    if not _COSTLIEST.search(text) or len(mentions) != 1:
        return None
    most = max(item.price or 0 for item in evidence.items)
    others = [k for k, item in enumerate(evidence.items, 1) if (item.price or 0) < most]
    return text.replace(mentions[0][0], _named(rng.choice(others), evidence), 1) if others else None


def _department(text: str, evidence: Evidence, store: Store, rng: random.Random) -> str | None:
    if evidence.target is not None or evidence.task == "user_profile":
        return None
    named = re.search(r"\[(\d+)\]", text)
    if named and re.search(r"biggest share of the basket, |^Among .* stand out|^Beyond .* instance", text):
        own = evidence.items[int(named[1]) - 1].department
        others = [k for k, item in enumerate(evidence.items, 1) if item.department != own]
        if others:  # an example from elsewhere
            said = next((words for words, _, _ in _mentions(text, evidence)), None)
            return text.replace(said, _named(rng.choice(others), evidence), 1) if said else None
    things = read_toml(WORDS_DIR / "phrases" / "departments.toml")["things"]
    names = load_words().departments
    counts = Counter(item.department for item in evidence.items)
    never = [phrase for file, told in things.items() for phrase in told if names[file] not in counts]
    for file, told in things.items():
        for phrase in told:
            if len(phrase.split()) > 1 and re.search(rf"\b{phrase}\b", text) and names[file] in counts:
                return text.replace(phrase, rng.choice(never), 1)
    return None


def _feature(text: str, evidence: Evidence, store: Store, rng: random.Random) -> str | None:
    target = evidence.target
    said = next((feature for feature in target.features if feature in text), None) if target else None
    if target is None or said is None:
        return None
    others = {f for item in store.items.values() if item.kind == target.kind for f in item.features}
    others -= set(target.features)
    return text.replace(said, rng.choice(sorted(others)), 1) if others else None


def _circle(text: str, evidence: Evidence, store: Store, rng: random.Random) -> str | None:
    """A circle's name where its doings should be."""
    for circle in load_words().circles:
        if circle.to in text:
            return text.replace(circle.to, circle.group.removeprefix("the "))
    return None


def _use(text: str, evidence: Evidence, store: Store, rng: random.Random) -> str | None:
    """A gain that the target brings gives way to one that none of the products brings."""
    kinds = load_words().kinds
    target = kinds.get(evidence.target.kind or "") if evidence.target else None
    said = next((gain for gain in target.gains if gain in text), None) if target else None
    if said is None:
        return None
    about = {item.kind for item in (*evidence.items, evidence.target) if item}
    sold = {item.kind for item in store.items.values()} - about
    own = {phrase for name in about for phrase in (kinds[name or ""].gains if name in kinds else ())}
    others = sorted({gain for name in sold if name in kinds for gain in kinds[name].gains} - own)
    return text.replace(said, rng.choice(others), 1)


def _pairing(text: str, evidence: Evidence, store: Store, rng: random.Random) -> str | None:
    """What the target replaces or goes with gives way to a purchase that has nothing to do with it."""
    kinds, target = load_words().kinds, evidence.target
    if target is None or target.kind not in kinds or not _PAIRED.search(text):
        return None
    near = {target.kind, *kinds[target.kind].goes_with}
    near |= {name for name, kind in kinds.items() if target.kind in kind.goes_with}
    others = [k for k, item in enumerate(evidence.items, 1) if item.kind in kinds and item.kind not in near]
    for said, _, item in _mentions(text, evidence):
        if item.kind in near and others and _PAIRED.search(text[: text.index(said)][-40:]):
            return text.replace(said, _named(rng.choice(others), evidence), 1)
    return None


def _hindsight(text: str, evidence: Evidence, store: Store, rng: random.Random) -> str | None:
    if evidence.task not in ("purchase_reason", "purchase_reason_explanation") or not evidence.target:
        return None
    named = f"the [target] {evidence.target.kind}"
    after = rng.choice(
        (
            "They loved {t}.",
            "{t} earned five stars.",
            "They have been pleased with {t}.",
            "Since then {t} has served them well.",
            "After using it, the shopper would not go back.",
            "{t} fell short.",
        )
    )
    told = after.format(t=named)
    return f"{text} {told[0].upper()}{told[1:]}"


_CHANGES: dict[str, Callable[[str, Evidence, Store, random.Random], str | None]] = {
    "pointer": _pointer,
    "noun": _noun,
    "price": _price,
    "brand": _brand,
    "color": _look("color"),
    "material": _look("material"),
    "count": _count,
    "stars": _stars,
    "order": _order,
    "cost": _cost,
    "department": _department,
    "feature": _feature,
    "use": _use,
    "circle": _circle,
    "pairing": _pairing,
    "hindsight": _hindsight,
}
