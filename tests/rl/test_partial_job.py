"""Partial rollouts and recovery of the RL job, on a real DeepSpeed and vLLM: kills at random moments change nothing."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kimi_pipeline.audit.rollouts import rollouts
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.jobs import command, write_spec
from kimi_pipeline.lake import Lake
from tests import forks
from tests.conftest import require
from tests.rl.test_rl_job import spec_of
from tests.training.conftest import run_job

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KIMI_KILLS", "3"))
ITERATIONS = max(8, KILLS)  # a killed job does some of them before it dies, and must not end
PARTIAL = {
    "rl__iterations": ITERATIONS,
    "rl__segment_tokens": 5,
    "rl__loss_on": "all",
    "rl__sampling": "prioritized",
    "rl__kept_iterations": 2,
    "limits__commit_samples": 20,
}
PHASES = ("rollout", "train", "checkpoint", "hand_over", "reward", "idle")
GLIMPSES = ("reward", "idle")  # over in a millisecond or two: whoever sees one must not wait
SEED = 7


def fresh_home(root: Path, name: str) -> Home:
    return Home(root / name).prepare()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, sft_job: Any) -> tuple[Home, dict[str, Any]]:
    require("vllm")
    home = fresh_home(tmp_path_factory.mktemp("partial"), "whole")
    code, result, output = run_job(home.jobs, "kimi_pipeline.rl.loop", spec_of(home, sft_job, **PARTIAL))
    assert code == 0 and result is not None, output
    return home, result


def rows_of(home: Home, table: str, policy: str) -> list[dict[str, Any]]:
    column = "checkpoint" if table == "samples" else "policy"
    return Lake(home.lake).rows(f"select * exclude (run_id, created_at) from {table} where {column} = ?", [policy])


def test_responses_grow_over_iterations_within_their_budget(uninterrupted: Any) -> None:
    home, result = uninterrupted
    segments = rows_of(home, "segments", result["policy"])
    assert max(len(row["response_ids"]) for row in segments) <= 5
    assert max(row["segment_index"] for row in segments) >= 1
    assert all(len(row["reference_log_probs"]) == len(row["response_ids"]) for row in segments)
    assert all(row["weight_version"] == row["iteration"] for row in segments)
    assert {row["status"] for row in segments} >= {"finished", "cut_by_budget"}
    points = result["curves"]
    assert points[0]["decode_steps"] == 5 and any(point["buffered"] > 0 for point in points)
    assert any(point.get("staleness", 0) > 0 for point in points)
    assert all(point["gap_canary"] <= 1e-4 for point in points)


def test_a_rollout_is_the_sum_of_its_segments(uninterrupted: Any) -> None:
    home, result = uninterrupted
    segments = rows_of(home, "segments", result["policy"])
    rollouts = rows_of(home, "rollouts", result["policy"])
    samples = {row["sample_id"]: row for row in rows_of(home, "samples", result["policy"])}
    assert len(rollouts) == len(samples) > 0
    for row in rollouts:
        key = (row["began"], row["place"], row["sample_index"])
        own = [s for s in segments if (s["began"], s["place"], s["sample_index"]) == key]
        assert row["tokens"] == sum(len(s["response_ids"]) for s in own)
        assert row["segments"] == len(own) and row["iteration"] >= max(s["iteration"] for s in own)
        assert samples[row["sample_id"]]["completion_tokens"] == row["tokens"]
        assert row["trained"] and row["advantage"] is not None


def test_rollouts_of_an_iteration_can_be_looked_at(uninterrupted: Any) -> None:
    home, result = uninterrupted
    lake = Lake(home.lake)
    point = next(point for point in result["curves"] if point["groups"])
    found = rollouts(lake, iteration=int(point["iteration"]))
    assert len(found) == point["groups"] * 8
    rewards = [row["reward"] for row in found]
    assert sum(rewards) / len(rewards) == pytest.approx(point["reward"])
    assert sum(row["advantage"] for row in found) == pytest.approx(0.0, abs=1e-6)  # a group's mean is its baseline
    assert all(row["tokens"] == sum(one["tokens"] for one in row["segments"]) for row in found)
    assert all(row["reward"] == pytest.approx(sum(row["reward_parts"].values())) for row in found)
    assert rollouts(lake, policy=result["policy"][:8], limit=3) == rollouts(lake)[:3]
    with pytest.raises(UserError, match="no group was complete in iteration 99"):
        rollouts(lake, iteration=99)
    with pytest.raises(UserError, match="policy 'zz' is none or several of"):
        rollouts(lake, policy="zz")


def test_success_rates_are_kept(uninterrupted: Any) -> None:
    home, result = uninterrupted
    rates = rows_of(home, "success_rates", result["policy"])
    counted = sum(point["groups"] * 8 for point in result["curves"])
    assert rates and sum(row["n"] for row in rates) == counted and all(0 <= row["rate"] <= 1 for row in rates)


def test_the_buffer_on_disk_can_be_read_with_duckdb(uninterrupted: Any) -> None:
    home, result = uninterrupted
    files = str(home.root / "rl" / "*" / "iteration-*" / "buffer.parquet")
    found = duckdb.sql(
        f"select iteration, count(*) from read_parquet('{files}') where status = 'cut_by_budget' group by 1"
    ).fetchall()
    assert found and max(iteration for iteration, _ in found) <= len(result["curves"])


Job = forks.Job | subprocess.Popen[bytes]


def start(home: Home, spec: dict[str, Any], ranks: int = 1) -> Job:
    """The job as a process group of its own, without the heartbeats that a killed one left."""
    for beat in (home.root / "rl").glob("beats-*/rank-*.json"):
        beat.unlink()
    path = write_spec(home.jobs, "kimi_pipeline.rl.loop", spec)
    if ranks == 1:
        return forks.start(path)
    environment = os.environ | forks.TOLD
    with (path.parent / "log").open("wb") as log:
        line = command("kimi_pipeline.rl.loop", path, ranks)
        return subprocess.Popen(line, env=environment, stdout=log, stderr=log, start_new_session=True)


def phase_of(home: Home, rank: int = 0) -> tuple[str, int]:
    """The phase and iteration that a rank says it is in."""
    for path in (home.root / "rl").glob(f"beats-*/rank-{rank}.json"):
        try:
            beat = json.loads(path.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            continue
        return beat["phase"], beat["iteration"]
    return "", 0


def killed_in(phase: str, earliest: int, job: Job, home: Home, rng: random.Random) -> tuple[str, int]:
    """Kill the job at some moment of `phase`, in iteration `earliest` or later. The phase and iteration that it was in when it
    died, by its last heartbeat."""
    while job.poll() is None:
        now, iteration = phase_of(home)
        if iteration >= earliest and now == phase and (phase in GLIMPSES or rng.random() < 0.2):
            if phase not in GLIMPSES:
                time.sleep(rng.random() * 0.02)
            break
        time.sleep(0.0 if phase in GLIMPSES else 0.001)
    assert job.poll() is None, f"the job ended before it could be killed in {phase}"
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    return phase_of(home)


def sample_ids(home: Home, policy: str) -> set[str]:
    if not (home.lake / "samples").is_dir():
        return set()
    return {row["sample_id"] for row in rows_of(home, "samples", policy)}


def test_kill_9_at_random_moments_changes_nothing(
    uninterrupted: Any, sft_job: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole, expected = uninterrupted
    home = fresh_home(tmp_path_factory.mktemp("partial"), "killed")
    spec = spec_of(home, sft_job, **PARTIAL)
    rng = random.Random(SEED)
    wanted = [PHASES[number % len(PHASES)] for number in range(KILLS)]
    rng.shuffle(wanted)
    committed: set[str] = set()
    hit: list[tuple[str, int]] = []
    for number, phase in enumerate(wanted):
        earliest = 1 + number * ITERATIONS // (
            2 * KILLS
        )  # spread over the first half: the last kill must find it running
        hit.append(killed_in(phase, earliest, start(home, spec | {"run_id": f"killed-{number}"}), home, rng))
        now = sample_ids(home, expected["policy"])
        assert committed <= now, "a committed rollout is gone"
        committed = now
    print(f"killed {len(hit)} times, in (phase, iteration): {hit}")
    assert len(PHASES) > KILLS or {phase for phase, _ in hit} == set(PHASES)
    code, result, output = run_job(home.jobs, "kimi_pipeline.rl.loop", spec)
    assert code == 0 and result is not None, output
    assert not list((home.root / "rl").glob("beats-*")), "heartbeats of killed jobs are left"
    assert result["digest"] == expected["digest"], f"killed in {hit}: other weights than the uninterrupted run's"
    assert committed <= sample_ids(home, expected["policy"])
    for table in ("samples", "rollouts", "segments", "reward_watch"):
        mine, theirs = (sorted(map(str, rows_of(one, table, expected["policy"]))) for one in (home, whole))
        assert mine == theirs, f"killed in {hit}: table {table} differs"
    timings = ("seconds", "cpu_seconds", "tokens_per_second")
    for mine, theirs in zip(result["curves"], expected["curves"], strict=True):
        assert {k: v for k, v in mine.items() if not k.startswith(timings)} == {
            k: v for k, v in theirs.items() if not k.startswith(timings)
        }


def rank_process(job: Job, rank: int) -> int:
    """The process of a rank, among the job's descendants."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment = (entry / "environ").read_bytes().split(b"\0")
            if os.getsid(int(entry.name)) == job.pid and f"RANK={rank}".encode() in environment:
                return int(entry.name)
    raise AssertionError(f"no process of rank {rank}")


