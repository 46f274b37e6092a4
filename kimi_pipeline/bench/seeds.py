"""Statistics over seeds: means with intervals, and differences that are paired.

Belongs here: formulas on numbers. Does not belong here: which numbers, sentences about them.

A seed is one run of everything (base, SFT, RL), so it is what an interval is over: Student's t on as many values as there
are seeds, 95 %. With three of them the half-width is 2.5 standard deviations: wide, and that is what three seeds can say.
Within a seed two policies answer the same problems, so their difference is taken problem by problem.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kimi_pipeline.intervals import wilson

LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """A mean over seeds with its standard deviation and interval; both are None for a single seed."""

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    runs: tuple[float, ...]

    def as_dict(self, digits: int = 4) -> dict[str, Any]:
        def cut(value: float | None) -> float | None:
            return None if value is None else round(value, digits)

        return {
            "mean": cut(self.mean),
            "sd": cut(self.sd),
            "interval": None if self.low is None else [cut(self.low), cut(self.high)],
            "runs": [cut(value) for value in self.runs],
        }


def t_half_width(sd: float, n: int) -> float:
    """Half the width of the interval of a mean of `n` >= 2 values with standard deviation `sd`."""
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, n - 1)) * sd / math.sqrt(n)


def spread(values: Sequence[float]) -> Spread:
    """Of one value a seed. Raises ValueError where there is none."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Spread(mean, None, None, None, tuple(values))
    sd = statistics.stdev(values)
    half = t_half_width(sd, len(values))
    return Spread(mean, sd, mean - half, mean + half, tuple(values))


def band(runs: Sequence[Sequence[float]]) -> list[tuple[float, float, float]]:
    """[iterations] of (mean, low, high) over seeds; as long as the shortest run.

    Runs without a value (NaN) at an iteration are left out there; all are NaN where no run has one. A single value has no
    interval: low = mean = high.
    """
    found = []
    for values in zip(*runs, strict=False):
        known = [value for value in values if not math.isnan(value)]
        one = spread(known or [math.nan])
        found.append(
            (one.mean, one.mean, one.mean) if one.low is None or one.high is None else (one.mean, one.low, one.high)
        )
    return found


@dataclass(frozen=True)
class OverProblems:
    """A mean over `n` problems with its 95 % interval: it speaks of the policies that answered, not of other seeds."""

    mean: float
    low: float
    high: float
    n: int


def over_problems(values: Sequence[float | None]) -> OverProblems:
    """Of a value a problem; problems without one are left out. Raises ValueError for fewer than two."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        raise ValueError(f"{len(known)} problems have a value: an interval needs two")
    mean = statistics.fmean(known)
    half = t_half_width(statistics.stdev(known), len(known))
    return OverProblems(mean, mean - half, mean + half, len(known))


def share_over_problems(values: Sequence[float | None]) -> OverProblems:
    """Of a share a problem, as `over_problems`; the interval stays in [0, 1]. With one answer a problem it is Wilson's, which
    holds near 0 and 1 as well: none right of 90 is no proof of 0."""
    found = over_problems(values)
    known = [value for value in values if value is not None]
    if all(value in (0.0, 1.0) for value in known):
        low, high = wilson(round(sum(known)), len(known))
    else:
        low, high = max(0.0, found.low), min(1.0, found.high)
    return OverProblems(found.mean, low, high, found.n)


def paired(ours: Sequence[float | None], theirs: Sequence[float | None]) -> OverProblems:
    """Of the differences between two policies on problems in one order; a problem that one side has no value for is left
    out. Raises ValueError where the orders can't be the same."""
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} problems on one side and {len(theirs)} on the other")
    return over_problems([None if a is None or b is None else a - b for a, b in zip(ours, theirs, strict=True)])


Outcome = Literal["holds", "the opposite", "not shown"]


def outcome(difference: Spread, expected: Literal["up", "down"]) -> Outcome:
    """What the interval over seeds says of a claim that the difference is above (below) 0. One seed shows nothing."""
    if difference.low is None or difference.high is None:
        return "not shown"
    low, high = (difference.low, difference.high) if expected == "up" else (-difference.high, -difference.low)
    return "holds" if low > 0 else "the opposite" if high < 0 else "not shown"
