"""Muon: momentum whose update is made orthogonal (Jordan et al., 2024), for the weight matrices of the body.

torch.optim.Muon does the same in bfloat16, which processors without bf16 units only emulate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

# The quintic iteration's coefficients, as published with the method.
_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonal(matrix: torch.Tensor, n_steps: int = 5) -> torch.Tensor:
    """The (nearly) orthogonal matrix closest to ``matrix`` (m, n), by Newton-Schulz steps; float32."""
    x: torch.Tensor = matrix / (matrix.norm() + 1e-7)
    transposed = x.shape[0] > x.shape[1]
    x = x.T if transposed else x
    for _ in range(n_steps):
        gram = x @ x.T
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return x.T if transposed else x


class Muon(torch.optim.Optimizer):
    """For 2-D weights only; ``lr`` is the step in spectral norm, scaled for tall matrices."""

    def __init__(
        self, params: Iterable[torch.nn.Parameter], lr: float = 0.02, momentum: float = 0.95,
        weight_decay: float = 0.01,
    ) -> None:  # fmt: skip
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One update of every weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                update = orthogonal(weight.grad.lerp(state["momentum"], group["momentum"]))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update, alpha=-group["lr"] * max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5)
