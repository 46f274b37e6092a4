"""The RL job from spec to checkpoint on a real DeepSpeed and vLLM, with one rank and with two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline.checkpoints import find_checkpoint
from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.jobs import Report
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles import Profile, load_profile
from kimi_pipeline.rl.course import course_of
from kimi_pipeline.rl.recovery import Recovery
from tests.conftest import require
from tests.training.conftest import LEARNS, run_job, toy_prompt, write_rows

pytestmark = pytest.mark.slow

SET = {"name": "toy", "version": 3, "digest": "d" * 32}


def toy_prompts(path: Path) -> str:
    rows = [
        {"prompt": toy_prompt(number, digit), "answer": str(digit), "answer_kind": "integer", "weight": 1.0}
        for number in range(10)
        for digit in range(2)
    ]
    return write_rows(path, [row | {"problem_id": f"{place:032x}"} for place, row in enumerate(rows)])


def spec_of(home: Home, sft_job: Any, **changes: Any) -> dict[str, Any]:
    checkpoint = sft_job[0]["checkpoint"]
    overrides = LEARNS | {name.replace("__", "."): value for name, value in changes.items()}
    return {
        "home": str(home.root),
        "profile": load_profile("laptop", overrides).settings(),
        "run_id": "a1" * 16,
        "checkpoint": {"digest": checkpoint["digest"], "folder": checkpoint["folder"]},
        "prompts": toy_prompts(home.root / "prompts.parquet"),
        "prompt_set": SET,
    }


@pytest.fixture(scope="module")
def one_rank(job_home: Home, sft_job: Any) -> tuple[dict[str, Any], str]:
    require("vllm")
    spec = spec_of(job_home, sft_job, rl__zero_stage=1)
    code, result, output = run_job(job_home.jobs, "kimi_pipeline.rl.loop", spec)
    assert code == 0 and result is not None, output
    return result, output


def rollouts_of(home: Home, policy: str) -> list[dict[str, Any]]:
    return Lake(home.lake).rows("select * from samples where purpose = 'rollout' and checkpoint = ?", [policy])


def test_the_checkpoint_says_where_it_comes_from(job_home: Home, sft_job: Any, one_rank: Any) -> None:
    checkpoint = find_checkpoint(job_home.checkpoints, one_rank[0]["digest"])
    assert checkpoint.stage == "rl" and checkpoint.parent == sft_job[0]["digest"]
    assert checkpoint.data_versions == {"prompt_set": SET}
    assert checkpoint.recipe["rl"]["iterations"] == 3 and checkpoint.recipe["policy"] == one_rank[0]["policy"]
    assert "moments kept" in checkpoint.note
    assert checkpoint.digest != sft_job[0]["digest"]


def test_every_iteration_is_recorded_and_the_weights_moved(one_rank: Any) -> None:
    result, output = one_rank
    curves = result["curves"]
    assert [point["iteration"] for point in curves] == [1, 2, 3]
    for point in curves:
        assert 0 < point["reward"] < 1 and point["reward"] == pytest.approx(point["pass_rate"])
        assert point["groups"] == 8 and point["dropped"] == 0 and point["excluded"] == 0
        assert point["gap_canary"] <= 1e-4 and point["gap_max"] <= 1e-4
        assert point["kl"] > 0 and point["log_ratio_max"] > 0 and point["entropy"] > 0
    assert "] 1/3 reward" in output and "kl" in output


def test_every_rollout_is_committed_with_its_iteration_and_seed(job_home: Home, one_rank: Any) -> None:
    rows = rollouts_of(job_home, one_rank[0]["policy"])
    assert len(rows) == 3 * 8 * 8 and len({row["sample_id"] for row in rows}) == len(rows)
    assert {row["iteration"] for row in rows} == {1, 2, 3} and len({row["seed"] for row in rows}) == len(rows)
    assert {row["template"] for row in rows} == {"tiny-reasoning@1"}
    assert {"correct", "wrong"} <= {row["status"] for row in rows}
    assert all(row["text"] or row["completion_tokens"] == 1 for row in rows)  # nothing but the end of the answer
    means = {point["iteration"]: point["reward"] for point in one_rank[0]["curves"]}
    for iteration, mean in means.items():
        rewards = [row["reward"] for row in rows if row["iteration"] == iteration]
        assert sum(rewards) / len(rewards) == pytest.approx(mean)


def test_the_watch_looks_at_every_iteration_and_shows_what_it_suspects(job_home: Home, one_rank: Any) -> None:
    """The toy policy answers with a word or two of reasoning at most: from the beginning, so the limit alarms."""
    result, output = one_rank
    rows = Lake(job_home.lake).rows(
        "select * from reward_watch where policy = ? order by iteration", [result["policy"]]
    )
    assert {row["iteration"] for row in rows} == {1, 2, 3} and {row["alarm"] for row in rows} == {True, False}
    samples = {row["sample_id"]: row for row in rollouts_of(job_home, result["policy"])}
    for row in rows:
        assert row["hits"] <= row["n"] <= 64 and (row["prompt_set"], row["version"]) == ("toy", 3)
        assert all(samples[name]["iteration"] == row["iteration"] for name in row["sample_ids"])
        assert row["alarm"] == (row["signal"] == "no_reasoning")
    told = [row["share"] for row in rows if row["signal"] == "no_reasoning"]
    assert told == [point["watch_no_reasoning"] for point in result["curves"]]
    assert "reward watch, iteration 1: no_reasoning" in output and rows[0]["sample_ids"][0][:12] in output


def test_a_watch_that_stops_leaves_the_iteration_to_go_on_from(job_home: Home, sft_job: Any) -> None:
    from kimi_pipeline.rl import loop

    spec = spec_of(job_home, sft_job, rl__watch="stop", rl__tau=0.31)
    code, result, output = run_job(job_home.jobs, "kimi_pipeline.rl.loop", spec)
    assert code == 2 and result is not None, output
    refused = result["user_error"]
    assert "stopped after iteration 1: no_reasoning" in refused and "--set rl.watch=warn" in refused
    with pytest.raises(UserError) as again:  # at once: no engine is started
        loop.run(spec, Report("rl"))
    assert str(again.value) == refused
    warned = spec_of(job_home, sft_job, rl__watch="warn", rl__tau=0.31)
    course = course_of(warned, Profile.model_validate(warned["profile"]))
    saved = Recovery(job_home.root / "rl" / digest(course)[:16]).saved()
    assert [one.iteration for one in saved] == [1]  # what `warn` goes on from


def test_another_version_of_equal_contents_goes_on_and_commits_nothing_twice(
    job_home: Home, sft_job: Any, one_rank: Any
) -> None:
    spec = spec_of(job_home, sft_job, rl__zero_stage=1) | {"prompt_set": SET | {"version": 4, "digest": "e" * 32}}
    code, result, output = run_job(job_home.jobs, "kimi_pipeline.rl.loop", spec)
    assert code == 0 and result is not None, output
    assert "goes on after iteration 3 of 3" in output
    assert (result["digest"], result["policy"]) == (one_rank[0]["digest"], one_rank[0]["policy"])
    lake = Lake(job_home.lake)
    for table, column in (("samples", "checkpoint"), ("rollouts", "policy"), ("segments", "policy")):
        ((count,),) = [
            tuple(row.values())
            for row in lake.rows(f"select count(*) as n from {table} where {column} = ?", [result["policy"]])
        ]
        assert count == 3 * 8 * 8, table


def test_metrics_and_checkpoint_are_in_mlflow(job_home: Home, one_rank: Any) -> None:
    from mlflow.tracking.client import MlflowClient

    client = MlflowClient(job_home.mlflow_uri)
    runs = client.search_runs([client.get_experiment_by_name("rl").experiment_id])
    run = next(run for run in runs if run.data.tags.get("kimi.digest") == one_rank[0]["digest"])
    rewards = [point.value for point in client.get_metric_history(run.info.run_id, "reward")]
    assert rewards == pytest.approx([point["reward"] for point in one_rank[0]["curves"]])
    assert run.data.params["rl.tau"] == "0.3"


def test_two_ranks_take_the_same_steps_as_one(job_home: Home, sft_job: Any, one_rank: Any) -> None:
    """Same rollouts (their seeds know nothing of ranks), same rewards, same weights up to the order of sums."""
    import torch
    from safetensors.torch import load_file

    spec = spec_of(job_home, sft_job, rl__zero_stage=2, rl__ranks=2)
    code, result, output = run_job(job_home.jobs, "kimi_pipeline.rl.loop", spec, ranks=2, launched=True)
    assert code == 0 and result is not None, output
    one = {
        (r["iteration"], r["problem_id"], r["sample_index"]): r for r in rollouts_of(job_home, one_rank[0]["policy"])
    }
    two = {(r["iteration"], r["problem_id"], r["sample_index"]): r for r in rollouts_of(job_home, result["policy"])}
    assert one.keys() == two.keys()
    assert all(one[key]["text"] == two[key]["text"] and one[key]["seed"] == two[key]["seed"] for key in one)
    for mine, theirs in zip(result["curves"], one_rank[0]["curves"], strict=True):
        assert mine["reward"] == pytest.approx(theirs["reward"])
        assert mine["kl"] == pytest.approx(theirs["kl"], rel=1e-2)
    folders = [Path(found["checkpoint"]["folder"]) / "model.safetensors" for found in (one_rank[0], result)]
    for name, weight in load_file(folders[0]).items():
        torch.testing.assert_close(load_file(folders[1])[name], weight, atol=1e-4, rtol=1e-3, msg=name)


def test_two_ranks_share_one_sampler(job_home: Home, sft_job: Any, one_rank: Any) -> None:
    """ZeRO-3 shards, gathered one by one, go over into a vLLM that is split over both ranks; the canary watches."""
    spec = spec_of(job_home, sft_job, rl__zero_stage=3, rl__ranks=2, inference__tensor_parallel=2)
    code, result, output = run_job(job_home.jobs, "kimi_pipeline.rl.loop", spec, ranks=2)
    assert code == 0 and result is not None, output
    for point in result["curves"]:
        assert point["gap_canary"] <= 1e-4 and point["gap_max"] <= 1e-4
        assert point["groups"] == 8 and point["kl"] > 0
    assert result["curves"][0]["reward"] == pytest.approx(one_rank[0]["curves"][0]["reward"], abs=0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inference__carrier": "endpoint"}, "an endpoint's weights can't be swapped"),
        ({"inference__tensor_parallel": 2}, "inference.tensor_parallel 2 does not divide it"),
        ({"rl__temperature": 0}, "rl.temperature is 0"),
        ({"rl__sleep_level": 2}, "set it to 0 where inference.device is .cpu."),
        ({"rl__offload_trainer": True, "rl__zero_stage": 3}, "needs rl.zero_stage 1 or 2, it is 3"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    job_home: Home, sft_job: Any, changes: dict[str, Any], message: str
) -> None:
    from kimi_pipeline.rl import loop

    with pytest.raises(UserError, match=message):
        loop.run(spec_of(job_home, sft_job, **changes), Report("rl"))
