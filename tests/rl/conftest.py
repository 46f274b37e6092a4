"""The tiny trainer of the training tests, and groups of rollouts made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.training.conftest import job_home, make_trainer, ranks, sft_job, sft_spec, tiny_folder

__all__ = ["job_home", "make_group", "make_trainer", "ranks", "sft_job", "sft_spec", "tiny_folder"]


@pytest.fixture
def make_group() -> Callable[..., Any]:
    """A group at `place` with these rewards (None: no verdict); its tokens come from a seed."""
    from kimi_pipeline.inference.request import Completion, SampleRequest, Sampling
    from kimi_pipeline.rewards.contract import Breakdown, Reference, Status
    from kimi_pipeline.rl.prompt_sampling import Prompt
    from kimi_pipeline.rl.rollout import Group, Member
    from kimi_pipeline.rl.segments import Segment, SegmentStatus

    def make(place: int, *rewards: float | None, length: int = 12) -> Any:
        rng = np.random.default_rng([7, place])
        context = rng.integers(3, 250, rng.integers(2, 15))
        members = []
        for index, reward in enumerate(rewards):
            ids = rng.integers(3, 250, rng.integers(1, length))
            request = SampleRequest("p", "rollout", "c", "t", "", Sampling(1.0, 30), index, 0, "iteration:1")
            segment = Segment(
                f"p{place}", index, 0, 1, 1, context, ids, np.full(len(ids), -1.0), SegmentStatus.FINISHED
            )
            status = Status.INFRASTRUCTURE_ERROR if reward is None else Status.CORRECT if reward else Status.WRONG
            completion = Completion(request, "", "stop", len(context), len(ids))
            members.append(Member(completion, None if reward is None else segment, Breakdown(status, reward)))
        return Group(place, Prompt("q", Reference(f"p{place}", "1", "integer")), tuple(members))

    return make
