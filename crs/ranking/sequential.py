"""What comes next, by a causal transformer: over fused rows, a narrator's hidden rows, or ids (SASRec).

Both are trained alike: every position of a sequence foretells the item after it, by the cross-entropy over
all items (as Klenitskiy and Vasilev 2023, who find it better for SASRec than its sampled loss).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crs.adapter import build_adapter
from crs.ranking.data import Queries, Rows, owned_matrix
from crs.ranking.metrics import figures_of, ranks

if TYPE_CHECKING:
    import torch
    from torch import nn

MAX_LENGTH = 50
MAX_POSITIONS = 50_000  # foretold in one epoch; of more, an epoch takes a part drawn at random
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SequentialConfig:
    """How a sequential scorer is built and trained; ``patience``: passes without a gain before it stops.

    An epoch is a pass over the data, or a part of one (`MAX_POSITIONS`).
    """

    width: int = 64
    dropout: float = 0.3
    learning_rate: float = 4e-3
    weight_decay: float = 0.01
    batch_size: int = 64
    max_epochs: int = 30
    patience: int = 3
    seed: int = 0


class SequentialScorer:
    """A module trained for ``epochs`` as a signal: the scores of all items after a history."""

    def __init__(self, module: nn.Module, n_items: int, epochs: int) -> None:
        self.module, self.n_items, self.epochs = module.eval(), n_items, epochs

    def scores(self, histories: Sequence[Rows], among: Rows | None = None) -> NDArray[np.float32]:
        """float32 (n, n_items), or of the rows ``among``: probabilities; of an empty history all zero."""
        import torch

        found = np.zeros((len(histories), self.n_items), dtype=np.float32)
        known = [row for row, history in enumerate(histories) if len(history)]
        with torch.inference_mode():
            for start in range(0, len(known), 256):
                rows = known[start : start + 256]
                items, lengths = padded([histories[row][-MAX_LENGTH:] for row in rows])
                hidden = self.module(items)[torch.arange(len(rows)), lengths - 1]
                found[rows] = torch.softmax(self.module.score(hidden), dim=-1).numpy()  # type: ignore[operator]
        return found if among is None else found[:, among]


def build_layers(width: int, dropout: float = 0.0, input_scale: torch.Tensor | None = None) -> nn.Module:
    """A small causal transformer with a head: rows (B, n, d) -> what comes after each (B, n, width).

    ``input_scale`` (d,) as of `build_adapter`, of which it is the trunk.
    """
    from torch import nn

    class Layers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.adapter = build_adapter("causal", width, width, dropout=dropout, input_scale=input_scale)
            del self.adapter.leave, self.adapter.output_scale  # no soft tokens leave from here
            self.head = nn.Linear(width, width)

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            after: torch.Tensor = self.head(self.adapter.trunk(rows))  # type: ignore[operator]
            return after

    return Layers()


def input_scale_of(layers: nn.Module) -> torch.Tensor:
    """What the rows that the layers read are multiplied by, (d,)."""
    scale: torch.Tensor = layers.adapter.input_scale  # type: ignore[assignment, union-attr]
    return scale


def _fused_module(
    fused: NDArray[np.float32], config: SequentialConfig, narrator: nn.Module | None = None
) -> nn.Module:
    """Layers over fused rows (n_items, 512), or over what the trunk of a narrator's adapter makes of them."""
    import torch
    from torch import nn

    rows = torch.from_numpy(np.ascontiguousarray(fused))
    scale = None
    if narrator is not None:
        with torch.no_grad():  # of each item alone, (n_items, n_hidden)
            rows = torch.cat([narrator.trunk(part[:, None])[:, 0] for part in torch.split(rows, 4096)])  # type: ignore[operator]
        spread = rows.square().mean(dim=0).sqrt()
        scale = 1.0 / spread.clamp_min(0.1 * float(spread.mean()))

    class Fused(nn.Module):
        fused: torch.Tensor
        rows: torch.Tensor
        listed_rows: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("fused", torch.from_numpy(np.ascontiguousarray(fused)), persistent=False)
            self.register_buffer("rows", rows, persistent=False)
            self.layers = build_layers(config.width, config.dropout, scale)
            self.drop = nn.Dropout(config.dropout)
            # What is scored: the item's own row seen by a map of its own, and what only its id tells.
            scaled = rows * input_scale_of(self.layers)
            self.register_buffer("listed_rows", scaled, persistent=False)
            self.listed = nn.Linear(rows.shape[1], config.width, bias=False)
            self.own = nn.Parameter(torch.zeros(len(fused), config.width))
            self.prior = nn.Parameter(torch.zeros(len(fused)))

        def forward(self, items: torch.Tensor) -> torch.Tensor:
            after: torch.Tensor = self.layers(self.drop(self._read(items)))
            return after

        def _read(self, items: torch.Tensor) -> torch.Tensor:
            if narrator is None or narrator.mix is None:  # a trunk that reads each row by itself
                return self.rows[items]
            with torch.no_grad():
                read: torch.Tensor = narrator.trunk(self.fused[items])  # type: ignore[operator]
            return read

        def table(self) -> torch.Tensor:
            """What the items are scored by, (n_items, width)."""
            table: torch.Tensor = self.drop(self.listed(self.listed_rows))
            return table + self.own

        def score(self, after: torch.Tensor) -> torch.Tensor:
            return nn.functional.linear(after / config.width**0.5, self.table(), self.prior)

    return Fused()


