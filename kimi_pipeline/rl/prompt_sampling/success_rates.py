"""What is known of each problem's success rate s_i [2.3.4], from the difficulty asset and from the run itself.

Belongs here: counting, forgetting, the estimate. Does not belong here: what a rate is used for (`prioritized.py`), where
it is written to.

The report only says that s_i is tracked. Here the first pass rate is evidence like any other: it counts as
`prior_strength` samples, and each new observation of a problem leaves a share `kept` of all that was known before, since
it speaks of an older policy. With k samples an observation the evidence converges to k / (1 - kept) samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kimi_pipeline.errors import UserError
from kimi_pipeline.rl.prompt_sampling.prompts import UNKNOWN_RATE, Prompt


@dataclass(frozen=True, slots=True)
class SuccessRate:
    """`rate` is the estimate; `correct` of `total` responses is what this run has seen, nothing forgotten."""

    problem_id: str
    rate: float
    correct: int
    total: int


class SuccessRates:
    """The evidence on each prompt, in the order of `prompts`."""

    def __init__(self, prompts: Sequence[Prompt], prior_strength: float, kept: float) -> None:
        self._names = [prompt.problem_id for prompt in prompts]
        self._places = {name: place for place, name in enumerate(self._names)}
        self._kept = kept
        self._correct = np.array([_prior(prompt, prior_strength) for prompt in prompts], dtype=np.float64)
        self._total = np.full(len(prompts), prior_strength, dtype=np.float64)
        self._failures = np.array([_failures(prompt) for prompt in prompts], dtype=np.int64)
        self._seen = np.zeros((len(prompts), 2), dtype=np.int64)

    def observe(self, problem_id: str, correct: int, total: int) -> None:
        """`total` responses with a verdict, of which `correct` are right, before any shaping. None at all says nothing.

        Raises ValueError for counts that can't be, and for a problem that is not in the set.
        """
        if not 0 <= correct <= total:
            raise ValueError(f"problem {problem_id}: {correct} of {total} responses can't be right")
        if problem_id not in self._places:
            raise ValueError(f"problem {problem_id} is not in the prompt set")
        if not total:
            return
        place = self._places[problem_id]
        self._correct[place] = self._kept * self._correct[place] + correct
        self._total[place] = self._kept * self._total[place] + total
        self._failures[place] = 0 if correct else self._failures[place] + total
        self._seen[place] += (correct, total)

    @property
    def rates(self) -> npt.NDArray[np.float64]:
        """[prompts]: the estimates s_i, 0 to 1; `UNKNOWN_RATE` where there is no evidence at all."""
        return np.divide(self._correct, self._total, out=np.full(len(self._names), UNKNOWN_RATE), where=self._total > 0)

    @property
    def failures(self) -> npt.NDArray[np.int64]:
        """[prompts]: responses since the last right one, those of the difficulty asset included."""
        return self._failures

    def seen(self) -> list[SuccessRate]:
        """The problems that this run has observed."""
        rates = self.rates
        return [
            SuccessRate(self._names[place], float(rates[place]), int(self._seen[place, 0]), int(self._seen[place, 1]))
            for place in np.flatnonzero(self._seen[:, 1])
        ]

    def state(self) -> dict[str, Any]:
        """JSON: what is known of the observed problems; of the others it follows from the prompts."""
        return {
            self._names[place]: [
                float(self._correct[place]),
                float(self._total[place]),
                int(self._failures[place]),
                *map(int, self._seen[place]),
            ]
            for place in np.flatnonzero(self._seen[:, 1])
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a state, onto rates that have observed nothing. Raises UserError where it speaks of other prompts."""
        if unknown := sorted(state.keys() - self._places.keys()):
            raise UserError(
                f"the saved success rates speak of problem {unknown[0]}, which the prompt set does not hold: go on with "
                "the version of the set that the run began with"
            )
        for name, (correct, total, failures, *seen) in state.items():
            place = self._places[name]
            self._correct[place], self._total[place], self._failures[place] = correct, total, failures
            self._seen[place] = seen


def _prior(prompt: Prompt, strength: float) -> float:
    """The right ones among `strength` prior samples. A pass rate of fewer samples than that counts as those alone; the
    rest are samples at `UNKNOWN_RATE`."""
    known = strength if prompt.samples is None else min(strength, prompt.samples)
    return known * prompt.first_rate + (strength - known) * UNKNOWN_RATE


def _failures(prompt: Prompt) -> int:
    return prompt.samples if prompt.samples and prompt.pass_rate == 0 else 0
