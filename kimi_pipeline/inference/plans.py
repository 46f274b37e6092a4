"""Plans: which samples of which problems are wanted, in which order, and when a problem needs no more.

Belongs here: `Plan` (fixed number a problem, or guesses until the first right one), what is missing beside what is
committed. Does not belong here: who answers (carriers), commits (`store.py`), the job around it (`sampling_job.py`).

Guesses [2.1]: a problem is asked once a round and leaves at its first right answer. An answer without a verdict (an
infrastructure error) is never a wrong guess: a retryable one is asked again, and when it still fails it is excluded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from kimi_pipeline.inference.request import SampleRequest, Sampling
from kimi_pipeline.inference.store import Recorded
from kimi_pipeline.inference.templates import TEMPLATES, Format
from kimi_pipeline.rewards.contract import Reference, Status

PROBLEM_COLUMNS = ("problem_id", "prompt", "answer", "answer_kind")
ASKED_AT_MOST = 2  # times a retryable error is asked in one run, beyond the retries of the carrier


@dataclass(frozen=True, slots=True)
class AskedProblem:
    """A problem as sampling needs it: what to ask and what the answer is held against."""

    problem_id: str
    prompt: str
    reference: Reference


def read_problems(path: Path) -> list[AskedProblem]:
    """The problems of a parquet file with the columns `PROBLEM_COLUMNS`; a repeated problem counts once."""
    rows = pq.read_table(path, columns=list(PROBLEM_COLUMNS)).to_pylist()
    found: dict[str, AskedProblem] = {}
    for row in rows:
        key = row["problem_id"]
        found.setdefault(key, AskedProblem(key, row["prompt"], Reference(key, row["answer"], row["answer_kind"])))
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Ask:
    """What a pass asks of each problem. `samples` is the number of answers, or the most guesses where
    `stop_at_first_correct`."""

    purpose: str
    checkpoint: str
    template: str
    format: Format
    sampling: Sampling
    samples: int
    run_seed: int
    stop_at_first_correct: bool = False

    @property
    def template_id(self) -> str:
        return TEMPLATES[self.template].id(self.format)

    def request(self, problem: AskedProblem, index: int) -> SampleRequest:
        """The request of a problem's sample `index`."""
        return SampleRequest(
            problem_id=problem.problem_id,
            purpose=self.purpose,
            checkpoint=self.checkpoint,
            template=self.template_id,
            user_message=TEMPLATES[self.template].user_message(problem.prompt, self.format),
            sampling=self.sampling,
            sample_index=index,
            run_seed=self.run_seed,
            origin=self.checkpoint,
        )


class Plan:
    """The samples of one pass: what is still missing, round by round.

    `next_round()` gives the requests to ask now (none: the plan is done); each of them must come back by `record`
    before the next round. `total` counts samples, those that a stop makes needless included in `done`.
    """

    def __init__(self, ask: Ask, problems: Sequence[AskedProblem], committed: Mapping[str, Recorded]) -> None:
        self.ask = ask
        self.problems = {problem.problem_id: problem for problem in problems}
        self.total = ask.samples * len(self.problems)
        self.reused: dict[str, Recorded] = {}
        self._missing: dict[str, dict[str, SampleRequest]] = {}
        self._asked: dict[str, int] = {}
        self._failed: dict[str, str] = {}
        for problem in self.problems.values():
            self._plan(problem, committed)

    def _plan(self, problem: AskedProblem, committed: Mapping[str, Recorded]) -> None:
        missing: dict[str, SampleRequest] = {}
        solved = False
        for index in range(self.ask.samples):
            request = self.ask.request(problem, index)
            sample_id = request.sample_id
            if known := committed.get(sample_id):
                self.reused[sample_id] = known
                solved = solved or known.status is Status.CORRECT
            else:
                missing[sample_id] = request
        if missing and not (solved and self.ask.stop_at_first_correct):
            self._missing[problem.problem_id] = missing

    @property
    def missing(self) -> int:
        """How many samples may still be asked."""
        return sum(len(requests) for requests in self._missing.values())

    @property
    def done(self) -> int:
        return self.total - self.missing - len(self._failed)

    @property
    def errors(self) -> dict[str, str]:
        """Samples that nobody could answer in this run, with the last error; the next run asks them again."""
        return dict(self._failed)

    def next_round(self) -> list[SampleRequest]:
        """All missing requests; where the first right answer stops a problem, the first one of each problem."""
        if not self.ask.stop_at_first_correct:
            return [request for requests in self._missing.values() for request in requests.values()]
        return [next(iter(requests.values())) for requests in self._missing.values()]

    def record(self, request: SampleRequest, status: Status, error: str | None = None, retryable: bool = False) -> None:
        """Take what became of a request. `retryable`: there is no answer and nothing was stored."""
        problem_id, sample_id = request.problem_id, request.sample_id
        requests = self._missing[problem_id]
        if retryable:
            self._asked[sample_id] = self._asked.get(sample_id, 0) + 1
            if self._asked[sample_id] < ASKED_AT_MOST:
                return
            self._failed[sample_id] = error or "unknown error"
        del requests[sample_id]
        if not requests or (status is Status.CORRECT and self.ask.stop_at_first_correct):
            del self._missing[problem_id]
