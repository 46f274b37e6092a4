"""The losses that RL can train on: the report's, and two rivals that the ablations hold it against [2.3.1, 3.5].

Belongs here: ReST and GRPO as pure functions of tensors, and the one call shape under which all three are used. Does not
belong here: the report's own formulas (`mirror_descent.py`), batches and steps (`learning.py`), rewards (`rewards/`).

An objective is two functions. `gains` looks at whole groups, once an iteration, and gives each response a number; a
response of gain 0 adds nothing to the loss at the weights that sampled it. `loss` looks at the tokens of one micro-batch:
losses of parts add up to the loss of the whole mini-step, as each is divided by all of the step's problems.

Shapes: n responses with t tokens in all, g problems; `groups` [n] holds the problem of each response, 0 .. g - 1;
`rows` [t] holds the response of each token, 0 .. n - 1, and a response's tokens are all in the same call. `reference` [t]
are the trainer's log-probs of the tokens under the weights that sampled them; with partial rollouts that are several
weights, which is fine for all three losses: each looks at differences token by token, or at none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch

from kimi_pipeline.profiles.training import Rl
from kimi_pipeline.rl import mirror_descent

STD_FLOOR = 1e-4  # GRPO: added to a group's standard deviation, as TRL's GRPOTrainer does


class Gains(Protocol):
    """[n]: what each response gets from its group. `rewards` [n], `correct` [n] of 0 and 1 before shaping."""

    def __call__(
        self, rewards: torch.Tensor, correct: torch.Tensor, groups: torch.Tensor, count: int
    ) -> torch.Tensor: ...


class Loss(Protocol):
    """A scalar. `log_probs`, `reference`, `rows` [t]; `gains`, `sizes` [n]; `sizes` is the k of each response's group."""

    def __call__(
        self,
        log_probs: torch.Tensor,
        reference: torch.Tensor,
        rows: torch.Tensor,
        gains: torch.Tensor,
        sizes: torch.Tensor,
        problems: int,
    ) -> torch.Tensor: ...


@dataclass(frozen=True, slots=True)
class Objective:
    """One of `OBJECTIVES`, with its settings bound.

    `pulls_back`: whether a response of gain 0 has a gradient once the policy has left the weights that sampled it. Where
    it is False such responses may be left out of every pass.
    """

    name: str
    gains: Gains
    loss: Loss
    pulls_back: bool


# -- the report's -----------------------------------------------------------------------------------------------


def mirror_descent_loss(
    log_probs: torch.Tensor,
    reference: torch.Tensor,
    rows: torch.Tensor,
    gains: torch.Tensor,
    sizes: torch.Tensor,
    problems: int,
    *,
    tau: float,
) -> torch.Tensor:
    """Equation 3 on sequence log-ratios (`mirror_descent.surrogate_loss`); `gains` are reward minus baseline."""
    ratios = mirror_descent.log_ratios(log_probs, reference, rows, len(gains))
    return mirror_descent.surrogate_loss(ratios, gains, sizes, problems, tau)


# -- ReST -------------------------------------------------------------------------------------------------------


def rest_gains(rewards: torch.Tensor, correct: torch.Tensor, groups: torch.Tensor, count: int) -> torch.Tensor:
    """1 for the best response of each group, 0 for all others: of the right ones that with the highest reward.

    Ties go to the first in order, which is the lowest sample index where groups hold their members in that order. A group
    without a right answer gives nothing: fitting its best wrong one would teach a wrong answer.
    """
    candidates = torch.where(correct > 0, rewards, -torch.inf)
    highest = rewards.new_full((count,), -torch.inf).scatter_reduce(0, groups, candidates, "amax")
    best = (correct > 0) & (candidates == highest[groups])
    places = torch.arange(len(rewards), device=rewards.device)
    after_all = len(rewards)
    first = places.new_full((count,), after_all).scatter_reduce(0, groups, torch.where(best, places, after_all), "amin")
    return (places == first[groups]).to(rewards.dtype)


def rest_loss(
    log_probs: torch.Tensor,
    reference: torch.Tensor,
    rows: torch.Tensor,
    gains: torch.Tensor,
    sizes: torch.Tensor,
    problems: int,
) -> torch.Tensor:
    """Minus the log-probability of each group's best response (a sum over its tokens), averaged over problems.

    The report's rival of section 3.5: no baseline, no negative gradient, no regulariser. `reference` and `sizes` play no
    part.
    """
    return -(gains[rows] * log_probs).sum() / problems


# -- GRPO -------------------------------------------------------------------------------------------------------


def grpo_gains(rewards: torch.Tensor, correct: torch.Tensor, groups: torch.Tensor, count: int) -> torch.Tensor:
    """Reward minus the group's mean, over the group's standard deviation (of a sample: k - 1) plus `STD_FLOOR`."""
    sizes = mirror_descent.group_sizes(groups, count)
    centred = mirror_descent.advantages(rewards, groups, count, tau=1.0)
    squares = rewards.new_zeros(count).index_add(0, groups, centred.square())
    deviations = (squares / (sizes - 1).clamp(min=1)).sqrt()
    return centred / (deviations[groups] + STD_FLOOR)


def grpo_loss(
    log_probs: torch.Tensor,
    reference: torch.Tensor,
    rows: torch.Tensor,
    gains: torch.Tensor,
    sizes: torch.Tensor,
    problems: int,
    *,
    clip: float,
) -> torch.Tensor:
    """PPO's clipped ratio token by token, its mean over each response's tokens, then over its group, then over problems.

    As in DeepSeekMath (arXiv 2402.03300), equation 3, without its KL to a frozen model: the policy starts anew from
    `reference` each iteration, and TRL's default leaves it out as well.
    """
    ratios = torch.exp(log_probs - reference)
    token_gains = gains[rows]
    gained = torch.minimum(ratios * token_gains, ratios.clamp(1 - clip, 1 + clip) * token_gains)
    lengths = torch.bincount(rows, minlength=len(gains)).clamp(min=1)
    means = log_probs.new_zeros(len(gains)).index_add(0, rows, gained) / lengths
    return -(means / sizes).sum() / problems


# -- the choice -------------------------------------------------------------------------------------------------


def _mirror_descent(settings: Rl) -> Objective:
    def gains(rewards: torch.Tensor, correct: torch.Tensor, groups: torch.Tensor, count: int) -> torch.Tensor:
        return mirror_descent.advantages(rewards, groups, count, settings.tau, settings.baseline)

    return Objective("mirror_descent", gains, partial(mirror_descent_loss, tau=settings.tau), pulls_back=True)


def _rest(settings: Rl) -> Objective:
    return Objective("rest", rest_gains, rest_loss, pulls_back=False)


def _grpo(settings: Rl) -> Objective:
    return Objective("grpo", grpo_gains, partial(grpo_loss, clip=settings.clip), pulls_back=False)


OBJECTIVES: dict[str, Callable[[Rl], Objective]] = {"mirror_descent": _mirror_descent, "rest": _rest, "grpo": _grpo}
"""By the name that `rl.objective` gives."""


def objective_of(settings: Rl) -> Objective:
    """The objective that the settings choose, bound to `tau`, `baseline` or `clip`."""
    return OBJECTIVES[settings.objective](settings)
