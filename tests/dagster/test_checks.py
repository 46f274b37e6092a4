"""Checks: each one fails on the fault that it is for, and what comes after its asset does not run."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import pytest

from assets.checks import RULES
from assets.launch import exit_code
from kimi_pipeline import tables
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.ledger import Decision, record
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context, Outcome, Stage
from tests.dagster.conftest import Materialise
from tests.dagster.fakes import LINEAGE, corpus, evaluation_problems, problem, rl_prompt_set, with_compute

STAMP = {"run_id": "run", "reason": "fake"}


def failed(result: Any) -> list[str]:
    return [check.check_name for check in result.get_asset_check_evaluations() if not check.passed]


def test_a_sound_lineage_passes_every_check(materialise: Materialise) -> None:
    result = materialise()
    assert result.success and failed(result) == []
    passed = {check.check_name for check in result.get_asset_check_evaluations()}
    assert passed == {rule.name for rule in RULES if rule.asset in LINEAGE}


def test_an_evaluation_problem_in_the_set_blocks_training(
    materialise: Materialise, capsys: pytest.CaptureFixture[str]
) -> None:
    result = materialise(with_compute("rl_prompt_set", partial(rl_prompt_set, members=(0, 99))))
    assert failed(result) == ["no_evaluation_problem"]
    assert not result.asset_materializations_for_node("rl_checkpoint")
    assert exit_code(result) == 1
    line = "check failed: rl_prompt_set: No problem of an evaluation set is in the set; not so: p99\n"
    assert capsys.readouterr().err == line


def test_an_empty_set_blocks(materialise: Materialise) -> None:
    result = materialise(with_compute("rl_prompt_set", partial(rl_prompt_set, members=())))
    assert failed(result) == ["not_empty"]
    assert not result.asset_materializations_for_node("rl_checkpoint")


def test_a_set_is_judged_by_its_own_rows(materialise: Materialise, home: Home) -> None:
    other = {"prompt_set": "default", "version": 1, "problem_id": "p99", "pass_rate": 7.0}
    Lake(home.lake).append(tables.PROMPT_SET, [other], **STAMP)
    assert materialise(prompt_set="smoke").success


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan")])
def test_rates_out_of_range_block(materialise: Materialise, rate: float) -> None:
    def compute(context: Context) -> Outcome:
        outcome = rl_prompt_set(context)
        row = {"prompt_set": context.prompt_set, "version": 1, "problem_id": "p7", "pass_rate": rate}
        context.lake.append(tables.PROMPT_SET, [row], **STAMP)
        return outcome

    assert failed(materialise(with_compute("rl_prompt_set", compute))) == ["set_rates_in_range"]


def test_difficulty_outside_its_interval_blocks(materialise: Materialise) -> None:
    def compute(context: Context) -> Outcome:
        good = {"problem_id": "a", "pass_rate": 0.0, "low": 0.0, "high": 0.3}
        unknown = {"problem_id": "b"}
        bad = {"problem_id": "c", "pass_rate": 0.9, "low": 0.1, "high": 0.3}
        context.lake.append(tables.DIFFICULTY, [good, unknown, bad], **STAMP)
        return Outcome("d")

    result = materialise(with_compute("difficulty", compute))
    assert failed(result) == ["rates_in_range"]
    description = next(c.description for c in result.get_asset_check_evaluations() if not c.passed)
    assert description is not None and description.endswith("not so: c")


def test_a_table_with_other_columns_blocks(materialise: Materialise) -> None:
    def compute(context: Context) -> Outcome:
        columns = tuple(column for column in tables.PROBLEMS.columns if column[0] != "answer")
        other = dataclasses.replace(tables.PROBLEMS, columns=columns)
        context.lake.append(other, [problem(1)], **STAMP)
        return Outcome("c")

    result = materialise(with_compute("corpus", compute), ["corpus"], None)
    assert "declared_columns" in failed(result)


def test_a_problem_without_prompt_blocks(materialise: Materialise) -> None:
    def compute(context: Context) -> Outcome:
        context.lake.append(tables.PROBLEMS, [problem(1), problem(2, "  "), problem(3, None)], **STAMP)
        return Outcome("c")

    assert failed(materialise(with_compute("corpus", compute))) == ["complete_problems"]


def test_a_refused_verdict_in_the_set_blocks(materialise: Materialise) -> None:
    def compute(context: Context) -> Outcome:
        row = {"problem_id": "p1", "verdict": "refuse", "reason_code": "proof"}
        context.lake.append(tables.EVALUABILITY, [row], **STAMP)
        return evaluation_problems(context)

    assert failed(materialise(with_compute("evaluation_problems", compute))) == ["no_refused_verdict"]


@pytest.mark.parametrize(
    ("decisions", "fails"),
    [
        ([Decision("guessability", "p0", "refuse", Reason.EASY_TO_HACK)], True),
        ([Decision("difficulty", "p0", "refuse", Reason.TRIVIAL, prompt_set="smoke")], True),
        ([Decision("difficulty", "p0", "refuse", Reason.TRIVIAL, prompt_set="default")], False),
        ([Decision("duplicates", "p0", "refuse", Reason.EXACT_DUPLICATE, subject="fake:9")], False),
        (
            [
                Decision("difficulty", "p0", "refuse", Reason.TRIVIAL, prompt_set="smoke"),
                Decision("difficulty", "p0", "keep", Reason.SOLVABLE, prompt_set="smoke"),
            ],
            False,
        ),
    ],
)
def test_a_refusal_in_force_blocks(materialise: Materialise, decisions: list[Decision], fails: bool) -> None:
    def compute(context: Context) -> Outcome:
        for decision in decisions:
            record(context.lake, [decision], parameters={}, actor="test", run_id=context.run_id)
        return Outcome("ledger")

    ledger = Stage("decision_ledger", "Why", "audit", compute, upstream=("rl_prompt_set",), by_set=True)
    result = materialise(LINEAGE | {"decision_ledger": ledger})
    assert failed(result) == (["no_refused_problem"] if fails else [])
    assert result.success is not fails


def test_a_hacked_reward_warns_with_its_responses_and_stops_nothing(
    materialise: Materialise, capsys: pytest.CaptureFixture[str]
) -> None:
    def compute(context: Context) -> Outcome:
        told = {"prompt_set": "smoke", "version": 1, "judge": "", "n": 64, "share": 0.5, "threshold": 0.1}
        rows = [
            told
            | {"policy": policy, "iteration": 4, "signal": signal, "hits": 32, "alarm": alarm, "sample_ids": ["s1"]}
            for policy, signal, alarm in (
                ("mine", "several_answers", True),
                ("mine", "unverifiable", False),
                ("another", "no_reasoning", True),
            )
        ]
        context.lake.append(tables.REWARD_WATCH, rows, **STAMP)
        said = {"sample_id": "s1", "problem_id": "p1", "purpose": "rollout", "text": "perhaps `1`,\nperhaps 2"}
        context.lake.append(tables.SAMPLES, [said], **STAMP)
        return Outcome("checkpoint-2", outputs={"policy": "mine"})

    result = materialise(with_compute("rl_checkpoint", compute))
    assert result.success and failed(result) == ["reward_not_hacked"] and exit_code(result) == 0
    (check,) = [one for one in result.get_asset_check_evaluations() if not one.passed]
    assert check.severity.value == "WARN" and check.metadata["offenders"].value == 1
    line = "several_answers in iteration 4: 32 of 64 responses state several answers: perhaps '1', perhaps 2"
    assert check.description is not None and check.description.endswith(line)
    assert capsys.readouterr().err.startswith("check warns: rl_checkpoint: The watch over the reward")


def test_corpus_fake_is_what_the_checks_expect(materialise: Materialise) -> None:
    assert failed(materialise(with_compute("corpus", corpus), ["corpus"], None)) == []
