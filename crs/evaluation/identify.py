"""Whom, or what, is a text about? Found among strangers by sentence embedding, product names stripped.

A text with a product's own title rendered into it is found whatever else it says; so the pointers, which
the page renders as titles, are taken out before anything is measured.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Hashable, Sequence

import numpy as np

from crs.bundle import Bundle
from crs.content import TextEncoder
from crs.narrator.quotes import SLOTS, hide
from crs.narrator.sentence import POINTER
from knowledge.types import Interaction, Item

N_SHOPPERS, N_ITEMS = 20, 100  # how many a text's shopper, and its product, are looked for among
MIN_QUOTED = 3  # words in a row that are no longer a coincidence
_POINTED = re.compile(r"\s*" + POINTER.pattern)
_SLOT = re.compile(r"\s*(?:" + "|".join(map(re.escape, SLOTS)) + ")")
_WORD = re.compile(r"[\w$]+(?:[-'’.]\w+)*")


def stripped(text: str) -> str:
    """The text without its pointers, so that only what is said can tell who it is about."""
    return _POINTED.sub("", text)


def unquoted(text: str, item: Item) -> str:
    """`stripped`, and without what is quoted from the listing of ``item``.

    A quote is a fact that the narrator is given to quote (its noun, brand, colour, price, a feature, ...)
    or `MIN_QUOTED` and more words in a row that stand so in the title, the description or a feature.
    """
    text = _SLOT.sub("", stripped(hide(text, item)))
    listing = " ".join((item.title, item.description, *item.features))
    known, runs = set(_runs(_words(listing))), _runs(_words(text))
    quoted = {at + step for at, run in enumerate(runs) if run in known for step in range(MIN_QUOTED)}
    places = itertools.count()
    bare = _WORD.sub(lambda word: "" if next(places) in quoted else word[0], text)
    return " ".join(bare.split())


def lineups(owners: Sequence[Hashable], n_among: int, rng: random.Random) -> list[list[int]]:
    """For each place of ``owners``: that place first, then places of others, ``n_among`` in all if there are.

    Two places of one owner never stand in one line-up.
    """
    drawn = []
    for place, owner in enumerate(owners):
        others = [other for other in range(len(owners)) if owners[other] != owner]
        rng.shuffle(others)
        distinct = {owners[other]: other for other in others}
        drawn.append([place, *list(distinct.values())[: n_among - 1]])
    return drawn


def item_lineups(
    bundle: Bundle, target_ids: Sequence[str], n_among: int, rng: random.Random
) -> list[list[int]]:
    """Rows of each target and of ``n_among - 1`` other items, drawn from the whole catalogue."""
    n_items = len(bundle.store.item_ids)
    drawn = []
    for target_id in target_ids:
        own = bundle.store.item_index[target_id]
        others = rng.sample(range(n_items), min(n_among, n_items))
        drawn.append([own, *[row for row in others if row != own][: n_among - 1]])
    return drawn


def profiles(bundle: Bundle, histories: Sequence[Sequence[Interaction]]) -> np.ndarray:
    """Unit rows (n, 384): the mean content of each history's items."""
    rows = []
    for history in histories:
        owned = [bundle.store.item_index[purchase.item_id] for purchase in history]
        rows.append(bundle.item_content[owned].mean(axis=0))
    means = np.asarray(rows)
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True))


def share_found(
    texts: Sequence[str], candidates: np.ndarray, drawn: Sequence[Sequence[int]], encoder: TextEncoder
) -> float:
    """Share of texts nearer to the first of their line-up than to any other; a tie finds nobody.

    ``candidates``: unit rows (n, 384) that the line-ups ``drawn`` count in; the texts are taken as they are.
    """
    hits = []
    for row, lineup in zip(encoder.encode(texts), drawn, strict=True):
        nearness = candidates[list(lineup)] @ row
        hits.append(bool((nearness[0] > nearness[1:]).all()))
    return float(np.mean(hits))


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _runs(words: Sequence[str]) -> list[tuple[str, ...]]:
    return list(zip(*(words[start:] for start in range(MIN_QUOTED)), strict=False))
