"""Runs of programs on inputs: what is missing is run in the sandbox and committed as it comes; none is repeated.

Belongs here: which runs are missing, running them, the rows. Does not belong here: what the runs say (`rules.py`).

A run is named by problem, program, input and `setting` (limits and what the sandbox runs programs in). A sandbox error is
no statement on a program: it is never stored, so the next run asks again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.corpora.coding_problem import CodingProblem, Program
from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.lake import Lake
from kimi_pipeline.rewards.outputs import normalise
from kimi_pipeline.testcases.generating import SandboxFailed
from kimi_pipeline.testcases.rules import Run
from sandbox import Job, Limits, Outcome, Sandbox, SandboxInputError, Verdict

OUTPUT_BYTES = 1024 * 1024
COMMIT_ROWS = 2000


@dataclass(frozen=True, slots=True)
class Asked:
    """A program and the inputs (by digest) that it shall be run on. `stop_when_slow`: the first time limit leaves out the
    rest; one is enough to reject a program, and running on would cost the limit again and again."""

    problem: CodingProblem
    program: Program
    inputs: Mapping[str, bytes]
    purpose: str
    stop_when_slow: bool = False


def limits_of(problem: CodingProblem) -> Limits:
    return Limits(
        cpu_seconds=problem.time_limit_s,
        wall_seconds=max(5.0, problem.time_limit_s),
        memory_mb=problem.memory_limit_mb,
        output_bytes=OUTPUT_BYTES,
    )


def setting_of(problem: CodingProblem, box: Sandbox) -> str:
    """What a run depends on beside program and input."""
    return digest([limits_of(problem).as_dict(), box.backend.image])


class Runs:
    """Runs of one lake. `seconds` is how long a finished run may wait for its commit."""

    def __init__(self, lake: Lake, box: Sandbox, run_id: str, seconds: float, say: Callable[[str], None]) -> None:
        self._lake, self._box, self._run_id, self._seconds, self._say = lake, box, run_id, seconds, say
        self.done = self.reused = self.failed = 0

    def run(self, asked: Sequence[Asked], parallel: int | None = None) -> None:
        """Run what is missing and commit it. Raises SandboxFailed at the end where the sandbox failed on any run, UserError
        before the first where a problem asks for more than a worker has."""
        missing = list(self._missing(asked))
        self.reused += sum(len(one.inputs) for one in asked) - sum(len(one.inputs) for one in missing)
        total = sum(len(one.inputs) for one in missing)
        if not total:
            return
        self._say(f"{total} runs of {len(missing)} programs to do")
        for one in missing:
            self._check_limits(one.problem)
        order = [list(one.inputs) for one in missing]
        jobs = (
            Job(
                one.program.source,
                one.program.language,
                one.inputs.values(),
                limits_of(one.problem),
                _too_slow if one.stop_when_slow else None,
            )
            for one in missing
        )
        rows: list[dict[str, Any]] = []
        committed = time.monotonic()
        failed = 0
        try:
            for place, verdict in self._box.run_many(jobs, parallel=parallel):
                if verdict.outcome is Outcome.SANDBOX_ERROR:
                    failed += 1
                    continue
                rows.append(
                    _row(missing[place], order[place][verdict.input_index], verdict, self._setting(missing[place]))
                )
                if len(rows) >= COMMIT_ROWS or time.monotonic() - committed > self._seconds:
                    self._commit(rows)
                    committed = time.monotonic()
        finally:
            self._commit(rows)
        if failed:
            raise SandboxFailed(f"the sandbox failed on {failed} of {total} runs; what ended is kept: run again")

    def of(self, problem: CodingProblem, programs: Iterable[Program]) -> dict[str, dict[str, Run]]:
        """Committed runs: submission -> input digest -> run."""
        found: dict[str, dict[str, Run]] = {program.submission_id: {} for program in programs}
        query = (
            "select submission_id, input_digest, outcome, output from submission_runs where problem_id = ? and setting = ?"
            " and submission_id in (select unnest(?))"
        )
        for row in self._lake.rows(query, [problem.problem_id, setting_of(problem, self._box), list(found)]):
            found[row["submission_id"]][row["input_digest"]] = Run(row["outcome"], row["output"])
        return found

    def seconds(self, problem: CodingProblem, programs: Iterable[Program]) -> dict[str, float]:
        """Mean CPU seconds of committed runs by input."""
        query = (
            "select input_digest, avg(cpu_seconds) s from submission_runs where problem_id = ? and setting = ?"
            " and submission_id in (select unnest(?)) group by 1"
        )
        named = [program.submission_id for program in programs]
        rows = self._lake.rows(query, [problem.problem_id, setting_of(problem, self._box), named])
        return {row["input_digest"]: row["s"] for row in rows}

    def _check_limits(self, problem: CodingProblem) -> None:
        try:
            limits_of(problem).check_within(self._box.backend.size, self._box.backend.host_memory_mb)
        except SandboxInputError as error:
            raise UserError(f"coding problem {problem.name} of {problem.source}: {error}") from error

    def _setting(self, one: Asked) -> str:
        return setting_of(one.problem, self._box)

    def _missing(self, asked: Sequence[Asked]) -> Iterable[Asked]:
        settings = sorted({self._setting(one) for one in asked})
        query = (
            "select problem_id, submission_id, input_digest, setting, outcome from submission_runs"
            " where setting in (select unnest(?)) and problem_id in (select unnest(?))"
        )
        problems = sorted({one.problem.problem_id for one in asked})
        rows = self._lake.rows(query, [settings, problems])
        known = {(row["problem_id"], row["submission_id"], row["setting"], row["input_digest"]) for row in rows}
        slow: dict[tuple[str, str, str], set[str]] = {}  # the inputs that a program was too slow on
        for row in rows:
            if row["outcome"] == Outcome.TIME_LIMIT:
                key = (row["problem_id"], row["submission_id"], row["setting"])
                slow.setdefault(key, set()).add(row["input_digest"])
        for one in asked:
            key = (one.problem.problem_id, one.program.submission_id, self._setting(one))
            if one.stop_when_slow and slow.get(key, set()) & one.inputs.keys():
                continue  # other inputs, of a suite that has changed since, say nothing of these
            left = {name: data for name, data in one.inputs.items() if (*key, name) not in known}
            if left:
                yield Asked(one.problem, one.program, left, one.purpose, one.stop_when_slow)

    def _commit(self, rows: list[dict[str, Any]]) -> None:
        self._lake.append(tables.SUBMISSION_RUNS, rows, run_id=self._run_id, reason="submission runs")
        self.done += len(rows)
        rows.clear()


def _too_slow(verdict: Verdict) -> bool:
    return verdict.outcome is Outcome.TIME_LIMIT


def _row(one: Asked, input_digest: str, verdict: Verdict, setting: str) -> dict[str, Any]:
    ended_well = verdict.outcome is Outcome.OK
    return {
        "problem_id": one.problem.problem_id,
        "submission_id": one.program.submission_id,
        "input_digest": input_digest,
        "setting": setting,
        "purpose": one.purpose,
        "label": one.program.label,
        "outcome": str(verdict.outcome),
        "output": normalise(verdict.stdout) if ended_well else None,
        "exit_code": verdict.exit_code,
        "cpu_seconds": verdict.cpu_seconds,
        "detail": (verdict.detail or verdict.stderr.decode(errors="replace")[-200:]) if not ended_well else "",
        "image": verdict.image,
    }
