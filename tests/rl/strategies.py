"""Hypothesis strategies: trajectories and groups as they stand after any number of iterations."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from kimi_pipeline.rewards.contract import Reference
from kimi_pipeline.rl.prompt_sampling import Prompt
from kimi_pipeline.rl.segments import Segment, SegmentStatus
from kimi_pipeline.rl.trajectories import Group, GroupKey, Trajectory

ENDS = [status for status in SegmentStatus if status is not SegmentStatus.CUT_BY_BUDGET]


def segment_after(
    trajectory: Trajectory, ids: list[int], iteration: int, status: SegmentStatus, **other: Any
) -> Segment:
    """The segment that continues a trajectory with these tokens."""
    return Segment(
        problem_id=trajectory.problem_id,
        sample_index=trajectory.sample_index,
        segment_index=len(trajectory.segments),
        iteration=iteration,
        weight_version=iteration,
        context_ids=trajectory.context_ids,
        response_ids=np.array(ids, dtype=np.int64),
        behaviour_log_probs=np.full(len(ids), -0.5),
        status=status,
        **other,
    )


@st.composite
def trajectories(draw: Any, name: str = "p", index: int = 0, began: int = 1, ended: bool | None = None) -> Trajectory:
    """With at least one segment; open or ended as asked (None: either)."""
    one = Trajectory(name, index, np.array(draw(st.lists(st.integers(0, 99), min_size=1, max_size=5)), dtype=np.int64))
    if ended is None:
        ended = draw(st.booleans())
    tokens = st.lists(st.integers(0, 99), min_size=1, max_size=6)
    parts = draw(st.lists(tokens, min_size=1, max_size=4))
    for number, part in enumerate(parts):
        last = ended and number == len(parts) - 1
        status = draw(st.sampled_from(ENDS)) if last else SegmentStatus.CUT_BY_BUDGET
        reference = None if draw(st.booleans()) else np.full(len(part), -0.25)
        one = one.extended(segment_after(one, part, began + number, status, reference_log_probs=reference))
    return one


@st.composite
def open_groups(draw: Any, samples: int = 3) -> list[Group]:
    """Groups that are not complete, of several iterations and problems."""
    keys = draw(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), max_size=5, unique=True))
    groups = []
    for number, (began, place) in enumerate(keys):
        name = f"p{number}"
        first = draw(trajectories(name, 0, began, ended=False))
        others = [draw(trajectories(name, index, began)) for index in range(1, samples)]
        prompt = Prompt("q", Reference(name, "1", "integer"))
        groups.append(Group(GroupKey(began, place), prompt, (first, *others)))
    return groups
