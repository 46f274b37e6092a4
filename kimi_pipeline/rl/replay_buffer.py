"""The replay buffer: groups that are not complete yet, and their durable form [2.6.2].

Belongs here: which groups are open, how many new ones may begin, segments as rows of a table and back. Does not belong
here: when it is written (`recovery.py`), sampling (`rollout.py`).

A row is a segment; an open trajectory has at least one after an iteration. The file is plain Parquet: DuckDB reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kimi_pipeline import tables
from kimi_pipeline.errors import UserError
from kimi_pipeline.rl.prompt_sampling import Prompt
from kimi_pipeline.rl.segments import Segment, SegmentStatus
from kimi_pipeline.rl.trajectories import Group, GroupKey, Trajectory

OF_THE_LAKE = ("policy", "run_id", "created_at")
SCHEMA = pa.schema(
    [field for field in tables.SEGMENTS.schema if field.name not in OF_THE_LAKE] + [pa.field("error", pa.string())]
)
"""A segment's row in the file. `error` is the buffer's alone: in the lake it is the reason of the response's sample."""


class ReplayBuffer:
    """Open groups in the order in which they began. `capacity`: trajectories that decode together."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._groups: dict[GroupKey, Group] = {}

    @property
    def groups(self) -> list[Group]:
        return [self._groups[key] for key in sorted(self._groups)]

    @property
    def open_trajectories(self) -> int:
        return sum(one.is_open for group in self._groups.values() for one in group.trajectories)

    def room(self, samples: int) -> int:
        """How many groups of `samples` trajectories may begin beside those that go on."""
        return max(0, self.capacity - self.open_trajectories) // samples

    def replace(self, groups: Iterable[Group]) -> None:
        """Keep these groups alone. Raises ValueError for one that is complete: it has left the buffer."""
        self._groups = {group.key: group for group in groups}
        if complete := [group.key for group in self._groups.values() if group.is_complete]:
            raise ValueError(f"replay buffer: group {complete[0]} is complete and not to be continued")

    def to_table(self) -> pa.Table:
        return pa.Table.from_pylist([row for group in self.groups for row in segment_rows(group)], SCHEMA)

    def restore(self, table: pa.Table, prompts: Mapping[str, Prompt], samples: int) -> None:
        """Take what `to_table` wrote. `prompts` by problem id, `samples` the k of a group.

        Raises UserError where a problem is not in the prompt set any more, or a trajectory is missing.
        """
        found: dict[GroupKey, list[dict[str, Any]]] = {}
        for row in table.to_pylist():
            found.setdefault(GroupKey(row["began"], row["place"]), []).append(row)
        self.replace(_group(key, rows, prompts, samples) for key, rows in found.items())


def segment_rows(group: Group, iteration: int | None = None) -> list[dict[str, Any]]:
    """The rows of a group's segments; of those sampled in `iteration` alone where one is given."""
    return [
        {
            "began": group.key.began,
            "place": group.key.place,
            "problem_id": segment.problem_id,
            "sample_index": segment.sample_index,
            "segment_index": segment.segment_index,
            "iteration": segment.iteration,
            "weight_version": segment.weight_version,
            "status": segment.status.value,
            "prompt_ids": trajectory.prompt_ids.tolist() if segment.segment_index == 0 else None,
            "response_ids": segment.response_ids.tolist(),
            "behaviour_log_probs": segment.behaviour_log_probs.tolist(),
            "reference_log_probs": None if (own := segment.reference_log_probs) is None else own.tolist(),
            "error": segment.error,
        }
        for trajectory in group.trajectories
        for segment in trajectory.segments
        if iteration is None or segment.iteration == iteration
    ]


def _group(key: GroupKey, rows: Sequence[dict[str, Any]], prompts: Mapping[str, Prompt], samples: int) -> Group:
    name = rows[0]["problem_id"]
    if name not in prompts:
        raise UserError(f"replay buffer: problem {name} is not in the prompt set any more: start the run anew")
    own: dict[int, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (row["sample_index"], row["segment_index"])):
        own.setdefault(row["sample_index"], []).append(row)
    if sorted(own) != list(range(samples)):
        raise UserError(f"replay buffer: group {key} has responses {sorted(own)}, rl.samples is {samples}")
    return Group(key, prompts[name], tuple(_trajectory(own[index]) for index in range(samples)))


def _trajectory(rows: Sequence[dict[str, Any]]) -> Trajectory:
    prompt_ids = np.array(rows[0]["prompt_ids"], dtype=np.int64)
    trajectory = Trajectory(rows[0]["problem_id"], rows[0]["sample_index"], prompt_ids)
    for row in rows:
        reference = row["reference_log_probs"]
        trajectory = trajectory.extended(
            Segment(
                problem_id=row["problem_id"],
                sample_index=row["sample_index"],
                segment_index=row["segment_index"],
                iteration=row["iteration"],
                weight_version=row["weight_version"],
                context_ids=trajectory.context_ids,
                response_ids=np.array(row["response_ids"], dtype=np.int64),
                behaviour_log_probs=np.array(row["behaviour_log_probs"], dtype=np.float32),
                status=SegmentStatus(row["status"]),
                reference_log_probs=None if reference is None else np.array(reference, dtype=np.float32),
                error=row["error"],
            )
        )
    return trajectory
