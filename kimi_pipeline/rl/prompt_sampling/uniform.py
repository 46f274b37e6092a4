"""Uniform sampling over a prompt set, epoch by epoch, by seed.

Belongs here: epochs and the queue of what is to come. Does not belong here: success rates.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from kimi_pipeline.rl.prompt_sampling.prompts import Prompt

EPOCHS_A_DRAW = 20  # what so many epochs in a row leave out has next to no weight


class UniformSampler:
    """Epochs in random order, without replacement; a prompt's weight says how often an epoch holds it.

    An epoch has about as many entries as there are prompts; one of weight w is in it w / mean(w) times, rounded up or
    down so that the expectation is exact (systematic sampling). With equal weights that is once each.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, prompts: Sequence[Prompt], seed: int) -> None:
        self._prompts = {prompt.problem_id: prompt for prompt in prompts if prompt.weight > 0}
        self._mean = sum(prompt.weight for prompt in self._prompts.values()) / max(1, len(self._prompts))
        self._seed = seed
        self._epoch = 0
        self._queue: list[str] = []

    def draw(self, count: int, busy: Collection[str] = ()) -> list[Prompt]:
        """The next `count` distinct prompts that are not `busy`, or all of those where they are fewer.

        A prompt that comes up twice for one iteration waits for the next: it would repeat its own draws.
        """
        taken = set(busy)
        count = min(count, len(self._prompts) - len(taken & self._prompts.keys()))
        chosen: dict[str, None] = {}
        waiting, epochs = _take(self._queue, taken, chosen, count), 0
        while len(chosen) < count and epochs < EPOCHS_A_DRAW:
            waiting = _take(waiting + self._next_epoch(), taken, chosen, count)
            epochs += 1
        if len(chosen) < count:  # almost all prompts are wanted, and some have next to no weight
            left = self._prompts.keys() - taken - chosen.keys()
            heaviest = sorted(left, key=lambda name: (-self._prompts[name].weight, name))
            chosen |= dict.fromkeys(heaviest[: count - len(chosen)])
        self._queue = self._bounded(waiting) if epochs else waiting
        return [self._prompts[name] for name in chosen]

    def state(self) -> dict[str, Any]:
        return {"epoch": self._epoch, "queue": list(self._queue)}

    def restore(self, state: dict[str, Any]) -> None:
        self._epoch, self._queue = int(state["epoch"]), list(state["queue"])

    def _bounded(self, waiting: list[str]) -> list[str]:
        """No prompt waits more often than two epochs can hold it: one that is wanted more than once a draw never catches
        up, and the queue would grow for ever."""
        seen: Counter[str] = Counter()
        kept = []
        for name in waiting:
            seen[name] += 1
            if seen[name] <= 2 * math.ceil(self._prompts[name].weight / self._mean):
                kept.append(name)
        return kept

    def _next_epoch(self) -> list[str]:
        rng = np.random.default_rng([self._seed, self._epoch])
        self._epoch += 1
        names = np.array(list(self._prompts))[rng.permutation(len(self._prompts))]
        weights = np.array([self._prompts[name].weight for name in names])
        edges = np.concatenate([[0.0], np.cumsum(weights / weights.mean())])
        edges[-1] = len(names)  # the sum in floating point may fall short of it
        times = np.diff(np.ceil(edges - rng.random()))
        return [str(name) for name in rng.permutation(np.repeat(names, times.astype(int)))]


def _take(queue: list[str], taken: set[str], chosen: dict[str, None], count: int) -> list[str]:
    """Move names from the queue's head into `chosen` until it holds `count`; returns those that go on waiting."""
    waiting: list[str] = []
    for place, name in enumerate(queue):
        if len(chosen) == count:
            return waiting + queue[place:]
        if name in chosen or name in taken:
            waiting.append(name)
        else:
            chosen[name] = None
    return waiting
