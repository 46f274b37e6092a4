"""Rollouts by segments from a real vLLM: the same text as in one piece, budgets kept, ends told apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kimi_pipeline.profiles import load_profile
from kimi_pipeline.rewards.contract import Reference
from kimi_pipeline.rl.prompt_sampling import Prompt
from kimi_pipeline.rl.rollout import RolloutWorker
from kimi_pipeline.rl.segments import SegmentStatus
from kimi_pipeline.rl.trajectories import Group, GroupKey

pytestmark = pytest.mark.slow

LONGEST = 24
PROMPTS = [Prompt(f"What is {n} plus {n}?", Reference(f"p{n}", str(2 * n), "integer")) for n in range(6)]


def rolled(carrier: Any, prompts: list[Prompt] = PROMPTS, **rl: Any) -> tuple[list[Group], int]:
    """The groups when all are complete, and after how many iterations."""
    settings = {"samples": 3, "max_tokens": LONGEST, "temperature": 1.0} | rl
    profile = load_profile("laptop", {f"rl.{name}": value for name, value in settings.items()})
    worker = RolloutWorker(carrier, profile, policy="policy")
    worker.prepare(PROMPTS)
    groups = [worker.begin(GroupKey(1, PROMPTS.index(prompt)), prompt) for prompt in prompts]
    iteration = 0
    while not all(group.is_complete for group in groups):
        iteration += 1
        grown = list(worker.grow([g for g in groups if not g.is_complete], iteration, iteration))
        groups = sorted([g for g in groups if g.is_complete] + grown, key=lambda group: group.key)
    return groups, iteration


def texts(groups: list[Group]) -> list[list[int]]:
    return [one.response_ids.tolist() for group in groups for one in group.trajectories]


@pytest.mark.parametrize("budget", [1, 5, 23])
def test_greedy_segments_continue_as_if_never_cut(carrier: Any, budget: int) -> None:
    whole, _ = rolled(carrier, temperature=0.0)
    cut, iterations = rolled(carrier, temperature=0.0, segment_tokens=budget)
    assert texts(cut) == texts(whole)
    assert iterations == -(-max(map(len, texts(whole))) // budget)


def test_segments_keep_their_budget_and_say_how_they_ended(carrier: Any) -> None:
    groups, _ = rolled(carrier, segment_tokens=5)
    for group in groups:
        for one in group.trajectories:
            *before, last = one.segments
            assert all(s.tokens == 5 and s.status is SegmentStatus.CUT_BY_BUDGET for s in before)
            assert [s.iteration for s in one.segments] == list(range(1, len(one.segments) + 1))
            assert (last.status is SegmentStatus.CUT_BY_LIMIT) == (
                one.tokens == LONGEST and not last_is_end(carrier, last)
            )
            assert all(len(s.behaviour_log_probs) == s.tokens for s in one.segments)


def last_is_end(carrier: Any, segment: Any) -> bool:
    return int(segment.response_ids[-1]) == carrier.tokenizer.eos_token_id


def test_a_segment_depends_on_its_trajectory_alone(carrier: Any) -> None:
    together, _ = rolled(carrier, segment_tokens=5)
    for place in (0, 4):
        alone, _ = rolled(carrier, [PROMPTS[place]], segment_tokens=5)
        assert texts(alone) == texts([together[place]])


def test_each_segment_has_a_draw_of_its_own(carrier: Any) -> None:
    """A continuation under the request's first seed would repeat the draws of the first segment."""
    groups, _ = rolled(carrier, segment_tokens=8)
    pairs = [
        (one.segments[0].response_ids, one.segments[1].response_ids)
        for g in groups
        for one in g.trajectories
        if len(one.segments) > 1 and one.segments[1].tokens == 8
    ]
    assert pairs and any(not np.array_equal(first, second) for first, second in pairs)
    behaviour = [tuple(one.segments[0].behaviour_log_probs.tolist()) for g in groups for one in g.trajectories]
    assert len(set(behaviour)) == len(behaviour)


def test_a_response_that_repeats_itself_is_stopped(carrier: Any) -> None:
    whole, _ = rolled(carrier, temperature=0.0, max_tokens=60)
    stopped, _ = rolled(carrier, temperature=0.0, max_tokens=60, repetition_tokens=4, repetition_times=4)
    ends = [one.status for group in stopped for one in group.trajectories]
    assert SegmentStatus.REPETITION in ends, (
        "no greedy response of the tiny model repeats itself: choose another prompt"
    )
    for short, full, end in zip(texts(stopped), texts(whole), ends, strict=True):
        assert full[: len(short)] == short
        if end is SegmentStatus.REPETITION:
            assert any(short[-4 * size :] == short[-size:] * 4 for size in range(1, 5))