def stop_in_a_phase(job: Job, home: Home, rank: int) -> None:
    """Freeze a rank in the middle of a rollout or of training."""
    while job.poll() is None:
        phase, iteration = phase_of(home, rank)
        if iteration >= 2 and phase in ("rollout", "train"):
            process = rank_process(job, rank)
            os.kill(process, signal.SIGSTOP)
            time.sleep(0.05)
            if phase_of(home, rank)[0] in ("rollout", "train"):
                return
            os.kill(process, signal.SIGCONT)
        time.sleep(0.002)
    raise AssertionError("the job ended before it could be frozen")


def test_a_rank_that_hangs_is_named_and_the_job_goes_on_when_run_again(
    sft_job: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    require("vllm")
    home = fresh_home(tmp_path_factory.mktemp("partial"), "hung")
    changes = {
        "rl__iterations": 6,
        "rl__ranks": 2,
        "rl__zero_stage": 2,
        "rl__phase_seconds": 20,
        "rl__segment_tokens": 5,
    }
    spec = spec_of(home, sft_job, **changes)
    job = start(home, spec, ranks=2)
    try:
        stop_in_a_phase(job, home, rank=1)
        job.wait(timeout=180)
        log = next(home.jobs.glob("rl.loop-*/log")).read_text()
        assert job.wait() != 0
        assert "rank 1 has been in phase" in log and "taken for hung" in log, log[-2000:]
        code, result, output = run_job(home.jobs, "kimi_pipeline.rl.loop", spec, ranks=2)
        assert code == 0 and result is not None, output
        assert "goes on after iteration" in output and len(result["curves"]) == 6
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
