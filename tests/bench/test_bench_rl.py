"""The benches of RL: ratios from what was measured, on made-up rounds; one small run of all three arms."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline.bench import on_gpu, partial, peers, rl, toy
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from tests.conftest import missing, require

FORM = {"name", "figures", "peer", "ratio", "machine", "command"}


def made_up(seconds: list[float], **phases: float) -> dict[str, list[float]]:
    count = len(seconds)
    cpu = [2 * value for value in seconds]
    return {"seconds": seconds, "cpu_seconds": cpu, "rewards": [0.5] * count, "tokens": [55.0] * count} | {
        name: [value] * count for name, value in phases.items()
    }


def test_ratios_are_medians_of_each_round_and_leave_the_warm_up_out() -> None:
    ours = [made_up([9.0, 1.0, 3.0], hand_over=0.1), made_up([9.0, 4.0, 4.0], hand_over=0.1), made_up([9.0, 1.0, 1.0])]
    plain = [made_up([0.1, 1.0, 1.0]), made_up([0.1, 2.0, 2.0]), made_up([0.1, 3.0, 3.0])]
    trl = [made_up([0.1, 8.0, 8.0]), made_up([0.1, 8.0, 8.0]), made_up([0.1, 8.0, 8.0])]
    ours[2] |= {"hand_over": [0.1] * 3, "cpu_seconds": [9.0, 1.0, 1.0]}
    found = {rl.OURS: ours, rl.PLAIN: plain, rl.TRL: trl}
    told = rl.figures(found, samples=16, left_out=1)
    assert told["plain_ratio"] == 0.5  # of 1/2, 2/4 and 3/1
    assert told["trl_ratio"] == 4.0  # of 8/2, 8/4 and 8/1
    assert told["trl_cpu_ratio"] == 4.0 and told["plain_cpu_ratio"] == 0.5  # of 16/4, 16/8, 16/1; of 2/4, 4/8, 6/1
    assert told["ours"]["rounds"] == [8.0, 4.0, 16.0] and told["ours"]["samples_per_second"] == 8.0
    assert told["hand_over_share"] == pytest.approx(0.1 / 2.0)  # the medians over iterations: 0.1 s of 1, 3, 4, 4, 1, 1


def test_a_gpus_figures_by_hand() -> None:
    one = {
        "seconds": [9.0, 4.0, 4.0],
        "rollout": [9.0, 2.0, 4.0],
        "train": [9.0, 1.0, 2.0],
        "decoded": [1.0, 1000.0, 1000.0],
        "tokens_trained": [1.0, 600.0, 600.0],
        "tokens_scored": [1.0, 200.0, 200.0],
        "memory_gib_train": [30.0, 20.0, 10.0],
    }
    told = on_gpu.gpu_figures([one, one], weights=10**9, reached=8e12, left_out=1)
    assert told["decoded_tokens_per_second"] == 375 and told["trained_tokens_per_second"] == 450  # 500, 250; 600, 300
    assert told["train_tflops"] == 3.0 and told["mfu"] == 0.375  # 4e12 and 2e12 operations a second
    assert told["memory_gib_train"] == 30.0 and told["parameters"] == 10**9


def test_every_arm_begins_a_round_in_its_turn() -> None:
    rounds = [rl.turn(number) for number in range(4)]
    assert [one[0] for one in rounds] == [*rl.ARMS, rl.ARMS[0]]
    assert all(sorted(one) == sorted(rl.ARMS) for one in rounds)


def test_an_arm_is_measured_by_its_finished_rollouts() -> None:
    columns = ("groups", "seconds_rollout", "seconds_train", "cpu_seconds_rollout", "cpu_seconds_train", "decode_steps")
    rows = [(0.0, 9.0, 1.0, 18.0, 2.0, 40.0), (3.0, 3.0, 1.0, 6.0, 2.0, 20.0), (2.0, 4.0, 2.0, 8.0, 4.0, 30.0)]
    curves = [dict(zip(columns, row, strict=True)) for row in rows]
    found = partial.arm_result(curves, samples=4)
    assert found["groups"] == 5 and found["iterations"] == 3 and found["decode_steps"] == 30
    assert found["longest_rollout"] == 4.0  # the first iteration warms up
    assert found["rollout_seconds"] == pytest.approx(16 / 20) and found["model_seconds"] == pytest.approx(20 / 20)
    assert found["cpu_longest_rollout"] == 8.0 and found["cpu_model_seconds"] == pytest.approx(40 / 20)


def test_partial_ratios_are_of_pairs() -> None:
    def arm(scale: float, accuracy: float) -> dict[str, float]:
        names = ("groups", "iterations", "accuracy_before", "tokens_mean", "evaluated")
        seconds = [
            f"{kind}{name}" for kind in ("", "cpu_") for name in ("longest_rollout", "model_seconds", "rollout_seconds")
        ]
        measured = dict.fromkeys(["decode_steps", *seconds], scale)
        return dict.fromkeys(names, 1.0) | measured | {"accuracy": accuracy}

    told = partial.figures([[arm(1.0, 0.90), arm(4.0, 0.91)], [arm(2.0, 0.92), arm(4.0, 0.90)]])
    assert told["decode_steps_ratio"]["runs"] == [4.0, 2.0] and told["decode_steps_ratio"]["mean"] == 3.0
    assert told["accuracy_difference"]["runs"] == [-0.01, 0.02]


def test_the_long_tailed_task_has_a_long_tail_and_the_fixed_one_none() -> None:
    import random

    rng = random.Random(0)
    numbers = [rng.randrange(toy.NUMBERS) for _ in range(2000)]
    lengths = sorted(len(toy.long_tailed(rng, number).split()) for number in numbers)
    assert lengths[1000] < 30 and lengths[-20] > 200 and lengths[-1] <= toy.LONGEST
    assert len({toy.fixed(rng, number) for number in range(10)}) == 1
    prompts = toy.prompts()
    assert len({row["problem_id"] for row in prompts}) == len(prompts) == toy.NUMBERS * toy.DIGITS


def test_a_peer_that_nobody_pinned_is_refused(home: Home) -> None:
    with pytest.raises(UserError, match=r"deploy/peers/nobody\.txt is missing"):
        peers.peer_python(home, "nobody")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_all_three_arms_do_the_same_work(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """One round on a small model: no figure of speed is asked for, only that each arm did what it says."""
    if os.environ.get("KIMI_TEST_PEERS") != "1":
        pytest.skip("KIMI_TEST_PEERS=1 makes the peers' venv (minutes): left to `make bench`")
    require("vllm", "deepspeed")
    try:
        peers.peer_python(home, "trl")
    except UserError as error:
        missing(str(error))
    small = {
        "rl.prompts": 4,
        "rl.samples": 8,
        "rl.mini_steps": 2,
        "sft.clean_examples": 1500,
        "sft.max_held_out_loss": 5.0,
        "inference.kv_cache_gib": 0.25,
    }
    found = rl.measure(home, rl.Size(rounds=1, left_out=1, measured=2), small)
    assert found.keys() == FORM and json.loads(json.dumps(found)) == found
    figures = found["figures"]
    assert found["ratio"] == figures["trl_ratio"] == figures["long_tailed"]["trl_ratio"]
    for workload in rl.WORKLOADS:
        told = figures[workload]
        speeds = {arm: told[arm]["samples_per_second"] for arm in rl.ARMS}
        assert all(speed > 0 for speed in speeds.values())
        assert told["trl_ratio"] == pytest.approx(speeds["ours"] / speeds["trl"], rel=0.05)
        assert told["plain_ratio"] == pytest.approx(speeds["ours"] / speeds["plain"], rel=0.05)
        assert all(told[arm]["cpu_seconds"] > 0 and 0 < told[arm]["reward"] < 1 for arm in rl.ARMS)
        assert {"rollout", "train", "hand_over", "checkpoint", "seconds"} <= told["phases"].keys()
    lengths = [figures["equal"][arm]["tokens_a_response"] for arm in rl.ARMS]
    assert max(lengths) - min(lengths) < 1

    def measured_again(*_: Any, **__: Any) -> None:
        raise AssertionError("a finished arm was measured again")

    monkeypatch.setattr(rl, "_ours", measured_again)
    monkeypatch.setattr(rl, "_rival", measured_again)
    assert rl.measure(home, rl.Size(rounds=1, left_out=1, measured=2), small)["figures"] == figures


def test_the_rivals_know_nothing_of_the_project() -> None:
    for name in ("plain_loop.py", "trl_grpo.py"):
        assert "kimi_pipeline" not in (peers.BENCHMARKS / name).read_text()
    code = "import sys, kimi_pipeline.bench.rl; print('trl' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.split() == ["False", "False"]
