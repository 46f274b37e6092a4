"""The stage `test_cases`: generators run inside the sandbox, their inputs checked and stored.

Belongs here: which problems miss their cases, the rows. Does not belong here: running a generator (`generating.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.corpora.coding_problem import CodingProblem
from kimi_pipeline.digests import digest
from kimi_pipeline.ledger import KEEP, REFUSE
from kimi_pipeline.reasons import Reason
from kimi_pipeline.sandbox_door import runs_in
from kimi_pipeline.stages import Context, Outcome, Stage
from kimi_pipeline.testcases.generating import Case, Drawn, cyaron_folder, draw_each, recipe, shares
from kimi_pipeline.testcases.scope import (
    Judged,
    kept_problems,
    profile_rows,
    record_all,
    refused_branch,
    replace_rows,
    sandbox_or_reason,
)

RULE = "test_cases@1"


def generator_of(context: Context) -> dict[str, dict[str, Any]]:
    """The generator in force of each problem: the newest attempt that was kept."""
    rows = profile_rows(context, tables.TEST_CASE_GENERATORS, "problem_id, attempt")
    return {row["problem_id"]: row for row in rows if row["verdict"] == KEEP}


def judge_cases(problem: CodingProblem, reasons: Sequence[str], wanted: int) -> Judged:
    """Whether enough inputs are usable. Else the reason is the commonest flaw of the others."""
    counts = Counter(reasons)
    usable = counts[str(Reason.GENERATED)]
    if usable >= wanted:
        return Judged(problem, KEEP, Reason.GENERATED, {"usable": usable})
    flaws = {reason: n for reason, n in counts.items() if reason != Reason.GENERATED}
    why = max(sorted(flaws), key=lambda reason: flaws[reason]) if flaws else Reason.TOO_FEW_CASES
    return Judged(problem, REFUSE, Reason(why), {"usable": usable, "wanted": wanted} | flaws)


def make_cases(context: Context) -> Outcome:
    """Draw the inputs of each problem that has none under its generator and seed; each problem is committed as it ends."""
    generators = generator_of(context)
    problems = [one for one in kept_problems(context) if one.problem_id in generators]
    settings = context.profile.testcases
    counts = shares(settings.cases)
    stored: dict[str, list[dict[str, Any]]] = {}
    for row in profile_rows(context, tables.TEST_CASES, "problem_id, case_number"):
        stored.setdefault(row["problem_id"], []).append(row)
    wanted = {
        one.problem_id: digest(
            [generators[one.problem_id]["generator_id"], one.validator, context.profile.seed, counts, recipe()]
        )
        for one in problems
    }
    missing = [
        one
        for one in problems
        if not stored.get(one.problem_id) or stored[one.problem_id][0]["setting"] != wanted[one.problem_id]
    ]
    if missing:
        with cyaron_folder() as folder, sandbox_or_reason(context, folder) as box:
            if isinstance(box, str):
                return refused_branch(context, "test_cases", RULE, problems, box)
            asked = [Drawn(one.problem_id, generators[one.problem_id]["program"], one.validator) for one in missing]
            parallel = context.profile.sandbox.pool_size
            for drawn, cases in draw_each(box, asked, seed=context.profile.seed, counts=counts, parallel=parallel):
                name = drawn.problem_id
                rows = case_rows(name, generators[name]["generator_id"], wanted[name], cases)
                replace_rows(context, tables.TEST_CASES, rows, "test cases", name)
                stored[name] = rows
    need = settings.valid_cases
    judged = [judge_cases(one, [row["reason_code"] for row in stored[one.problem_id]], need) for one in problems]
    refused = record_all(context, "test_cases", RULE, judged, {"cases": counts, "valid_cases": need})
    every = [row for one in problems for row in stored[one.problem_id]]
    named = ("problem_id", "case_number", "input_digest", "reason_code")
    usable = Counter(row["stratum"] for row in every if row["reason_code"] == Reason.GENERATED)
    return Outcome(
        data_version=digest([[row[name] for name in named] for row in every]),
        figures={
            "problems": len(problems),
            "with_enough_inputs": sum(one.kept for one in judged),
            **dict(refused.most_common()),
            "inputs": len(every),
            "usable": usable.total(),
            **{f"usable_{name}": usable[name] for name in counts},
            "mean_input_bytes": round(sum(len(r["input"] or b"") for r in every) / max(len(every), 1)),
            "problems_drawn_now": len(missing),
        },
        preview=[
            {"problem": r["problem_id"][:8], "stratum": r["stratum"], "reason": r["reason_code"], "detail": r["detail"]}
            for r in every
            if r["reason_code"] != Reason.GENERATED
        ][:8],
    )


def case_rows(problem_id: str, generator_id: str, setting: str, cases: Sequence[Case]) -> list[dict[str, Any]]:
    return [
        {
            "problem_id": problem_id,
            "generator_id": generator_id,
            "setting": setting,
            "case_number": number,
            "stratum": case.stratum,
            "number": case.number,
            "input": case.data,
            "input_digest": digest(case.data) if case.data is not None else None,
            "reason_code": str(case.reason),
            "detail": case.detail,
        }
        for number, case in enumerate(cases, 1)
    ]


TEST_CASES = Stage(
    name="test_cases",
    description="Run the generators inside the sandbox and check every input against the constraints [2.3.5]",
    group="testcases",
    compute=make_cases,
    upstream=("coding_problems", "test_case_generators"),
    settings=lambda context: {
        "seed": context.profile.seed,
        "cases": context.profile.testcases.cases,
        "valid_cases": context.profile.testcases.valid_cases,
        "recipe": recipe(),
        "runs_in": runs_in(context.profile.sandbox),
    },
    code=(__name__, "kimi_pipeline.testcases.generating"),
    tables=(tables.TEST_CASES,),
    kinds=("python", "docker", "deltalake"),
)
