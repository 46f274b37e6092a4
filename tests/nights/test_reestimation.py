"""Re-estimation: only stale prompts are asked, within the budget; what a cut leaves keeps the estimate it had."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kimi_pipeline import tables
from kimi_pipeline.clock import now
from kimi_pipeline.curation.estimates import RATED, Base, in_force
from kimi_pipeline.inference.budget import ASKED_TO_STOP, BUDGET, DEADLINE, Bounds
from kimi_pipeline.nights.reestimation import look, plan, reestimate
from tests.nights.conftest import Curation, target_of

CURRENT = "select prompt_set, version, size from prompt_set_versions order by version"
SMALL = {"corpora__problems_per_family": 24, "corpora__evaluation_problems": 40}
LATER = SMALL | {"nights__older_than_days": 30, "nights__near_threshold": 1.0}


def better(row: dict[str, Any], purpose: str, rng: random.Random) -> str:
    """The next checkpoint: 0.9 where the first one had 0.5."""
    return f"\\boxed{{{row['answer']}}}" if purpose == "difficulty" and rng.random() < 0.9 else "\\boxed{wrong}"


def samples_by(run: Curation) -> dict[str, int]:
    rows = run.context.lake.rows("select checkpoint, count(*) n from samples where purpose = 'difficulty' group by 1")
    return {row["checkpoint"]: row["n"] for row in rows}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_only_stale_prompts_are_asked_and_the_budget_holds(curation: Callable[..., Curation], seed: int) -> None:
    run = curation(seed=seed, **LATER)
    run.run()
    assert sum(look(run.context, target_of(run, "scripted"), now()).counts()["stale"].values()) == 0
    run.script = better
    target = target_of(run, "newer")
    stale = look(run.context, target, now())
    prompts = stale.problems.num_rows
    assert stale.counts()["stale"]["new_checkpoint"] == prompts > 60
    planned = plan(run.context, stale, Bounds(2000))
    assert samples_by(run).keys() == {"scripted"}  # a plan asks nothing
    longest = run.context.profile.curation.max_tokens
    found = reestimate(run.context, stale, Bounds(2000))
    assert found["stopped_by"] == BUDGET and 2000 - longest < found["tokens"] <= 2000
    assert 0 < found["sampled"] < prompts and found["sampled"] + found["left"] == prompts
    assert found["sampled"] == pytest.approx(planned["expected"]["within_budget"], rel=0.25)
    first = {one.problem_id for one in stale.prompts[: found["sampled"]]}
    base = Base.of(RATED, {"checkpoint": "scripted", "template": target.template_id}, run.context.profile)
    assert (
        set(in_force(run.context.lake, "smoke", base)["problem_id"].to_pylist()) == first
    )  # in the order of the scores
    # What was sampled is fresh now; the next night asks the others alone, and none of their samples again.
    rest = look(run.context, target, now())
    assert rest.counts()["stale"]["new_checkpoint"] == found["left"]
    assert not first & {one.problem_id for one in rest.prompts}
    assert reestimate(run.context, rest, Bounds())["left"] == 0
    assert samples_by(run)["newer"] == prompts * run.context.profile.curation.samples
    assert look(run.context, target, now()).prompts == []


def test_a_set_rests_on_both_checkpoints_after_a_cut_night(curation: Callable[..., Curation]) -> None:
    run = curation(**LATER)
    run.ready()
    run.script = better
    found = reestimate(run.context, look(run.context, target_of(run, "newer"), now()), Bounds(2000))
    drift = found["drift"]
    assert drift["prompts"] == found["sampled"] and drift["low"] < drift["mean_shift"] < drift["high"]
    assert drift["moved_share"] > drift["moved_by_luck"]
    run.run()
    cut = run.context.lake.rows("select version, manifest->'$.checkpoints' c from prompt_set_versions order by version")
    assert [row["version"] for row in cut] == [1, 2]
    decided = run.context.lake.rows(
        "select checkpoint, count(*) n from (select * from ledger where stage = 'difficulty' and prompt_set = 'smoke' "
        "qualify row_number() over (partition by problem_id order by created_at desc) = 1) group by 1"
    )
    assert {row["checkpoint"] for row in decided} == {"scripted", "newer"}
    members = run.context.lake.rows(
        "select count(*) n from prompt_set p join difficulty d using (problem_id) where p.version = 2 "
        "and d.checkpoint = 'newer' and p.pass_rate <> d.pass_rate"
    )
    assert members[0]["n"] == 0  # the newer rate is in the set wherever there is one
    again = run.run()
    assert again["rl_prompt_set"].cached and len(run.context.lake.rows(CURRENT)) == 2


def test_causes_near_a_threshold_long_ago_and_another_template(curation: Callable[..., Curation]) -> None:
    run = curation(**SMALL, curation__samples=4, nights__most_samples=12, nights__near_threshold=0.2)
    run.run()
    target = target_of(run, "scripted")
    near = look(run.context, target, now())
    counts = near.counts()["stale"]
    assert counts["near_threshold"] == len(near.prompts) > 0
    found = reestimate(run.context, near, Bounds())
    assert found["sampled"] == len(near.prompts) and found["samples"] == 8 * len(near.prompts)
    assert {move["n"] for move in found["moves"]} == {12}
    assert look(run.context, target, now()).prompts == []  # no further than most_samples
    later = now() + timedelta(days=91)
    old = look(run.context, target, later)
    assert old.counts()["stale"]["sampled_long_ago"] == old.problems.num_rows
    # Fresh answers, of their own: none of the old ones counts.
    before = samples_by(run)["scripted"]
    again = reestimate(run.context, old, Bounds())
    assert again["samples"] == samples_by(run)["scripted"] - before == 4 * old.problems.num_rows
    assert {move["n"] for move in again["moves"]} == {4}
    other = look(run.context, target.__class__("scripted", None, "rl", "tiny", "tiny-reasoning@9"), now())
    assert other.counts()["stale"]["new_template"] == other.problems.num_rows


def test_a_cut_night_leaves_an_aged_estimate_old_and_its_answers_to_the_next(curation: Callable[..., Curation]) -> None:
    run = curation(**SMALL, nights__near_threshold=1.0)
    run.ready()
    target, samples = target_of(run, "scripted"), run.context.profile.curation.samples
    later = now() + timedelta(days=run.context.profile.nights.older_than_days)
    old = look(run.context, target, later)
    cut = old.prompts[0].problem_id
    lake, stored = run.context.lake, "select * from samples where purpose = 'difficulty' and problem_id = ?"
    rows = lake.rows(f"{stored} order by sample_index limit 3", [cut])
    for index, row in enumerate(rows, samples):  # the night drew three answers, and its budget was spent
        left = {"sample_id": f"left-{index}", "sample_index": index, "created_at": later - timedelta(days=1)}
        lake.append(tables.SAMPLES, [row | left], run_id="r", reason="a night that was cut")
    again = {one.problem_id: one for one in look(run.context, target, later).prompts}
    assert again.keys() == {one.problem_id for one in old.prompts}
    assert (again[cut].cause, again[cut].first, again[cut].wanted) == ("sampled_long_ago", samples, 2 * samples)
    # Ninety days on those three are from long ago as well.
    on = {one.problem_id: one.first for one in look(run.context, target, later + timedelta(days=90)).prompts}
    assert on[cut] == samples + 3 and set(on.values()) == {samples, samples + 3}


def test_a_deadline_and_a_stop_file_end_it_with_whole_estimates(
    curation: Callable[..., Curation], tmp_path: Any
) -> None:
    run = curation(**LATER)
    run.ready()
    target = target_of(run, "newer")
    asked = run.asked
    late = reestimate(run.context, look(run.context, target, now()), Bounds(until=datetime(2020, 1, 1, tzinfo=UTC)))
    assert (late["stopped_by"], late["sampled"], run.asked) == (DEADLINE, 0, asked)
    stop = tmp_path / "stop"
    stop.touch()
    yielded = reestimate(run.context, look(run.context, target, now()), Bounds(stop_file=stop))
    assert (yielded["stopped_by"], yielded["sampled"], run.asked) == (ASKED_TO_STOP, 0, asked)


def test_adaptive_sampling_spares_samples_and_a_cut_leaves_whole_prompts(curation: Callable[..., Curation]) -> None:
    run = curation(curation__adaptive=True, **LATER)
    run.run()
    run.script = better
    target = target_of(run, "newer")
    cut = reestimate(run.context, look(run.context, target, now()), Bounds(1000))
    assert cut["stopped_by"] == BUDGET and cut["tokens"] <= 1000
    done = reestimate(run.context, look(run.context, target, now()), Bounds())
    assert done["left"] == 0
    assert samples_by(run)["newer"] < 0.9 * run.context.profile.curation.samples * (cut["sampled"] + done["sampled"])
