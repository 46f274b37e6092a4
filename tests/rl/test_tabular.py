"""The loss on a policy small enough to enumerate: it leads to the report's closed form, or it does not [2.3.1].

All responses are listed, so that the expectation over y ~ pi_i is a sum and no sampling error is left. The closed form
pi*(y) = pi_i(y) exp(r(y) / tau) / Z is the minimum of the loss exactly where the baseline is tau log Z. With the mean
reward, the report's own choice for training, the minimum is another policy: shown as well, so that nobody takes the one
for the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import pytest

from tests.conftest import require

require("torch")

import torch  # noqa: E402

from kimi_pipeline.rl import mirror_descent as md  # noqa: E402

TAU, END, VOCABULARY, LONGEST = 0.3, 0, 3, 3


def responses() -> list[tuple[int, ...]]:
    """All responses of up to `LONGEST` tokens: token `END` ends one early, the last place ends it in any case."""
    found = []
    for length in range(1, LONGEST + 1):
        last = range(VOCABULARY) if length == LONGEST else [END]
        found += [(*body, token) for body in product(range(1, VOCABULARY), repeat=length - 1) for token in last]
    return found


RESPONSES = responses()
PREFIXES = sorted({response[:at] for response in RESPONSES for at in range(len(response))})
REWARDS = torch.tensor(
    [1.0 if len(y) > 1 and y[0] == 2 and y[-1] != 1 else 0.0 for y in RESPONSES], dtype=torch.float64
)
ROWS = torch.tensor([row for row, response in enumerate(RESPONSES) for _ in response])


def token_log_probs(logits: torch.Tensor) -> torch.Tensor:
    """[t]: the log-probs of all tokens of all responses; one distribution over the next token for each prefix."""
    table = torch.log_softmax(logits, dim=-1)
    places = [(PREFIXES.index(y[:at]), token) for y in RESPONSES for at, token in enumerate(y)]
    rows, tokens = zip(*places, strict=True)
    return table[list(rows), list(tokens)]


def log_probs(logits: torch.Tensor) -> torch.Tensor:
    """[n]: the log-probability of each response."""
    return torch.zeros(len(RESPONSES), dtype=torch.float64).index_add(0, ROWS, token_log_probs(logits))


def exact_tau_log_z(reference: torch.Tensor, tau: float) -> torch.Tensor:
    """tau log sum_y pi_i(y) exp(r(y) / tau): what the baselines of `mirror_descent` estimate from k samples."""
    return tau * torch.logsumexp(log_probs(reference) + REWARDS / tau, dim=0)


def closed_form(reference: torch.Tensor, tau: float) -> torch.Tensor:
    """[n]: pi_i(y) exp(r / tau) / Z."""
    return torch.softmax(log_probs(reference) + REWARDS / tau, dim=0)


def minimum(loss: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor) -> torch.Tensor:
    """[n]: the probabilities of all responses where the loss has no gradient any more."""
    logits = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [logits], max_iter=2000, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(logits)
        value.backward()
        return value

    optimizer.step(closure)
    assert logits.grad is not None and float(logits.grad.abs().max()) < 1e-8
    return log_probs(logits.detach()).exp()


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())


@pytest.fixture
def reference() -> torch.Tensor:
    """[prefixes, vocabulary]: the logits of pi_i."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(len(PREFIXES), VOCABULARY, generator=generator, dtype=torch.float64)


