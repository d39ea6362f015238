"""What comes next, read off the hidden rows that soft tokens leave from: the app's sequential signal.

One forward of the narrator's trunk (`SoftTokens.hidden`) serves both: soft tokens leave from its rows, and a
small causal transformer over the same rows foretells the next item. Items are scored by hidden rows of their
own, so that one which nobody bought scores too. The trunk stands still: ranking does not bend what the
narrator learned to read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crs.adapter import SoftTokens
from crs.fusion import FUSED_DIM, fuse, mean_norm, mute
from crs.ranking.data import Queries, Rows
from crs.ranking.pairs import Scores
from crs.ranking.sequential import (
    MAX_LENGTH,
    Progress,
    SequentialConfig,
    SequentialScorer,
    build_layers,
    input_scale_of,
    padded,
    train_scorer,
)
from crs.ranking.signals import rows_of
from knowledge.errors import ModelError
from knowledge.types import Signals

if TYPE_CHECKING:
    from torch import nn

CONFIG = SequentialConfig(batch_size=128, max_epochs=10, patience=2)  # more gains little and a build waits
CHUNK = 256  # histories read at once
REMEMBERED = 256  # histories
HIGHEST = 80.0  # exponent that float32 still holds


@dataclass(frozen=True)
class ItemRows:
    """What the narrator may hear of items, of ``factors`` (n_items, 128) and ``content`` (n_items, 384)."""

    factors: NDArray[np.float32]
    content: NDArray[np.float32]
    signals: Signals = "fused"

    @cached_property
    def _norm(self) -> float:
        return mean_norm(self.factors)

    def of(self, items: Rows) -> NDArray[np.float32]:
        """Fused rows of ``items`` (...), float32 (..., 512)."""
        flat = items.ravel()
        rows = mute(fuse(self.factors[flat], self.content[flat], self._norm), self.signals)
        return rows.reshape(*items.shape, FUSED_DIM)


@dataclass(frozen=True)
class NextItem:
    """A scorer of histories by what the trunk of ``soft_tokens`` makes of them.

    ``layers``: as of `build_layers` over hidden rows; ``table`` float32 (n_items, width) and ``prior``
    (n_items,): what the items are scored by; ``epochs``: how long they were trained.
    """

    soft_tokens: SoftTokens
    rows: ItemRows
    layers: nn.Module
    table: NDArray[np.float32]
    prior: NDArray[np.float32]
    epochs: int

    def scores(self, histories: Sequence[Rows], among: Rows | None = None) -> Scores:
        """float32 (n, n_items), or of the rows ``among``: odds; of an empty history all zero."""
        n_scored = len(self.table) if among is None else len(among)
        found = np.zeros((len(histories), n_scored), dtype=np.float32)
        known = [row for row, history in enumerate(histories) if len(history)]
        for start in range(0, len(known), CHUNK):
            rows = known[start : start + CHUNK]
            recent = [histories[row][-MAX_LENGTH:] for row in rows]
            after = (
                self._after_one(tuple(recent[0].tolist())) if len(recent) == 1 else self._after_all(recent)
            )
            found[rows] = self.odds(after, among)
        return found

    def after(self, hidden: NDArray[np.float32], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """What follows the first ``lengths`` (n,) of the hidden rows (n, longest, n_hidden), (n, width)."""
        import torch

        with torch.inference_mode():
            after = self.layers(torch.from_numpy(hidden))[torch.arange(len(hidden)), lengths - 1]
        return np.asarray(after.numpy())

    def odds(self, after: NDArray[np.float32], among: Rows | None = None) -> Scores:
        """Odds of the items (n, n_items), or of the rows ``among``, given what `after` tells (n, width).

        A softmax without its sum, so that an item's do not hang on which others are scored.
        """
        table, prior = rows_of(self.table, among), rows_of(self.prior, among)
        logits = after @ table.T / np.float32(self.table.shape[1] ** 0.5) + prior
        return np.asarray(np.exp(np.minimum(logits, HIGHEST)), dtype=np.float32)

    @cached_property
    def _after_one(self) -> Callable[[tuple[int, ...]], NDArray[np.float32]]:
        """One history read; again only when forgotten: the shortlist asks first, critiques ask for more."""
        return lru_cache(REMEMBERED)(lambda history: self._after_all([np.array(history, dtype=np.int64)]))

    def _after_all(self, histories: Sequence[Rows]) -> NDArray[np.float32]:
        items, lengths = padded(histories)
        return self.after(self.soft_tokens.hidden(self.rows.of(items.numpy())), lengths.numpy())

    def save(self, path: Path) -> None:
        """Write all but the adapter and the items' rows, which a bundle has anyway, as f16."""
        import torch
        from safetensors.torch import save_file

        state = {f"layers.{name}": value for name, value in self.layers.state_dict().items()}
        state |= {"table": torch.from_numpy(self.table), "prior": torch.from_numpy(self.prior)}
        state["input_scale"] = input_scale_of(self.layers)
        halves = {name: value.to(torch.float16).contiguous() for name, value in state.items()}
        save_file(halves, str(path), metadata={"config": json.dumps({"epochs": self.epochs})})

    @classmethod
    def of(cls, trained: SequentialScorer, soft_tokens: SoftTokens, rows: ItemRows) -> NextItem:
        """What `train_on_trunk` made of the same adapter and rows, ready to serve."""
        module: Any = trained.module
        table, prior = module.table().detach().numpy(), module.prior.detach().numpy()
        return cls(soft_tokens, rows, module.layers, table, prior, trained.epochs)

    @classmethod
    def load(cls, path: Path, soft_tokens: SoftTokens, rows: ItemRows) -> NextItem:
        """Read what `save` wrote; ModelError when it is damaged or was trained on another trunk."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="pt") as file:
                epochs = int(json.loads((file.metadata() or {})["config"])["epochs"])
                state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
            table, prior, scale = (state.pop(name) for name in ("table", "prior", "input_scale"))
            if (len(table), len(scale)) != (len(rows.content), soft_tokens.n_hidden):
                raise ValueError(f"{len(table)} items over {len(scale)} hidden columns, not this bundle's")
            layers = build_layers(int(table.shape[1]), input_scale=scale)
            layers.load_state_dict({name.removeprefix("layers."): value for name, value in state.items()})
        except (OSError, LookupError, TypeError, ValueError, RuntimeError, SafetensorError) as exc:
            problem = str(exc).partition("\n")[0]
            raise ModelError(f"{path}: no readable scorer ({problem}); fit the ranker again") from exc
        return cls(soft_tokens, rows, layers.eval(), table.numpy(), prior.numpy(), epochs)


def train_on_trunk(
    sequences: Sequence[Rows],
    soft_tokens: SoftTokens,
    rows: ItemRows,
    *,
    watched: Queries | None = None,
    begun: SequentialScorer | None = None,
    epochs: int | None = None,
    progress: Progress | None = None,
) -> SequentialScorer:
    """`train_scorer` over the hidden rows of the items; ``sequences`` oldest first."""
    return train_scorer(
        sequences, rows.of(np.arange(len(rows.content))), CONFIG,
        watched=watched, epochs=epochs, narrator=soft_tokens.module, begun=begun, progress=progress,
    )  # fmt: skip