def _sasrec_module(n_items: int, config: SequentialConfig) -> nn.Module:
    from torch import nn

    class SasRec(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.items = nn.Embedding(n_items, config.width)
            self.places = nn.Embedding(MAX_LENGTH, config.width)
            for table in (self.items, self.places):
                nn.init.normal_(table.weight, std=0.02)
            layer = nn.TransformerEncoderLayer(
                config.width, 2, config.width, config.dropout, batch_first=True, norm_first=True
            )
            self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.norm = nn.LayerNorm(config.width)
            self.drop = nn.Dropout(config.dropout)

        def forward(self, items: torch.Tensor) -> torch.Tensor:
            n = items.shape[1]
            rows = self.items(items) * config.width**0.5 + self.places.weight[:n]
            mask = nn.Transformer.generate_square_subsequent_mask(n)
            hidden: torch.Tensor = self.norm(self.blocks(self.drop(rows), mask=mask, is_causal=True))
            return hidden

        def score(self, hidden: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = hidden @ self.items.weight.T
            return scores

    return SasRec()


def train_scorer(
    sequences: Sequence[Rows],
    items: NDArray[np.float32] | int,
    config: SequentialConfig,
    *,
    watched: Queries | None = None,
    epochs: int | None = None,
    ordered: bool = True,
    narrator: nn.Module | None = None,
    begun: SequentialScorer | None = None,
    progress: Progress | None = None,
) -> SequentialScorer:
    """Train for ``epochs``, or until NDCG@10 on ``watched``, what is owned hidden, rises no more.

    ``items``: their fused rows (n_items, 512), read by layers of the adapter's causal kind, over the trunk of
    a ``narrator``'s adapter where there is one, which stands still; or only their number, for SASRec (Kang
    and McAuley 2018): ids with learned places, two blocks, the same rows as output.
    ``begun``: one trained on other sequences of these items, to go on from.
    Sequences that know no order are shuffled in every epoch; long ones give one stretch an epoch.
    """
    import torch
    from torch import nn

    torch.manual_seed(config.seed)
    if isinstance(items, int):
        n_items, module = items, _sasrec_module(items, config)
    else:
        n_items, module = len(items), _fused_module(items, config, narrator)
    if begun is not None:
        module.load_state_dict(begun.module.state_dict())
    rng = np.random.default_rng(config.seed)
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    usable = [sequence for sequence in sequences if len(sequence) >= 2]
    n_positions = sum(min(len(sequence) - 1, MAX_LENGTH) for sequence in usable)
    patience = config.patience * max(1, -(-n_positions // MAX_POSITIONS))  # in epochs
    best, best_state, best_epoch = -1.0, None, 0
    last = epochs or config.max_epochs
    for epoch in range(1, last + 1):
        module.train()
        order = rng.permutation(len(usable))
        foretold = np.cumsum([min(len(usable[row]) - 1, MAX_LENGTH) for row in order])
        order = order[: int(np.searchsorted(foretold, MAX_POSITIONS)) + 1]
        for start in range(0, len(order), config.batch_size):
            chosen = [_stretch(usable[row], rng, ordered) for row in order[start : start + config.batch_size]]
            ids, lengths = padded(chosen)
            known = torch.arange(ids.shape[1] - 1)[None] < (lengths - 1)[:, None]
            hidden = module(ids[:, :-1])[known]
            loss = nn.functional.cross_entropy(module.score(hidden), ids[:, 1:][known])  # type: ignore[operator]
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
        if progress:
            progress(epoch, last)
        if epochs is None and watched is not None:
            gained = _ndcg(SequentialScorer(module, n_items, epoch), watched)
            if gained > best:
                best, best_epoch = gained, epoch
                best_state = {name: value.clone() for name, value in module.state_dict().items()}
            elif epoch - best_epoch >= patience:
                break
    if best_state is not None:
        module.load_state_dict(best_state)
    return SequentialScorer(module, n_items, (best_epoch or last) + (begun.epochs if begun else 0))


def _ndcg(scorer: SequentialScorer, watched: Queries) -> float:
    scores = scorer.scores(watched.histories)
    scores[owned_matrix(watched.histories, scores.shape[1]).toarray() > 0] = -1.0
    return float(figures_of(ranks(scores, watched.targets))["NDCG@10"].mean())


def _stretch(sequence: Rows, rng: np.random.Generator, ordered: bool) -> Rows:
    """At most ``MAX_LENGTH + 1`` items in a row, of a longer sequence from anywhere."""
    if not ordered:
        return rng.permutation(sequence)[: MAX_LENGTH + 1]
    surplus = len(sequence) - MAX_LENGTH - 1
    start = int(rng.integers(surplus + 1)) if surplus > 0 else 0
    return sequence[start : start + MAX_LENGTH + 1]


def padded(sequences: Sequence[Rows]) -> tuple[torch.Tensor, torch.Tensor]:
    """Items (n, longest) with 0 behind the end, and lengths (n,); nothing looks behind the end."""
    import torch

    lengths = torch.tensor([len(sequence) for sequence in sequences])
    items = torch.zeros(len(sequences), int(lengths.max()), dtype=torch.long)
    for row, sequence in enumerate(sequences):
        items[row, : len(sequence)] = torch.from_numpy(sequence)
    return items, lengths
