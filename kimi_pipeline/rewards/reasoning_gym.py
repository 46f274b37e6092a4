"""Reward by reasoning-gym's own scorers: for problems whose answers only their task can check (a puzzle has many).

Belongs here: finding a problem's entry again, scoring a response with it. Does not belong here: reading the tasks as a
corpus (`corpora/gym.py`), problems of other sources.

How it joins: the judge of answer kind `scored` (`own_judges.py`). A `Reference` holds no task, so the reward is made from the
problems that are to be scored, with the labels that `corpora/gym.py` wrote; from them an entry is generated again (task, seed,
size and index decide it), so no metadata travels through the lake.

A scorer runs in this process, so only those are admitted that treat a response as text or data: some tasks of the package
hand it to `eval` or to sympy's parser, which evaluates it as Python.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from kimi_pipeline.errors import UserError
from kimi_pipeline.rewards.contract import Breakdown, Reference, Response, Status
from kimi_pipeline.rewards.extraction import extract_answer

TASK, SEED, SIZE, INDEX = "reasoning_gym_task", "reasoning_gym_seed", "reasoning_gym_size", "reasoning_gym_index"
"""Labels of a problem that say which entry it is."""

_RUNS_CODE = re.compile(r"\b(?:eval|exec)\(|\bparse_expr\b|\bsympify\b|\bpickle\b|\bsubprocess\b")


@lru_cache(maxsize=256)
def task_dataset(task: str, seed: int, size: int) -> Any:
    """The task's entries, generated as they are asked for.

    Raises UserError where the package is missing, the task unknown, or its scorer would run a response as code.
    """
    try:
        import reasoning_gym
        from reasoning_gym.dataset import ProceduralDataset
        from reasoning_gym.factory import DATASETS
    except ModuleNotFoundError:
        raise UserError("reasoning-gym is not installed: pip install 'kimi-pipeline[reasoning-gym]'") from None
    if task not in DATASETS:
        raise UserError(f"reasoning-gym has no task {task!r}: its tasks are {', '.join(sorted(DATASETS))}")
    made = DATASETS[task][0]
    own = made.score_answer is not ProceduralDataset.score_answer
    if own and _RUNS_CODE.search(inspect.getsource(sys.modules[made.__module__])):
        raise UserError(f"reasoning-gym's scorer of {task!r} runs a response as code: leave it out of tasks")
    return reasoning_gym.create_dataset(task, seed=seed, size=size)


class ReasoningGymReward:
    """r = 1 where the task's scorer gives full marks, else 0; `parts["score"]` keeps its partial marks."""

    def __init__(self, labels: Mapping[str, Mapping[str, str]]) -> None:
        self._labels = labels
        self.version = f"reasoning-gym@{version('reasoning-gym')}"

    def score(self, reference: Reference, group: Sequence[Response]) -> list[Breakdown]:
        """[k] breakdowns. Raises KeyError for a problem of another source."""
        labels = self._labels[reference.problem_id]
        dataset = task_dataset(labels[TASK], int(labels[SEED]), int(labels[SIZE]))
        entry = dataset[int(labels[INDEX])]
        return [self._score(dataset, entry, response) for response in group]

    def _score(self, dataset: Any, entry: dict[str, Any], response: Response) -> Breakdown:
        answer = extract_answer(response.text) if response.finished else None
        if answer is None:
            return Breakdown(Status.NO_ANSWER, 0.0, parts={"correct": 0.0}, rule_version=self.version)
        try:
            score = float(dataset.score_answer(answer, entry))
        except Exception as error:  # scorers parse what they are given and raise what they like
            reason = f"scorer: {type(error).__name__}"
            return Breakdown(Status.UNVERIFIABLE, 0.0, reason, answer, {"correct": 0.0}, self.version)
        right = score >= 1.0
        status = Status.CORRECT if right else Status.WRONG
        parts = {"correct": float(right), "score": score}
        return Breakdown(status, float(right), None, answer, parts, self.version)
