"""The adapter: fused rows of a history become soft tokens of the language model (REGEN, section 4.2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from crs.cf import N_FACTORS
from crs.content import CONTENT_DIM
from knowledge.errors import ModelError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from crs.narrator.evidence import Evidence
    from crs.narrator.language_model import Segment

AdapterKind = Literal["mlp", "causal"]

ADAPTER = "adapter.safetensors"  # its file in a narrator's folder


def build_adapter(
    kind: AdapterKind,
    llm_dim: int,
    n_hidden: int = 512,
    *,
    dropout: float = 0.0,
    input_scale: torch.Tensor | None = None,
) -> nn.Module:
    """A module ``rows (B, n, 512) float32 -> (B, n, llm_dim)``; its ``trunk`` gives (B, n, n_hidden).

    ``mlp`` maps each row by itself; ``causal`` first lets a row see the rows before it.
    Rows come out with unit variance times one learned scale; the place of a row in the
    history is added by the caller as the embedding of its pointer token. ``input_scale`` (d,) is for
    rows (B, n, d) that are not fused ones: what brings each of their dimensions to unit variance.
    """
    import torch
    from torch import nn

    class Adapter(nn.Module):
        input_scale: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            # Brings both halves to unit variance a dimension: factors have norm about 1, content exactly 1.
            fused_scale = torch.cat(
                [torch.full((N_FACTORS,), N_FACTORS**0.5), torch.full((CONTENT_DIM,), CONTENT_DIM**0.5)]
            )
            scale = fused_scale if input_scale is None else input_scale
            self.register_buffer("input_scale", scale, persistent=False)
            self.enter = nn.Linear(len(scale), n_hidden)
            if kind == "causal":
                layer = nn.TransformerEncoderLayer(
                    n_hidden, n_hidden // 64, 2 * n_hidden, dropout=dropout, activation="gelu",
                    batch_first=True, norm_first=True,
                )  # fmt: skip
                self.mix: nn.Module | None = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            else:
                self.mix = None
            self.middle = nn.Linear(n_hidden, n_hidden)
            self.leave = nn.Linear(n_hidden, llm_dim)
            self.norm = nn.LayerNorm(llm_dim, elementwise_affine=False)
            self.output_scale = nn.Parameter(torch.tensor(0.06))

        def trunk(self, rows: torch.Tensor) -> torch.Tensor:
            """What soft tokens and the scores of next items (crs/ranking/next_item.py) are read from."""
            hidden = nn.functional.gelu(self.enter(rows * self.input_scale))
            if self.mix is not None:
                mask = nn.Transformer.generate_square_subsequent_mask(rows.shape[1], device=rows.device)
                hidden = self.mix(hidden, mask=mask, is_causal=True)
            return nn.functional.gelu(self.middle(hidden))

        def leaving(self, hidden: torch.Tensor) -> torch.Tensor:
            """Rows of the trunk as soft tokens."""
            soft: torch.Tensor = self.norm(self.leave(hidden)) * self.output_scale
            return soft

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return self.leaving(self.trunk(rows))

    return Adapter()


class SoftTokens:
    """A trained adapter ready to serve: fused rows in, soft tokens with their places out."""

    def __init__(self, module: nn.Module, pointer_rows: NDArray[np.float32]) -> None:
        self.module = module.eval()
        self.pointer_rows = pointer_rows

    @property
    def llm_dim(self) -> int:
        """Width of a soft token."""
        return int(self.pointer_rows.shape[1])

    @property
    def n_hidden(self) -> int:
        """Width of the trunk's rows."""
        return int(self.module.leave.in_features)  # type: ignore[union-attr, arg-type]

    def segments(self, rows: NDArray[np.float32], evidence: Evidence, n_free: int) -> list[Segment]:
        """See `HistoryReader.segments`: a row each, the target's apart: it alone changes with the target."""
        n_history = len(evidence.items)
        targets = [] if evidence.target is None else [0]
        soft = self(rows, np.asarray([*range(1, n_history + 1), *targets], dtype=np.int64))
        return [soft[:n_history], soft[n_history:]]

    def __call__(self, rows: NDArray[np.float32], positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """``rows`` (n, 512), ``positions`` (n,) 1..50 or 0 for the target -> (n, llm_dim) float32."""
        return self.leaving(self.hidden(rows), positions)

    def hidden(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the trunk makes of ``rows`` (n, 512), float32 (n, n_hidden); or of (B, n, 512)."""
        import torch

        histories = torch.from_numpy(np.ascontiguousarray(rows, np.float32))
        with torch.inference_mode():
            hidden = self.module.trunk(histories if rows.ndim == 3 else histories[None])  # type: ignore[operator]
        return np.asarray((hidden if rows.ndim == 3 else hidden[0]).numpy())

    def leaving(self, hidden: NDArray[np.float32], positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Hidden rows (n, n_hidden) as soft tokens at their ``positions``, float32 (n, llm_dim)."""
        import torch

        with torch.inference_mode():
            soft = self.module.leaving(torch.from_numpy(hidden)).numpy()  # type: ignore[operator]
        return np.ascontiguousarray(soft + self.pointer_rows[positions], dtype=np.float32)

    @classmethod
    def load(cls, path: Path) -> SoftTokens:
        """Read ``adapter.safetensors``; ModelError when it is missing or damaged."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="pt") as file:
                config = json.loads((file.metadata() or {})["config"])
                state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
            pointer_rows = state.pop("pointer_rows").numpy()
            module = build_adapter(config["kind"], int(pointer_rows.shape[1]), config["n_hidden"])
            module.load_state_dict(state)
        except (OSError, LookupError, TypeError, ValueError, RuntimeError, SafetensorError) as exc:
            problem = str(exc).partition("\n")[0]
            raise ModelError(f"{path}: not a readable adapter ({problem}); train the narrator again") from exc
        return cls(module, pointer_rows)


def save_adapter(
    path: Path, module: nn.Module, pointer_rows: torch.Tensor, config: Mapping[str, object]
) -> None:
    """Write the adapter and the embeddings of its pointers (51, llm_dim; row 0 the target's) as f16.

    ``config`` holds what `build_adapter` needs to make the module again: ``kind`` and ``n_hidden``.
    """
    import torch
    from safetensors.torch import save_file

    state = {
        name: tensor.detach().to(torch.float16).contiguous() for name, tensor in module.state_dict().items()
    }
    state["pointer_rows"] = pointer_rows.detach().to(torch.float16).contiguous()
    save_file(state, str(path), metadata={"config": json.dumps(dict(config))})
