"""Which problems an iteration trains on: uniform over the prompt set, epoch by epoch, by seed.

Belongs here: the prompts of a set, strategies that choose among them, their state. Does not belong here: the set itself
(`curation/`), responses (`rollout.py`). Curriculum and prioritized sampling [2.3.4] have the same interface.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow.parquet as pq

from kimi_pipeline.errors import UserError
from kimi_pipeline.rewards.contract import Reference

COLUMNS = ("problem_id", "prompt", "answer", "answer_kind")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A problem of the prompt set. `weight` is its relative frequency: 2 comes twice as often as 1, 0 never."""

    prompt: str
    reference: Reference
    weight: float = 1.0

    @property
    def problem_id(self) -> str:
        return self.reference.problem_id


def read_prompts(path: Path) -> list[Prompt]:
    """The prompts of a parquet file with the columns `COLUMNS` and, where it likes, `weight` (empty: 1), sorted by id.

    Raises UserError for a missing file or column, no prompts, a problem twice, or a weight that is no weight.
    """
    if not path.is_file():
        raise UserError(f"prompts file {path} does not exist: materialise the prompt set first")
    names = pq.read_schema(path).names
    if missing := [name for name in COLUMNS if name not in names]:
        raise UserError(f"prompts file {path} has no column {missing[0]!r}: it needs {', '.join(COLUMNS)}")
    has_weight = "weight" in names
    rows = pq.read_table(path, columns=[*COLUMNS, *(["weight"] if has_weight else [])]).to_pylist()
    prompts = []
    for row in sorted(rows, key=lambda row: row["problem_id"]):
        weight = row.get("weight")
        weight = 1.0 if weight is None else float(weight)
        if not (math.isfinite(weight) and weight >= 0):
            raise UserError(f"prompts file {path}: problem {row['problem_id']} has weight {weight}: give a number >= 0")
        prompts.append(Prompt(row["prompt"], Reference(row["problem_id"], row["answer"], row["answer_kind"]), weight))
    if not any(prompt.weight for prompt in prompts):
        raise UserError(f"prompts file {path} holds no prompt with a weight above 0: loosen the set's thresholds")
    identity, times = Counter(prompt.problem_id for prompt in prompts).most_common(1)[0]
    if times > 1:
        raise UserError(f"prompts file {path} holds problem {identity} {times} times: write each problem once")
    return prompts


class PromptSampler(Protocol):
    """Chooses the problems of an iteration: distinct ones, the same on every rank. `state` is JSON."""

    def draw(self, count: int) -> list[Prompt]: ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any]) -> None: ...


class UniformSampler:
    """Epochs in random order, without replacement; a prompt's weight says how often an epoch holds it.

    An epoch has about as many entries as there are prompts; one of weight w is in it w / mean(w) times, rounded up or
    down so that the expectation is exact (systematic sampling). With equal weights that is once each.
    """

    def __init__(self, prompts: Sequence[Prompt], seed: int) -> None:
        self._prompts = {prompt.problem_id: prompt for prompt in prompts if prompt.weight > 0}
        self._seed = seed
        self._epoch = 0
        self._queue: list[str] = []

    def draw(self, count: int) -> list[Prompt]:
        """The next `count` distinct prompts, or all of them where the set is smaller.

        A prompt that comes up twice for one iteration waits for the next: it would repeat its own draws.
        """
        chosen: dict[str, Prompt] = {}
        count = min(count, len(self._prompts))
        while len(chosen) < count:
            waiting: list[str] = []
            for place, name in enumerate(self._queue):
                if len(chosen) == count:
                    waiting += self._queue[place:]
                    break
                if name in chosen:
                    waiting.append(name)
                else:
                    chosen[name] = self._prompts[name]
            self._queue = waiting
            if len(chosen) < count:
                self._queue += self._next_epoch()
        return list(chosen.values())

    def state(self) -> dict[str, Any]:
        return {"epoch": self._epoch, "queue": list(self._queue)}

    def restore(self, state: dict[str, Any]) -> None:
        self._epoch, self._queue = int(state["epoch"]), list(state["queue"])

    def _next_epoch(self) -> list[str]:
        rng = np.random.default_rng([self._seed, self._epoch])
        self._epoch += 1
        names = np.array(list(self._prompts))[rng.permutation(len(self._prompts))]
        weights = np.array([self._prompts[name].weight for name in names])
        edges = np.concatenate([[0.0], np.cumsum(weights / weights.mean())])
        edges[-1] = len(names)  # the sum in floating point may fall short of it
        times = np.diff(np.ceil(edges - rng.random()))
        return [str(name) for name in rng.permutation(np.repeat(names, times.astype(int)))]
