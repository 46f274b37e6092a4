"""Tasks of the package reasoning-gym as a source: `size` rows of each task, made by seed.

Belongs here: their rows. Does not belong here: scoring them (`rewards/reasoning_gym.py`), which `labels` are for.
"""

from __future__ import annotations

from collections.abc import Iterator

from kimi_pipeline.corpora.formats import RawRow
from kimi_pipeline.corpora.sources import Source
from kimi_pipeline.rewards.reasoning_gym import INDEX, SEED, SIZE, TASK, task_dataset


def read(source: Source) -> Iterator[RawRow]:
    """The rows, task after task. Raises UserError as `task_dataset` does, before the first row."""
    made = [(task, task_dataset(task, source.seed, source.size)) for task in source.tasks]
    number = 0
    for task, dataset in made:
        for index in range(source.size):
            entry = dataset[index]
            number += 1
            found = {"question": entry["question"], "answer": entry["answer"]}
            yield RawRow(str(number), found | {TASK: task, SEED: source.seed, SIZE: source.size, INDEX: index})
