"""A map of tastes: products that the same people buy and that read alike lie together, people among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crs.bundle import Bundle
from crs.evaluation.geometry import tsne, unit
from crs.fusion import fuse
from knowledge.types import Interaction

Rows = NDArray[np.float32]

N_ITEMS = 1000  # t-SNE of as many takes some seconds on one core
N_PEOPLE = 150
N_NEAREST = 5  # products that a person is drawn between


@dataclass(frozen=True, slots=True)
class TasteMap:
    """Places (x, y) in the unit square: ``places`` float32 (n, 2) of ``item_ids``, ``people`` float32 (m, 2).

    ``rows``: the drawn products' fused rows at length 1, float32 (n, 512).
    """

    item_ids: tuple[str, ...]
    places: Rows
    people: Rows
    rows: Rows

    def place(self, row: Rows) -> tuple[float, float] | None:
        """Where a fused row (512,) lies: amid its nearest products by cosine, the nearer the closer.

        None for a row that says nothing, as of someone without purchases.
        """
        length = float(np.linalg.norm(row))
        if not length or not len(self.rows):
            return None
        likeness = self.rows @ (row / length)
        nearest = np.argsort(-likeness)[:N_NEAREST]
        weights = np.maximum(likeness[nearest], 1e-6)
        x, y = weights @ self.places[nearest] / weights.sum()
        return float(x), float(y)


def draw_taste_map(bundle: Bundle, cache_dir: Path | None = None, seed: int = 0) -> TasteMap:
    """The map of a bundle: its most bought products by t-SNE of their fused rows, and some of its shoppers.

    ``cache_dir`` keeps the products' places by the bundle's version.
    """
    store = bundle.store
    bought = np.asarray(store.user_items().sum(axis=0)).ravel()
    drawn = np.sort(np.argsort(-bought, kind="stable")[:N_ITEMS])
    rows = unit(fuse(bundle.item_factors[drawn], bundle.item_content[drawn], bundle.norm))
    kept = cache_dir / f"taste-map-{bundle.version}.npy" if cache_dir else None
    places = _kept_places(kept, len(drawn))
    if places is None:
        places = _places(rows, seed)
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept, places)
    empty = TasteMap(tuple(store.item_ids[i] for i in drawn), places, np.zeros((0, 2), np.float32), rows)
    some = store.user_ids[:: max(1, len(store.user_ids) // N_PEOPLE)][:N_PEOPLE]
    people = [empty.place(taste_row(bundle, store.history(user_id))) for user_id in some]
    found = [place for place in people if place is not None]
    return replace(empty, people=np.asarray(found, np.float32).reshape(-1, 2))


def _kept_places(path: Path | None, n: int) -> Rows | None:
    """The places that were kept; None where there are none that fit, as after a write that was cut off."""
    if path is None or not path.exists():
        return None
    try:
        places = np.load(path)
    except (OSError, ValueError, EOFError):
        return None
    return places if places.shape == (n, 2) else None


def _places(rows: Rows, seed: int) -> Rows:
    """Places (n, 2) of rows (n, 512), stretched to the unit square; too few for t-SNE lie on a circle."""
    if len(rows) <= N_NEAREST:
        angles = np.linspace(0, 2 * np.pi, len(rows), endpoint=False)
        return np.asarray(0.5 + 0.4 * np.stack([np.cos(angles), np.sin(angles)], axis=1), np.float32)
    places = np.asarray(tsne({"items": rows}, seed).points["items"], dtype=np.float32)
    low, high = places.min(axis=0), places.max(axis=0)
    return np.asarray((places - low) / np.maximum(high - low, 1e-6), np.float32)


def taste_row(bundle: Bundle, history: Sequence[Interaction]) -> Rows:
    """The mean of the purchases' fused rows at length 1, float32 (512,); zeros without any that is listed."""
    index = bundle.store.item_index
    owned = [index[each.item_id] for each in history if each.item_id in index]
    rows = fuse(bundle.item_factors[owned], bundle.item_content[owned], bundle.norm)
    return np.asarray(unit(rows).sum(axis=0) / max(1, len(owned)), dtype=np.float32)
