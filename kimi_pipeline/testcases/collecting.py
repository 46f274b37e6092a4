"""The stage `coding_problems`: built-in ones, folders of yours, rows of the corpus; and the refusals that need no run.

Belongs here: gathering, and the rules on statement and submissions. Does not belong here: anything that runs a program.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.corpora.coding_library import library
from kimi_pipeline.corpora.coding_problem import ACCEPTED, WEAK, WRONG, CodingProblem, Program
from kimi_pipeline.corpora.families.registry import CONSTRUCTED
from kimi_pipeline.ledger import KEEP, REFUSE
from kimi_pipeline.profiles.sections import Testcases
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context, Outcome, Stage
from kimi_pipeline.testcases import special_judge
from kimi_pipeline.testcases.scope import Judged, record_all, replace_rows
from sandbox import SandboxInputError, checked_program

RULE = "coding_problems@1"

_BOUND = re.compile(
    r"<=|≤|\\le|<|\bat most\b|\bbetween\b|\bup to\b|\bno more than\b|\b\d+ to \d+\b|\bnot exceed", re.IGNORECASE
)


def judge_problem(problem: CodingProblem, settings: Testcases) -> Judged:
    """What can be said of a problem before anything runs. Submissions that no sandbox would run (another language, an empty
    or binary text) are left out of it, and counted."""
    problem, not_runnable = _runnable(problem)
    accepted = len(problem.of_kind(ACCEPTED))
    counts = {"accepted": accepted, "weak": len(problem.of_kind(WEAK)), "wrong": len(problem.of_kind(WRONG))}
    if not_runnable:
        counts["not_runnable"] = not_runnable
    finding = special_judge.of(problem)
    evidence = {"rule": f"{special_judge.RULE}:{finding.rule}", "at": finding.at}
    if finding.needed and (settings.special_judge == "refuse" or not special_judge.checkable(problem)):
        return Judged(problem, REFUSE, Reason.SPECIAL_JUDGE, evidence)
    if not accepted:
        return Judged(problem, REFUSE, Reason.NO_SUBMISSIONS, counts)
    least = settings.submissions if settings.few_submissions == "refuse" else settings.least_submissions
    if accepted < min(least, settings.submissions):
        return Judged(problem, REFUSE, Reason.TOO_FEW_SUBMISSIONS, counts)
    if problem.validator is None and not _BOUND.search(problem.statement):
        return Judged(problem, REFUSE, Reason.NO_CONSTRAINTS, {})
    if finding.needed:
        return Judged(problem, KEEP, Reason.NEEDS_CHECKER, evidence | counts)
    return Judged(problem, KEEP, Reason.CODING_PROBLEM, counts)


def _runnable(problem: CodingProblem) -> tuple[CodingProblem, int]:
    kept = []
    for program in problem.programs:
        with contextlib.suppress(SandboxInputError):
            checked_program(program.source, program.language)
            kept.append(program)
    return replace(problem, programs=tuple(kept)), len(problem.programs) - len(kept)


def gather(context: Context) -> list[CodingProblem]:
    """The profile's problems, each once, built-in ones first. Raises UserError as `library` does."""
    found = library(context.profile)
    if context.profile.testcases.corpus:
        found += _corpus_problems(context)
    return list({one.problem_id: one for one in reversed(found)}.values())[::-1]


def _corpus_problems(context: Context) -> list[CodingProblem]:
    """Rows of the corpus that carry submissions, but for those of families whose outputs are known by construction."""
    rows = context.lake.rows(
        "select * from problems where len(submissions) > 0 and coalesce(labels['family'], '') not in (select unnest(?)) "
        "order by source, source_row",
        [list(CONSTRUCTED)],
    )
    return [
        CodingProblem(
            source=row["source"],
            name=f"{row['source']}:{row['source_row']}",
            title="",
            statement=row["prompt"],
            domain=row["domain"] or "",
            programs=tuple(Program.of(one) for one in row["submissions"]),
        )
        for row in rows
    ]


def collect(context: Context) -> Outcome:
    judged = [judge_problem(one, context.profile.testcases) for one in gather(context)]
    rows = [
        one.problem.row() | {"verdict": one.verdict, "reason_code": str(one.reason), "evidence": repr(one.evidence)}
        for one in judged
    ]
    replace_rows(context, tables.CODING_PROBLEMS, rows, "coding problems")
    refused = record_all(context, "coding_problems", RULE, judged, _settings(context))
    programs = [program for one in judged for program in one.problem.programs]
    return Outcome(
        data_version=context.lake.digest(tables.CODING_PROBLEMS, where=[("profile", "=", context.profile.name)]),
        figures={
            "problems": len(judged),
            "kept": sum(one.kept for one in judged),
            **dict(refused.most_common()),
            "accepted_submissions": sum(program.kind == ACCEPTED for program in programs),
            "submissions_with_a_known_bug": sum(program.kind != ACCEPTED for program in programs),
        },
        preview=[
            {"name": row["name"], "domain": row["domain"], "verdict": row["verdict"], "reason": row["reason_code"]}
            for row in rows[:10]
        ],
    )


def _settings(context: Context) -> dict[str, Any]:
    """Settings and the content of folders: a file that changes is another problem."""
    chosen = context.profile.testcases
    names = ("problems", "folders", "corpus", "special_judge", "submissions", "few_submissions", "least_submissions")
    content = [one.row() for one in library(context.profile)]
    return {name: getattr(chosen, name) for name in names} | {"content": content}


CODING_PROBLEMS = Stage(
    name="coding_problems",
    description="Gather coding problems, refuse those that need a special judge or lack submissions [2.3.5]",
    group="testcases",
    compute=collect,
    upstream=("corpus",),
    settings=_settings,
    code=(__name__, "kimi_pipeline.testcases.special_judge", "kimi_pipeline.corpora.coding_problem"),
    tables=(tables.CODING_PROBLEMS,),
    kinds=("python", "deltalake"),
)
