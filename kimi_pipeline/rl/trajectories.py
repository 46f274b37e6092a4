"""Trajectory and group: a response as a chain of segments, and the k responses to one problem.

Belongs here: the two types, their state machine, what of a response is trained on. Does not belong here: sampling
(`rollout.py`), keeping unfinished ones (`replay_buffer.py`), the loss (`mirror_descent.py`).

A trajectory begins in an iteration and grows by one segment an iteration [2.6.2] until it ends:

    waiting -> cut_by_budget -> cut_by_budget -> ... -> finished | cut_by_limit | repetition | aborted

Only `waiting` and `cut_by_budget` go on; the other states are final. Its length is that of the whole response.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kimi_pipeline.rewards.contract import Breakdown
from kimi_pipeline.rl.prompt_sampling import Prompt
from kimi_pipeline.rl.segments import Ids, LogProbs, LossOn, Segment, SegmentStatus

MEMBERS_NEEDED = 2  # with fewer verdicts a problem has no baseline but its own reward


@dataclass(frozen=True, slots=True, order=True)
class GroupKey:
    """A group's identity: the iteration it began in and its place among those that did."""

    began: int
    place: int


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """One response to one problem: `prompt_ids` [p], then the tokens of its segments, in order.

    `verdict` is None until its group is complete and judged. Raises ValueError where the segments are no chain: another
    problem's, out of order, with a context that is not all that came before, or after the end.
    """

    problem_id: str
    sample_index: int
    prompt_ids: Ids
    segments: tuple[Segment, ...] = ()
    verdict: Breakdown | None = None

    def __post_init__(self) -> None:
        expected = self.prompt_ids
        for place, segment in enumerate(self.segments):
            whose = (segment.problem_id, segment.sample_index, segment.segment_index)
            _require(whose == (self.problem_id, self.sample_index, place), f"segment {place} is {whose}")
            _require(np.array_equal(segment.context_ids, expected), f"segment {place} continues another text")
            _require(place == len(self.segments) - 1 or segment.to_be_continued, f"segment {place} follows an end")
            earlier = self.segments[place - 1].iteration if place else -1
            _require(segment.iteration > earlier, f"segment {place} is not of a later iteration than the one before")
            expected = np.concatenate([expected, segment.response_ids])

    @property
    def status(self) -> SegmentStatus | None:
        """How its last segment ended; None while it has none."""
        return self.segments[-1].status if self.segments else None

    @property
    def is_open(self) -> bool:
        """Whether it is to be continued."""
        return not self.segments or self.segments[-1].to_be_continued

    @property
    def tokens(self) -> int:
        """Length of the whole response, in tokens."""
        return sum(segment.tokens for segment in self.segments)

    @property
    def response_ids(self) -> Ids:
        """[tokens]: the whole response."""
        return np.concatenate([np.zeros(0, np.int64), *(segment.response_ids for segment in self.segments)])

    @property
    def context_ids(self) -> Ids:
        """Prompt and response so far: what the next segment continues."""
        return np.concatenate([self.prompt_ids, self.response_ids])

    @property
    def reward(self) -> float | None:
        """None where there is no verdict: such a response counts neither in the baseline nor in the loss."""
        if self.verdict is None or self.status is SegmentStatus.ABORTED:
            return None
        return self.verdict.reward

    def extended(self, segment: Segment) -> Trajectory:
        """With one more segment. Raises ValueError where it has ended, or the segment does not continue it."""
        return replace(self, segments=(*self.segments, segment))

    def judged_as(self, verdict: Breakdown) -> Trajectory:
        """With its verdict. Raises ValueError while it is open, and where it has one: a response is judged once."""
        _require(not self.is_open, "an unfinished response has no verdict")
        _require(self.verdict is None, "it is judged already")
        return replace(self, verdict=verdict)

    def with_reference(self, segment_index: int, log_probs: LogProbs) -> Trajectory:
        """With the trainer's log-probs of one segment."""
        segments = list(self.segments)
        segments[segment_index] = segments[segment_index].with_reference(log_probs)
        return replace(self, segments=tuple(segments))

    def trained_from(self, loss_on: LossOn, oldest: int) -> int:
        """Index of the first segment the loss looks at; everything before it is context.

        `current`: the segment in which the response ended; `all`: the whole response, each segment against its stored
        reference. Segments sampled before iteration `oldest` are left out either way (the bound on staleness).
        """
        last = len(self.segments) - 1
        first = last if loss_on == "current" else 0
        while first <= last and self.segments[first].iteration < oldest:
            first += 1
        return first


@dataclass(frozen=True, slots=True)
class Group:
    """The k trajectories of one problem that began together."""

    key: GroupKey
    prompt: Prompt
    trajectories: tuple[Trajectory, ...]

    @property
    def is_complete(self) -> bool:
        return not any(trajectory.is_open for trajectory in self.trajectories)

    @property
    def judged(self) -> tuple[Trajectory, ...]:
        return tuple(trajectory for trajectory in self.trajectories if trajectory.reward is not None)

    @property
    def is_trained_on(self) -> bool:
        """A group with fewer than two verdicts is dropped (and counted)."""
        return len(self.judged) >= MEMBERS_NEEDED

    def extended(self, segments: Mapping[int, Segment]) -> Group:
        """With one more segment for the trajectories named by sample index."""
        return self._with({index: self.trajectories[index].extended(one) for index, one in segments.items()})

    def judged_as(self, verdicts: Sequence[Breakdown]) -> Group:
        """With a verdict for each trajectory, in their order."""
        pairs = zip(self.trajectories, verdicts, strict=True)
        return self._with({index: one.judged_as(verdict) for index, (one, verdict) in enumerate(pairs)})

    def with_references(self, references: Mapping[SegmentKey, LogProbs]) -> Group:
        """With those of the trainer's log-probs that are of its segments."""
        changed = {}
        for index, trajectory in enumerate(self.trajectories):
            for place in range(len(trajectory.segments)):
                found = references.get(SegmentKey(self.key, index, place))
                if found is not None:
                    trajectory = trajectory.with_reference(place, found)
            changed[index] = trajectory
        return self._with(changed)

    def _with(self, changed: Mapping[int, Trajectory]) -> Group:
        return replace(self, trajectories=tuple(changed.get(i, one) for i, one in enumerate(self.trajectories)))


@dataclass(frozen=True, slots=True)
class SegmentKey:
    """A segment's identity within a run."""

    group: GroupKey
    sample_index: int
    segment_index: int


def begin(key: GroupKey, prompt: Prompt, prompt_ids: Ids, samples: int) -> Group:
    """A group of `samples` trajectories that wait for their first segment."""
    return Group(key, prompt, tuple(Trajectory(prompt.problem_id, index, prompt_ids) for index in range(samples)))


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"trajectory: {what}")
