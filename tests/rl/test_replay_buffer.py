"""The replay buffer: room, and nothing lost on the way through a file."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from kimi_pipeline.errors import UserError
from kimi_pipeline.rewards.contract import Reference
from kimi_pipeline.rl.prompt_sampling import Prompt
from kimi_pipeline.rl.replay_buffer import ReplayBuffer, segment_rows
from kimi_pipeline.rl.segments import SegmentStatus
from kimi_pipeline.rl.trajectories import Group, GroupKey, Trajectory
from tests.rl.strategies import open_groups, segment_after


@given(open_groups())
def test_what_is_written_comes_back(groups: list[Group]) -> None:
    buffer, again = ReplayBuffer(100), ReplayBuffer(100)
    buffer.replace(groups)
    prompts = {group.prompt.problem_id: group.prompt for group in groups}
    again.restore(buffer.to_table(), prompts, samples=3)
    assert [group.key for group in again.groups] == sorted(group.key for group in groups)
    assert again.to_table().equals(buffer.to_table())
    assert again.open_trajectories == buffer.open_trajectories
    for mine, theirs in zip(again.groups, buffer.groups, strict=True):
        for one, other in zip(mine.trajectories, theirs.trajectories, strict=True):
            assert np.array_equal(one.context_ids, other.context_ids) and one.status == other.status


def test_why_a_segment_was_aborted_comes_back() -> None:
    given_up, going_on = (Trajectory("p", index, np.array([1], dtype=np.int64)) for index in (0, 1))
    members = (
        given_up.extended(segment_after(given_up, [], 1, SegmentStatus.ABORTED, error="prompt_too_long")),
        going_on.extended(segment_after(going_on, [2], 1, SegmentStatus.CUT_BY_BUDGET)),
    )
    group = Group(GroupKey(1, 0), Prompt("q", Reference("p", "1", "integer")), members)
    buffer, again = ReplayBuffer(8), ReplayBuffer(8)
    buffer.replace([group])
    again.restore(buffer.to_table(), {"p": group.prompt}, samples=2)
    assert [one.segments[-1].error for one in again.groups[0].trajectories] == ["prompt_too_long", None]


@given(open_groups())
def test_new_groups_take_the_room_that_open_responses_leave(groups: list[Group]) -> None:
    buffer = ReplayBuffer(12)
    buffer.replace(groups)
    room = buffer.room(3)
    assert room >= 0 and (room == 0 or buffer.open_trajectories + 3 * room <= 12)
    assert buffer.open_trajectories + 3 * (room + 1) > 12


@given(open_groups())
def test_a_complete_group_leaves(groups: list[Group]) -> None:
    buffer = ReplayBuffer(100)
    for group in groups:
        ends = {
            one.sample_index: segment_after(one, [1], 60, SegmentStatus.FINISHED)
            for one in group.trajectories
            if one.is_open
        }
        with pytest.raises(ValueError, match="is complete"):
            buffer.replace([group.extended(ends)])


@given(open_groups())
def test_rows_of_an_iteration_are_each_written_once(groups: list[Group]) -> None:
    for group in groups:
        parts = [segment_rows(group, iteration) for iteration in range(1, 20)]
        assert sorted(str(row) for part in parts for row in part) == sorted(map(str, segment_rows(group)))


@given(open_groups())
def test_a_problem_that_left_the_set_is_named(groups: list[Group]) -> None:
    buffer = ReplayBuffer(100)
    buffer.replace(groups)
    if groups:
        with pytest.raises(UserError, match="is not in the prompt set any more"):
            ReplayBuffer(100).restore(buffer.to_table(), {}, samples=3)
        prompts = {group.prompt.problem_id: group.prompt for group in groups}
        with pytest.raises(UserError, match=r"rl\.samples is 4"):
            ReplayBuffer(100).restore(buffer.to_table(), prompts, samples=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(groups=open_groups())
def test_the_file_can_be_read_with_duckdb(tmp_path: Path, groups: list[Group]) -> None:
    buffer = ReplayBuffer(100)
    buffer.replace(groups)
    path = tmp_path / "buffer.parquet"
    pq.write_table(buffer.to_table(), path)
    ((tokens,),) = duckdb.sql(f"select coalesce(sum(len(response_ids)), 0)::int from '{path}'").fetchall()
    assert tokens == sum(one.tokens for group in groups for one in group.trajectories)
