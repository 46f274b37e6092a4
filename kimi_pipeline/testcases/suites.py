"""The stage `validated_test_suites`: the drawn submissions run on every input, then the 7/10 and 9/10 rules [2.3.5].

Where a problem needs a checker, its wrong submissions run too, and one that prints nothing: the checker is judged beside the
suite.

Belongs here: which programs run on which inputs, the rows, the funnel's plot. Does not belong here: the rules (`rules.py`).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from kimi_pipeline import plots, tables
from kimi_pipeline.corpora.coding_problem import WRONG, CodingProblem, Program
from kimi_pipeline.digests import digest
from kimi_pipeline.ledger import REFUSE
from kimi_pipeline.reasons import Reason
from kimi_pipeline.sandbox_door import runs_in
from kimi_pipeline.stages import Context, Outcome, Stage
from kimi_pipeline.testcases import special_judge
from kimi_pipeline.testcases.constructed import constructed, write_inputs
from kimi_pipeline.testcases.execution import Asked, Runs, limits_of, setting_of
from kimi_pipeline.testcases.joining import record_joining
from kimi_pipeline.testcases.rules import SuiteVerdict, Thresholds, agreement, judge_suite, judge_with_checker
from kimi_pipeline.testcases.scope import (
    REPORTED,
    Judged,
    checkers_of,
    drawn_of,
    kept_problems,
    need_checker,
    profile_rows,
    record_all,
    refused_branch,
    replace_rows,
    runs_of,
    sandbox_or_reason,
    thresholds_of,
    usable_cases,
)
from sandbox import Sandbox

RULE = "validated_suites@1"
READMITTED = "readmitted by a checker"
"""The funnel's own row for problems that need a special judge: the report has none."""
NOTHING = Program("python", "pass\n", f"{WRONG}: prints nothing")


def validate(context: Context) -> Outcome:
    thresholds, seed = thresholds_of(context), context.profile.seed
    cases = usable_cases(context)
    checkers = {name: row["checker_id"] for name, row in checkers_of(context).items()}
    without = need_checker(context) - checkers.keys()
    problems = [
        one
        for one in kept_problems(context)
        if one.problem_id not in without and len(cases.get(one.problem_id, ())) >= thresholds.valid_cases
    ]
    with sandbox_or_reason(context) as box:
        if isinstance(box, str):
            replace_rows(context, tables.VALIDATED_SUITES, [], "no sandbox")
            record_joining(context)
            return refused_branch(context, "validated_test_suites", RULE, problems, box)
        runs = runs_of(context, box)
        inputs = {one.problem_id: {c["input_digest"]: c["input"] for c in cases[one.problem_id]} for one in problems}
        asked = [
            Asked(one, program, inputs[one.problem_id], "suite")
            for one in problems
            for program in drawn_of(one, thresholds, seed)
        ]
        asked += [
            Asked(one, program, inputs[one.problem_id], "known_wrong", stop_when_slow=True)
            for one in problems
            if one.problem_id in checkers
            for program in (NOTHING, *one.of_kind(WRONG))
        ]
        runs.run(asked)
        suites = [
            suite_of(one, cases[one.problem_id], runs, box, thresholds, seed, checkers.get(one.problem_id))
            for one in problems
        ]
    known, known_cases, known_inputs = constructed(context)
    write_inputs(context, known_inputs)
    replace_rows(context, tables.VALIDATED_SUITES, [row for row, _, _ in suites] + known, "validated suites")
    cases_of = [row for _, rows, _ in suites for row in rows]
    replace_rows(context, tables.SUITE_CASES, cases_of + known_cases, "suite cases")
    judged = [
        Judged(one, verdict.verdict, verdict.reason, {"valid": verdict.valid_cases, "passing": len(verdict.passing)})
        for one, (_, _, verdict) in zip(problems, suites, strict=True)
    ]
    refused = record_all(context, "validated_test_suites", RULE, judged, _settings(context))
    record_joining(context)
    funnel = funnel_of(context)
    kept = [row for row, _, verdict in suites if verdict.verdict != REFUSE]
    return Outcome(
        data_version=digest(
            [
                [row[name] for name in ("problem_id", "verdict", "reason_code", "setting", "checker_id")]
                for row, _, _ in suites
            ]
            + [
                [row[name] for name in ("problem_id", "input_digest", "valid", "expected")]
                for row in cases_of + known_cases
            ]
        ),
        figures={
            "kept": len(kept),
            "problems_with_inputs": len(problems),
            **dict(refused.most_common()),
            "funnel": funnel,
            "report_funnel": REPORTED,
            "valid_cases_of_kept": sum(row["valid_cases"] for row in kept),
            "mean_agreement_of_kept": round(sum(row["mean_agreement"] for row in kept) / max(len(kept), 1), 4),
            "by_construction": len(known),
            "runs_done": runs.done,
            "runs_reused": runs.reused,
        },
        plots={"funnel": _plot(context, funnel)},
        preview=[
            {name: row[name] for name in ("problem_id", "verdict", "reason_code", "valid_cases")}
            for row, _, _ in suites
        ],
    )


