"""Judging: a reward that is late, fails or miscounts excludes its group; nothing is lost, nothing becomes a 0."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from kimi_pipeline.inference.request import Completion, SampleRequest, Sampling
from kimi_pipeline.rewards.contract import Breakdown, Reference, Response, Status
from kimi_pipeline.rl.judging import Judge
from kimi_pipeline.rl.prompt_sampling import Prompt
from kimi_pipeline.rl.segments import SegmentStatus
from kimi_pipeline.rl.trajectories import Group, GroupKey, Trajectory
from tests.rl.strategies import segment_after

ENDS = (SegmentStatus.FINISHED, SegmentStatus.CUT_BY_LIMIT, SegmentStatus.REPETITION, SegmentStatus.ABORTED)
REASONS = {"finished": "stop", "cut_by_limit": "length", "repetition": "repetition", "aborted": "error"}


def group_of(place: int, ends: Sequence[SegmentStatus] = ENDS) -> Group:
    members = []
    for index, end in enumerate(ends):
        one = Trajectory(f"p{place}", index, np.array([1], dtype=np.int64))
        aborted = end is SegmentStatus.ABORTED
        members.append(
            one.extended(segment_after(one, [] if aborted else [2, 3], 1, end, error="x" if aborted else None))
        )
    return Group(GroupKey(1, place), Prompt("q", Reference(f"p{place}", "1", "integer")), tuple(members))


def response(key: GroupKey, one: Trajectory) -> Completion:
    request = SampleRequest(one.problem_id, "rollout", "c", "t", "", Sampling(1.0, 9), one.sample_index, 0, "o")
    assert one.status is not None
    return Completion(request, f"text {one.sample_index}", REASONS[one.status], 1, one.tokens)


class Scripted:
    """A reward that does what it is told for a problem, each time the next thing."""

    version = "scripted@1"

    def __init__(self, **scripts: list[Any]) -> None:
        self.scripts = scripts
        self.seen: list[list[Response]] = []
        self.release = threading.Event()

    def score(self, reference: Reference, group: Sequence[Response]) -> list[Breakdown]:
        self.seen.append(list(group))
        script = self.scripts.get(reference.problem_id, [])
        todo = script.pop(0) if script else "answer"
        if todo == "raise":
            raise ZeroDivisionError("of a plug-in")
        if todo == "hang":
            self.release.wait(20)
        if todo == "slow":
            self.release.wait(0.3)
        count = len(group) + {"more": 1, "fewer": -1}.get(todo, 0)
        return [Breakdown(Status.CORRECT, 1.0)] * count


def judged(reward: Scripted, *groups: Group, seconds: float = 10) -> tuple[list[Group], dict[str, int]]:
    judge = Judge(reward, response, seconds)
    for group in groups:
        judge.submit(group)
    found = judge.collect()
    judge.close()
    reward.release.set()
    return found, dict(judge.failures)


def statuses(group: Group) -> list[tuple[str, float | None]]:
    return [(one.verdict.status.value, one.reward) for one in group.trajectories if one.verdict]


def test_aborted_responses_are_not_scored_and_the_others_say_how_they_ended() -> None:
    reward = Scripted()
    (group,), failures = judged(reward, group_of(0))
    assert not failures
    (seen,) = reward.seen
    assert [(one.text, one.finished, one.repeats) for one in seen] == [
        ("text 0", True, False),
        ("text 1", False, False),
        ("text 2", False, True),
    ]
    assert statuses(group) == [("correct", 1.0)] * 3 + [("infrastructure_error", None)]
    assert group.trajectories[3].verdict is not None and group.trajectories[3].verdict.reason == "x"


def test_a_failure_is_asked_once_more() -> None:
    for what, code in (("raise", "reward_failed"), ("more", "reward_wrong_count"), ("fewer", "reward_wrong_count")):
        reward = Scripted(p1=[what])
        found, failures = judged(reward, group_of(0), group_of(1), group_of(2))
        assert [group.key.place for group in found] == [0, 1, 2] and failures == {code: 1}
        assert all(statuses(group)[0] == ("correct", 1.0) for group in found)


def test_a_reward_that_fails_twice_excludes_its_group_alone() -> None:
    found, failures = judged(Scripted(p1=["raise", "more"]), group_of(0), group_of(1), group_of(2))
    assert failures == {"reward_failed": 1, "reward_wrong_count": 1}
    assert statuses(found[1]) == [("infrastructure_error", None)] * 4 and not found[1].is_trained_on
    assert found[0].is_trained_on and found[2].is_trained_on


def test_asking_once_more_waits_for_no_other_group() -> None:
    slow = {f"p{place}": ["slow"] for place in range(1, 5)}
    found, failures = judged(Scripted(p0=["raise"], **slow), *map(group_of, range(5)), seconds=0.6)
    assert failures == {"reward_failed": 1}
    assert [group.key.place for group in found] == [0, 1, 2, 3, 4]
    assert all(statuses(group)[0] == ("correct", 1.0) for group in found)


@pytest.mark.parametrize("what", ["raise", "fewer", "hang"])
def test_nothing_is_asked_a_third_time(what: str) -> None:
    reward = Scripted(p0=[what, what])
    _, failures = judged(reward, group_of(0), group_of(1), seconds=0.3)
    time.sleep(0.2)  # a third one would have begun by now
    assert sum(failures.values()) == 2 and len(reward.seen) == 3


def test_a_late_reward_holds_nobody_up() -> None:
    found, failures = judged(Scripted(p0=["hang", "hang"]), group_of(0), group_of(1), seconds=0.3)
    assert failures == {"reward_late": 2}
    assert statuses(found[0]) == [("infrastructure_error", None)] * 4
    assert statuses(found[1])[0] == ("correct", 1.0)
