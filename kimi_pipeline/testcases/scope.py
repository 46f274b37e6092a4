"""What the stages of test cases share: the profile's problems, decisions, and a branch that is refused where no sandbox is.

Belongs here: the draw of submissions, reading back what an earlier stage stored, opening the sandbox or saying why not. Does
not belong here: any stage's work.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.corpora.coding_problem import ACCEPTED, CodingProblem, Program
from kimi_pipeline.errors import UserError
from kimi_pipeline.ledger import KEEP, REFUSE, Decision, record
from kimi_pipeline.profiles import Profile
from kimi_pipeline.reasons import Reason
from kimi_pipeline.sandbox_door import open_sandbox
from kimi_pipeline.stages import Context, Outcome
from kimi_pipeline.tables import Table
from kimi_pipeline.testcases.checking import CheckedRuns
from kimi_pipeline.testcases.rules import Thresholds, draw_submissions
from sandbox import Sandbox

REPORTED = {"problems": 1000, "no special judge": 614, "at least 40 valid cases": 463, "kept": 323}
"""The report's funnel [2.3.5]."""

COMMIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Judged:
    """A problem and what a stage made of it."""

    problem: CodingProblem
    verdict: str
    reason: Reason
    evidence: dict[str, Any]

    @property
    def kept(self) -> bool:
        return self.verdict == KEEP

    def decision(self, stage: str) -> Decision:
        return Decision(stage, self.problem.problem_id, self.verdict, self.reason, self.evidence)


def profile_rows(context: Context, table: Table, order: str = "problem_id") -> list[dict[str, Any]]:
    """The profile's rows of a table."""
    return context.lake.rows(f"select * from {table.name} where profile = ? order by {order}", [context.profile.name])


def kept_problems(context: Context) -> list[CodingProblem]:
    """The profile's coding problems that have submissions and need no special judge, or may have a checker for one."""
    rows = profile_rows(context, tables.CODING_PROBLEMS)
    return [CodingProblem.from_row(row) for row in rows if row["verdict"] == KEEP]


def need_checker(context: Context) -> set[str]:
    """Those of them that need a checker."""
    rows = profile_rows(context, tables.CODING_PROBLEMS)
    return {row["problem_id"] for row in rows if row["reason_code"] == Reason.NEEDS_CHECKER}


def checkers_of(context: Context) -> dict[str, dict[str, Any]]:
    """The row of the checker in force of each problem that has one: the newest attempt that was kept."""
    rows = profile_rows(context, tables.OUTPUT_CHECKERS, "problem_id, attempt")
    return {row["problem_id"]: row for row in rows if row["verdict"] == KEEP}


def thresholds_of(context: Context) -> Thresholds:
    chosen = context.profile.testcases
    return Thresholds(chosen.submissions, chosen.agree, chosen.valid_cases, chosen.passing)


def usable_cases(context: Context) -> dict[str, list[dict[str, Any]]]:
    """The profile's usable cases by problem, in order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in profile_rows(context, tables.TEST_CASES, "problem_id, case_number"):
        if row["reason_code"] == Reason.GENERATED:
            found.setdefault(row["problem_id"], []).append(row)
    return found


def drawn_of(problem: CodingProblem, thresholds: Thresholds, seed: int) -> list[Program]:
    """The submissions that validate a problem: the same for all its cases."""
    accepted = {one.submission_id: one for one in problem.of_kind(ACCEPTED)}
    return [accepted[key] for key in draw_submissions(problem.problem_id, list(accepted), thresholds.submissions, seed)]


def model_writes(profile: Profile) -> bool:
    """Whether a model writes the programs that problems lack."""
    return profile.testcases.writer == "model"


def writer_settings(context: Context) -> dict[str, Any]:
    """What the programs depend on that a model writes where they are missing."""
    chosen = context.profile.testcases
    if not model_writes(context.profile):
        return {"writer": "none"}
    inference = context.profile.inference
    return {
        "writer": [chosen.writer_attempts, chosen.writer_max_tokens, inference.carrier, inference.endpoint_model],
        "model": context.profile.model.model_dump(),
        "seed": context.profile.seed,
    }


def replace_rows(context: Context, table: Table, rows: list[dict[str, Any]], reason: str, problem_id: str = "") -> None:
    """The profile's rows of a table (of one problem), replaced in one commit."""
    where = f"profile = '{context.profile.name}'" + (f" and problem_id = '{problem_id}'" if problem_id else "")
    stamped = [{"profile": context.profile.name} | row for row in rows]
    context.lake.replace(table, stamped, where=where, run_id=context.run_id, reason=reason)


def record_all(context: Context, stage: str, rule: str, judged: Sequence[Judged], parameters: Any) -> Counter[str]:
    """Decisions into the ledger; returns refusals by reason."""
    decisions = [one.decision(stage) for one in judged]
    record(context.lake, decisions, parameters=parameters, actor=rule, run_id=context.run_id)
    return Counter(str(one.reason) for one in judged if not one.kept)


@contextlib.contextmanager
def sandbox_or_reason(context: Context, packages: Path | None = None) -> Iterator[Sandbox | str]:
    """The profile's sandbox, or why none works here: then the branch is refused, and the rest of the lineage completes."""
    section = context.profile.sandbox
    if packages is not None:
        section = section.model_copy(update={"packages": str(packages)})
    with contextlib.ExitStack() as stack:
        try:
            box: Sandbox | str = stack.enter_context(open_sandbox(section))
        except UserError as error:
            box = str(error)
        yield box


def refused_branch(context: Context, stage: str, rule: str, problems: Sequence[CodingProblem], why: str) -> Outcome:
    """Every problem refused with `no_sandbox`; the stage has an outcome, so that what follows can say the same.

    What the sandbox is stands among the stages' settings (`runs_in`): as soon as one works, they are computed."""
    context.say(f"{stage}: refused, nothing untrusted is run without a sandbox: {why}")
    judged = [Judged(one, REFUSE, Reason.NO_SANDBOX, {"why": why[:300]}) for one in problems]
    record_all(context, stage, rule, judged, {"rule": rule})
    return Outcome(
        data_version="no sandbox",
        figures={"problems": len(problems), str(Reason.NO_SANDBOX): len(problems), "why": why},
        outputs={"refused": why},
    )


def runs_of(context: Context, box: Sandbox) -> CheckedRuns:
    """Runs of the lake, judged by the checker of a problem that has one."""
    checkers = {name: row["program"] for name, row in checkers_of(context).items()}
    return CheckedRuns(context.lake, box, context.run_id, COMMIT_SECONDS, context.say, checkers)
