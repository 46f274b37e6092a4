from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from kimi_pipeline import tables
from kimi_pipeline.audit.explain import explain
from kimi_pipeline.audit.funnel import funnel, planted
from kimi_pipeline.audit.sets import versions
from kimi_pipeline.cli import main
from kimi_pipeline.curation.finding import find
from kimi_pipeline.errors import UserError
from kimi_pipeline.stages import run_stage
from tests.curation.conftest import Curation


def test_nothing_is_lost_between_ingest_and_set(curation: Callable[..., Curation]) -> None:
    run = curation()
    outcomes = run.run()
    report = funnel(run.context.lake, "smoke")
    entering = outcomes["corpus"].figures["rows"]
    for stage in report["stages"]:
        assert stage["in"] == entering
        assert stage["in"] == stage["out"] + sum(stage["refused"].values())
        entering = stage["out"]
    assert entering == outcomes["rl_prompt_set"].figures["size"] > 0
    assert next(s["stage"] for s in report["stages"]) == "ingest"


def test_planted_rows_are_treated_as_labelled(curation: Callable[..., Curation]) -> None:
    run = curation()
    run.run()
    report = {row["planted"]: row for row in planted(run.context.lake, "smoke")}
    assert not [row for row in report.values() if not row["holds"]]
    assert report["guessable"]["rows"] >= 40


def test_a_model_that_cannot_guess_fails_the_planted_check(curation: Callable[..., Curation]) -> None:
    def dumb(row: dict[str, Any], purpose: str, rng: random.Random) -> str:
        return "\\boxed{?}" if purpose == "guess" else f"\\boxed{{{row['answer']}}}" if rng.random() < 0.5 else ""

    run = curation(dumb)
    run.run()
    report = {row["planted"]: row for row in planted(run.context.lake, "smoke")}
    assert not report["guessable"]["holds"]
    assert report["guessable"]["share"] == 0
    result = CliRunner().invoke(main, ["funnel", "--planted", "--json"], env={"KIMI_HOME": str(run.context.home.root)})
    assert result.exit_code == 1
    assert json.loads(result.output)[0]["planted"] == "guessable"


def test_a_second_run_draws_nothing_and_a_second_set_shares_the_samples(curation: Callable[..., Curation]) -> None:
    run = curation()
    first = run.run()
    asked = run.asked
    samples = run.context.lake.read(tables.SAMPLES).num_rows
    second = run.run()
    assert all(outcome.cached for outcome in second.values())
    assert run.asked == asked == samples
    other = run.context.__class__(**{**run.context.__dict__, "prompt_set": "hard"})
    for name in ("rl_prompt_set", "decision_ledger"):
        run_stage(run.stages[name], other, run.stages)
    assert run.asked == asked
    assert [row["set"] for row in versions(run.context.lake)] == ["smoke", "hard"]
    hard = run.context.lake.rows(
        "select domain, max(pass_rate) m, count(*) n from prompt_set where prompt_set = 'hard' group by 1"
    )
    assert all(row["m"] < 0.5 for row in hard)
    assert abs(hard[0]["n"] - hard[1]["n"]) <= 1  # equal parts, as the recipe wants
    assert first["rl_prompt_set"].figures["version"] == 1


def test_adding_samples_draws_only_the_new_ones(curation: Callable[..., Curation]) -> None:
    run = curation(curation__samples=4)
    run.run("difficulty")
    asked = run.asked
    run.context = run.context.__class__(
        **{**run.context.__dict__, "profile": run.context.profile.with_changes({"curation.samples": 6})}
    )
    outcome = run_stage(run.stages["difficulty"], run.context, run.stages)
    assert run.asked == asked * 6 // 4
    assert outcome.figures["samples_reused"] == asked
    ids = run.context.lake.read(tables.SAMPLES, columns=["sample_id"]).column(0).to_pylist()
    assert len(ids) == len(set(ids))


def test_a_changed_threshold_cuts_a_new_version_and_writes_only_changed_decisions(
    curation: Callable[..., Curation],
) -> None:
    run = curation()
    run.run()
    before = run.context.lake.read(tables.LEDGER).num_rows
    run.run()
    assert run.context.lake.read(tables.LEDGER).num_rows == before
    run.context = run.context.__class__(
        **{**run.context.__dict__, "profile": run.context.profile.with_changes({"curation.max_pass_rate": 0.5})}
    )
    outcomes = run.run()
    assert outcomes["difficulty"].cached
    assert outcomes["rl_prompt_set"].figures["version"] == 2
    assert [row["current"] for row in versions(run.context.lake)] == [False, True]
    added = run.context.lake.read(tables.LEDGER).num_rows - before
    stages = {stage["stage"]: stage["refused"] for stage in funnel(run.context.lake)["stages"]}
    trivial = stages["difficulty"]["trivial"]
    assert 0 < added <= 3 * trivial  # far fewer than all decisions


def test_explain_tells_why(curation: Callable[..., Curation]) -> None:
    run = curation()
    run.run()
    lake = run.context.lake
    guessable = lake.rows("select problem_id from guessability where hit_at is not null limit 1")[0]["problem_id"]
    story = explain(lake, guessable[:10])
    reasons = {row["stage"]: row["reason_code"] for row in story["decisions"]}
    assert reasons["ingest"] == "normalised"
    assert reasons["evaluability"] == "evaluable"
    assert reasons.get("guessability") == "easy_to_hack" or reasons["difficulty"] in ("trivial", "hopeless")
    assert story["sets"] == []
    member = lake.rows("select problem_id, prompt from prompt_set limit 1")[0]
    told = explain(lake, member["prompt"])
    assert told["sets"] == ["smoke@1"]
    assert told["decisions"][-1]["reason_code"] == "selected"
    with pytest.raises(UserError, match="no problem matches 'zzzz'"):
        find(lake, "zzzz")
    with pytest.raises(UserError, match="matches several"):
        find(lake, "a")


def test_every_problem_is_explained(curation: Callable[..., Curation]) -> None:
    run = curation()
    run.run()
    unexplained = run.context.lake.rows("select p.problem_id from problems p anti join ledger l using (problem_id)")
    assert unexplained == []
    quarantined = run.context.lake.rows(
        "select q.source_row from quarantine q anti join ledger l on l.subject = q.source || ':' || q.source_row"
    )
    assert quarantined == []
