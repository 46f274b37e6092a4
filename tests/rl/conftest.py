"""The tiny trainer of the training tests, and groups of rollouts made by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.training.conftest import job_home, make_trainer, ranks, sft_job, sft_spec, tiny_folder

__all__ = ["job_home", "make_group", "make_trainer", "ranks", "sft_job", "sft_spec", "tiny_folder"]


@pytest.fixture
def make_group() -> Callable[..., Any]:
    """A complete group at `place` with these rewards (None: no verdict); its tokens come from a seed.

    `cuts` splits every response into segments of at most that many tokens, one an iteration, the last in `iteration`.
    """
    from kimi_pipeline.rewards.contract import Breakdown, Reference, Status
    from kimi_pipeline.rl.prompt_sampling import Prompt
    from kimi_pipeline.rl.segments import Segment, SegmentStatus
    from kimi_pipeline.rl.trajectories import Group, GroupKey, Trajectory

    def grow(trajectory: Trajectory, ids: Any, first: int, cuts: int) -> Trajectory:
        parts = [ids[at : at + cuts] for at in range(0, len(ids), cuts)]
        for number, part in enumerate(parts):
            trajectory = trajectory.extended(
                Segment(
                    problem_id=trajectory.problem_id,
                    sample_index=trajectory.sample_index,
                    segment_index=number,
                    iteration=first + number,
                    weight_version=first + number,
                    context_ids=trajectory.context_ids,
                    response_ids=part,
                    behaviour_log_probs=np.full(len(part), -1.0),
                    status=SegmentStatus.FINISHED if number == len(parts) - 1 else SegmentStatus.CUT_BY_BUDGET,
                )
            )
        return trajectory

    def make(place: int, *rewards: float | None, length: int = 12, cuts: int = 1000, iteration: int = 1) -> Any:
        rng = np.random.default_rng([7, place])
        context = rng.integers(3, 250, rng.integers(2, 15))
        members = []
        for index, reward in enumerate(rewards):
            ids = rng.integers(3, 250, rng.integers(1, length))
            count = -(-len(ids) // cuts)
            grown = grow(Trajectory(f"p{place}", index, context), ids, iteration - count + 1, cuts)
            status = Status.INFRASTRUCTURE_ERROR if reward is None else Status.CORRECT if reward else Status.WRONG
            members.append(replace(grown, verdict=Breakdown(status, reward)))
        prompt = Prompt("q", Reference(f"p{place}", "1", "integer"))
        return Group(GroupKey(iteration, place), prompt, tuple(members))

    return make
