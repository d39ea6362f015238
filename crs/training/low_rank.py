"""Low-rank updates of a language model's attention while its own weights stand still (LoRA).

Hu et al. 2021, arXiv 2106.09685: a matrix grows by alpha / rank * b @ a; b begins at zero, so that nothing
has changed before the first step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from crs.narrator.lora import place_of, write_lora

ALPHA_A_RANK = 2.0
_PARTS = ("attn_q", "attn_k", "attn_v", "attn_output")


class LowRank(nn.Module):
    """Updates of rank ``rank`` to queries, keys, values and outputs of every layer of ``llm``.

    They act on ``llm`` as long as it lives, from when they are made.
    """

    def __init__(self, llm: Any, rank: int) -> None:
        super().__init__()
        self.rank = rank
        self._config = llm.config.get_text_config()
        self._updates: dict[str, _Update] = {}
        for name, module in llm.named_modules():
            place = place_of(name)
            if place is not None and place.endswith(_PARTS):
                update = self._updates[place] = _Update(module.in_features, module.out_features, rank)
                module.register_forward_hook(update.add)
        self.updates = nn.ModuleList(self._updates.values())

    def write(self, path: Path) -> None:
        """As the GGUF that llama.cpp adds to the model."""
        matrices = {
            place: (update.a.detach().cpu().numpy(), update.b.detach().cpu().numpy())
            for place, update in self._updates.items()
        }
        write_lora(path, matrices, self._config, alpha=ALPHA_A_RANK * self.rank)


class _Update(nn.Module):
    """``a`` (rank, columns) and ``b`` (rows, rank) of one matrix."""

    def __init__(self, n_columns: int, n_rows: int, rank: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(rank, n_columns) / n_columns**0.5)
        self.b = nn.Parameter(torch.zeros(n_rows, rank))

    def add(self, module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        """``output`` (..., n_rows) of the frozen ``module``, with what the update makes of its ``inputs``.

        A forward hook: ``inputs`` is a tuple of one tensor (..., n_columns). Hu et al. 2021, equation 3.
        """
        grown = nn.functional.linear(nn.functional.linear(inputs[0].to(self.a.dtype), self.a), self.b)
        return output + ALPHA_A_RANK * grown.to(output.dtype)
