"""The words that a soft token is to tell: those of its listing, and those that narratives use."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from crs.narrator.prompt import PromptTokenizer
from knowledge.nouns import noun_of
from knowledge.store import Store
from knowledge.types import Item, Narrative

N_LISTED, N_TOLD = 28, 8  # tokens at most
_MIN_TEXTS, _MIN_G = 2, 10.83  # G above this is chance once in a thousand tokens


def soft_words(
    tokenizer: PromptTokenizer, store: Store, narratives: Iterable[Narrative]
) -> list[NDArray[np.int64]]:
    """For each item of ``store`` the ids (n,) of what its soft row should tell of, some of them repeatedly.

    ``narratives``: those that may be learned from. A listing does not say who else buys a product; texts
    on it do, and CF is where that can be read. Such words are few, so they come as often as the listed ones.
    """
    told = told_words(tokenizer, narratives)
    words = []
    for item in store.items.values():
        listed = item_words(tokenizer, item)
        new = np.setdiff1d(told.get(item.item_id, [])[:N_TOLD], listed).astype(np.int64)
        words.append(np.concatenate([listed, np.resize(new, len(listed) if len(new) else 0)]))
    return words


def item_words(tokenizer: PromptTokenizer, item: Item) -> NDArray[np.int64]:
    """Distinct tokens of the item's noun, title, attributes and department (at most 28)."""
    told = (" " + noun_of(item), item.title, *item.attributes.values(), item.department or "")
    distinct = dict.fromkeys(tokenizer.encode(" ".join((*told, *item.features[:2]))))
    return np.asarray(list(distinct)[:N_LISTED], dtype=np.int64)


def told_words(tokenizer: PromptTokenizer, narratives: Iterable[Narrative]) -> dict[str, list[int]]:
    """Item -> tokens that are in far more of the texts on it as a target than in others, most telling first.

    By the log-likelihood ratio (Dunning 1993, Accurate Methods for the Statistics of Surprise and
    Coincidence), counted in texts.
    """
    texts: dict[str, list[set[int]]] = defaultdict(list)
    for narrative in narratives:
        if narrative.target_id:
            texts[narrative.target_id].append(set(tokenizer.encode(narrative.text)))
    everywhere = Counter(token for own in texts.values() for tokens in own for token in tokens)
    n_texts = sum(map(len, texts.values()))
    told = {}
    for item_id, own in texts.items():
        counts = Counter(token for tokens in own for token in tokens)
        telling = {
            token: g
            for token, n in counts.items()
            if n >= _MIN_TEXTS and (g := _surprise(n, len(own), everywhere[token], n_texts)) > _MIN_G
        }
        told[item_id] = sorted(telling, key=lambda token: (-telling[token], token))
    return told


def _surprise(n_here: int, size_here: int, n_all: int, size_all: int) -> float:
    """G of a token in ``n_here`` of ``size_here`` texts and in ``n_all`` of all; 0 where it is rare here."""
    if n_here * size_all <= n_all * size_here:
        return 0.0
    table = (
        (n_here, size_here, n_all, size_all),
        (size_here - n_here, size_here, size_all - n_all, size_all),
        (n_all - n_here, size_all - size_here, n_all, size_all),
        (size_all - size_here - n_all + n_here, size_all - size_here, size_all - n_all, size_all),
    )
    return 2 * sum(n * math.log(n * all_ / (size * n_of)) for n, size, n_of, all_ in table if n)
