"""The loss against equation 3 of the report, by hand and by finite differences (float64, a tiny tabular policy)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.conftest import require

require("torch")

import torch  # noqa: E402

from kimi_pipeline.rl import mirror_descent as md  # noqa: E402

TAU, VOCABULARY = 0.3, 4
RESPONSES = [[0, 2], [1, 1, 3], [2], [3, 0, 1, 2], [1, 0], [2, 2, 2]]  # lengths differ on purpose
GROUPS = [0, 0, 0, 0, 1, 1]  # and so do the groups' sizes
REWARDS = [1.0, 0.0, 0.0, 1.0, 1.0, 0.25]


def rows() -> torch.Tensor:
    return torch.tensor([row for row, response in enumerate(RESPONSES) for _ in response])


def token_log_probs(theta: torch.Tensor) -> torch.Tensor:
    """A policy with one table of logits, [position, token], for each position of a response."""
    table = torch.log_softmax(theta, dim=-1)
    return torch.stack([table[at, token] for response in RESPONSES for at, token in enumerate(response)])


@pytest.fixture
def policies() -> tuple[torch.Tensor, torch.Tensor]:
    """The current policy's parameters and the reference's, which differ."""
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(4, VOCABULARY, generator=generator, dtype=torch.float64)
    return theta, theta + 0.5 * torch.randn(4, VOCABULARY, generator=generator, dtype=torch.float64)


def loss_of(theta: torch.Tensor, reference: torch.Tensor, tau: float = TAU, kind: Any = "mean") -> torch.Tensor:
    groups, rewards = torch.tensor(GROUPS), torch.tensor(REWARDS, dtype=torch.float64)
    gains = md.advantages(rewards, groups, 2, tau, kind)
    ratios = md.log_ratios(token_log_probs(theta), token_log_probs(reference), rows(), len(RESPONSES))
    return md.surrogate_loss(ratios, gains, md.group_sizes(groups, 2)[groups], 2, tau)


def equation_3(theta: torch.Tensor, reference: torch.Tensor, baselines: list[float], tau: float = TAU) -> torch.Tensor:
    """The report's expression by central differences: nothing of the loss and no autograd in it."""

    def log_prob(parameters: torch.Tensor, response: list[int]) -> float:
        table = torch.log_softmax(parameters, dim=-1)
        return sum(float(table[at, token]) for at, token in enumerate(response))

    def expression(parameters: torch.Tensor, frozen: torch.Tensor) -> float:
        total = 0.0
        for group in (0, 1):
            members = [i for i, own in enumerate(GROUPS) if own == group]
            for i in members:
                ratio = log_prob(parameters, RESPONSES[i]) - log_prob(frozen, RESPONSES[i])
                gain = REWARDS[i] - baselines[group]
                total += (gain * log_prob(parameters, RESPONSES[i]) - tau / 2 * ratio**2) / len(members)
        return total / 2

    gradient, step = torch.zeros_like(theta), 1e-6
    for at in range(theta.shape[0]):
        for token in range(theta.shape[1]):
            up, down = theta.clone(), theta.clone()
            up[at, token] += step
            down[at, token] -= step
            gradient[at, token] = (expression(up, reference) - expression(down, reference)) / (2 * step)
    return gradient


