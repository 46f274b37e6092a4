"""Batches: positions by hand, budgets, order, and the same loss however examples are put together."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_pipeline.training.packing import PASS_TOKENS, by_budget, collate, in_order, least_padding
from tests.conftest import require


def ids(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def test_positions_and_targets_by_hand() -> None:
    require("torch")
    batch = collate([ids(5, 6), ids(7)], [ids(8, 9), ids(10, 11, 12)], pad_id=0)
    assert batch.input_ids.tolist() == [[5, 6, 8, 9], [7, 10, 11, 12]]
    # The token at position p predicts the one at p + 1: a response is predicted from the prompt's last token on.
    assert batch.positions.tolist() == [1, 2, 4, 5, 6]
    assert batch.targets.tolist() == [8, 9, 10, 11, 12]
    assert batch.rows.tolist() == [0, 0, 1, 1, 1]


def test_padding_is_never_a_target() -> None:
    require("torch")
    batch = collate([ids(5), ids(5)], [ids(1), ids(2, 3, 4)], pad_id=99)
    assert 99 not in batch.targets.tolist() and batch.tokens == 4 and batch.size == 2


@pytest.mark.parametrize(("prompts", "responses"), [([], []), ([ids()], [ids(1)])])
def test_an_empty_batch_and_an_empty_prompt_are_refused(prompts: list[Any], responses: list[Any]) -> None:
    require("torch")
    with pytest.raises(ValueError, match="at least one"):
        collate(prompts, responses, 0)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 200))
def test_groups_keep_the_budget_and_lose_nothing(lengths: list[int], budget: int) -> None:
    values = np.array(lengths)
    for groups in (by_budget(values, budget), least_padding(values, budget)):
        assert sorted(int(i) for group in groups for i in group) == list(range(len(lengths)))
        assert all(len(group) == 1 or len(group) * values[group].max() <= budget for group in groups)


@given(st.lists(st.integers(1, 700), min_size=1, max_size=9), st.integers(1, 3000))
def test_no_other_grouping_of_similar_lengths_costs_less(lengths: list[int], budget: int) -> None:
    values = np.array(sorted(lengths))

    def cost(groups: list[np.ndarray]) -> int:
        return sum(PASS_TOKENS + len(group) * int(values[group].max()) for group in groups)

    best = math.inf
    for cuts in itertools.product([False, True], repeat=len(values) - 1):
        groups = np.split(np.arange(len(values)), 1 + np.flatnonzero(cuts))
        if all(len(group) == 1 or len(group) * values[group].max() <= budget for group in groups):
            best = min(best, cost(groups))
    assert cost(least_padding(values, budget)) == best


@given(st.integers(1, 100), st.integers(1, 30), st.integers(0, 5))
def test_order_is_kept_between_windows(count: int, window: int, seed: int) -> None:
    lengths = np.random.default_rng(seed).integers(1, 20, count)
    batches = in_order(lengths, 64, window, seed)
    flat = [int(i) for batch in batches for i in batch]
    assert sorted(flat) == list(range(count))
    assert [i // window for i in flat] == sorted(i // window for i in flat)
    assert all(np.array_equal(a, b) for a, b in zip(batches, in_order(lengths, 64, window, seed), strict=True))


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), budget=st.sampled_from([40, 90, 400]))
def test_the_loss_does_not_depend_on_how_examples_are_put_together(tiny_folder: Path, seed: int, budget: int) -> None:
    import torch

    from kimi_pipeline.training.policy import Policy, load_model

    policy = Policy(load_model(tiny_folder, "float32"))
    rng = np.random.default_rng(seed)
    prompts = [rng.integers(3, 250, rng.integers(1, 20)) for _ in range(12)]
    responses = [rng.integers(3, 250, rng.integers(1, 30)) for _ in range(12)]

    def scores(rows: list[int]) -> torch.Tensor:
        batch = collate([prompts[i] for i in rows], [responses[i] for i in rows], pad_id=2)
        with torch.no_grad():
            found = policy(batch.input_ids, batch.positions, batch.targets).log_probs
        return torch.zeros(len(rows)).index_add(0, batch.rows, found)

    alone = torch.cat([scores([row]) for row in range(12)])
    lengths = np.array([len(p) + len(r) for p, r in zip(prompts, responses, strict=True)])
    for group in by_budget(lengths, budget):
        torch.testing.assert_close(scores(group.tolist()), alone[group], atol=1e-4, rtol=1e-5)
