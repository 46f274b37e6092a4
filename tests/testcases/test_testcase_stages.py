"""The branch of coding problems from statement to reward, on a real sandbox; and what it does where there is none."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from shutil import which

import pytest

from kimi_pipeline import tables
from kimi_pipeline.corpora.coding_library import builtin_problems
from kimi_pipeline.corpora.coding_problem import ACCEPTED, WRONG
from kimi_pipeline.corpora.families.programs import PROGRAMS
from kimi_pipeline.digests import digest
from kimi_pipeline.lineage import STAGES
from kimi_pipeline.rewards.code import CodeReward
from kimi_pipeline.rewards.contract import Reference, Response, Status
from kimi_pipeline.rewards.serving import load_suites
from kimi_pipeline.stages import Context, Outcome, run_stage
from kimi_pipeline.testcases.cases import TEST_CASES
from kimi_pipeline.testcases.checkers import OUTPUT_CHECKERS
from kimi_pipeline.testcases.collecting import CODING_PROBLEMS
from kimi_pipeline.testcases.constructed import suite
from kimi_pipeline.testcases.generators import TEST_CASE_GENERATORS
from kimi_pipeline.testcases.power import SUITE_STRENGTH
from kimi_pipeline.testcases.suites import VALIDATED_TEST_SUITES
from sandbox import Sandbox

BRANCH = {
    stage.name: stage
    for stage in (
        CODING_PROBLEMS,
        TEST_CASE_GENERATORS,
        TEST_CASES,
        OUTPUT_CHECKERS,
        VALIDATED_TEST_SUITES,
        SUITE_STRENGTH,
    )
}
ALL = STAGES | BRANCH
RUNNING = ("test_cases", "validated_test_suites", "suite_strength")
CHOSEN = ["pair_with_sum", "most_frequent", "bracket_depth", "common_divisor", "max_subarray"]
SMALL = {
    "testcases__problems": CHOSEN,
    "testcases__mutants": 3,
    "testcases__further_inputs": 20,
    "testcases__corpus": False,
    "corpora__problems_per_family": 10,
    "sandbox__backend": "bubblewrap",
}


def materialise(context: Context) -> dict[str, Outcome]:
    return {name: run_stage(ALL[name], context, ALL) for name in ("corpus", "evaluation_problems", *BRANCH)}


def verdicts(context: Context) -> dict[str, tuple[str, str]]:
    """The last decision on each problem by the branch, by the problem's name."""
    names = {one.problem_id: one.name for one in builtin_problems(CHOSEN)}
    rows = context.lake.rows(
        "select * from ledger where stage in (select unnest(?)) order by created_at", [list(BRANCH)]
    )
    found = {}
    for row in rows:
        if row["problem_id"] in names:
            found[names[row["problem_id"]]] = (row["verdict"], row["reason_code"])
    return found


@pytest.mark.slow
def test_every_planted_problem_is_refused_for_its_own_reason_and_the_sound_one_kept(
    make_context: Callable[..., Context], box: Sandbox
) -> None:
    context = make_context(**SMALL)
    outcomes = materialise(context)
    assert verdicts(context) == {
        "pair_with_sum": ("refuse", "special_judge"),
        "most_frequent": ("refuse", "submissions_disagree"),
        "bracket_depth": ("refuse", "breaks_constraints"),
        "common_divisor": ("refuse", "duplicate_input"),
        "max_subarray": ("keep", "validated"),
    }
    assert outcomes["validated_test_suites"].figures["funnel"] == {
        "problems": 5,
        "no special judge": 4,
        "at least 40 valid cases": 1,
        "kept": 1,
    }
    strength = outcomes["suite_strength"].figures
    assert strength["held_out_accepted"] == strength["wrong_rejected"] == 1.0
    assert strength["reduced_share_of_cases"] <= 1 / 3

    # Nothing is run again, and every number can be had from the runs alone.
    version = context.lake.version(tables.SUBMISSION_RUNS)
    assert all(outcome.cached for outcome in materialise(context).values())
    again = make_context(**SMALL | {"testcases__agree": 8})
    assert materialise(again)["validated_test_suites"].figures["runs_done"] == 0
    assert context.lake.version(tables.SUBMISSION_RUNS) == version

    # The suite as a reward.
    (problem,) = builtin_problems(["max_subarray"])
    suites = load_suites(context.lake, context.profile.name)
    reward = CodeReward(suites, box)
    reference = Reference(problem.problem_id, "", "code")
    programs = [*problem.of_kind(ACCEPTED)[:2], *problem.of_kind(WRONG)[:2]]
    texts = [f"It is so.\n```{one.language}\n{one.source}\n```\n" for one in programs] + ["I don't know."]
    scored = reward.score(reference, [Response(text, len(text)) for text in texts])
    assert [one.status for one in scored] == [Status.CORRECT] * 2 + [Status.WRONG] * 2 + [Status.NO_ANSWER]
    assert [one.reward for one in scored] == [1.0, 1.0, 0.0, 0.0, 0.0]
    assert all("failing_case" in one.parts for one in scored[2:4])


def test_without_a_sandbox_the_branch_is_refused_with_its_reason_and_comes_back_with_one(
    make_context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # no bwrap
    context = make_context(**SMALL)
    outcomes = materialise(context)
    assert outcomes["test_cases"].figures["no_sandbox"] == 4
    assert "bwrap" in outcomes["test_cases"].figures["why"]
    assert verdicts(context)["max_subarray"] == ("refuse", "no_sandbox")
    assert outcomes["suite_strength"].figures == {"suites": 0}
    assert all(outcome.cached for outcome in materialise(context).values())
    assert [ALL[name].settings(context)["runs_in"] for name in RUNNING] == ["none"] * 3
    monkeypatch.undo()
    if which("bwrap"):  # the settings tell that there is one now, so the stages are computed
        assert "none" not in [ALL[name].settings(context)["runs_in"] for name in RUNNING]


def test_a_suite_whose_inputs_were_made_anew_is_left_out_until_it_is_validated(
    make_context: Callable[..., Context],
) -> None:
    context = make_context(**SMALL)
    drawn = [PROGRAMS.draw(Random(seed)) for seed in (0, 1)]
    one, other = (suite(f"problem {number}", item.prompt) for number, item in enumerate(drawn))
    profile = {"profile": context.profile.name}
    rows = zip(
        (tables.VALIDATED_SUITES, tables.SUITE_CASES, tables.TEST_CASES), zip(one, other, strict=True), strict=True
    )
    for table, (first, second) in rows:
        made = [first, second] if isinstance(first, dict) else [*first, *second]
        context.lake.append(table, [profile | row for row in made], run_id="r", reason="made")
    assert load_suites(context.lake, context.profile.name).keys() == {"problem 0", "problem 1"}
    anew = [profile | row | {"input": b"other\n", "input_digest": digest(b"other\n")} for row in other[2][:1]]
    context.lake.upsert(tables.TEST_CASES, anew, run_id="r", reason="another seed")
    assert load_suites(context.lake, context.profile.name).keys() == {"problem 0"}
