"""Muon beside torch's own, and what its directions are."""

from __future__ import annotations

import pytest
import torch

from kimi_pipeline.training.optimizers import Muon, Together, build_optimizer, orthogonal


@pytest.mark.parametrize("shape", [(8, 8), (8, 20), (20, 8)])
def test_directions_keep_their_singular_vectors_and_have_singular_values_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    assert values.max() / values.min() > 2
    found = left.T @ orthogonal(matrix) @ right.T
    assert torch.allclose(found, torch.diag(found.diagonal()), atol=1e-4)
    assert found.diagonal().min() > 0.6 and found.diagonal().max() < 1.3


def test_steps_are_those_of_torchs_own_within_its_rounding() -> None:
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(12, 30, generator=generator)
    mine, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    ours = Muon([mine], 0.02, weight_decay=0.1)
    reference = torch.optim.Muon([theirs], 0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        gradient = torch.randn(12, 30, generator=generator)
        mine.grad, theirs.grad = gradient.clone(), gradient.clone()
        ours.step()
        reference.step()
    moved = (theirs - start).norm()
    assert (mine - theirs).norm() < 0.03 * moved  # bfloat16 has three digits
    assert moved > 0.01 * start.norm()


def test_tables_and_vectors_are_left_to_adamw() -> None:
    named = [
        ("model.embed_tokens.weight", torch.nn.Parameter(torch.ones(5, 4))),
        ("model.layers.0.mlp.up_proj.weight", torch.nn.Parameter(torch.ones(4, 4))),
        ("model.norm.weight", torch.nn.Parameter(torch.ones(4))),
    ]
    made = build_optimizer(named, "muon", 0.01, (0.9, 0.95), 0.0)
    assert isinstance(made, Together)
    inner, outer = made.param_groups
    assert [tuple(p.shape) for p in inner["params"]] == [(4, 4)] and len(outer["params"]) == 2
    inner["lr"] = 0.5
    assert made.parts[0].param_groups[0]["lr"] == 0.5
