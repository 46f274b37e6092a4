"""Adaptive sampling: when more samples of a problem can't change what is decided on it, or are very unlikely to.

Belongs here: the sequential rule and its prior. Does not belong here: what the decisions are (they come as tables of
names, from `curation/`), rounds and requests (`plans.py`).

The report draws 10 samples a problem [2.1] and is silent about stopping earlier; the rule is ours. After each round the
samples so far say how pass rates are spread in each group of problems (a mixture over a grid of rates, fitted by
expectation maximisation). Under that prior, stopping with `right` of `n` has a known probability of another decision,
or another bucket, than all `total` samples would give, and going on costs a sample: backwards induction (Bellman) finds
the cheaper in every state. The price of an error is the lowest at which the whole plan, from the first sample on, is
expected to err in at most `decision_risk` and `bucket_risk` of the problems. Where nothing can change any more (one
wrong answer, and a problem is not always right) a problem stops at once.

All of it is a function of the samples drawn so far, so a killed run stops where an undisturbed one does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRID = np.linspace(0.0, 1.0, 101)  # rates of a prior; 0 and 1 are rates of their own: many problems never vary
EM_STEPS = 100
SPREAD = 5.0  # problems' worth of a flat prior, and of all groups' in each group's: a small corpus stays careful
PRICE_STEPS = 24  # of the bisection
HIGHEST_PRICE = 1000.0  # in samples

Rates = NDArray[np.float64]
State = tuple[int, int]  # samples with a verdict, right ones among them
Tally = Mapping[State, int]  # how many problems are in a state


@dataclass(frozen=True)
class StoppingRule:
    """`decisions[n][c]` and `buckets[n][c]` name what `c` right of `n` samples lead to, for n = 0 ... `total`.

    `first` samples are drawn of every problem, then one a round. The risks are shares of the problems, in expectation.
    Raises ValueError for tables of another shape.
    """

    total: int
    first: int
    decision_risk: float
    bucket_risk: float
    decisions: tuple[tuple[str, ...], ...]
    buckets: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        for names in (self.decisions, self.buckets):
            if [len(row) for row in names] != list(range(1, self.total + 2)):
                raise ValueError(f"decisions and buckets need n + 1 names for each n up to {self.total}")

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> StoppingRule:
        """The rule of `as_spec()`, which went through JSON."""
        named = {name: tuple(tuple(row) for row in values[name]) for name in ("decisions", "buckets")}
        return cls(**(dict(values) | named))

    def as_spec(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def bounds(self) -> tuple[int, ...]:
        """How many samples a problem that goes on has after each round."""
        return tuple(range(min(self.first, self.total), self.total + 1))

    def stops(self, tallies: Mapping[str, Tally]) -> set[tuple[str, State]]:
        """Where a problem needs no more: (group, state). `tallies` counts the problems of each group by state."""
        priors = fit_priors(tallies)
        sizes = {group: sum(tally.values()) for group, tally in tallies.items()}
        sheets = {group: _Sheet(self, prior) for group, prior in priors.items()}
        low, high = 0.0, HIGHEST_PRICE
        for _ in range(PRICE_STEPS):
            price = (low + high) / 2
            wrong = sum(sizes[group] * sheet.errors(price) for group, sheet in sheets.items())
            within = wrong <= sum(sizes.values()) * np.array([self.decision_risk, self.bucket_risk])
            low, high = (low, price) if within.all() else (price, high)
        return {
            (group, state) for group, sheet in sheets.items() for state, stops in sheet.policy(high).items() if stops
        }


class _Sheet:
    """What a prior says of every state: the chance that the next sample is right, and that a name will turn."""

    def __init__(self, rule: StoppingRule, prior: Rates) -> None:
        self._rule = rule
        states = [(n, right) for n in range(rule.total + 1) for right in range(n + 1)]
        self._rises: dict[State, float] = {}
        self._turns: dict[State, Rates] = {}
        for n, right in states:
            posterior = prior * likelihood(n, right)
            posterior = posterior / posterior.sum()
            more = rule.total - n
            ends = np.array([float((posterior * chance(more, k)).sum()) for k in range(more + 1)])
            self._rises[n, right] = float((posterior * GRID).sum())
            self._turns[n, right] = np.array(
                [
                    sum(p for k, p in enumerate(ends) if names[rule.total][right + k] != names[n][right])
                    for names in (rule.decisions, rule.buckets)
                ]
            )

    @cached_property
    def _loss(self) -> dict[State, float]:
        risks = np.array([self._rule.decision_risk, self._rule.bucket_risk])
        return {state: float((turns / risks).sum()) for state, turns in self._turns.items()}

    def policy(self, price: float) -> dict[State, bool]:
        """Whether to stop, for every state, where an error costs `price` samples in the measure of its risk."""
        found: dict[State, bool] = {}
        later: list[float] = []
        for n in range(self._rule.total, -1, -1):
            costs = []
            for right in range(n + 1):
                stop, go_on = price * self._loss[n, right], math.inf
                if n < self._rule.total:
                    rises = self._rises[n, right]
                    go_on = 1 + rises * later[right + 1] + (1 - rises) * later[right]
                found[n, right] = n >= self._rule.bounds[0] and stop <= go_on
                costs.append(stop if found[n, right] else go_on)
            later = costs
        return found

    def errors(self, price: float) -> Rates:
        """[2]: the expected share of problems with another decision and with another bucket under the policy."""
        policy = self.policy(price)
        reached, wrong = {(0, 0): 1.0}, np.zeros(2)
        for state, stops in sorted(policy.items()):
            share = reached.get(state, 0.0)
            if stops:
                wrong += share * self._turns[state]
                continue
            n, right = state
            rises = self._rises[state]
            for after, part in ((right + 1, rises), (right, 1 - rises)):
                reached[n + 1, after] = reached.get((n + 1, after), 0.0) + share * part
        return wrong


def likelihood(n: int, right: int) -> Rates:
    """The probability of `right` of `n` samples in one order, for each rate of the grid."""
    return np.asarray(GRID**right * (1 - GRID) ** (n - right))


def chance(n: int, right: int) -> Rates:
    """The probability of `right` of `n` samples in any order, for each rate of the grid."""
    return math.comb(n, right) * likelihood(n, right)


def fit_priors(tallies: Mapping[str, Tally]) -> dict[str, Rates]:
    """How pass rates are spread in each group. Each group leans on all of them, and they on a flat spread, by `SPREAD`."""
    pooled: dict[State, int] = {}
    for tally in tallies.values():
        for state, problems in tally.items():
            pooled[state] = pooled.get(state, 0) + problems
    everywhere = fit_prior(pooled, np.full(len(GRID), 1 / len(GRID)))
    return {group: fit_prior(tally, everywhere) for group, tally in tallies.items()}


def fit_prior(tally: Tally, leaning: Sequence[float] | Rates) -> Rates:
    """The spread of rates over the grid by expectation maximisation, starting from `leaning`.

    Problems that stopped early count with the samples they have: a rule that looks at nothing but samples leaves their
    likelihood as it is.
    """
    base = np.asarray(leaning, dtype=np.float64)
    states = sorted(state for state, problems in tally.items() if problems and state[0])
    if not states:
        return base
    weights = np.array([tally[state] for state in states], dtype=np.float64)
    shapes = np.stack([likelihood(*state) for state in states])
    prior = base
    for _ in range(EM_STEPS):
        joint = shapes * prior
        share = joint / joint.sum(axis=1, keepdims=True)
        prior = (weights @ share + SPREAD * base) / (weights.sum() + SPREAD)
    return np.asarray(prior)
