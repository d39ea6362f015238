"""The assistant's own short sentences; what is told about products and people comes from the narrator.

Each function gives one sentence or two; where there are variants a seeded generator picks one.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from agents.plan import Facet, Wishes
from agents.render import short_title
from knowledge.types import Item

_SIGNALS = {
    "cf": "what people with purchases like yours went on to buy",
    "together": "what is often bought soon after things like yours",
    "content": "how close its listing comes to what you own or asked for",
    "popularity": "how many people buy it",
    "again": "how often people buy it again",
    "replacement": "that the last one of its kind disappointed you",
}
_FACET_NAMES: Mapping[Facet, str] = {
    "price": "the price limit",
    "brand": "the brand wish",
    "color": "the colour wish",
    "department": "the department",
    "kind": "the kind of product",
    "words": "the rest of the wording",
}
_RELAXING: Mapping[Facet, str] = {
    "price": "Forget the budget",
    "brand": "Any brand is fine",
    "color": "Any color is fine",
    "department": "Any department",
    "kind": "Forget the kind",
    "words": "Forget the rest",
}
ABILITIES = (
    "I recommend products, tell you why you may have bought something, say why I picked an item, "
    "pitch one to you, and describe you as a shopper."
)


def greeting(rng: random.Random, n_purchases: int) -> str:
    if not n_purchases:
        return rng.choice(
            (
                "Hello! I know nothing you own yet: tell me a thing or two you have and like, or just ask.",
                "Hi, good to have you here. Tell me what you own or enjoy and I can start from that.",
            )
        )
    return rng.choice(
        (
            f"Hello! I remember your {_count(n_purchases, 'purchase')}. What shall we look at?",
            f"Hi, good to see you. I know {_count(n_purchases, 'purchase')} of yours; what would you like?",
        )
    )


def help_text(rng: random.Random) -> str:
    return rng.choice((ABILITIES, f"Here is what I can do. {ABILITIES}")) + (
        " Wishes can be plain: a price, a brand, a colour, something to leave out, or a thing you own."
    )


def thanks(rng: random.Random) -> str:
    return rng.choice(("You're welcome.", "Glad to help.", "Any time.")) + " Come back whenever you like."


def out_of_scope(rng: random.Random) -> str:
    return rng.choice(
        (
            "That's outside what I can help with, sorry.",
            "I'm only a shop assistant, so I have no good answer to that.",
        )
    ) + f" What I can do: {ABILITIES[2:]}"


def too_long(n_characters: int, limit: int) -> str:
    return f"That message has {n_characters:,} characters; I read up to {limit:,}. Could you say it shorter?"


def nothing_said() -> str:
    return f"I didn't catch anything there. {ABILITIES}"


def recommending(rng: random.Random, n_items: int, wishes: Wishes, n_purchases: int) -> str:
    """The line above the cards: what they fit, and honestly what they are based on."""
    wished = describe(wishes)
    if not n_purchases:
        basis = "I don't know any purchase of yours yet, so this goes by "
        return basis + ("your wish and by what others buy." if wished else "what others buy.")
    if n_items == 1:
        return f"One thing fits{f': {wished}' if wished else ''}."
    if wished:
        opening = rng.choice(("Here is what I found", "These fit", "Let's see"))
        return f"{opening}: {wished}."
    return rng.choice(
        (
            "Going by your purchases, these could be for you.",
            "These come to mind when I look at what you own.",
            "Here is what I would put on your list.",
        )
    )


def describe(wishes: Wishes) -> str:
    """Wishes in words: "blue, tent, under $50, not Acme"; empty where there are none."""
    asked = wishes.constraints
    parts = [*asked.colors, *(_title(brand) for brand in asked.brands), *asked.kinds]
    parts += [f"in {name}" for name in asked.departments]
    low, high = asked.min_price, asked.max_price
    if low is not None and high is not None:
        parts.append(f"from {dollars(low)} to {dollars(high)}")
    elif high is not None:
        parts.append(f"up to {dollars(high)}")
    elif low is not None:
        parts.append(f"from {dollars(low)}")
    parts += [f"not {name}" for name in refused(wishes)]
    return ", ".join(parts)


def refused(wishes: Wishes) -> list[str]:
    """The names of all that is to be left out."""
    asked = wishes.constraints
    names = [*(_title(brand) for brand in asked.not_brands), *asked.not_colors, *asked.not_kinds]
    return [*names, *asked.not_departments, *wishes.avoid]


def introduced(
    rng: random.Random,
    matched: Sequence[tuple[str, Item]],
    unmatched: Sequence[str],
    disliked: Sequence[str],
) -> str:
    """What was noted, and honestly which product stands in for each thing."""
    said = []
    if matched:
        pairs = _listed([f"{short_title(item)} for \u201c{words}\u201d" for words, item in matched])
        thanks_for_it = rng.choice(("Good to know.", "Noted.", "Nice to meet you."))
        said.append(f"{thanks_for_it} I take {pairs} from our shelves as a stand-in.")
    if disliked:
        said.append(f"I will keep away from {_listed(disliked)}.")
    if unmatched:
        said.append(f"I found nothing in the store like {_listed(unmatched)}.")
    if not said:
        said.append("Welcome! What do you own, or what do you like doing? A thing or two is enough to start.")
    return " ".join(said)


def no_history() -> str:
    return "I know no purchases of yours yet, so I can't say. Tell me what you own or like to begin with."


def not_bought(rng: random.Random) -> str:
    return rng.choice(
        ("I can't find that among your purchases.", "I see nothing like that in what you bought.")
    ) + " Which one do you mean?"


def not_found() -> str:
    return "I don't know which product you mean. Say its name, or ask me for a recommendation first."


def which_one(items: Sequence[Item]) -> str:
    return f"Which one do you mean: {_listed([short_title(item) for item in items], last='or')}?"


def nothing_fits(wishes: Wishes, in_the_way: Sequence[Facet]) -> str:
    """Says which wish is in the way: one whose dropping lets something through."""
    wished = describe(wishes)
    start = f"Nothing in the store fits all of that ({wished})." if wished else "I have nothing more to show."
    if not in_the_way:
        return f"{start} No single wish is to blame; try asking for less at once."
    names = _listed([_FACET_NAMES[facet] for facet in in_the_way], last="or")
    return f"{start} It would work without {names}; shall I relax that?"


def relaxing_chips(in_the_way: Sequence[Facet]) -> list[str]:
    return [_RELAXING[facet] for facet in in_the_way]


def picked(rng: random.Random) -> str:
    opening = rng.choice(("Good pick.", "Gladly."))
    return f"{opening} I can't check out for you, but here is what I can say about it."


def shares_in_words(shares: Mapping[str, float]) -> str:
    """How a recommendation came about, strongest signal first, as honest percentages."""
    ranked = sorted(((share, name) for name, share in shares.items() if name in _SIGNALS), reverse=True)
    parts = [f"{_SIGNALS[name]} ({share:.0%})" for share, name in ranked if share >= 0.05]
    return f"What put it on the list: {_listed(parts)}." if parts else ""


def dollars(price: float) -> str:
    return f"${price:,.0f}" if price == int(price) else f"${price:,.2f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _title(name: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in name.split())


def _listed(parts: Sequence[str], last: str = "and") -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"
