"""What an iteration adds to the lake: rows of the tables `samples`, `rollouts`, `segments`, `reward_parts`.

Belongs here: rows from judged groups. Does not belong here: when they are committed (`master.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kimi_pipeline.inference.request import Completion
from kimi_pipeline.inference.store import evidence_rows, sample_row
from kimi_pipeline.rl.judging import as_response
from kimi_pipeline.rl.learning import Learned
from kimi_pipeline.rl.replay_buffer import segment_rows
from kimi_pipeline.rl.reward_watch import Watched
from kimi_pipeline.rl.trajectories import Group, GroupKey, Trajectory


def watched(complete: Sequence[Group], response: Callable[[GroupKey, Trajectory], Completion]) -> list[Watched]:
    """The responses of complete groups with their verdicts, as the watch over the reward sees them."""
    found = []
    for group in complete:
        for trajectory in group.trajectories:
            assert trajectory.verdict is not None
            answer = response(group.key, trajectory)
            said = as_response(answer)
            found.append(
                Watched(answer.request.sample_id, group.prompt.prompt, group.prompt.reference, said, trajectory.verdict)
            )
    return found


def iteration_rows(
    complete: Sequence[Group],
    growing: Sequence[Group],
    learned: Learned,
    *,
    iteration: int,
    policy: str,
    carrier: str,
    response: Callable[[GroupKey, Trajectory], Completion],
) -> dict[str, list[dict[str, Any]]]:
    """Rows by table: samples and rollouts of the groups that are complete, segments of all that this iteration sampled."""
    samples, rollouts, parts = [], [], []
    for group in complete:
        for trajectory in group.trajectories:
            assert trajectory.verdict is not None and trajectory.status is not None
            answer = response(group.key, trajectory)
            sample = sample_row(answer, trajectory.verdict, carrier)
            who = (group.key, trajectory.sample_index)
            samples.append(sample)
            parts += evidence_rows(sample, trajectory.verdict)
            rollouts.append(
                {
                    "sample_id": sample["sample_id"],
                    "policy": policy,
                    "problem_id": trajectory.problem_id,
                    "began": group.key.began,
                    "place": group.key.place,
                    "sample_index": trajectory.sample_index,
                    "iteration": iteration,
                    "ended": trajectory.status.value,
                    "tokens": trajectory.tokens,
                    "segments": len(trajectory.segments),
                    "reward": trajectory.reward,
                    "reward_parts": list(trajectory.verdict.parts.items()),
                    "advantage": learned.advantages.get(who),
                    "trained": who in learned.advantages and who not in learned.stale,
                }
            )
    segments = [{"policy": policy, **row} for group in [*complete, *growing] for row in segment_rows(group, iteration)]
    return {"samples": samples, "rollouts": rollouts, "segments": segments, "reward_parts": parts}
