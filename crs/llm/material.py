"""What a language model is shown of a shopper: listings and reviews, each on a line and cut to a length."""

from __future__ import annotations

from knowledge.text import clean
from knowledge.types import Interaction, Item

# The most that is told of one purchase, however many words there are to spend.
TITLE_WORDS, ABOUT_WORDS, REVIEW_WORDS = 25, 40, 120

# Brackets are ours: what a seller or a customer wrote can look like neither a place nor a tag.
_BRACKETS = str.maketrans("[]<>{}", "()()()")


def listing(place: str, item: Item, n_words: int) -> list[str]:
    """Lines: ``place`` (a pointer) and title, the facts, and at most ``n_words`` of the description."""
    # No date: a narrator is not told it, so no text may speak of it.
    facts = {
        "kind": item.kind,
        "brand": item.brand,
        "price": None if item.price is None else f"${item.price:.2f}",
        **item.attributes,
        "department": item.department,
    }
    told = "; ".join(f"{one_line(name, 5)}: {one_line(fact, 12)}" for name, fact in facts.items() if fact)
    about = one_line(item.description or "; ".join(item.features), min(ABOUT_WORDS, n_words))
    return [
        f"{place} {one_line(item.title, TITLE_WORDS)}",
        *([told] if told else []),
        *([f"about: {about}"] if about else []),
    ]


def opinion(purchase: Interaction, n_words: int) -> list[str]:
    """A line of the stars and at most ``n_words`` of the review, or none where nothing was said."""
    stars = "" if purchase.rating is None else f"{purchase.rating:.0f} of 5 stars"
    said = " / ".join(part for part in (purchase.review_title, purchase.review) if part)
    words = one_line(said, min(REVIEW_WORDS, n_words))
    if not words:
        return [stars] if stars else []
    return [f"<review>{stars}{': ' if stars else ''}{words}</review>"]


def one_line(text: str, n_words: int) -> str:
    """``text`` without markup, line breaks or brackets, cut to ``n_words``."""
    words = clean(text).translate(_BRACKETS).split()
    return " ".join(words) if len(words) <= n_words else " ".join(words[:n_words]) + " ..."
