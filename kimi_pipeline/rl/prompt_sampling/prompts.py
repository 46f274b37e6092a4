"""The prompts of a set, as RL reads them.

Belongs here: the type and its file. Does not belong here: the set itself (`curation/`), choosing among prompts.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from kimi_pipeline.errors import UserError
from kimi_pipeline.rewards.contract import Reference

COLUMNS = ("problem_id", "prompt", "answer", "answer_kind")
OPTIONAL = ("weight", "pass_rate", "samples")
UNKNOWN_RATE = 0.5  # the pass rate of a problem that none was measured of


@dataclass(frozen=True, slots=True)
class Prompt:
    """A problem of the prompt set. `weight` is its relative frequency: 2 comes twice as often as 1, 0 never.

    `pass_rate` is its difficulty [2.1], measured with `samples` answers of the policy that RL starts from; None: not known.
    """

    prompt: str
    reference: Reference
    weight: float = 1.0
    pass_rate: float | None = None
    samples: int | None = None

    @property
    def problem_id(self) -> str:
        return self.reference.problem_id

    @property
    def first_rate(self) -> float:
        """The pass rate, or `UNKNOWN_RATE`."""
        return UNKNOWN_RATE if self.pass_rate is None else self.pass_rate


def read_prompts(path: Path) -> list[Prompt]:
    """The prompts of a parquet file with the columns `COLUMNS` and, where it likes, `OPTIONAL`, sorted by id.

    An empty weight is 1, an empty pass rate or number of samples is not known. Raises UserError for a missing file or
    column, no prompts, a problem twice, or a value out of its range.
    """
    if not path.is_file():
        raise UserError(f"prompts file {path} does not exist: materialise the prompt set first")
    names = pq.read_schema(path).names
    if missing := [name for name in COLUMNS if name not in names]:
        raise UserError(f"prompts file {path} has no column {missing[0]!r}: it needs {', '.join(COLUMNS)}")
    rows = pq.read_table(path, columns=[*COLUMNS, *(name for name in OPTIONAL if name in names)]).to_pylist()
    prompts = [_prompt(path, row) for row in sorted(rows, key=lambda row: row["problem_id"])]
    if not any(prompt.weight for prompt in prompts):
        raise UserError(f"prompts file {path} holds no prompt with a weight above 0: loosen the set's thresholds")
    identity, times = Counter(prompt.problem_id for prompt in prompts).most_common(1)[0]
    if times > 1:
        raise UserError(f"prompts file {path} holds problem {identity} {times} times: write each problem once")
    return prompts


def _prompt(path: Path, row: dict[str, Any]) -> Prompt:
    weight, rate, samples = (row.get(name) for name in OPTIONAL)
    weight = 1.0 if weight is None else float(weight)
    where = f"prompts file {path}: problem {row['problem_id']} has"
    if not (math.isfinite(weight) and weight >= 0):
        raise UserError(f"{where} weight {weight}: give a number >= 0")
    if rate is not None and not 0 <= rate <= 1:
        raise UserError(f"{where} pass_rate {rate}: give a number from 0 to 1, or leave it empty")
    if samples is not None and samples < 0:
        raise UserError(f"{where} samples {samples}: give a number >= 0, or leave it empty")
    return Prompt(
        row["prompt"],
        Reference(row["problem_id"], row["answer"], row["answer_kind"]),
        weight,
        None if rate is None else float(rate),
        None if samples is None else int(samples),
    )
