"""The penalty on responses that were stopped for repeating themselves [2.6.2: "may incur additional penalties"].

Belongs here: the penalty. Does not belong here: finding repetition (the sampler does, and stops early).

The report gives no figure: the penalty is the same for each such response, whatever its length.
"""

from __future__ import annotations

from collections.abc import Sequence

from kimi_pipeline.rewards.contract import Breakdown, Response

VERSION = "repetition@1"


class RepetitionShaping:
    """Minus `penalty` for each response that repeats, as a part named `repetition`."""

    name = "repetition"

    def __init__(self, penalty: float) -> None:
        self._penalty = penalty
        self.version = f"{VERSION}(penalty={penalty:g})"

    def score(self, group: Sequence[Response], verdicts: Sequence[Breakdown]) -> list[float]:
        return [-self._penalty if response.repeats else 0.0 for response in group]
