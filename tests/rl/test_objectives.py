"""ReST, GRPO and the report's loss under one call shape: by hand, by finite differences, and what tells them apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import require

require("torch")

import torch  # noqa: E402

from kimi_pipeline.profiles.profile import Rl  # noqa: E402
from kimi_pipeline.rl import mirror_descent as md  # noqa: E402
from kimi_pipeline.rl.objectives import (  # noqa: E402
    OBJECTIVES,
    STD_FLOOR,
    grpo_gains,
    grpo_loss,
    objective_of,
    rest_gains,
    rest_loss,
)

TAU, CLIP, VOCABULARY = 0.3, 0.2, 4
RESPONSES = [[0, 2], [1, 1, 3], [2], [3, 0, 1, 2], [1, 0], [2, 2, 2]]  # lengths differ on purpose
GROUPS = [0, 0, 0, 0, 1, 1]  # and so do the groups' sizes
SIZES = [4.0, 4, 4, 4, 2, 2]
REWARDS = [1.0, 0.0, 0.0, 1.25, 0.0, 0.75]
CORRECT = [1.0, 0.0, 0.0, 1.0, 0.0, 1.0]
ROWS = torch.tensor([row for row, response in enumerate(RESPONSES) for _ in response])
MEMBERS = [[0, 1, 2, 3], [4, 5]]

Expression = Callable[[list[list[float]], list[list[float]]], float]
"""Of the token log-probs of each response, under the policy and under the reference: what the objective maximises."""


def double(values: Any) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def token_log_probs(theta: torch.Tensor) -> torch.Tensor:
    """A policy with one table of logits, [position, token], for each position of a response."""
    table = torch.log_softmax(theta, dim=-1)
    return torch.stack([table[at, token] for response in RESPONSES for at, token in enumerate(response)])


def by_response(values: torch.Tensor) -> list[list[float]]:
    return [values[row == ROWS].tolist() for row in range(len(RESPONSES))]


@pytest.fixture
def policies() -> tuple[torch.Tensor, torch.Tensor]:
    """The current policy's parameters and the reference's, which differ: some token ratios are beyond the clip."""
    generator = torch.Generator().manual_seed(3)
    theta = torch.randn(4, VOCABULARY, generator=generator, dtype=torch.float64)
    return theta, theta + 0.6 * torch.randn(4, VOCABULARY, generator=generator, dtype=torch.float64)


def loss_of(name: str, theta: torch.Tensor, reference: torch.Tensor, chosen: list[int] | None = None) -> torch.Tensor:
    """The loss through the door that training uses; `chosen`: of these responses alone, with the gains of all."""
    objective = objective_of(Rl(objective=name, tau=TAU, clip=CLIP))  # type: ignore[arg-type]
    gains = objective.gains(double(REWARDS), double(CORRECT), torch.tensor(GROUPS), 2)
    chosen = chosen if chosen is not None else list(range(len(RESPONSES)))
    tokens = torch.isin(ROWS, torch.tensor(chosen))
    rows = torch.tensor([chosen.index(int(row)) for row in ROWS[tokens]])
    log_probs, frozen = token_log_probs(theta)[tokens], token_log_probs(reference)[tokens]
    return objective.loss(log_probs, frozen, rows, gains[chosen], double(SIZES)[chosen], 2)


def gradient_of(name: str, theta: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    leaf = theta.clone().requires_grad_()
    loss_of(name, leaf, reference).backward()
    assert leaf.grad is not None
    return leaf.grad


def differences(expression: Expression, theta: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """The gradient of an expression by central differences: no autograd and nothing of the losses in it."""
    gradient, step = torch.zeros_like(theta), 1e-6
    frozen = by_response(token_log_probs(reference))
    for at in range(theta.shape[0]):
        for token in range(theta.shape[1]):
            up, down = theta.clone(), theta.clone()
            up[at, token] += step
            down[at, token] -= step
            above, below = (expression(by_response(token_log_probs(one)), frozen) for one in (up, down))
            gradient[at, token] = (above - below) / (2 * step)
    return gradient


def equation_3(now: list[list[float]], frozen: list[list[float]]) -> float:
    total = 0.0
    for members in MEMBERS:
        mean = sum(REWARDS[i] for i in members) / len(members)
        for i in members:
            ratio = sum(now[i]) - sum(frozen[i])
            total += ((REWARDS[i] - mean) * sum(now[i]) - TAU / 2 * ratio**2) / len(members)
    return total / 2


def best_alone(now: list[list[float]], frozen: list[list[float]]) -> float:
    return (sum(now[3]) + sum(now[5])) / 2  # rewards 1.25 and 0.75 are the highest of right answers


def clipped_surrogate(now: list[list[float]], frozen: list[list[float]]) -> float:
    total = 0.0
    for members in MEMBERS:
        mean = sum(REWARDS[i] for i in members) / len(members)
        deviation = math.sqrt(sum((REWARDS[i] - mean) ** 2 for i in members) / (len(members) - 1))
        for i in members:
            gain = (REWARDS[i] - mean) / (deviation + 1e-4)
            ratios = [math.exp(a - b) for a, b in zip(now[i], frozen[i], strict=True)]
            capped = [min(max(ratio, 1 - CLIP), 1 + CLIP) for ratio in ratios]
            tokens = [min(ratio * gain, cap * gain) for ratio, cap in zip(ratios, capped, strict=True)]
            total += sum(tokens) / len(tokens) / len(members)
    return total / 2


EXPRESSIONS: dict[str, Expression] = {
    "mirror_descent": equation_3,
    "rest": best_alone,
    "grpo": clipped_surrogate,
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_minus_the_gradient_is_that_of_the_expression(policies: Any, name: str) -> None:
    theta, reference = policies
    expected = differences(EXPRESSIONS[name], theta, reference)
    assert float(expected.abs().max()) > 1e-2
    torch.testing.assert_close(-gradient_of(name, theta, reference), expected, atol=1e-8, rtol=1e-6)


def test_the_policies_of_these_tests_are_clipped_here_and_there(policies: Any) -> None:
    gains = grpo_gains(double(REWARDS), double(CORRECT), torch.tensor(GROUPS), 2)
    ratios = torch.exp(token_log_probs(policies[0]) - token_log_probs(policies[1]))
    taken = torch.where(gains[ROWS] > 0, ratios > 1 + CLIP, ratios < 1 - CLIP)
    assert 0 < int(taken.sum()) < len(taken)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_losses_of_parts_add_up_to_the_loss_of_the_whole(policies: Any, name: str) -> None:
    theta, reference = policies
    parts = sum(loss_of(name, theta, reference, chosen) for chosen in ([0, 4], [3], [1, 2, 5]))
    torch.testing.assert_close(parts, loss_of(name, theta, reference))


def test_the_objectives_are_three_different_ones(policies: Any) -> None:
    theta, _ = policies
    gradients = [gradient_of(name, theta, theta).flatten() for name in EXPRESSIONS]
    for one in range(3):
        for other in range(one):
            cosine = torch.nn.functional.cosine_similarity(gradients[one], gradients[other], dim=0)
            assert float(cosine) < 0.99


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_response_of_gain_0_is_pulled_back_or_has_no_gradient_at_all(policies: Any, name: str) -> None:
    objective = objective_of(Rl(objective=name))  # type: ignore[arg-type]
    tokens = token_log_probs(policies[0]).requires_grad_()
    reference = token_log_probs(policies[1])
    objective.loss(tokens, reference, ROWS, torch.zeros(6, dtype=torch.float64), double(SIZES), 2).backward()
    assert tokens.grad is not None
    assert bool((tokens.grad.abs() > 1e-6).all()) if objective.pulls_back else float(tokens.grad.abs().max()) == 0.0


def test_the_setting_and_the_registry_hold_the_same_names() -> None:
    names = get_args(Rl.model_fields["objective"].annotation)
    assert list(OBJECTIVES) == list(names) == list(EXPRESSIONS)
    assert [objective_of(Rl(objective=name)).name for name in names] == list(names)


def test_settings_reach_the_losses(policies: Any) -> None:
    theta, reference = policies
    groups, rewards, correct = torch.tensor(GROUPS), double(REWARDS), double(CORRECT)
    tokens = token_log_probs(theta), token_log_probs(reference), ROWS

    def value(**settings: Any) -> float:
        objective = objective_of(Rl(**settings))
        return float(objective.loss(*tokens, objective.gains(rewards, correct, groups, 2), double(SIZES), 2))

    assert value(tau=0.3) != value(tau=0.6)
    assert value(baseline="mean") != value(baseline="log_mean_exp")
    assert value(objective="grpo", clip=0.1) != value(objective="grpo", clip=0.3)


# -- ReST -------------------------------------------------------------------------------------------------------


def test_rest_takes_the_best_right_response_of_each_group() -> None:
    groups = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])
    correct = double([1, 1, 0, 0, 0, 1, 1, 1])
    rewards = double([1.0, 1.2, 1.4, 0.0, 0.3, 1.0, 1.0, 0.8])
    # group 0: the highest of the right ones, though a wrong one has more; 1: none right; 2: a tie; 3: alone
    assert rest_gains(rewards, correct, groups, 5).tolist() == [0, 1, 0, 0, 0, 1, 0, 1]


def test_rest_has_no_negative_gradient_and_ignores_the_reference() -> None:
    log_probs = double([-1.0, -2, -3, -4]).requires_grad_()
    rows, gains = torch.tensor([0, 0, 1, 2]), double([1, 0, 0])
    loss = rest_loss(log_probs, double([9.0] * 4), rows, gains, double([3, 3, 3]), 2)
    assert float(loss) == 1.5
    loss.backward()
    assert log_probs.grad is not None and log_probs.grad.tolist() == [-0.5, -0.5, 0.0, 0.0]


GROUP_MEMBERS = st.lists(
    st.tuples(st.integers(0, 3), st.booleans(), st.sampled_from([-0.5, 0.0, 0.5, 1.0, 1.25])), min_size=1, max_size=20
)


@given(GROUP_MEMBERS)
def test_rest_against_a_loop(members: list[tuple[int, bool, float]]) -> None:
    gains = rest_gains(
        double([reward for _, _, reward in members]),
        double([float(right) for _, right, _ in members]),
        torch.tensor([group for group, _, _ in members]),
        4,
    ).tolist()
    for group in range(4):
        own = [place for place, member in enumerate(members) if member[0] == group]
        right = [place for place in own if members[place][1]]
        best = max(right, key=lambda place: (members[place][2], -place), default=None)
        assert [place for place in own if gains[place]] == ([] if best is None else [best])


# -- GRPO -------------------------------------------------------------------------------------------------------


def test_grpo_gains_by_hand() -> None:
    rewards, groups = double([1, 0, 0, 1, 1, 0.5, 7]), torch.tensor([0, 0, 0, 1, 1, 1, 2])
    found = grpo_gains(rewards, double([0] * 7), groups, 3).tolist()
    first, second = math.sqrt(1 / 3), math.sqrt(1 / 12)  # deviations of a sample: over k - 1
    expected = [2 / 3 / first, -1 / 3 / first, -1 / 3 / first, 1 / 6 / second, 1 / 6 / second, -1 / 3 / second, 0]
    assert found == pytest.approx(expected, rel=1e-3)


def test_grpo_does_not_see_the_spread_of_rewards_and_mirror_descent_does() -> None:
    groups, small, large = torch.zeros(4, dtype=torch.int64), double([0, 0, 0.5, 0.5]), double([0, 0, 1, 1])
    close = {"atol": 0.0, "rtol": 1e-3}
    torch.testing.assert_close(grpo_gains(small, small, groups, 1), grpo_gains(large, large, groups, 1), **close)
    torch.testing.assert_close(2 * md.advantages(small, groups, 1, TAU), md.advantages(large, groups, 1, TAU))


@given(st.floats(-2, 2), st.integers(1, 16))
def test_grpo_gives_nothing_where_all_rewards_are_equal(reward: float, k: int) -> None:
    gains = grpo_gains(double([reward] * k), double([1] * k), torch.zeros(k, dtype=torch.int64), 1)
    assert float(gains.abs().max()) < 1e-9


@given(st.lists(st.floats(-1, 2), min_size=2, max_size=16).filter(lambda drawn: max(drawn) - min(drawn) > 0.2))
def test_grpo_gains_have_mean_0_and_deviation_1(rewards: list[float]) -> None:
    gains = grpo_gains(double(rewards), double(rewards), torch.zeros(len(rewards), dtype=torch.int64), 1)
    assert float(gains.mean()) == pytest.approx(0.0, abs=1e-9)
    assert float(gains.std()) == pytest.approx(1.0, abs=2 * STD_FLOOR / 0.05)


def test_grpo_means_over_tokens_where_mirror_descent_sums() -> None:
    """Two responses of equal gain, of 1 and of 3 tokens: in GRPO each token of the longer one counts a third."""
    log_probs = double([-1.0] * 4).requires_grad_()
    grpo_loss(
        log_probs, log_probs.detach(), torch.tensor([0, 1, 1, 1]), double([1, 1]), double([2, 2]), 1, clip=CLIP
    ).backward()
    assert log_probs.grad is not None
    assert log_probs.grad.tolist() == pytest.approx([-1 / 2, -1 / 6, -1 / 6, -1 / 6])


def test_the_clip_takes_the_gradient_only_where_more_would_be_gained() -> None:
    """Ratios 1.5, 0.5 and 1 for a gain of +1, then for a gain of -1."""
    reference = double([-1.0] * 6)
    log_probs = (reference + torch.log(double([1.5, 0.5, 1.0, 1.5, 0.5, 1.0]))).requires_grad_()
    rows, gains = torch.tensor([0, 0, 0, 1, 1, 1]), double([1.0, -1.0])
    loss = grpo_loss(log_probs, reference, rows, gains, double([1, 1]), 1, clip=CLIP)
    assert float(loss) == pytest.approx(-((1.2 + 0.5 + 1) / 3 + (-1.5 - 0.8 - 1) / 3))
    loss.backward()
    assert log_probs.grad is not None
    assert log_probs.grad.tolist() == pytest.approx([0, -0.5 / 3, -1 / 3, 1.5 / 3, 0, 1 / 3])


def test_a_response_of_no_tokens_adds_nothing() -> None:
    for name in OBJECTIVES:
        objective = objective_of(Rl(objective=name))  # type: ignore[arg-type]
        one = objective.loss(double([-1.0]), double([-1.5]), torch.tensor([0]), double([1]), double([2]), 1)
        both = objective.loss(double([-1.0]), double([-1.5]), torch.tensor([0]), double([1, 0]), double([2, 2]), 1)
        assert float(one) == pytest.approx(float(both))
