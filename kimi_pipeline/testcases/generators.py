"""The stage `test_case_generators`: one path for generators that come with a problem, in a file of yours, or from a model.

Belongs here: which problems need one, checks before it runs, the rows. Does not belong here: the prompt and the parser
(`writing.py`), the engine (`writing_job.py`), inputs (`cases.py`).
"""

from __future__ import annotations

from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.corpora.coding_problem import CodingProblem
from kimi_pipeline.digests import digest
from kimi_pipeline.ledger import KEEP, REFUSE
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context, Outcome, Stage
from kimi_pipeline.testcases.generating import check_generator
from kimi_pipeline.testcases.scope import Judged, kept_problems, record_all, replace_rows
from kimi_pipeline.testcases.writing import Attempt

RULE = "test_case_generators@1"
SUPPLIED = "problem"


def generator_row(problem_id: str, attempt: Attempt) -> dict[str, Any]:
    return {
        "problem_id": problem_id,
        "generator_id": digest(attempt.program or ""),
        "origin": attempt.origin,
        "attempt": attempt.number,
        "verdict": KEEP if attempt.reason is Reason.GENERATOR_READY else REFUSE,
        "reason_code": str(attempt.reason),
        "evidence": attempt.detail,
        "program": attempt.program,
        "response": attempt.response,
    }


def supplied(problem: CodingProblem) -> Attempt | None:
    """The generator that came with the problem, checked like any other."""
    if problem.generator is None:
        return None
    reason, detail = check_generator(problem.generator)
    return Attempt(SUPPLIED, 1, problem.generator, reason, detail)


def find_generators(context: Context) -> Outcome:
    problems = kept_problems(context)
    attempts: dict[str, list[Attempt]] = {}
    for one in problems:
        found = supplied(one)
        attempts[one.problem_id] = [found] if found else []
    lacking = [one for one in problems if not attempts[one.problem_id]]
    if lacking and context.profile.testcases.writer == "model":
        from kimi_pipeline.testcases.asking import written

        attempts |= written(context, lacking)
    rows = [generator_row(problem_id, one) for problem_id, several in attempts.items() for one in several]
    replace_rows(context, tables.TEST_CASE_GENERATORS, rows, "test case generators")
    judged = [_judge(one, attempts[one.problem_id]) for one in problems]
    refused = record_all(context, "test_case_generators", RULE, judged, _settings(context))
    return Outcome(
        data_version=context.lake.digest(tables.TEST_CASE_GENERATORS, where=[("profile", "=", context.profile.name)]),
        figures={
            "problems": len(problems),
            "with_a_generator": sum(one.kept for one in judged),
            **dict(refused.most_common()),
            "supplied": sum(row["origin"] == SUPPLIED for row in rows),
            "written_attempts": sum(row["origin"] != SUPPLIED for row in rows),
        },
        preview=[
            {name: row[name] for name in ("problem_id", "origin", "attempt", "reason_code", "evidence")}
            for row in rows[:8]
        ],
    )


def _judge(problem: CodingProblem, attempts: list[Attempt]) -> Judged:
    if not attempts:
        return Judged(problem, REFUSE, Reason.NO_GENERATOR, {})
    last = attempts[-1]
    verdict = KEEP if last.reason is Reason.GENERATOR_READY else REFUSE
    return Judged(problem, verdict, last.reason, {"origin": last.origin, "attempts": len(attempts)})


def _settings(context: Context) -> dict[str, Any]:
    chosen = context.profile.testcases
    if chosen.writer == "none":
        return {"writer": "none"}
    inference = context.profile.inference
    return {
        "writer": [chosen.writer_attempts, chosen.writer_max_tokens, inference.carrier, inference.endpoint_model],
        "model": context.profile.model.model_dump(),
        "seed": context.profile.seed,
    }


TEST_CASE_GENERATORS = Stage(
    name="test_case_generators",
    description="A CYaRon generator for each problem: its own, yours, or one that a model writes [2.3.5]",
    group="testcases",
    compute=find_generators,
    upstream=("coding_problems",),
    settings=_settings,
    code=(__name__, "kimi_pipeline.testcases.generating", "kimi_pipeline.testcases.writing"),
    tables=(tables.TEST_CASE_GENERATORS,),
    kinds=("python", "deltalake"),
)
