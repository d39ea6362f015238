"""The assistant's own short sentences; what is told about products and people comes from the narrator.

Each function gives one sentence or two; where there are variants a seeded generator picks one.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from agents.render import short_title
from agents.wish_phrasing import listed
from agents.words import plural
from knowledge.types import Interaction, Item

_SIGNALS = {
    "cf": "what people with purchases like yours went on to buy",
    "together": "what is often bought soon after things like yours",
    "content": "how close its listing comes to what you own or asked for",
    "popularity": "how many people buy it",
    "again": "how often people buy it again",
    "replacement": "that the last one of its kind disappointed you",
}
ABILITIES = (
    "I recommend products, answer questions about them and compare them, tell you why you may have bought "
    "something, say why I picked an item, pitch one to you, and describe you as a shopper."
)


def greeting(rng: random.Random, n_purchases: int, *, told: bool = False) -> str:
    """``told``: the purchases are only what someone new told of."""
    if not n_purchases:
        return rng.choice(
            (
                "Hello! I know nothing you own yet: tell me a thing or two you have and like, or just ask.",
                "Hi, good to have you here. Tell me what you own or enjoy and I can start from that.",
            )
        )
    if told:
        return f"Hello again! I keep in mind the {_count(n_purchases, 'thing')} you told me of. What is next?"
    return rng.choice(
        (
            f"Hello! I remember your {_count(n_purchases, 'purchase')}. What shall we look at?",
            f"Hi, good to see you. I know {_count(n_purchases, 'purchase')} of yours; what would you like?",
        )
    )


def help_text(rng: random.Random) -> str:
    return rng.choice((ABILITIES, f"Here is what I can do. {ABILITIES}")) + (
        " Wishes can be plain: a price, a brand, a color, something to leave out, or a thing you own."
    )


def thanks(rng: random.Random) -> str:
    return rng.choice(("You're welcome.", "Glad to help.", "Any time.")) + " Come back whenever you like."


def out_of_scope(rng: random.Random) -> str:
    return (
        rng.choice(
            (
                "That's outside what I can help with, sorry.",
                "I'm only a shop assistant, so I have no good answer to that.",
            )
        )
        + f" What I can do: {ABILITIES[2:]}"
    )


def too_long(n_characters: int, limit: int) -> str:
    return f"That message has {n_characters:,} characters; I read up to {limit:,}. Could you say it shorter?"


def nothing_said() -> str:
    return f"I didn't catch anything there. {ABILITIES}"


def recommending(rng: random.Random, wished: str, basis: str, *, n_items: int, more: bool) -> str:
    """The line above the cards: what they fit, or honestly what they are based on.

    ``wished``: the wishes in words; ``basis``: as :func:`basis` has it; ``more``: there were others before.
    """
    if not wished:
        if more:
            return f"Here is more, {basis}."
        return rng.choice((f"These could be for you, {basis}.", f"Here is what I would pick, {basis}."))
    if n_items == 1:
        return f"I have just one {'more ' if more else ''}of these: {wished}."
    some = "some more" if more else "some"
    return rng.choice((f"Here are {some} {wished}.", f"I found {some} {wished}."))


def basis(n_purchases: int, *, told: bool, said: bool, first: bool) -> str:
    """What suggestions go by that no wish describes; ``told`` as in :func:`greeting`.

    ``said``: the message's own words too; ``first``: nothing was shown before.
    """
    if not n_purchases and not said:
        return "going by what others buy" + (", for I know no purchases of yours yet" if first else "")
    known = "what others buy" if not n_purchases else "what you told me" if told else "your purchases"
    return f"going by your words and {known}" if said else f"going by {known}"


def unlisted(words: str) -> str:
    """Said before products that only come near what was asked for; empty where the store knows the words."""
    return f"No listing here speaks of \u201c{words}\u201d; what follows only comes near." if words else ""


def by_wish_alone() -> str:
    return "I know no purchases of yours yet, so this goes by your wish and by what others buy."


def missing(kinds: Sequence[str]) -> str:
    """Which of several kinds asked for at once nothing fits; empty where something does of each."""
    return f"I have no {listed([plural(kind) for kind in kinds], 'or')} that fit." if kinds else ""


def left_for_later(requests: Sequence[str]) -> str:
    """What a message asked besides, in its own words; empty where it asked one thing."""
    if not requests:
        return ""
    asked = listed([f"\u201c{request}\u201d" for request in requests])
    return f"One thing at a time: you also said {asked}. Tap it below and I go on with that."


def introduced(
    rng: random.Random,
    matched: Sequence[tuple[str, Item]],
    unmatched: Sequence[str],
    disliked: Sequence[str],
) -> str:
    """What was noted, and honestly which product stands in for each thing."""
    said = []
    if matched:
        pairs = listed([f"the {short_title(item)} for \u201c{words}\u201d" for words, item in matched])
        thanks_for_it = rng.choice(("Good to know.", "Noted.", "Thank you."))
        stand_ins = "stand-ins" if len(matched) > 1 else "a stand-in"
        said.append(f"{thanks_for_it} From our shelves I take {pairs}, as {stand_ins}.")
    if disliked:
        said.append(f"I will keep away from {listed(disliked)}.")
    if unmatched:
        said.append(f"I found nothing in the store like {listed(unmatched)}.")
    if not said:
        said.append("Welcome! What do you own, or what do you like doing? A thing or two is enough to start.")
    return " ".join(said)


def no_history() -> str:
    return "I know no purchases of yours yet, so I can't say. Tell me what you own or like to begin with."


def not_bought(rng: random.Random) -> str:
    return (
        rng.choice(("I can't find that among your purchases.", "I see nothing like that in what you bought."))
        + " Which one do you mean?"
    )


def quoted(sentence: str, review: Interaction | None) -> str:
    """A sentence in its own words, and whose they are."""
    said = f"\u201c{sentence.rstrip('.')}\u201d."
    if review is None:
        return f"the listing says {said}"
    stars = f" who gave it {review.rating:g} of 5 stars" if review.rating is not None else ""
    return f"a buyer{stars} wrote {said}"


def not_listed() -> str:
    return "the listing doesn't say, and no review speaks of it."


def nothing_to_compare() -> str:
    return "I need two or three products to compare: ask for some first, or name them."


def not_found() -> str:
    return "I don't know which product you mean. Say its name, or ask me for a recommendation first."


def which_one(items: Sequence[Item]) -> str:
    return f"Which one do you mean: {listed([short_title(item) for item in items], last='or')}?"


def guessing(item: Item, *, told: bool, is_first: bool) -> str:
    """Said before the reason of a purchase, which is a guess; ``told`` as in :func:`greeting`."""
    if told:
        return f"You told me of it, no more, so here is a guess at its stand-in, the {short_title(item)}:"
    return "My guess:" if is_first else "My guess, from what you bought before it:"


def picked(rng: random.Random) -> str:
    opening = rng.choice(("Good pick.", "Gladly."))
    return f"{opening} I can't check out for you, but here is what I can say about it."


def shares_in_words(shares: Mapping[str, float]) -> str:
    """How a recommendation came about, strongest signal first, as honest percentages."""
    ranked = sorted(((share, name) for name, share in shares.items() if name in _SIGNALS), reverse=True)
    parts = [f"{_SIGNALS[name]} ({share:.0%})" for share, name in ranked if share >= 0.05]
    return f"What put it on the list: {listed(parts)}." if parts else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
