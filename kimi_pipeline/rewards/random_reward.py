"""The control of an RL run: the same run with a reward that knows nothing.

Belongs here: a coin flip in the place of another reward. Does not belong here: choosing it (`composite.py`).

Whatever a policy gains under this reward (format, length, luck of the evaluation) is not learned from verdicts; a gain
counts where it is beyond this control's. The verdict of the base reward stays: pass rates are true, and prompt sampling
sees the same kind of evidence in both runs. The reward alone is replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kimi_pipeline.digests import digest
from kimi_pipeline.rewards.contract import Breakdown, Reference, Response, Reward

VERSION = "random@1"
PART = "coin"


class RandomReward:
    """A `Reward`: `base`'s verdicts, with 0 or 1 by a fair coin wherever there is one.

    The coin depends on the seed, the iteration, the problem and the response's place in its group, never on the response:
    a group that is scored again after a kill gets the same flips, and no text is favoured over iterations.
    """

    def __init__(self, base: Reward, seed: int, iteration: int) -> None:
        self._base = base
        self._seed = seed
        self._iteration = iteration
        self.version = f"{VERSION}({base.version})"

    def score(self, reference: Reference, group: Sequence[Response]) -> list[Breakdown]:
        """[k]: the base reward's breakdowns with a coin's reward; one that is excluded stays excluded."""
        return [
            verdict
            if verdict.reward is None
            else replace(verdict, reward=coin, parts={PART: coin}, rule_version=self.version)
            for verdict, coin in (
                (verdict, self._coin(reference.problem_id, place))
                for place, verdict in enumerate(self._base.score(reference, group))
            )
        ]

    def _coin(self, problem_id: str, place: int) -> float:
        return float(int(digest([self._seed, self._iteration, problem_id, place])[-1], 16) % 2)
