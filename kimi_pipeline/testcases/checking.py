"""Runs whose outputs a checker judges, where the problem has one: a constant output in the place of each accepted one.

Belongs here: which checks are missing, what a check makes of a run. Does not belong here: the program around a checker
(`rewards/checker.py`), what a checker must show (`rules.py`), running programs (`execution.py`).

A check is a run like any other, of the checker on an input together with an output: a row of `submission_runs` with purpose
`check`, committed as it comes, none repeated. Equal outputs of several programs are one check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from kimi_pipeline.corpora.coding_problem import CodingProblem, Program
from kimi_pipeline.digests import digest
from kimi_pipeline.lake import Lake
from kimi_pipeline.rewards.checker import ACCEPTED, LIMITS, program_of, question, read
from kimi_pipeline.testcases.execution import Asked, Runs
from kimi_pipeline.testcases.rules import ENDED_WELL, Run
from sandbox import Sandbox

PURPOSE = "check"


class CheckedRuns(Runs):
    """Runs of one lake; `checkers` by problem (a problem without one: its runs as they are)."""

    def __init__(
        self,
        lake: Lake,
        box: Sandbox,
        run_id: str,
        seconds: float,
        say: Callable[[str], None],
        checkers: Mapping[str, str],
    ) -> None:
        super().__init__(lake, box, run_id, seconds, say)
        self._checkers = checkers

    def run(self, asked: Sequence[Asked], parallel: int | None = None) -> None:
        """Run what is missing, then the checks of what was printed. Raises SandboxFailed as `Runs.run`."""
        super().run(asked, parallel)
        by_problem: dict[str, list[Asked]] = {}
        for one in asked:
            if one.problem.problem_id in self._checkers:
                by_problem.setdefault(one.problem.problem_id, []).append(one)
        super().run([self._checks(several) for several in by_problem.values()], parallel)

    def of(self, problem: CodingProblem, programs: Iterable[Program]) -> dict[str, dict[str, Run]]:
        """Committed runs as the checker judges them; one whose output was never checked is left out."""
        found = super().of(problem, programs)
        if problem.problem_id not in self._checkers:
            return found
        checker = self._checker(problem)
        checks = super().of(_under_own_limits(problem), [checker])[checker.submission_id]
        return {
            name: {case: judged for case, run in own.items() if (judged := _judged(case, run, checks)) is not None}
            for name, own in found.items()
        }

    def _checker(self, problem: CodingProblem) -> Program:
        return Program("python", program_of(self._checkers[problem.problem_id]), "checker")

    def _checks(self, asked: Sequence[Asked]) -> Asked:
        """The checks of one problem's programs on their inputs."""
        problem = asked[0].problem
        runs = super().of(problem, [one.program for one in asked])
        questions = {
            _key(case, run.output): question(one.inputs[case], run.output)
            for one in asked
            for case, run in runs[one.program.submission_id].items()
            if case in one.inputs and run.ended_well and run.output is not None
        }
        return Asked(_under_own_limits(problem), self._checker(problem), questions, PURPOSE)


def _under_own_limits(problem: CodingProblem) -> CodingProblem:
    """The problem with a checker's limits in the place of those of its programs."""
    return replace(problem, time_limit_s=LIMITS.cpu_seconds, memory_limit_mb=LIMITS.memory_mb)


def _key(case: str, output: str) -> str:
    return digest([case, output])


def _judged(case: str, run: Run, checks: Mapping[str, Run]) -> Run | None:
    if not run.ended_well or run.output is None:
        return run
    check = checks.get(_key(case, run.output))
    if check is None:
        return None
    found = read(check.outcome, check.output)
    return Run(ENDED_WELL, ACCEPTED) if found.said == ACCEPTED else Run(found.said, None, found.why)
