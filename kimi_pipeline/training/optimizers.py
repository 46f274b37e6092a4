"""Optimizers of the one trainer: AdamW, or Muon for the hidden matrices with AdamW for the rest.

Belongs here: which parameter gets which rule. Does not belong here: learning rates over time, ZeRO (`engine.py`).

A tiny model learns step-wise facts several times faster under Muon (Jordan et al., 2024) than under AdamW: its laptop
base is made with it. RL keeps to Adam, as the report's does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch

Rule = Literal["adamw", "muon"]
# Input and output tables: their rows are looked up one by one, not mixed. `score` is a reward model's value head.
OUTER = ("embed", "lm_head", "score")


def build_optimizer(
    named: Iterable[tuple[str, torch.nn.Parameter]],
    rule: Rule,
    learning_rate: float,
    betas: tuple[float, float],
    weight_decay: float,
) -> torch.optim.Optimizer:
    """The optimizer over named parameters. Under `muon`, matrices inside the layers get Muon, scaled so that its steps
    are as large as AdamW's (0.2 sqrt of the longer side): one learning rate serves both."""
    named = list(named)
    if rule == "adamw":
        return torch.optim.AdamW([p for _, p in named], learning_rate, betas=betas, weight_decay=weight_decay)
    hidden = [p for name, p in named if p.dim() == 2 and not any(part in name for part in OUTER)]
    inside = {id(p) for p in hidden}
    rest = [p for _, p in named if id(p) not in inside]
    return Together(
        Muon(hidden, learning_rate, weight_decay=weight_decay),
        torch.optim.AdamW(rest, learning_rate, betas=betas, weight_decay=weight_decay),
    )


class Muon(torch.optim.Optimizer):
    """Muon over matrices (Jordan et al., 2024), with the step size of Moonlight (Liu et al., 2025).

    It is torch's own (`torch.optim.Muon`, `adjust_lr_fn="match_rms_adamw"`) but for the type that it multiplies in: torch
    takes bfloat16 everywhere, which a CPU without instructions for it does twenty times slower than float32.
    """

    def __init__(
        self, matrices: Iterable[torch.nn.Parameter], lr: float, *, weight_decay: float = 0.1, momentum: float = 0.95
    ) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # torch: two overloads
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                averaged = state["momentum_buffer"].lerp_(matrix.grad, 1 - group["momentum"])
                ahead = matrix.grad.lerp(averaged, group["momentum"])
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(orthogonal(ahead).to(matrix.dtype), alpha=-0.2 * max(matrix.shape) ** 0.5 * group["lr"])


def orthogonal(matrix: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """A matrix of the same shape with its singular vectors and singular values near 1 (0.7 to 1.2), by the quintic
    Newton-Schulz iteration with Jordan's coefficients."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.bfloat16() if matrix.is_cuda else matrix.float()
    wide = x if x.size(0) <= x.size(1) else x.T
    wide = wide / wide.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide if x.size(0) <= x.size(1) else wide.T


class Together(torch.optim.Optimizer):
    """Several optimizers as one: their groups and their state are shared, a step is a step of each."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        super().__init__([group for part in parts for group in part.param_groups], {})
        self.parts = parts
        start = 0
        for part in parts:
            # The same dictionaries: a learning rate that is set here is set there.
            part.param_groups = self.param_groups[start : start + len(part.param_groups)]
            part.state = self.state
            start += len(part.param_groups)

    def step(self, closure: Callable[[], float] | None = None) -> Any:  # type: ignore[override]
        for part in self.parts:
            part.step()
        return None