def suite_of(
    problem: CodingProblem,
    cases: list[dict[str, Any]],
    runs: Runs,
    box: Sandbox,
    full: Thresholds,
    seed: int,
    checker_id: str | None = None,
) -> tuple[dict[str, Any], list[dict[str, Any]], SuiteVerdict]:
    """The suite's row, its cases' rows and the verdict, from committed runs alone (with a checker: as it judges them)."""
    drawn = drawn_of(problem, full, seed)
    thresholds = full.scaled(len(drawn))
    by_submission = runs.of(problem, drawn)
    agreements = {
        case["input_digest"]: agreement(
            [own[case["input_digest"]] for own in by_submission.values()], thresholds.agree, problem.float_tolerance
        )
        for case in cases
    }
    if checker_id is None:
        verdict = judge_suite(agreements, by_submission, thresholds, problem.float_tolerance)
    else:
        known_wrong = runs.of(problem, [NOTHING, *problem.of_kind(WRONG)])
        nothing = known_wrong.pop(NOTHING.submission_id)
        verdict = judge_with_checker(agreements, by_submission, known_wrong, nothing, thresholds)
    rows = []
    for case in cases:
        one = agreements[case["input_digest"]]
        rows.append(
            {
                "problem_id": problem.problem_id,
                "case_number": case["case_number"],
                "stratum": case["stratum"],
                "input_digest": case["input_digest"],
                "valid": one.valid,
                "reason_code": str(one.reason),
                "expected": one.expected,
                "agreeing": one.agreeing,
                "ended_well": one.ended_well,
                "distinct_outputs": one.distinct,
            }
        )
    shares = [one.agreeing / len(drawn) for one in agreements.values() if one.valid]
    row = {
        "problem_id": problem.problem_id,
        "verdict": verdict.verdict,
        "reason_code": str(verdict.reason),
        "evidence": verdict.why,
        "generator_id": cases[0]["generator_id"] if cases else None,
        "setting": setting_of(problem, box),
        "drawn": [program.submission_id for program in drawn],
        "passing": list(verdict.passing),
        "cases": len(cases),
        "valid_cases": verdict.valid_cases,
        "mean_agreement": sum(shares) / len(shares) if shares else 0.0,
        "thresholds": json.dumps(asdict(thresholds)),
        "limits": json.dumps(limits_of(problem).as_dict()),
        "image": box.backend.image,
        "inputs_checked": problem.validator is not None,
        "checker_id": checker_id,
    }
    return row, rows, verdict


def funnel_of(context: Context) -> dict[str, int]:
    """The report's four steps, from the tables alone; then, where checkers may readmit problems, how many they did."""
    problems = profile_rows(context, tables.CODING_PROBLEMS)
    plain = {row["problem_id"] for row in problems if not special_judge.of(CodingProblem.from_row(row)).needed}
    every = profile_rows(context, tables.VALIDATED_SUITES)
    suites = [row for row in every if row["problem_id"] in plain]
    need = context.profile.testcases.valid_cases
    ours = (
        len(problems),
        len(plain),
        sum(row["valid_cases"] >= need for row in suites),
        sum(row["verdict"] != REFUSE for row in suites),
    )
    funnel = dict(zip(REPORTED, ours, strict=True))
    if context.profile.testcases.special_judge == "checker":
        funnel[READMITTED] = sum(row["reason_code"] == Reason.READMITTED for row in every)
    return funnel


def _plot(context: Context, funnel: dict[str, int]) -> str:
    path = context.home.reports / f"coding-funnel-{context.profile.name}.png"
    title = f"Coding problems kept: {funnel['kept']} of {funnel['problems']}; the report: 323 of 1000"
    return plots.paired_bars(
        {name: (funnel[name] / max(funnel["problems"], 1), REPORTED[name] / 1000) for name in REPORTED},
        ("ours", "report"),
        path,
        title=title,
        y="share of all problems",
    )


def _settings(context: Context) -> dict[str, Any]:
    chosen = context.profile.testcases
    names = ("submissions", "agree", "valid_cases", "passing", "few_submissions", "least_submissions")
    settings = {name: getattr(chosen, name) for name in names}
    return settings | {"seed": context.profile.seed, "runs_in": runs_in(context.profile.sandbox)}


VALIDATED_TEST_SUITES = Stage(
    name="validated_test_suites",
    description="Ten submissions run on every case; 7 must agree, 9 must pass them all [2.3.5]",
    group="testcases",
    compute=validate,
    upstream=("coding_problems", "test_cases", "output_checkers", "evaluation_problems"),
    settings=_settings,
    code=(
        __name__,
        "kimi_pipeline.testcases.rules",
        "kimi_pipeline.rewards.outputs",
        "kimi_pipeline.rewards.checker",
        "kimi_pipeline.testcases.execution",
        "kimi_pipeline.testcases.checking",
        "kimi_pipeline.testcases.constructed",
        "kimi_pipeline.corpora.families.programs",
    ),
    tables=(tables.VALIDATED_SUITES, tables.SUITE_CASES, tables.TEST_CASES, tables.SUBMISSION_RUNS),
    kinds=("python", "docker", "deltalake"),
)
