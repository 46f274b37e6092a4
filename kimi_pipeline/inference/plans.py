"""Plans: which samples of which problems are wanted, in which order, and when a problem needs no more.

Belongs here: `Plan` (a fixed number a problem, or guesses until the first right one, or as many as a stopping rule asks
for), what is missing beside what is committed. Does not belong here: the stopping rule (`adaptive.py`), who answers
(carriers), commits (`store.py`), the job around it (`sampling_job.py`).

Guesses [2.1]: a problem is asked once a round and leaves at its first right answer. An answer without a verdict (an
infrastructure error) is never a wrong guess: a retryable one is asked again, and when it still fails it is excluded.

Imported samples (answers that were made elsewhere; their purpose is `imported`) count as the first of the wanted ones.

A plan may be about a million problems of which a budget lets a few be asked: requests come to be when they are asked, and
sample ids are looked up for problems alone that have something committed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq

from kimi_pipeline.inference.adaptive import State, StoppingRule
from kimi_pipeline.inference.request import SampleRequest, Sampling
from kimi_pipeline.inference.store import Recorded
from kimi_pipeline.inference.templates import TEMPLATES, Format
from kimi_pipeline.rewards.contract import Reference, Status

PROBLEM_COLUMNS = ("problem_id", "prompt", "answer", "answer_kind")
OPTIONAL_COLUMNS = ("group", "samples")
ASKED_AT_MOST = 2  # times a retryable error is asked in one run, beyond the retries of the carrier


@dataclass(frozen=True, slots=True)
class AskedProblem:
    """A problem as sampling needs it: what to ask and what the answer is held against.

    Problems of one `group` are expected to have similar pass rates: a stopping rule learns from one for the others.
    `samples`: exactly so many are wanted of this one, whatever the ask and its rule say.
    """

    problem_id: str
    prompt: str
    reference: Reference
    group: str = ""
    samples: int | None = None


def read_problems(path: Path) -> list[AskedProblem]:
    """The problems of a parquet file with the columns `PROBLEM_COLUMNS`, and those of `OPTIONAL_COLUMNS` that it has, in
    the file's order; a repeated problem counts once."""
    rows = pq.read_table(path).to_pylist()
    found: dict[str, AskedProblem] = {}
    for row in rows:
        key = row["problem_id"]
        reference = Reference(key, row["answer"], row["answer_kind"])
        one = AskedProblem(key, row["prompt"], reference, row.get("group") or "", row.get("samples"))
        found.setdefault(key, one)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Ask:
    """What a pass asks of each problem. `samples` is the number of answers, or the most of them where a problem stops
    earlier: at its first right answer (`stop_at_first_correct`), or by the `stopping` rule (whose total it is). Where
    problems stop, `wave` of them (None: all) go through its rounds before the next ones begin: what a budget cuts short then
    leaves finished problems and untouched ones."""

    purpose: str
    checkpoint: str
    template: str
    format: Format
    sampling: Sampling
    samples: int
    run_seed: int
    stop_at_first_correct: bool = False
    stopping: StoppingRule | None = None
    constrained: bool = False
    wave: int | None = None

    @property
    def template_id(self) -> str:
        return TEMPLATES[self.template].id(self.format, self.constrained)

    def request(self, problem: AskedProblem, index: int) -> SampleRequest:
        """The request of a problem's sample `index`."""
        return SampleRequest(
            problem_id=problem.problem_id,
            purpose=self.purpose,
            checkpoint=self.checkpoint,
            template=self.template_id,
            user_message=TEMPLATES[self.template].user_message(problem.prompt, self.format),
            sampling=replace(self.sampling, short_answer=self.constrained),
            sample_index=index,
            run_seed=self.run_seed,
            origin=self.checkpoint,
        )


