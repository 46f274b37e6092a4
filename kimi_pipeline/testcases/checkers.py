"""The stage `output_checkers`: a checker for each problem with several right outputs; one that comes with it, or from a model.

Belongs here: which problems need one, the outputs that it is tried on. Does not belong here: trying it (`forms.py`), the
engine (`writing_job.py`), what it must show on all cases (`rules.py`).

There is something to do only with `testcases.special_judge = "checker"`: else such problems are refused before.
"""

from __future__ import annotations

from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.corpora.coding_problem import CodingProblem
from kimi_pipeline.sandbox_door import runs_in
from kimi_pipeline.stages import Context, Outcome, Stage
from kimi_pipeline.testcases.execution import Asked, Runs
from kimi_pipeline.testcases.forms import CHECKER
from kimi_pipeline.testcases.scope import (
    COMMIT_SECONDS,
    drawn_of,
    kept_problems,
    model_writes,
    need_checker,
    record_all,
    refused_branch,
    replace_rows,
    sandbox_or_reason,
    thresholds_of,
    usable_cases,
    writer_settings,
)
from kimi_pipeline.testcases.writing import Attempt, attempt_figures, attempt_row, judge_attempts, supplied, tried
from sandbox import Sandbox

RULE = "output_checkers@1"


def find_checkers(context: Context) -> Outcome:
    """A checker for each problem that needs one and has enough inputs. Every one is tried on an input a stratum."""
    cases, needed = usable_cases(context), need_checker(context)
    least = context.profile.testcases.valid_cases
    problems = [
        one
        for one in kept_problems(context)
        if one.problem_id in needed and len(cases.get(one.problem_id, ())) >= least
    ]
    attempts: dict[str, list[Attempt]] = {}
    if problems:
        with sandbox_or_reason(context) as box:
            if isinstance(box, str):
                replace_rows(context, tables.OUTPUT_CHECKERS, [], "no sandbox")
                return refused_branch(context, "output_checkers", RULE, problems, box)
            asked = _asked(context, box, problems, cases)
            for one in problems:
                own = supplied(CHECKER, one.checker)
                spec = asked[one.problem_id]
                attempts[one.problem_id] = [tried(CHECKER, box, each, spec, context.profile.seed) for each in own]
    lacking = [name for name, own in attempts.items() if not own]
    if lacking and model_writes(context.profile):
        from kimi_pipeline.testcases.asking import written

        attempts |= written(context, CHECKER, [asked[name] for name in lacking])
    rows = [attempt_row(CHECKER, problem_id, one) for problem_id, several in attempts.items() for one in several]
    replace_rows(context, tables.OUTPUT_CHECKERS, rows, "output checkers")
    judged = [judge_attempts(CHECKER, one, attempts[one.problem_id]) for one in problems]
    refused = record_all(context, "output_checkers", RULE, judged, _settings(context))
    return Outcome(
        data_version=context.lake.digest(tables.OUTPUT_CHECKERS, where=[("profile", "=", context.profile.name)]),
        figures=attempt_figures(CHECKER, judged, refused, rows),
        preview=[{name: row[name] for name in ("problem_id", "origin", "attempt", "reason_code")} for row in rows[:8]],
    )


def _asked(
    context: Context, box: Sandbox, problems: list[CodingProblem], cases: dict[str, list[dict[str, Any]]]
) -> dict[str, dict[str, Any]]:
    """By problem: what a model is told and a checker is tried on. `examples` are inputs, one a stratum, each with what the
    drawn submissions printed; where fewer end well than must agree, an input is no example."""
    thresholds, seed = thresholds_of(context), context.profile.seed
    # the outputs as they are: no checker is in force yet, and one of an earlier run must not judge them
    runs = Runs(context.lake, box, context.run_id, COMMIT_SECONDS, context.say)
    inputs = {
        one.problem_id: {row["input_digest"]: row["input"] for row in _one_a_stratum(cases[one.problem_id])}
        for one in problems
    }
    drawn = {one.problem_id: drawn_of(one, thresholds, seed) for one in problems}
    runs.run([Asked(one, p, inputs[one.problem_id], "suite") for one in problems for p in drawn[one.problem_id]])
    asked = {}
    for one in problems:
        agree = thresholds.scaled(len(drawn[one.problem_id])).agree
        found = runs.of(one, drawn[one.problem_id]).values()
        outputs = {name: [own[name].output for own in found if own[name].ended_well] for name in inputs[one.problem_id]}
        asked[one.problem_id] = {
            "problem_id": one.problem_id,
            "statement": one.statement,
            "agree": agree,
            "examples": [
                {"input": data.decode(), "outputs": outputs[name]}
                for name, data in inputs[one.problem_id].items()
                if len(outputs[name]) >= agree
            ],
        }
    return asked


def _one_a_stratum(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({row["stratum"]: row for row in reversed(cases)}.values())[::-1]


def _settings(context: Context) -> dict[str, Any]:
    """A checker is tried in the sandbox on outputs of the drawn submissions."""
    chosen = context.profile.testcases
    if chosen.special_judge == "refuse":
        return {}
    names = ("submissions", "agree", "valid_cases")
    tried_on = {name: getattr(chosen, name) for name in names} | {"seed": context.profile.seed}
    return writer_settings(context) | tried_on | {"runs_in": runs_in(context.profile.sandbox)}


OUTPUT_CHECKERS = Stage(
    name="output_checkers",
    description="A checker for each problem with several right outputs: its own, yours, or one that a model writes",
    group="testcases",
    compute=find_checkers,
    upstream=("coding_problems", "test_cases"),
    settings=_settings,
    code=(
        __name__,
        "kimi_pipeline.rewards.checker",
        "kimi_pipeline.testcases.forms",
        "kimi_pipeline.testcases.writing",
    ),
    tables=(tables.OUTPUT_CHECKERS, tables.SUBMISSION_RUNS),
    kinds=("python", "docker", "deltalake"),
    asks_model=lambda profile: model_writes(profile) and profile.testcases.special_judge == "checker",
)
