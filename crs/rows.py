"""A history as fused rows: what the adapter turns into soft tokens, one row an interaction."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from crs.bundle import Bundle
from crs.content import CONTENT_DIM, TextEncoder, purchase_text
from crs.fusion import FUSED_DIM, fuse, mute
from knowledge.errors import NotFoundError
from knowledge.store import Store
from knowledge.types import Interaction, Item, Signals

CACHED_ROWS = 20_000  # 31 MB of float32


class FusedRows:
    """Fused rows of histories in one bundle; content rows of reviews are kept by their text."""

    def __init__(self, bundle: Bundle, encoder: TextEncoder, signals: Signals = "fused") -> None:
        """``signals``: what is to be heard of those that the narrator may read."""
        self._bundle = bundle
        self._encoder = encoder
        self._signals = signals
        self._lock = threading.Lock()
        self._reviews: OrderedDict[bytes, np.ndarray] = OrderedDict()

    def of(self, history: Sequence[Interaction], target: Item | None = None) -> np.ndarray:
        """Rows float32 (len(history) + (target is given), 512), the target's last and without a review.

        The CF half is zero where the bundle's narrator was not trained on the bundle's factors. Raises
        NotFoundError for an item that the bundle does not list.
        """
        bought = [self._row_index(interaction.item_id) for interaction in history]
        content = self._purchase_rows(history, bought)
        if target is not None:
            bought.append(self._row_index(target.item_id))
            content = np.concatenate([content, self._bundle.item_content[bought[-1:]]])
        if not bought:
            return np.zeros((0, FUSED_DIM), dtype=np.float32)
        rows = fuse(self._bundle.item_factors[bought], content, self._bundle.norm)
        return mute(mute(rows, self._bundle.narrator_signals), self._signals)

    def for_version(self, bundle: Bundle) -> FusedRows:
        """The same for another version of the bundle; the reviews encoded so far are shared."""
        other = FusedRows(bundle, self._encoder, self._signals)
        other._lock, other._reviews = self._lock, self._reviews
        return other

    def _row_index(self, item_id: str) -> int:
        index = self._bundle.store.item_index.get(item_id)
        if index is None:
            raise NotFoundError(f"item '{item_id}' is not in {self._bundle.path}")
        return index

    def _purchase_rows(self, history: Sequence[Interaction], bought: Sequence[int]) -> np.ndarray:
        """Item content, replaced by the content of item and review where there is a review."""
        rows = self._bundle.item_content[list(bought)].reshape(-1, CONTENT_DIM)
        texts = [
            purchase_text(self._bundle.store.items[i.item_id], i) if _has_review(i) else None for i in history
        ]
        keys = {i: hashlib.sha256(text.encode()).digest() for i, text in enumerate(texts) if text}
        with self._lock:
            fresh = {key: texts[i] or "" for i, key in keys.items() if key not in self._reviews}
            encoded = self._encoder.encode(list(fresh.values()))
            self._reviews.update(zip(fresh, encoded, strict=True))
            for i, key in keys.items():
                self._reviews.move_to_end(key)
                rows[i] = self._reviews[key]
            while len(self._reviews) > CACHED_ROWS:
                self._reviews.popitem(last=False)
        return rows


def purchase_rows(
    store: Store,
    encoder: TextEncoder,
    cache_dir: Path,
    progress: Callable[[int, int], None] | None = None,
    *,
    users: Sequence[str] | None = None,
    chunk: int = 2048,
) -> dict[str, np.ndarray]:
    """Content rows of the histories of ``users`` (all by default): user id -> float16 (n, 384), oldest first.

    Kept in ``cache_dir`` under the fingerprint of the texts; a run that was cut off goes on where it
    stopped. ``progress(done, total)`` counts purchases.
    """
    texts: list[str] = []
    spans: dict[str, tuple[int, int]] = {}
    for user_id in store.user_ids if users is None else users:
        start = len(texts)
        texts += [purchase_text(store.items[i.item_id], i) for i in store.history(user_id)]
        spans[user_id] = (start, len(texts))
    if not texts:
        return {}
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
    cache_dir.mkdir(parents=True, exist_ok=True)
    path = cache_dir / f"purchases-{digest}.npy"
    if not path.exists():
        np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(len(texts), CONTENT_DIM))
    rows = np.load(path, mmap_mode="r+")
    places: dict[str, list[int]] = {}
    for i, text in enumerate(texts):
        places.setdefault(text, []).append(i)  # purchases without a review share their item's text
    # A row that was never written is all zeros, which no unit row is.
    missing = [(text, at) for text, at in places.items() if not rows[at[0]].any()]
    missing.sort(key=lambda entry: len(entry[0]))
    done = len(texts) - sum(len(at) for _, at in missing)
    for start in range(0, len(missing), chunk):
        part = missing[start : start + chunk]
        for row, (_, at) in zip(encoder.encode([text for text, _ in part]), part, strict=True):
            rows[at] = row
            done += len(at)
        rows.flush()
        if progress:
            progress(done, len(texts))
    return {user_id: rows[start:end] for user_id, (start, end) in spans.items()}


def _has_review(interaction: Interaction) -> bool:
    return bool(interaction.review.strip() or interaction.review_title.strip())
