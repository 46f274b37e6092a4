"""The sample store: rows, verdicts, and commits that keep their time and count bounds."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_pipeline import tables
from kimi_pipeline.home import Home
from kimi_pipeline.inference.request import Completion, SampleRequest, Sampling, failed
from kimi_pipeline.inference.store import Committer, SampleStore, judge, sample_row
from kimi_pipeline.jobs import Terminated, _unwind
from kimi_pipeline.lake import Lake
from kimi_pipeline.rewards.contract import Breakdown, Reference, Status
from kimi_pipeline.rewards.math_rules import MathReward


class RecordingLake:
    """Keeps what is appended, with the time; fails where it is told to."""

    def __init__(self) -> None:
        self.commits: list[tuple[float, list[dict[str, Any]]]] = []
        self.broken = False
        self.threads: set[str] = set()

    def append(self, table: tables.Table, rows: Iterable[dict[str, Any]], *, run_id: str, reason: str) -> int:
        if self.broken:
            raise OSError("no space left on device")
        self.threads.add(threading.current_thread().name)
        self.commits.append((time.monotonic(), list(rows)))
        return len(self.commits)

    @property
    def ids(self) -> list[str]:
        return [row["sample_id"] for _, rows in self.commits for row in rows]


def committer(lake: Any, seconds: float = 10, samples: int = 500) -> Committer:
    return Committer(lake, run_id="r", reason="test", seconds=seconds, samples=samples)


def row(number: int) -> dict[str, Any]:
    return {"sample_id": f"s{number}", "purpose": "difficulty", "completion_tokens": number}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 60), max_size=120), st.integers(1, 20))
def test_every_row_is_committed_once_and_never_late(numbers: list[int], samples: int) -> None:
    lake = RecordingLake()
    with committer(lake, samples=samples) as commits:
        for count, number in enumerate(numbers, 1):
            taken = commits.add(row(number))
            assert taken == (number not in numbers[: count - 1])
            assert len(set(numbers[:count])) - len(lake.ids) < samples  # fewer than `samples` are ever at risk
    assert sorted(lake.ids) == sorted({f"s{number}" for number in numbers})
    assert commits.committed == len(set(numbers))
    assert commits.committed_tokens == sum(set(numbers))
    assert all(len(rows) <= samples for _, rows in lake.commits)


def test_time_bound_holds_while_no_sample_arrives() -> None:
    lake = RecordingLake()
    with committer(lake, seconds=1) as commits:
        started = time.monotonic()
        commits.add(row(0))
        time.sleep(0.3)
        commits.add(row(1))
        time.sleep(0.8)
        assert lake.ids == ["s0", "s1"]
        assert lake.commits[0][0] - started <= 1
        time.sleep(0.5)
        assert len(lake.commits) == 1  # nothing new, no commit
        again = time.monotonic()
        commits.add(row(2))
        time.sleep(1)
        assert lake.ids == ["s0", "s1", "s2"]
        assert lake.commits[1][0] - again <= 1
    assert lake.threads == {"committer"}


def test_a_steady_stream_commits_at_least_every_so_often() -> None:
    lake = RecordingLake()
    added: dict[str, float] = {}
    with committer(lake, seconds=1, samples=10_000) as commits:
        for number in range(140):
            added[f"s{number}"] = time.monotonic()
            commits.add(row(number))
            time.sleep(0.02)
    ages = [when - added[one["sample_id"]] for when, rows in lake.commits for one in rows]
    assert max(ages) <= 1
    assert len(lake.commits) >= 3


def test_an_exception_in_the_block_keeps_what_is_finished() -> None:
    lake = RecordingLake()
    with pytest.raises(KeyboardInterrupt), committer(lake) as commits:
        commits.add(row(1))
        raise KeyboardInterrupt
    assert lake.ids == ["s1"]


def test_a_failed_commit_stops_the_adding_and_loses_nothing() -> None:
    lake = RecordingLake()
    lake.broken = True

    def work(commits: Committer) -> None:
        commits.add(row(1))
        time.sleep(0.3)
        commits.add(row(2))

    with pytest.raises(OSError, match="no space"), committer(lake, seconds=0.1) as commits:
        work(commits)
    lake = RecordingLake()
    lake.broken = True
    with pytest.raises(OSError, match="no space"), committer(lake, seconds=0.1) as commits:
        try:
            work(commits)
        finally:
            lake.broken = False  # space was freed: the rows that waited are committed at the end
    assert lake.ids == ["s1"]


def test_a_failure_at_the_end_is_raised() -> None:
    lake = RecordingLake()
    with pytest.raises(OSError, match="no space"), committer(lake) as commits:
        commits.add(row(1))
        lake.broken = True


@pytest.mark.parametrize("full", [True, False], ids=["by add", "at the end"])
def test_a_signal_in_the_middle_of_a_commit_writes_no_row_twice(full: bool) -> None:
    class Signalled(RecordingLake):
        def append(self, *given: Any, **named: Any) -> None:
            super().append(*given, **named)
            os.kill(os.getpid(), signal.SIGTERM)  # a job asked to end, its commit just done

    lake = Signalled()
    before = signal.signal(signal.SIGTERM, _unwind)
    try:
        with pytest.raises(Terminated), committer(lake, samples=2 if full else 500) as commits:
            for number in range(3):
                commits.add(row(number))
        assert sorted(lake.ids) == (["s0", "s1"] if full else ["s0", "s1", "s2"])
    finally:
        signal.signal(signal.SIGTERM, before)


def request(index: int = 0, **changes: Any) -> SampleRequest:
    values: dict[str, Any] = {
        "problem_id": "p", "purpose": "difficulty", "checkpoint": "c", "template": "tiny-reasoning@1", "user_message": "q",
        "sampling": Sampling(0.8, 32), "sample_index": index, "run_seed": 3, "origin": "c",
    }  # fmt: skip
    return SampleRequest(**(values | changes))


def test_rows_fill_every_column_of_the_table(home: Home) -> None:
    lake = Lake(home.lake)
    completion = Completion(request(), "so \\boxed{4}", "stop", 5, 9, (1, 2), (-0.1, -0.2), cost=0.5)
    verdict = judge(completion, Reference("p", "4", "integer"), MathReward())
    with committer(lake) as commits:
        commits.add(sample_row(completion, verdict, "vllm"))
    (stored,) = lake.read(tables.SAMPLES).to_pylist()
    assert {name for name, value in stored.items() if value is None} == {"iteration", "status_reason"}
    assert (stored["status"], stored["reward"], stored["extracted_answer"]) == ("correct", 1.0, "4")
    assert (stored["seed"], stored["sample_id"]) == (completion.request.seed, completion.request.sample_id)
    assert (stored["cost"], stored["temperature"], stored["max_tokens"]) == (0.5, 0.8, 32)


@pytest.mark.parametrize(
    ("text", "finish", "status", "reward"),
    [
        ("\\boxed{4}", "stop", Status.CORRECT, 1.0),
        ("\\boxed{5}", "stop", Status.WRONG, 0.0),
        ("it could be four, I think", "stop", Status.NO_ANSWER, 0.0),
        ("\\boxed{4}", "length", Status.NO_ANSWER, 0.0),
        ("\\boxed{2+2}", "stop", Status.UNVERIFIABLE, 0.0),
    ],
)
def test_verdicts(text: str, finish: str, status: Status, reward: float) -> None:
    verdict = judge(Completion(request(), text, finish, 1, 1), Reference("p", "4", "integer"), MathReward())
    assert (verdict.status, verdict.reward) == (status, reward)


def test_an_answer_that_never_came_has_no_verdict() -> None:
    completion = failed(request(), "prompt_too_long: 900 tokens", retryable=False, prompt_tokens=900)
    verdict = judge(completion, Reference("p", "4", "integer"), MathReward())
    assert (verdict.status, verdict.reward, verdict.reason) == (Status.INFRASTRUCTURE_ERROR, None, "prompt_too_long")


def test_recorded_reads_one_purpose_and_the_named_checkpoints(home: Home) -> None:
    lake = Lake(home.lake)
    assert SampleStore(lake).recorded("difficulty", {"c"}) == {}
    asked = [request(), request(1), request(purpose="guess"), request(checkpoint="other", origin="other")]
    with committer(lake) as commits:
        for one in asked:
            commits.add(sample_row(Completion(one, "", "stop", 1, 2), Breakdown(Status.WRONG, 0.0), "vllm"))
    recorded = SampleStore(lake).recorded("difficulty", {"c"})
    assert set(recorded) == {request().sample_id, request(1).sample_id}
    assert {one.tokens for one in recorded.values()} == {2}
    assert len(SampleStore(lake).recorded("difficulty", {"c", "other"})) == 3
