"""The whole lineage through the terminal's door, killed on the way, on real engines: what `make run` does, smaller."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline import tables
from kimi_pipeline.bench.chaos_faults import processes_of
from kimi_pipeline.bench.chaos_judging import leftovers
from kimi_pipeline.home import CHECKOUT, Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.lineage import STAGES
from tests.conftest import require

# The first test waits for the whole lineage, killed and run again.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

SAMPLING_STARTS_WITHIN = 800  # seconds, on a machine that others keep busy
ENDS_WITHIN = 60  # seconds, what a killed run has started
LINEAGE_WITHIN = 2400
UNCHANGED_WITHIN = 90
LIBRARIES_SECONDS = 0.45  # of importing what every command needs, on the machine that is promised a second


def cli(home: Path, *arguments: str, timeout: float = LINEAGE_WITHIN) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kimi_pipeline.cli", *arguments],
        cwd=CHECKOUT,
        env=os.environ | {"KIMI_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def sample_ids(lake: Lake) -> list[str]:
    return lake.read(tables.SAMPLES, columns=["sample_id"]).column(0).to_pylist()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A home whose run was killed with SIGKILL while it sampled, and then run again to the end."""
    require("vllm", "deepspeed")
    home = tmp_path_factory.mktemp("lineage")
    lake = Lake(home / "lake")
    process = subprocess.Popen(
        [sys.executable, "-m", "kimi_pipeline.cli", "run", "--profile", "smoke"],
        cwd=CHECKOUT,
        env=os.environ | {"KIMI_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + SAMPLING_STARTS_WITHIN
    while time.monotonic() < deadline and process.poll() is None and not lake.exists(tables.SAMPLES):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    said = process.communicate(timeout=ENDS_WITHIN)[1].decode()  # when the last child is gone
    committed = sample_ids(lake)
    assert committed, f"nothing was sampled before the kill:\n{said}"
    for _ in range(100):
        if not processes_of(home):
            break
        time.sleep(0.1)
    assert processes_of(home) == []  # nobody goes on sampling for a dead run
    first = cli(home, "run", "--profile", "smoke")
    assert first.returncode == 0, first.stderr
    return {"home": home, "lake": lake, "committed": committed, "first": first}


def test_a_killed_run_continues_and_draws_no_committed_sample_again(finished: dict[str, Any]) -> None:
    ids = sample_ids(finished["lake"])
    assert len(ids) == len(set(ids))
    assert set(finished["committed"]) <= set(ids)
    versions = finished["lake"].rows("select count(distinct run_id) n from samples")
    assert versions[0]["n"] == 2  # the killed run's samples are still its own


def test_a_killed_run_leaves_nothing_half_written(finished: dict[str, Any]) -> None:
    assert leftovers(Home(finished["home"])) == []


def test_the_run_tells_what_came_out(finished: dict[str, Any]) -> None:
    out = finished["first"].stdout
    assert "Funnel of smoke@1" in out
    assert "Results on held-out problems" in out
    rows = json.loads(cli(finished["home"], "results", "--json").stdout)
    assert {(row["stage"], row["temperature"]) for row in rows} == {
        (stage, temperature) for stage in ("base", "sft", "rl") for temperature in (0.0, 1.0)
    }
    tokens = {(row["stage"], row["temperature"]): row["tokens_mean"] for row in rows}
    # Half a minute of SFT teaches the form (answers end by themselves) before it teaches many answers.
    assert tokens["sft", 1.0] < 0.7 * tokens["base", 1.0]
    assert max(row["pass_at_1"] for row in rows if row["stage"] == "base") < 0.01
    assert all(row["ci"][0] <= row["pass_at_1"] <= row["ci"][1] for row in rows)


def test_nothing_is_lost_in_the_funnel(finished: dict[str, Any]) -> None:
    report = json.loads(cli(finished["home"], "funnel", "--json").stdout)
    assert report["set"] == "smoke"
    for before, after in zip(report["stages"], report["stages"][1:], strict=False):
        assert before["out"] == after["in"]
    assert all(stage["in"] == stage["out"] + sum(stage["refused"].values()) for stage in report["stages"])
    sets = json.loads(cli(finished["home"], "sets", "--json").stdout)
    assert sets[-1]["size"] == report["stages"][-1]["out"]


def test_rule_based_plants_are_caught_and_no_evaluation_problem_is_in_the_set(finished: dict[str, Any]) -> None:
    report = {row["planted"]: row for row in json.loads(cli(finished["home"], "funnel", "--planted", "--json").stdout)}
    for kind in ("multiple_choice", "true_false", "proof", "exact_duplicate", "evaluation_copy", "malformed"):
        assert report[kind]["share"] == 1.0, report[kind]
    assert report["near_duplicate"]["share"] >= 0.95
    assert report["not_guessable"]["holds"], report["not_guessable"]
    assert report["guessable"]["holds"], report["guessable"]


def test_a_second_run_recomputes_nothing(finished: dict[str, Any]) -> None:
    before = {name: finished["lake"].version(table) for name, table in tables.TABLES.items()}
    started = time.monotonic()
    again = cli(finished["home"], "run", "--profile", "smoke")
    seconds = time.monotonic() - started
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("unchanged") == len(STAGES)
    assert before == {name: finished["lake"].version(table) for name, table in tables.TABLES.items()}
    assert seconds < UNCHANGED_WITHIN


def test_explain_and_funnel_load_neither_dagster_nor_torch_and_start_at_once(finished: dict[str, Any]) -> None:
    member = finished["lake"].rows("select problem_id from prompt_set limit 1")[0]["problem_id"]
    code = (
        "import sys; sys.argv[0] = 'kimi-pipeline'; from kimi_pipeline.cli import main\n"
        "try: main()\n"
        "finally: assert not {'dagster', 'torch', 'vllm'} & set(sys.modules)"
    )
    slowness = max(1.0, cpu_seconds(finished["home"], "import pyarrow, duckdb, deltalake") / LIBRARIES_SECONDS)
    for arguments in (["explain", member[:12]], ["funnel"]):
        # CPU seconds: by the clock it is as much on an idle machine, and tests share theirs with others.
        assert cpu_seconds(finished["home"], code, *arguments) < 1.0 * slowness


def cpu_seconds(home: Path, code: str, *arguments: str) -> float:
    """What a Python process takes, the best of three."""
    taken = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=os.environ | {"KIMI_HOME": str(home)},
            capture_output=True,
            text=True,
            check=False,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(taken)


def test_the_rl_checkpoint_says_what_made_it(finished: dict[str, Any]) -> None:
    manifests = [json.loads(p.read_text()) for p in (finished["home"] / "checkpoints").glob("*/kimi_manifest.json")]
    by_stage = {manifest["stage"]: manifest for manifest in manifests}
    assert set(by_stage) == {"base", "sft", "rl"}
    assert by_stage["rl"]["parent"] == by_stage["sft"]["digest"]
    assert by_stage["sft"]["parent"] == by_stage["base"]["digest"]
    assert by_stage["rl"]["data_versions"]["prompt_set"]["name"] == "smoke"
    assert by_stage["rl"]["recipe"]["rl"]["tau"] > 0
    assert "Adam" in by_stage["rl"]["note"]
