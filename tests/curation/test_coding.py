"""Coding problems on their way into a prompt set: suites, difficulty by running programs, guesses, the funnel's row."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

import sandbox
from kimi_pipeline.audit.funnel import funnel
from kimi_pipeline.corpora.families.programs import fenced
from kimi_pipeline.lineage import STAGES
from tests.conftest import missing
from tests.curation.conftest import Curation


def half_right(row: dict[str, Any], purpose: str, rng: random.Random) -> str:
    """A model that writes half of the programs right, and guesses without one."""
    program = row["submissions"][0]["program"]
    if purpose == "guess":
        return "\\boxed{1}"
    return fenced(program) if rng.random() < 0.5 else fenced("print(input())")


@pytest.fixture
def coding(curation: Callable[..., Curation]) -> Curation:
    try:
        sandbox.make_backend("bubblewrap").close()
    except sandbox.BackendUnavailable as error:
        missing(f"no bubblewrap backend: {error}")
    run = curation(
        half_right,
        corpora__sources=["builtin", "coding"],
        corpora__families=["programs"],
        corpora__problems_per_family=16,
        corpora__evaluation_problems=12,
        testcases__problems=["pair_with_sum"],
        sandbox__backend="bubblewrap",
    )
    run.stages |= {name: stage for name, stage in STAGES.items() if stage.group == "testcases"}
    return run


def test_a_coding_problem_is_judged_by_its_suite_and_one_without_is_refused_for_the_branchs_reason(
    coding: Curation,
) -> None:
    coding.run()
    lake = coding.context.lake
    samples = lake.rows("select purpose, problem_id, status, status_reason, text from samples")
    asked = {row["problem_id"] for row in samples}
    families = {
        row["problem_id"]: row["family"]
        for row in lake.rows("select problem_id, labels['family'] family from problems")
    }
    assert {families[one] for one in asked} == {"programs"}
    for row in samples:
        right = row["purpose"] == "difficulty" and "print(input())" not in row["text"]
        assert row["status"] == ("correct" if right else "wrong" if row["purpose"] == "difficulty" else "no_answer")
    assert all("case" in row["status_reason"] for row in samples if row["status"] == "wrong")
    rates = lake.rows("select n, correct from difficulty")
    assert 0.35 < sum(row["correct"] for row in rates) / sum(row["n"] for row in rates) < 0.65

    members = {row["problem_id"] for row in lake.rows("select problem_id from prompt_set")}
    assert members and members <= asked
    stages = {row["stage"]: row for row in funnel(lake)["stages"]}
    assert stages["test_suites"]["refused"] == {"special_judge": 1}
    assert stages["test_suites"]["in"] - 1 == stages["test_suites"]["out"] == len(asked)
    said = Counter(
        (row["verdict"], row["reason_code"]) for row in lake.rows("select * from ledger where stage = 'test_suites'")
    )
    assert said[("refuse", "special_judge")] == 1
    assert said[("keep", "by_construction")] >= len(asked)
