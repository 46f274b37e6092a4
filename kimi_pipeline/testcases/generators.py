"""The stage `test_case_generators`: one path for generators that come with a problem, in a file of yours, or from a model.

Belongs here: which problems need one. Does not belong here: the prompt (`forms.py`), the parser and the rows (`writing.py`),
the engine (`writing_job.py`), inputs (`cases.py`).
"""

from __future__ import annotations

from kimi_pipeline import tables
from kimi_pipeline.stages import Context, Outcome, Stage
from kimi_pipeline.testcases.forms import GENERATOR
from kimi_pipeline.testcases.scope import kept_problems, model_writes, record_all, replace_rows, writer_settings
from kimi_pipeline.testcases.writing import attempt_figures, attempt_row, judge_attempts, supplied

RULE = "test_case_generators@1"


def find_generators(context: Context) -> Outcome:
    problems = kept_problems(context)
    attempts = {one.problem_id: supplied(GENERATOR, one.generator) for one in problems}
    lacking = [one for one in problems if not attempts[one.problem_id]]
    if lacking and model_writes(context.profile):
        from kimi_pipeline.testcases.asking import written

        asked = [
            {"problem_id": one.problem_id, "statement": one.statement, "validator": one.validator} for one in lacking
        ]
        attempts |= written(context, GENERATOR, asked)
    rows = [attempt_row(GENERATOR, problem_id, one) for problem_id, several in attempts.items() for one in several]
    replace_rows(context, tables.TEST_CASE_GENERATORS, rows, "test case generators")
    judged = [judge_attempts(GENERATOR, one, attempts[one.problem_id]) for one in problems]
    refused = record_all(context, "test_case_generators", RULE, judged, writer_settings(context))
    return Outcome(
        data_version=context.lake.digest(tables.TEST_CASE_GENERATORS, where=[("profile", "=", context.profile.name)]),
        figures=attempt_figures(GENERATOR, judged, refused, rows),
        preview=[
            {name: row[name] for name in ("problem_id", "origin", "attempt", "reason_code", "evidence")}
            for row in rows[:8]
        ],
    )


TEST_CASE_GENERATORS = Stage(
    name="test_case_generators",
    description="A CYaRon generator for each problem: its own, yours, or one that a model writes [2.3.5]",
    group="testcases",
    compute=find_generators,
    upstream=("coding_problems",),
    settings=writer_settings,
    code=(
        __name__,
        "kimi_pipeline.testcases.generating",
        "kimi_pipeline.testcases.forms",
        "kimi_pipeline.testcases.writing",
    ),
    tables=(tables.TEST_CASE_GENERATORS,),
    kinds=("python", "deltalake"),
    asks_model=model_writes,
)