class Plan:
    """The samples of one pass: what is still missing, round by round.

    `next_round()` gives the requests to ask now (none: the plan is done); each of them must come back by `record`
    before the next round. `missing` says how many samples may still be asked. `total` counts samples, those that a stop
    makes needless included in `done`. `imported` holds the verdicts of a problem's imported samples, in their order.
    """

    def __init__(
        self,
        ask: Ask,
        problems: Sequence[AskedProblem],
        committed: Mapping[str, Recorded],
        imported: Mapping[str, Sequence[Status]] | None = None,
    ) -> None:
        self.ask = ask
        self.problems = {problem.problem_id: problem for problem in problems}
        self.total = sum(self.wanted(problem) for problem in self.problems.values())
        self.reused: dict[str, Recorded] = {}
        self.imported = 0
        self._given = imported or {}
        self._statuses: dict[str, dict[int, Status]] = defaultdict(dict)
        self._open = set(self.problems)  # by the stopping rule
        self._begun: list[str] = []  # the problems that have had a wave, in order
        self._wave: list[str] = []
        self._round = 0
        self.missing = 0
        self._missing: dict[str, dict[int, None]] = {}  # sample indexes by problem, in order
        self._asked: dict[str, int] = {}
        self._failed: dict[str, str] = {}
        begun = {one.problem_id for one in committed.values()}
        for problem in self.problems.values():
            self._plan(problem, committed if problem.problem_id in begun else {})

    def wanted(self, problem: AskedProblem) -> int:
        """How many samples of a problem are wanted, or the most of them."""
        return self.ask.samples if problem.samples is None else problem.samples

    def _plan(self, problem: AskedProblem, committed: Mapping[str, Recorded]) -> None:
        wanted = self.wanted(problem)
        given = self._given.get(problem.problem_id, ())[:wanted]
        self.imported += len(given)
        statuses = dict(enumerate(given))
        missing = dict.fromkeys(range(len(given), wanted))
        for index in [*missing] if committed else ():
            if known := committed.get(self.ask.request(problem, index).sample_id):
                self.reused[known.sample_id] = known
                statuses[index] = known.status
                del missing[index]
        if statuses:
            self._statuses[problem.problem_id] = statuses
        if missing and not (Status.CORRECT in statuses.values() and self.ask.stop_at_first_correct):
            self._missing[problem.problem_id] = missing
            self.missing += len(missing)

    @property
    def done(self) -> int:
        return self.total - self.missing - len(self._failed)

    @property
    def errors(self) -> dict[str, str]:
        """Samples that nobody could answer in this run, with the last error; the next run asks them again."""
        return dict(self._failed)

    def next_round(self) -> Iterator[SampleRequest]:
        """All missing requests; where the first right answer stops a problem, the first one of each problem; under a
        stopping rule those up to the round's number of samples, of the problems that go on. Each is made when it is read."""
        if self.ask.stopping is not None:
            yield from self._adaptive_round(self.ask.stopping)
            return
        stops = self.ask.stop_at_first_correct
        for problem_id in list(islice(self._missing, self.ask.wave if stops else None)):
            indexes = [*self._missing[problem_id]]
            yield from self._requests(problem_id, indexes[:1] if stops else indexes)

    def _requests(self, problem_id: str, indexes: Iterable[int]) -> Iterator[SampleRequest]:
        return (self.ask.request(self.problems[problem_id], index) for index in indexes)

    def _adaptive_round(self, rule: StoppingRule) -> list[SampleRequest]:
        """The rounds from the first one on, as the samples that are there decide them: a run that was killed in one goes
        on in it."""
        while self._open:
            if not self._wave:
                self._wave = [one for one in self.problems if one in self._open][: self.ask.wave]
                self._begun += self._wave
                self._round = 0
            while self._round < len(rule.bounds) and self._open.intersection(self._wave):
                bound = rule.bounds[self._round]
                if asked := self._up_to(bound):
                    return asked
                self._close(self._stopped(rule, bound))
                self._round += 1
            self._close(self._open.intersection(self._wave))
            self._wave = []
        return []

    def _up_to(self, bound: int) -> list[SampleRequest]:
        """What the open problems of the wave miss of their first `bound` samples; all, of one that says how many it wants."""
        asked: list[SampleRequest] = []
        for one in self._wave:
            if one in self._open:
                whole = self.problems[one].samples is not None
                asked += self._requests(one, [i for i in self._missing.get(one, ()) if whole or i < bound])
        return asked

    def _stopped(self, rule: StoppingRule, bound: int) -> set[str]:
        """The problems that need no more, by what the first `bound` samples of each say (of a stopped one, what it has)."""
        states: dict[str, State] = {}
        tallies: dict[str, Counter[State]] = defaultdict(Counter)
        for problem_id in self._begun:
            if self.problems[problem_id].samples is not None:
                continue
            found = [status for index, status in self._statuses[problem_id].items() if index < bound]
            right, excluded = found.count(Status.CORRECT), found.count(Status.INFRASTRUCTURE_ERROR)
            states[problem_id] = (len(found) - excluded, right)
            tallies[self.problems[problem_id].group][states[problem_id]] += 1
        stops = rule.stops(tallies)
        return {
            one for one, state in states.items() if one in self._open and (self.problems[one].group, state) in stops
        }

    def _close(self, problem_ids: Collection[str]) -> None:
        for problem_id in problem_ids:
            self._open.discard(problem_id)
            self.missing -= len(self._missing.pop(problem_id, ()))

    def record(self, request: SampleRequest, status: Status, error: str | None = None, retryable: bool = False) -> None:
        """Take what became of a request. `retryable`: there is no answer and nothing was stored."""
        problem_id, sample_id = request.problem_id, request.sample_id
        indexes = self._missing[problem_id]
        if retryable:
            self._asked[sample_id] = self._asked.get(sample_id, 0) + 1
            if self._asked[sample_id] < ASKED_AT_MOST:
                return
            self._failed[sample_id] = error or "unknown error"
        else:
            self._statuses[problem_id][request.sample_index] = status
        del indexes[request.sample_index]
        self.missing -= 1
        if not indexes or (status is Status.CORRECT and self.ask.stop_at_first_correct):
            self.missing -= len(self._missing.pop(problem_id))
