"""Prioritized sampling [2.3.4]: problems in proportion to 1 - s_i, by their success rates s_i.

Belongs here: priorities, and a draw of distinct prompts in proportion to them. Does not belong here: the rates
(`success_rates.py`).

The report says no more than 1 - s_i. Two things are ours:
- A floor. A problem that the policy solves keeps a little weight: it returns, and is noticed where it is unlearned.
- Patience. 1 - s_i is highest where nothing ever succeeds, and once the rest is solved such problems would take over all
  iterations and teach nothing: a group without a right answer has no gradient. So after m tries in a row without success
  the priority is multiplied by min(1, patience / m). It falls as one over the tries, as the chance of success does that
  the rule of succession leaves after m failures. The first success restores it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kimi_pipeline.rl.prompt_sampling.prompts import Prompt
from kimi_pipeline.rl.prompt_sampling.success_rates import SuccessRates

CERTAIN = 1 - 1e-9  # a share beyond it is 1: rounding must not draw a prompt twice

Floats = npt.NDArray[np.float64]


def priorities(rates: Floats, failures: npt.NDArray[np.int64], floor: float, patience: int) -> Floats:
    """[n]: (1 - s_i), less where patience is at its end, but never below `floor`."""
    damping = np.minimum(1.0, patience / np.maximum(1, failures))
    return np.maximum(floor, (1.0 - rates) * damping)


def shares(weights: Floats, count: int) -> Floats:
    """[n]: the chance of each to be among `count` distinct ones, in proportion to `weights` (all above 0).

    A chance is at most 1: what is beyond goes to the others, in proportion. The sum is `count`, or n where n is less.
    """
    if count >= len(weights):
        return np.ones(len(weights))
    certain = np.zeros(len(weights), dtype=bool)
    while True:
        left = count - int(certain.sum())
        found = np.where(certain, 1.0, left * weights / weights[~certain].sum())
        beyond = ~certain & (found > CERTAIN)
        if not beyond.any():
            return found
        certain |= beyond


def distinct(chances: Floats, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Places of distinct entries, each with exactly its chance (sum: a whole number, their count), in random order.

    Systematic sampling: the chances are laid end to end in random order, and points one apart picked from a random start.
    """
    order = rng.permutation(len(chances))
    sure = order[chances[order] > CERTAIN]
    rest = order[chances[order] <= CERTAIN]
    wanted = round(float(chances[rest].sum()))
    edges = np.cumsum(chances[rest])[:-1]
    picked = rest[np.searchsorted(edges, rng.random() + np.arange(wanted), side="right")]
    return rng.permutation(np.concatenate([sure, picked]))


class PrioritizedSampler:
    """Draws in proportion to priority times the prompt's weight in the set; `rates` are those of `prompts`, in order."""

    notes: tuple[str, ...] = ()

    def __init__(
        self, prompts: Sequence[Prompt], seed: int, rates: SuccessRates, *, floor: float, patience: int
    ) -> None:
        self._prompts = list(prompts)
        self._weights = np.array([prompt.weight for prompt in prompts], dtype=np.float64)
        self._seed, self._rates, self._floor, self._patience = seed, rates, floor, patience
        self._draws = 0

    def draw(self, count: int, busy: Collection[str] = ()) -> list[Prompt]:
        """`count` distinct prompts that are not `busy`, or all of those where they are fewer."""
        rng = np.random.default_rng([self._seed, self._draws])
        self._draws += 1
        taken = np.array([prompt.problem_id in busy for prompt in self._prompts]) if busy else False
        free = np.flatnonzero((self._weights > 0) & ~np.asarray(taken))
        weights = self._weights * priorities(self._rates.rates, self._rates.failures, self._floor, self._patience)
        return [self._prompts[free[place]] for place in distinct(shares(weights[free], count), rng)]

    def state(self) -> dict[str, Any]:
        return {"draws": self._draws}

    def restore(self, state: dict[str, Any]) -> None:
        self._draws = int(state["draws"])
