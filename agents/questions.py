"""Questions about a product, answered with a sentence of its listing or of a buyer's review, or not at all.

Nothing is concluded from a sentence: it is quoted, and the person judges. What no sentence speaks of, the
listing does not say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents.language import any_of, topics, word_set
from agents.words import STOPWORDS, normalise, singular, words
from crs.recommender import color_of
from knowledge.types import Interaction, Item

if TYPE_CHECKING:
    from crs.content import TextEncoder

CLOSE = 0.5  # cosine from which a sentence answers a question it shares no word with
RELATED = 0.22  # cosine that a sentence needs which shares the question's topic
LISTING_FIRST = 0.05  # what the listing is ahead of a review that fits as well
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_ABOUT_REVIEWS = re.compile(any_of("about_reviews"))
_NO_TOPIC = STOPWORDS | word_set("no_topic")


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence as it stands in a listing (``review`` None) or in a buyer's review."""

    sentence: str
    review: Interaction | None = None


def find_answers(
    question: str, item: Item, reviews: Sequence[Interaction], encoder: TextEncoder
) -> list[Quote]:
    """The sentences that speak of what a question (in normal form) asks, best first, at most two.

    Empty where neither the listing nor a review does.
    """
    if _ABOUT_REVIEWS.search(question):
        return _opinions(reviews)
    if fact := _fact(question, item):
        return [Quote(fact)]
    asked = _topic(question, item)
    if not asked:
        return []
    sentences = [Quote(sentence) for sentence in _listed(item)]
    sentences += [Quote(s, review) for review in reviews for s in _sentences(review.review)]
    if not sentences:
        return []
    rows = encoder.encode([question, *(quote.sentence for quote in sentences)])
    nearness = rows[1:] @ rows[0]  # (n_sentences,)
    best: tuple[float, Quote] | None = None
    for quote, near in zip(sentences, nearness, strict=True):
        shared = bool(asked & _stems(quote.sentence))
        if near < (RELATED if shared else CLOSE):
            continue
        score = float(near) + 0.3 * shared + (LISTING_FIRST if quote.review is None else 0.0)
        if best is None or score > best[0]:
            best = score, quote
    return [best[1]] if best else []


def _fact(question: str, item: Item) -> str:
    """The line of the listing that states what is asked: price, maker, colour, material or size."""
    stated = {
        "price": "" if item.price is None else f"Price: ${item.price:,.2f}",
        "brand": f"Brand: {item.brand}" if item.brand else "",
        "color": f"Color: {color}" if (color := color_of(item)) else "",
    }
    stated |= {
        name: f"{name.capitalize()}: {item.attributes[name]}" for name in item.attributes if name != "color"
    }
    asked = [name for name, pattern in topics("facts") if pattern.search(question)]
    return next((line for name in asked if (line := stated.get(name, ""))), "")


def _opinions(reviews: Sequence[Interaction]) -> list[Quote]:
    """The best and the worst that buyers wrote; one of them where all agree."""
    written = [review for review in reviews if review.review.strip()]
    if not written:
        return []
    ranked = sorted(written, key=lambda each: (-(each.rating or 0), -len(each.review)))
    chosen = [ranked[0]] if ranked[0].rating == ranked[-1].rating else [ranked[0], ranked[-1]]
    return [Quote(_sentences(review.review)[0], review) for review in chosen]


def _topic(question: str, item: Item) -> set[str]:
    """Stems of what is asked, the product's own name left out; related words by the table of topics."""
    name = _stems(f"{item.title} {item.kind or ''}")
    asked = {_stem(word) for word in words(question) if word not in _NO_TOPIC and not word.isdigit()} - name
    for name_of_topic, pattern in topics("topics"):
        if pattern.search(question):
            asked |= _stems(name_of_topic) | {
                _stem(word) for word in re.findall(r"[a-z]{3,}", pattern.pattern)
            }
    return asked


def _listed(item: Item) -> list[str]:
    """Each thing that the listing says, as it stands there."""
    attributes = [f"{name.capitalize()}: {value}" for name, value in item.attributes.items()]
    said = [*_sentences(item.description), *item.features, *attributes]
    return list(dict.fromkeys(each for each in said if each.strip()))


def _sentences(text: str) -> list[str]:
    return [sentence.strip() for sentence in _SENTENCE.split(text) if sentence.strip()]


def _stems(text: str) -> set[str]:
    return {_stem(word) for word in words(text) if word not in _NO_TOPIC}


def _stem(word: str) -> str:
    """A word without its ending, near enough to find "washes" for "washable"."""
    word = singular(normalise(word))
    for ending in ("able", "ible", "ing", "proof", "ed", "es", "er", "y", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
