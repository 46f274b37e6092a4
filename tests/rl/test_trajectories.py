"""Trajectories: what holds for every chain of segments, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.rewards.contract import Breakdown, Status
from kimi_pipeline.rl.segments import SegmentStatus
from kimi_pipeline.rl.trajectories import Trajectory
from tests.rl.strategies import ENDS, segment_after, trajectories

WRONG = Breakdown(Status.WRONG, 0.0)


@given(trajectories())
def test_a_chain_adds_up(one: Trajectory) -> None:
    assert one.tokens == len(one.response_ids) == sum(segment.tokens for segment in one.segments)
    assert np.array_equal(one.context_ids, np.concatenate([one.prompt_ids, one.response_ids]))
    for place, segment in enumerate(one.segments):
        assert segment.segment_index == place
        before = np.concatenate([one.prompt_ids, *(earlier.response_ids for earlier in one.segments[:place])])
        assert np.array_equal(segment.context_ids, before)
        assert segment.to_be_continued or place == len(one.segments) - 1
    assert one.is_open == (one.status is SegmentStatus.CUT_BY_BUDGET)


@given(trajectories(), st.integers(0, 8))
def test_what_is_trained_on_is_the_end_of_the_response(one: Trajectory, oldest: int) -> None:
    all_of_it, current = one.trained_from("all", oldest), one.trained_from("current", oldest)
    assert 0 <= all_of_it <= current <= len(one.segments)
    assert all(segment.iteration >= oldest for segment in one.segments[all_of_it:])
    assert all(segment.iteration < oldest for segment in one.segments[:all_of_it])
    assert current >= len(one.segments) - 1


@given(trajectories(ended=True), st.integers(0, 8))
def test_the_loss_never_looks_at_a_segment_without_a_reference(one: Trajectory, oldest: int) -> None:
    for loss_on in ("current", "all"):
        chosen = one.segments[one.trained_from(loss_on, oldest) :]
        assert all(segment.may_be_in_loss(loss_on) for segment in chosen)
    scored = [segment.may_be_in_loss("current") for segment in one.segments]
    assert scored == [False] * (len(scored) - 1) + [True]
    assert all(segment.may_be_in_loss("all") for segment in one.segments)


@given(trajectories(ended=True))
def test_what_has_ended_does_not_go_on_and_is_judged_once(one: Trajectory) -> None:
    with pytest.raises(ValueError, match="follows an end"):
        one.extended(segment_after(one, [1], 99, SegmentStatus.FINISHED))
    judged = one.judged_as(WRONG)
    assert (judged.reward is None) == (one.status is SegmentStatus.ABORTED)
    with pytest.raises(ValueError, match="judged already"):
        judged.judged_as(WRONG)


@given(trajectories(ended=False), st.sampled_from(ENDS))
def test_every_end_can_follow_an_open_one(one: Trajectory, end: SegmentStatus) -> None:
    with pytest.raises(ValueError, match="unfinished"):
        one.judged_as(WRONG)
    grown = one.extended(segment_after(one, [5], 50, end))
    assert grown.status is end and not grown.is_open and grown.tokens == one.tokens + 1


@given(trajectories(ended=False), st.sampled_from(["problem", "index", "number", "context", "iteration"]))
def test_a_segment_that_does_not_continue_it_is_refused(one: Trajectory, broken: str) -> None:
    good = segment_after(one, [5], 50, SegmentStatus.FINISHED)
    changes = {
        "problem": {"problem_id": "other"},
        "index": {"sample_index": 7},
        "number": {"segment_index": len(one.segments) + 1},
        "context": {"context_ids": np.append(one.context_ids, 3)},
        "iteration": {"iteration": one.segments[-1].iteration},
    }
    with pytest.raises(ValueError, match="trajectory: segment"):
        one.extended(replace(good, **changes[broken]))
