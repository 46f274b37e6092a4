"""Verdicts on complete groups, found while other rollouts still run [2.6.1].

Belongs here: handing groups to the reward, its deadline, what becomes of a reward that fails. Does not belong here: any
rule (`rewards/`), what a verdict is used for (`learning.py`).

A reward that fails, is late or answers with another number of verdicts than there are responses is asked once more;
then the whole group is excluded and counted: never 0, which would teach the policy something that nobody found out.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from dataclasses import dataclass

from kimi_pipeline.inference.request import Completion
from kimi_pipeline.rewards.contract import Breakdown, Response, Reward, Status
from kimi_pipeline.rl.segments import SegmentStatus
from kimi_pipeline.rl.trajectories import Group, GroupKey, Trajectory

TRIES = 2


class WrongCountError(RuntimeError):
    """A reward answered with another number of breakdowns than it was given responses."""


@dataclass(slots=True)
class _Asked:
    """A group under judgement. `tries`: how often it was asked, `future` included."""

    group: Group
    future: Future[list[Breakdown]]
    tries: int = 1


class Judge:
    """Scores groups in a thread beside the sampling. `response` gives the text of an ended trajectory.

    `seconds` bounds the wait for one group once nothing else is left to do. `failures` counts tries that came to nothing.
    """

    def __init__(self, reward: Reward, response: Callable[[GroupKey, Trajectory], Completion], seconds: float) -> None:
        self._reward = reward
        self._response = response
        self._seconds = seconds
        self._pending: deque[_Asked] = deque()
        self._pool = _thread()
        self.failures: Counter[str] = Counter()

    def submit(self, group: Group) -> None:
        """Take a complete group."""
        self._pending.append(_Asked(group, self._pool.submit(self._score, group)))

    def collect(self) -> list[Group]:
        """All submitted groups with their verdicts, in order of submission; waits where one is not done."""
        order = [asked.group.key for asked in self._pending]
        judged: dict[GroupKey, Group] = {}
        while self._pending:
            asked = self._pending.popleft()
            if (verdicts := self._verdicts(asked)) is not None:
                judged[asked.group.key] = asked.group.judged_as(verdicts)
        return [judged[key] for key in order]

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verdicts(self, asked: _Asked) -> list[Breakdown] | None:
        """None where the try came to nothing and the group has gone to the end of what is pending, to be asked once more."""
        try:
            return asked.future.result(timeout=self._seconds)
        except LateError:
            reason = "reward_late"
            self._leave_thread()
        except WrongCountError:
            reason = "reward_wrong_count"
        except Exception:  # whatever a plug-in raises: the group is excluded and counted, the run goes on
            reason = "reward_failed"
        self.failures[reason] += 1
        if asked.tries == TRIES:
            return [self._excluded(reason)] * len(asked.group.trajectories)
        # In the one thread it comes after all that is pending, so its wait must not begin before theirs have ended.
        self._pending.append(_Asked(asked.group, self._pool.submit(self._score, asked.group), asked.tries + 1))
        return None

    def _score(self, group: Group) -> list[Breakdown]:
        ended = [one for one in group.trajectories if one.status is not SegmentStatus.ABORTED]
        responses = []
        for trajectory in ended:
            responses.append(as_response(self._response(group.key, trajectory)))
        found = self._reward.score(group.prompt.reference, responses)
        if len(found) != len(responses):
            raise WrongCountError(f"{len(found)} breakdowns for {len(responses)} responses")
        verdicts = dict(zip((one.sample_index for one in ended), found, strict=True))
        return [
            verdicts.get(one.sample_index) or self._excluded(one.segments[-1].error or "aborted")
            for one in group.trajectories
        ]

    def _excluded(self, reason: str) -> Breakdown:
        return Breakdown(Status.INFRASTRUCTURE_ERROR, None, reason, rule_version=self._reward.version)

    def _leave_thread(self) -> None:
        """A hung reward can't be ended from outside: what waits behind it moves to another thread."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = _thread()
        for asked in self._pending:
            if asked.future.cancelled():
                asked.future = self._pool.submit(self._score, asked.group)


def as_response(answer: Completion) -> Response:
    """An ended rollout as rewards see it."""
    ended_by = answer.finish_reason
    return Response(answer.text, answer.completion_tokens, ended_by == "stop", ended_by == "repetition")


def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="reward")
