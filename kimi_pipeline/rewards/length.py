"""The length reward of the report [2.3.3]: within the k responses to one problem the shorter ones get more.

Belongs here: the formula and its place among the shapings. Does not belong here: its warm-up (`composite.py`).

Over the group's lengths, in tokens of the whole response (thoughts and answer),

    lambda_i = 0.5 - (len_i - min_len) / (max_len - min_len);  right: lambda_i;  not right: min(0, lambda_i);

and 0 for all where max_len = min_len. It lies in [-0.5, 0.5]: a long wrong answer loses, a short one gains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from kimi_pipeline.rewards.contract import Breakdown, Response, Status

VERSION = "length@1"


def length_rewards(lengths: Sequence[int], correct: Sequence[bool]) -> list[float]:
    """[k]: the length reward of each response, unweighted. `lengths` [k] in tokens, `correct` [k]."""
    if not lengths:
        return []
    shortest, longest = min(lengths), max(lengths)
    if shortest == longest:
        return [0.0] * len(lengths)
    found = [0.5 - (length - shortest) / (longest - shortest) for length in lengths]
    return [value if right else min(0.0, value) for value, right in zip(found, correct, strict=True)]


class LengthShaping:
    """The length reward times a weight, as a part named `length`. Below a weight of 2 any right response is still worth
    more than any wrong one."""

    name = "length"

    def __init__(self, weight: float) -> None:
        self._weight = weight
        self.version = f"{VERSION}(weight={weight:g})"

    def score(self, group: Sequence[Response], verdicts: Sequence[Breakdown]) -> list[float]:
        correct = [verdict.status is Status.CORRECT for verdict in verdicts]
        return [self._weight * value for value in length_rewards([one.tokens for one in group], correct)]