def gradient_of(theta: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
    leaf = theta.clone().requires_grad_()
    loss_of(leaf, *arguments, **options).backward()
    assert leaf.grad is not None
    return leaf.grad


MEANS = [0.5, 0.625]
EXPONENTIAL = [
    TAU * math.log((2 * math.exp(1 / TAU) + 2) / 4),
    TAU * math.log((math.exp(1 / TAU) + math.exp(0.25 / TAU)) / 2),
]


@pytest.mark.parametrize(("kind", "baselines"), [("mean", MEANS), ("log_mean_exp", EXPONENTIAL)])
def test_minus_the_gradient_is_equation_3(policies: Any, kind: str, baselines: list[float]) -> None:
    theta, reference = policies
    expected = equation_3(theta, reference, baselines)
    torch.testing.assert_close(-gradient_of(theta, reference, kind=kind), expected, atol=1e-8, rtol=1e-6)


def test_at_the_reference_the_gradient_is_the_plain_policy_gradient(policies: Any) -> None:
    theta, _ = policies
    gains = torch.tensor([r - MEANS[g] for r, g in zip(REWARDS, GROUPS, strict=True)], dtype=torch.float64)
    sizes = torch.tensor([4.0, 4, 4, 4, 2, 2], dtype=torch.float64)
    leaf = theta.clone().requires_grad_()
    sums = torch.zeros(6, dtype=torch.float64).index_add(0, rows(), token_log_probs(leaf))
    (gains * sums / sizes).sum().div(2).backward()
    torch.testing.assert_close(-gradient_of(theta, theta), leaf.grad, atol=1e-12, rtol=1e-10)


def test_the_regulariser_has_no_gradient_at_the_reference_and_one_after_a_step(policies: Any) -> None:
    theta, _ = policies

    def regulariser(at: torch.Tensor) -> torch.Tensor:
        leaf = at.clone().requires_grad_()
        ratios = md.log_ratios(token_log_probs(leaf), token_log_probs(theta), rows(), len(RESPONSES))
        md.surrogate_loss(ratios, torch.zeros(6), torch.ones(6), 2, TAU).backward()
        assert leaf.grad is not None
        return leaf.grad

    assert float(regulariser(theta).abs().max()) == 0.0
    stepped = theta - 0.1 * gradient_of(theta, theta)
    assert float(regulariser(stepped).abs().max()) > 1e-4


def test_the_gradient_of_the_regulariser_is_tau_times_the_log_ratio_of_the_sequence(policies: Any) -> None:
    """(tau / 2) grad rho^2 = tau rho grad rho, over k and the number of problems; rho is a sum, so every token of a
    response is pulled back by the same amount, however far that very token has moved."""
    theta, reference = policies
    sizes = md.group_sizes(torch.tensor(GROUPS), 2)[torch.tensor(GROUPS)]
    tokens = token_log_probs(theta).requires_grad_()
    ratios = md.log_ratios(tokens, token_log_probs(reference), rows(), len(RESPONSES))
    md.surrogate_loss(ratios, torch.zeros(6), sizes, 2, TAU).backward()
    sums = [
        sum(float(a - b) for a, b, row in zip(tokens, token_log_probs(reference), rows(), strict=True) if row == i)
        for i in range(len(RESPONSES))
    ]
    expected = [TAU * sums[row] / float(sizes[row]) / 2 for row in rows()]
    assert tokens.grad is not None
    assert tokens.grad.tolist() == pytest.approx(expected)


def test_the_first_step_does_not_depend_on_tau(policies: Any) -> None:
    """At the reference there is only the policy gradient: with the mean baseline tau is not in it at all, whatever the
    learning rate; minimising the report's square itself would make the step 2 tau times as long."""
    theta, _ = policies
    for tau in (0.01, 10.0):
        torch.testing.assert_close(gradient_of(theta, theta, tau=tau), gradient_of(theta, theta))


def test_away_from_the_reference_tau_weighs_the_regulariser_and_nothing_else(policies: Any) -> None:
    """The gradient is a + tau b: three values of tau lie on a line."""
    theta, reference = policies
    low, middle, high = (gradient_of(theta, reference, tau=tau) for tau in (0.1, 0.5, 0.9))
    torch.testing.assert_close((low + high) / 2, middle)
    assert float((high - low).abs().max()) > 1e-2


def test_log_ratios_are_sums_over_tokens_not_means() -> None:
    ratios = md.log_ratios(
        torch.tensor([-1.0, -1, -1, -1]), torch.tensor([-2.0, -2, -2, -2]), torch.tensor([0, 1, 1, 1]), 2
    )
    assert ratios.tolist() == [1.0, 3.0]


def test_a_response_twice_as_far_away_counts_by_its_sum(policies: Any) -> None:
    """Length normalisation would give equal log-ratios to a short and a long response that are equally off a token."""
    loss = md.surrogate_loss(torch.tensor([1.0, 3.0]), torch.zeros(2), torch.ones(2), 1, 1.0)
    assert float(loss) == pytest.approx((1 + 9) / 2)


def test_baselines_by_hand() -> None:
    rewards, groups = torch.tensor([1.0, 0, 0, 1, 0.5], dtype=torch.float64), torch.tensor([0, 0, 0, 2, 2])
    mean = md.group_baseline(rewards, groups, 3, 1.0)
    assert mean.tolist() == pytest.approx([1 / 3, 0.0, 0.75])
    exponential = md.group_baseline(rewards, groups, 3, 1.0, "log_mean_exp")
    assert exponential.tolist() == pytest.approx(
        [math.log((math.e + 2) / 3), 0.0, math.log((math.e + math.exp(0.5)) / 2)]
    )


@pytest.mark.parametrize("kind", ["mean", "log_mean_exp"])
def test_a_response_alone_in_its_group_is_its_own_baseline(kind: md.Baseline) -> None:
    rewards, groups = torch.tensor([0.75, 1.0, 0.0]), torch.tensor([1, 0, 0])
    assert md.group_baseline(rewards, groups, 3, 0.5, kind)[1] == pytest.approx(0.75)
    assert md.group_baseline(rewards, groups, 3, 0.5, kind)[2] == 0.0  # a group without any


def test_the_exact_baseline_goes_to_the_mean_as_tau_grows_and_does_not_overflow() -> None:
    rewards, groups = torch.tensor([1.0, 0, 0, 1], dtype=torch.float64), torch.zeros(4, dtype=torch.int64)
    assert float(md.group_baseline(rewards, groups, 1, 1e6, "log_mean_exp")) == pytest.approx(0.5, abs=1e-6)
    assert float(md.group_baseline(rewards, groups, 1, 1e-4, "log_mean_exp")) == pytest.approx(1.0, abs=1e-3)


def test_advantages_are_not_divided_by_the_spread() -> None:
    """Twice the spread of rewards is twice the advantage: with a division by the deviation it would be equal (GRPO)."""
    groups = torch.zeros(4, dtype=torch.int64)
    small = md.advantages(torch.tensor([0.0, 0, 0.5, 0.5]), groups, 1, TAU)
    large = md.advantages(torch.tensor([0.0, 0, 1, 1]), groups, 1, TAU)
    torch.testing.assert_close(large, 2 * small)


def test_losses_of_parts_add_up_to_the_loss_of_the_whole(policies: Any) -> None:
    theta, reference = policies
    groups = torch.tensor(GROUPS)
    gains = md.advantages(torch.tensor(REWARDS, dtype=torch.float64), groups, 2, TAU)
    ratios = md.log_ratios(token_log_probs(theta), token_log_probs(reference), rows(), len(RESPONSES))
    sizes = md.group_sizes(groups, 2)[groups]
    parts = [md.surrogate_loss(ratios[part], gains[part], sizes[part], 2, TAU) for part in (slice(0, 3), slice(3, 6))]
    torch.testing.assert_close(sum(parts), loss_of(theta, reference))


def test_groups_without_signal_are_all_right_or_all_wrong() -> None:
    correct, groups = torch.tensor([1.0, 1, 0, 0, 1, 0]), torch.tensor([0, 0, 1, 1, 2, 2])
    assert md.without_signal(correct, groups, 3).tolist() == [True, True, False]


def test_shares_of_groups_without_signal_by_hand() -> None:
    correct, groups = torch.tensor([1.0, 1, 0, 0, 1, 0, 0, 0]), torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    assert md.signal_figures(correct, groups, 4) == {"all_right": 0.25, "all_wrong": 0.5, "without_signal": 0.75}
    nothing = md.signal_figures(torch.zeros(0), torch.zeros(0, dtype=torch.int64), 0)
    assert nothing == {"all_right": 0.0, "all_wrong": 0.0, "without_signal": 0.0}


def test_figures_of_log_ratios_by_hand() -> None:
    figures = md.ratio_figures(torch.tensor([0.0, 0.0, -2.0, 1.0]))
    assert figures["log_ratio_mean"] == pytest.approx(-0.25)
    assert figures["log_ratio_max"] == 2.0
    assert figures["log_ratio_q50"] == 0.0
    assert figures.keys() >= {"log_ratio_q05", "log_ratio_q95"}
    assert figures["kl"] == pytest.approx((4 + 1) / 8)
    weights = [1, 1, math.exp(-2), math.e]
    assert figures["effective_samples"] == pytest.approx(sum(weights) ** 2 / sum(w * w for w in weights) / 4)
    assert md.ratio_figures(torch.zeros(0))["kl"] == 0.0
