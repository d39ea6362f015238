"""Texts spoilt on purpose: who rates them as true did not read them.

A spoilt text is another shopper's (of all donors the one least like this shopper), or the text's own with
each purchase called by a noun that nothing in the history answers to.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crs.bundle import Bundle
from crs.evaluation.occasions import Occasion
from crs.narrator.evidence import Evidence, StoreWords, noun_forms, position_of
from crs.narrator.gate import POINTER, check
from crs.studies.trials import Check
from knowledge.nouns import is_plural, noun_of
from knowledge.types import pointer


@dataclass(frozen=True, slots=True)
class Spoilt:
    """A text that is not true of its occasion, and how it came to be so."""

    text: str
    how: Check


class Spoiler:
    """Spoils texts about the shoppers of one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._words = StoreWords.of(bundle.store.items.values())
        self._nouns = sorted({noun_of(item) for item in bundle.store.items.values()})

    def spoil(
        self,
        occasion: Occasion,
        text: str,
        donors: Sequence[tuple[Occasion, str]],
        rng: random.Random,
        prefer: Check,
    ) -> Spoilt | None:
        """``text`` spoilt in the way preferred, else in the other; None where neither can be done.

        ``donors``: what was told of others for the same task.
        """
        renamed = self._renamed(occasion, text, rng)
        borrowed = self._borrowed(occasion, donors)
        ways: dict[Check, str | None] = {"wrong claim": renamed, "another shopper": borrowed}
        for how in sorted(ways, key=lambda way: way != prefer):
            if (spoilt := ways[how]) is not None:
                return Spoilt(spoilt, how)
        return None

    def _renamed(self, occasion: Occasion, text: str, rng: random.Random) -> str | None:
        """Every purchase that ``text`` points at under a false noun; None where the gate finds nothing wrong.

        The target keeps its noun, which the page replaces by its name.
        """
        evidence = self._evidence(occasion)
        known = [*evidence.items, *([evidence.target] if evidence.target else [])]
        owned = {form for item in known for form in noun_forms(noun_of(item))}
        strange = [noun for noun in self._nouns if noun not in owned]
        if not strange:
            return None
        before, *parts = POINTER.split(text)
        told = [before]
        for place, after in zip(parts[::2], parts[1::2], strict=True):
            position = position_of(place)
            item = evidence.item_of(place)
            rest = after.lstrip()
            if position and item is not None:
                longest_first = sorted(noun_forms(noun_of(item)), key=len, reverse=True)
                said = next((form for form in longest_first if rest.lower().startswith(form)), None)
                if said is not None:
                    alike = [noun for noun in strange if is_plural(noun) == is_plural(said)] or strange
                    after = f" {rng.choice(alike)}{rest[len(said) :]}"
            told += [place, after]
        spoilt = "".join(told)
        return spoilt if self._n_wrong(spoilt, evidence) > self._n_wrong(text, evidence) else None

    def _borrowed(self, occasion: Occasion, donors: Sequence[tuple[Occasion, str]]) -> str | None:
        """The text about somebody else that fits worst; its pointers stay within this history."""
        evidence = self._evidence(occasion)
        own = self._profile(occasion)
        fitting = []
        for donor, text in donors:
            if donor.user_id == occasion.user_id or not text.strip():
                continue
            moved = _within(text, occasion.n_history)
            nearness = float(own @ self._profile(donor))
            fitting.append((self._n_wrong(moved, evidence) == 0, nearness, moved))
        return min(fitting)[2] if fitting else None

    def _evidence(self, occasion: Occasion) -> Evidence:
        store = self._bundle.store
        history, target = occasion.history(store), occasion.target(store)
        return Evidence.of(history, store.items, occasion.task, target, self._words)

    def _n_wrong(self, text: str, evidence: Evidence) -> int:
        return sum(not claim.holds for claim in check(text, evidence))

    def _profile(self, occasion: Occasion) -> np.ndarray:
        """Unit mean content of what was bought, float32 (384,)."""
        store = self._bundle.store
        rows = [store.item_index[purchase.item_id] for purchase in occasion.history(store)]
        mean = self._bundle.item_content[rows].sum(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), dtype=np.float32)


def _within(text: str, n_history: int) -> str:
    """``text`` with every pointer to a purchase moved into a history of ``n_history``."""
    parts = POINTER.split(text)
    for at in range(1, len(parts), 2):
        position = position_of(parts[at])
        if position:
            parts[at] = pointer((position - 1) % n_history + 1) if n_history else ""
    return "".join(parts)
