"""The loss of online policy mirror descent, exactly as equation 3 of the report has it [2.3.1].

Belongs here: baseline, log-ratios, the surrogate loss, what is measured of them; pure functions of tensors. Does not
belong here: models, batches and steps (`learning.py`), rewards (`rewards/`).

The iteration's reference is its own first policy pi_i. For k responses y_j ~ pi_i of a problem, with rewards r_j,

    L(theta) = 1/(2 tau) * mean over problems of (1/k) sum_j (r_j - b - tau * rho_j)^2,
    rho_j = log pi_theta(y_j) - log pi_i(y_j), a SUM over the response's tokens,

so that minus its gradient is equation 3: (1/k) sum_j [(r_j - b) grad log pi_theta(y_j) - (tau/2) grad rho_j^2]. The
report minimises the square itself, whose gradient is 2 tau times as large: divided by 2 tau, the learning rate keeps its
meaning when tau changes. b estimates tau log Z. Nothing is divided by a response's length, nor by the rewards' spread
(that would be GRPO); at theta = pi_i every rho is 0 and the regulariser has no gradient, so an iteration takes several steps.

Shapes: n responses and g problems of one batch; `groups` [n] holds the problem of each response, 0 .. g - 1.
"""

from __future__ import annotations

from typing import Literal

import torch

Baseline = Literal["mean", "log_mean_exp"]
QUANTILES = (0.05, 0.5, 0.95)


def group_sizes(groups: torch.Tensor, count: int) -> torch.Tensor:
    """[g]: how many responses each of the `count` problems has (k, less those without a verdict)."""
    return torch.bincount(groups, minlength=count)


def group_baseline(
    rewards: torch.Tensor, groups: torch.Tensor, count: int, tau: float, kind: Baseline = "mean"
) -> torch.Tensor:
    """[g]: the estimate of tau log Z from each problem's own responses.

    `mean`: their mean reward, to which the other converges as tau grows. `log_mean_exp`: tau * log(mean_j exp(r_j / tau)).
    `rewards` [n]. A problem without any response gets 0.
    """
    sizes = group_sizes(groups, count).clamp(min=1).to(rewards.dtype)
    if kind == "mean":
        return rewards.new_zeros(count).index_add(0, groups, rewards) / sizes
    highest = rewards.new_full((count,), -torch.inf).scatter_reduce(0, groups, rewards, "amax")
    highest = torch.where(torch.isfinite(highest), highest, torch.zeros_like(highest))
    shifted = torch.exp((rewards - highest[groups]) / tau)
    sums = rewards.new_zeros(count).index_add(0, groups, shifted)
    return torch.where(sums > 0, highest + tau * torch.log(sums / sizes), torch.zeros_like(sums))


def advantages(
    rewards: torch.Tensor, groups: torch.Tensor, count: int, tau: float, kind: Baseline = "mean"
) -> torch.Tensor:
    """[n]: reward minus the problem's baseline; `rewards` [n]."""
    return rewards - group_baseline(rewards, groups, count, tau, kind)[groups]


def log_ratios(log_probs: torch.Tensor, reference: torch.Tensor, rows: torch.Tensor, count: int) -> torch.Tensor:
    """[n]: rho of each of the `count` responses, a sum over its tokens.

    `log_probs`, `reference` and `rows` [t] speak of the t tokens of all responses: under the policy, under pi_i, and
    whose token it is. The tokens' differences are summed, not the sums' difference taken: that keeps float32 exact.
    """
    return log_probs.new_zeros(count).index_add(0, rows, log_probs - reference)


def surrogate_loss(
    ratios: torch.Tensor, advantages: torch.Tensor, sizes: torch.Tensor, problems: int, tau: float
) -> torch.Tensor:
    """The loss as a scalar; minus its gradient is equation 3, averaged over problems.

    `ratios` [n], `advantages` [n]; `sizes` [n] is the k of each response's own problem. `problems` counts those of the
    whole mini-step, on all ranks: losses of its parts then add up to the loss of the whole.
    """
    return ((advantages - tau * ratios).square() / sizes).sum() / (2 * tau * problems)


def without_signal(correct: torch.Tensor, groups: torch.Tensor, count: int) -> torch.Tensor:
    """[g]: whether a problem's responses are all right or all wrong, before any shaping. `correct` [n] of 0 and 1."""
    right = correct.new_zeros(count).index_add(0, groups, correct)
    return (right == 0) | (right == group_sizes(groups, count))


def signal_figures(correct: torch.Tensor, groups: torch.Tensor, count: int) -> dict[str, float]:
    """The shares of problems that are `all_right` and `all_wrong`, and of both together (`without_signal`), before any
    shaping. `correct` [n] of 0 and 1; a problem without responses counts as all wrong; no problems give zeros.

    With a length reward such a group may still have a gradient: these shares speak of the prompts, not of the loss.
    """
    silent = without_signal(correct, groups, count)
    right = correct.new_zeros(count).index_add(0, groups, correct) > 0
    shares = {"all_right": silent & right, "all_wrong": silent & ~right, "without_signal": silent}
    return {name: float(found.double().mean()) if count else 0.0 for name, found in shares.items()}


def ratio_figures(ratios: torch.Tensor) -> dict[str, float]:
    """What to watch of log-ratios [n] with responses drawn from pi_i.

    `kl` is half the mean square: KL(pi_i || pi_theta) to second order, never negative and with finite variance, which the
    plain estimate -mean(rho) is not at this sample size. `effective_samples` is the share (0 to 1) of samples that
    weights exp(rho) leave. Empty input gives zeros and a share of 1.
    """
    if not len(ratios):
        quantiles = [0.0] * len(QUANTILES)
        return _named(0.0, 0.0, quantiles, 0.0, 1.0)
    values = ratios.detach().double()
    weights = torch.softmax(values, dim=0)
    quantiles = torch.quantile(values, values.new_tensor(QUANTILES)).tolist()
    return _named(
        float(values.mean()),
        float(values.abs().max()),
        quantiles,
        float(values.square().mean() / 2),
        float(1 / weights.square().sum() / len(values)),
    )


def _named(mean: float, highest: float, quantiles: list[float], kl: float, effective: float) -> dict[str, float]:
    named = {f"log_ratio_q{round(100 * share):02d}": value for share, value in zip(QUANTILES, quantiles, strict=True)}
    return {"log_ratio_mean": mean, "log_ratio_max": highest, **named, "kl": kl, "effective_samples": effective}