@dataclass
class Enumerated:
    """The loss with each response weighted by pi_i(y), as the expectation has it: `sizes` 1 / pi_i(y) do that."""

    reference: torch.Tensor
    tau: float

    def loss(self, baseline: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        sizes = 1 / log_probs(self.reference).exp()
        frozen = token_log_probs(self.reference)

        def value(logits: torch.Tensor) -> torch.Tensor:
            ratios = md.log_ratios(token_log_probs(logits), frozen, ROWS, len(RESPONSES))
            return md.surrogate_loss(ratios, REWARDS - baseline, sizes, 1, self.tau)

        return value


def test_the_policy_is_a_distribution_over_all_responses(reference: torch.Tensor) -> None:
    assert float(log_probs(reference).exp().sum()) == pytest.approx(1.0, abs=1e-12)
    assert 0.05 < float(closed_form(reference, TAU).max()) < 0.95


@pytest.mark.parametrize("tau", [0.1, 0.3, 1.0])
def test_with_exact_tau_log_z_the_closed_form_is_reached(reference: torch.Tensor, tau: float) -> None:
    found = minimum(Enumerated(reference, tau).loss(exact_tau_log_z(reference, tau)), reference)
    assert distance(found, closed_form(reference, tau)) < 1e-4


@pytest.mark.parametrize("tau", [0.1, 0.3, 1.0])
def test_with_the_mean_reward_it_is_not(reference: torch.Tensor, tau: float) -> None:
    mean = (log_probs(reference).exp() * REWARDS).sum()
    found = minimum(Enumerated(reference, tau).loss(mean), reference)
    assert distance(found, closed_form(reference, tau)) > 1e-2


def test_the_mean_reward_is_exact_as_tau_grows(reference: torch.Tensor) -> None:
    """What the report says of it: both the baselines and the policies that they lead to come together."""
    apart = []
    for tau in (1.0, 10.0, 100.0):
        mean = (log_probs(reference).exp() * REWARDS).sum()
        found = minimum(Enumerated(reference, tau).loss(mean), reference)
        moved = distance(closed_form(reference, tau), log_probs(reference).exp())
        apart.append(distance(found, closed_form(reference, tau)) / moved)
    assert apart[0] > 5 * apart[1] > 25 * apart[2]


def test_the_minimum_of_the_loss_is_zero_only_with_the_exact_baseline(reference: torch.Tensor) -> None:
    """r - tau log Z = tau log(pi* / pi_i) holds for every response: the square vanishes, not only its gradient."""
    logits = torch.zeros_like(reference)
    best = closed_form(reference, TAU)
    for place, prefix in enumerate(PREFIXES):  # the closed form as a policy: its conditionals
        for token in range(VOCABULARY):
            begun = (*prefix, token)
            logits[place, token] = best[[y[: len(begun)] == begun for y in RESPONSES]].sum().log()
    assert distance(log_probs(logits).exp(), best) < 1e-12
    exact = exact_tau_log_z(reference, TAU)
    assert float(Enumerated(reference, TAU).loss(exact)(logits)) < 1e-20
    assert float(Enumerated(reference, TAU).loss(exact + 0.1)(logits)) == pytest.approx(0.01 / (2 * TAU))


@pytest.mark.parametrize(("kind", "reached"), [("log_mean_exp", True), ("mean", False)])
def test_the_trained_path_on_a_group_that_is_the_distribution(kind: md.Baseline, reached: bool) -> None:
    """Under a policy of chances 1/2, 1/4, 1/4 each response stands in a group of 64 as often as its probability says, so
    that the group's own tau log mean exp is exact: here baseline, advantages and loss are those that training uses."""
    logits = torch.log(torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)).expand(len(PREFIXES), VOCABULARY)
    times = (log_probs(logits).exp() * 4**LONGEST).round().to(torch.int64)
    assert int(times.sum()) == 4**LONGEST
    members = torch.repeat_interleave(torch.arange(len(RESPONSES)), times)
    groups = torch.zeros(len(members), dtype=torch.int64)
    gains = md.advantages(REWARDS[members], groups, 1, TAU, kind)
    frozen = token_log_probs(logits)

    def loss(current: torch.Tensor) -> torch.Tensor:
        ratios = md.log_ratios(token_log_probs(current), frozen, ROWS, len(RESPONSES))
        return md.surrogate_loss(ratios[members], gains, md.group_sizes(groups, 1)[groups], 1, TAU)

    apart = distance(minimum(loss, logits), closed_form(logits, TAU))
    assert apart < 1e-4 if reached else apart > 1e-2
