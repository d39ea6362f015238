"""How notes shape what is shown: dislikes leave products out, likes and facts move products up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from agents.catalogue import Catalogue
from agents.critique import merge
from agents.lexicon import Lexicon
from agents.notes import content_words
from agents.plan import Wishes
from crs.recommender import color_of
from knowledge.notes import Note
from knowledge.types import Constraints, Item, Recommendation

if TYPE_CHECKING:
    from crs.shop import Shop

N_CANDIDATES = 50  # of a ranking that notes may reorder
N_HEEDED = 20  # likes and facts, the latest, that can move products up
NOTE_WEIGHT = 0.5  # of what fits a note, against the span of the candidates' scores
ENOUGH_LIKE = 0.25  # cosine between a note and a listing that it speaks of
RARE_SHARE = 0.1  # a word that more listings say tells products apart too little
NAMED = 1.0  # how well a note fits what it names
COMMON_SHARE = 0.3  # a word that more listings say is no word to leave products out by


@dataclass(frozen=True, slots=True)
class Shaped:
    """Recommendations as the notes leave them, best first, and the notes that changed which are shown."""

    recommendations: list[Recommendation] = field(default_factory=list)
    heeded: tuple[Note, ...] = ()


class Preferences:
    """Reads notes over one store; keeps nothing of a person. ``wishes_in`` reads the wishes in a text."""

    def __init__(
        self, shop: Shop, catalogue: Catalogue, lexicon: Lexicon, wishes_in: Callable[[str], Wishes]
    ) -> None:
        self._shop, self._catalogue, self._lexicon, self._wishes_in = shop, catalogue, lexicon, wishes_in

    def unwanted(self, notes: Sequence[Note]) -> Wishes:
        """What the dislikes among the notes leave out, brands, colours and kinds exactly, else by word."""
        wishes = Wishes()
        for note in notes:
            if note.kind == "dislike":
                wishes = merge(wishes, self._refusing(self._wishes_in(note.words)))
        return wishes

    def shape(
        self, notes: Sequence[Note], find: Callable[[Wishes, int], list[Recommendation]], k: int
    ) -> Shaped:
        """``k`` recommendations with the notes heeded; ``find`` ranks products without what is unwanted."""
        unwanted = self.unwanted(notes)
        liked = [note for note in notes if note.kind != "dislike"][-N_HEEDED:]
        if not liked:
            shown = find(unwanted, k)
            return Shaped(shown, self._left_out(notes, find(Wishes(), k)) if unwanted else ())
        candidates = find(unwanted, N_CANDIDATES)
        fits = self._fits(liked, [each.item for each in candidates])
        shown = self._reordered(candidates, fits.max(axis=0))[:k] if candidates else []
        moved = {each.item.item_id for each in shown} - {each.item.item_id for each in candidates[:k]}
        places = [at for at, each in enumerate(candidates) if each.item.item_id in moved]
        # what is only near a fact in meaning moves up, but nothing is promised of it
        heeded = [
            note
            for note, fit in zip(liked, fits, strict=True)
            if fit[places].max(initial=0.0) >= (NAMED if note.kind == "fact" else ENOUGH_LIKE)
        ]
        left_out = self._left_out(notes, find(Wishes(), k)) if unwanted else ()
        return Shaped(shown, (*left_out, *heeded))

    def _left_out(self, notes: Sequence[Note], shown_else: Sequence[Recommendation]) -> tuple[Note, ...]:
        """The dislikes that keep out one of the products that would be shown without them."""
        return tuple(
            note
            for note in notes
            if note.kind == "dislike"
            and any(self._is_unwanted(each.item, self.unwanted([note])) for each in shown_else)
        )

    def _is_unwanted(self, item: Item, unwanted: Wishes) -> bool:
        named = self._lexicon.spell_out(unwanted.constraints)
        return (
            _has(item.brand, named.not_brands)
            or _has(color_of(item), named.not_colors)
            or _has(item.kind, named.not_kinds)
            or _has(item.department, named.not_departments)
            or any(item.item_id in self._catalogue.saying(word) for word in unwanted.avoid)
        )

    def _refusing(self, found: Wishes) -> Wishes:
        """What a text names, as something to leave out."""
        named = found.constraints
        refused = Constraints(
            not_brands=named.brands,
            not_colors=named.colors,
            not_kinds=named.kinds,
            not_departments=named.departments,
        )
        most = COMMON_SHARE * len(self._catalogue.items)
        words = [*named.words.split(), *found.avoid]
        avoid = tuple(word for word in words if len(self._catalogue.saying(word)) <= most)
        return Wishes(refused, avoid=avoid)

    def _fits(self, notes: Sequence[Note], items: Sequence[Item]) -> np.ndarray:
        """How well each note fits each item, 0 to 1, float32 (n_notes, n_items): by name, else by meaning."""
        if not items:
            return np.zeros((len(notes), 0), dtype=np.float32)
        nearness = self._shop.nearness([note.words for note in notes], items)
        fits = np.where(nearness >= ENOUGH_LIKE, nearness, 0.0).astype(np.float32)
        for row, note in zip(fits, notes, strict=True):
            row[self._named(note, items)] = NAMED
        return fits

    def _named(self, note: Note, items: Sequence[Item]) -> list[int]:
        """Places of the items that a note names, by brand, colour, kind or a rare word of the listing."""
        named = self._lexicon.spell_out(replace(self._wishes_in(note.words).constraints, words=""))
        n_rare = RARE_SHARE * len(self._catalogue.items)
        sayings = [self._catalogue.saying(word) for word in content_words(note.words)]
        saying = frozenset[str]().union(*(each for each in sayings if len(each) <= n_rare))
        return [
            at
            for at, item in enumerate(items)
            if _has(item.brand, named.brands)
            or _has(color_of(item), named.colors)
            or _has(item.kind, named.kinds)
            or item.item_id in saying
        ]

    @staticmethod
    def _reordered(candidates: Sequence[Recommendation], fits: np.ndarray) -> list[Recommendation]:
        scores = np.array([each.score for each in candidates])
        span = max(float(scores.max() - scores.min()), 1e-9)
        shaped = (scores - scores.min()) / span + NOTE_WEIGHT * fits
        return [candidates[at] for at in np.argsort(-shaped, kind="stable")]


def _has(value: str | None, names: Sequence[str]) -> bool:
    return bool(value) and str(value).lower() in names
