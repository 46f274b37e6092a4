"""Runs from the terminal: selection, exit codes, one at a time, and no trace of a killed one."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from assets import ui
from assets.launch import launch, main
from kimi_pipeline.audit.plan import selected
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import CHECKOUT, Home
from kimi_pipeline.lake import Lake
from resources.instance import MANAGED, TEMPLATE, open_instance, prepare_instance
from resources.runs import FROM_TERMINAL, UNFINISHED, only_run
from tests.dagster.fakes import LINEAGE, refuses, with_compute
from tests.processes import alive, status


def wait_for(what: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def test_a_selection_brings_what_it_reads() -> None:
    assert selected(" difficulty,", LINEAGE) == ["corpus", "difficulty"]
    assert selected("corpus, rl_checkpoint", LINEAGE) == selected("", LINEAGE) == list(LINEAGE)


def test_a_run_is_on_the_real_instance_and_quiet(home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    assert launch("difficulty", "smoke", lineage=LINEAGE) == 0
    assert capfd.readouterr().err == "corpus: Raw rows become problems\ndifficulty: Pass rates\n"
    with open_instance(home) as instance:
        (run,) = instance.get_runs()
        assert run.is_success and run.tags["kimi/started_from"] == "terminal"
        assert instance.get_latest_materialization_event(dg.AssetKey("difficulty")) is not None
        assert {row["run_id"] for row in Lake(home.lake).rows("select run_id from stages")} == {run.run_id}


def test_a_whole_run_has_the_set_as_partition(home: Home) -> None:
    assert launch(prompt_set="default", lineage=LINEAGE) == 0
    with open_instance(home) as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("rl_checkpoint")) == {"default"}


def test_refused_input_is_exit_code_2_and_one_line(home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    assert launch("corpus", lineage=with_compute("corpus", refuses)) == 2
    assert capfd.readouterr().err.splitlines()[-1].startswith("error: source file words.jsonl")


@pytest.mark.parametrize(
    ("select", "prompt_set", "line"),
    [
        ("difficulti", None, "unknown stage 'difficulti': did you mean 'difficulty'?"),
        ("corpus", "nosuchset", "unknown prompt set 'nosuchset': choose from "),
    ],
)
def test_unknown_names_are_refused(home: Home, select: str, prompt_set: str | None, line: str) -> None:
    with pytest.raises(UserError, match=line.replace("?", "\\?")):
        launch(select, prompt_set, lineage=LINEAGE)
    assert not home.lake.joinpath("stages").exists()


def test_an_unknown_profile_is_one_line(
    home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KIMI_PROFILE", "huge")
    monkeypatch.setattr("assets.launch.die_with_parent", lambda: None)  # not of the tests' own process
    monkeypatch.setattr("assets.launch.heed_signals", lambda: None)
    assert main(["--select", "corpus"]) == 2
    assert capfd.readouterr().err.startswith("error: unknown profile 'huge': choose one of cluster,")


def test_a_taken_port_is_one_line(
    home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("assets.ui.die_with_parent", lambda: None)
    monkeypatch.setattr("assets.ui.heed_signals", lambda: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert ui.main(["--port", str(taken.getsockname()[1])]) == 2
    assert "(Address already in use): choose another --port" in capfd.readouterr().err


@pytest.mark.parametrize("error", [None, sqlite3.OperationalError("disk I/O error")])
def test_on_a_full_disk_the_last_line_says_so(
    home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], error: Exception | None
) -> None:
    def fails(*_: object, **__: object) -> int:
        print("half a line of somebody", end="", file=sys.stderr)
        if error is not None:
            raise error
        return 1

    monkeypatch.setenv("KIMI_HOME", str(home.root))
    monkeypatch.setattr("assets.launch.launch", fails)
    with monkeypatch.context() as full:
        full.setattr(Home, "is_full", lambda self: True)
        assert main([]) == 2
    line = f"error: no disk space in {home.root}: free some and run again"
    assert capfd.readouterr().err.splitlines() == ["half a line of somebody", line]
    if error is None:
        assert main([]) == 1
    else:
        with pytest.raises(sqlite3.OperationalError):  # a defect stays one
            main([])


def test_a_second_run_is_refused(home: Home) -> None:
    with only_run(home), pytest.raises(UserError, match=f"already active on .* \\(process {os.getpid()}\\)"):
        launch("corpus", lineage=LINEAGE)
    assert launch("corpus", lineage=LINEAGE) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_leaves_no_job_and_no_place_taken(home: Home, tmp_path: Path, number: signal.Signals) -> None:
    mark = tmp_path / "job"
    command = [sys.executable, "-m", "tests.dagster.fake_launch"]
    run = subprocess.Popen([*command, str(mark)], cwd=CHECKOUT, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: mark.is_file() and mark.read_text() != "")
    job = int(mark.read_text())
    assert alive(job)
    run.send_signal(number)
    assert run.wait(30) == (130 if number == signal.SIGTERM else -signal.SIGKILL)
    wait_for(lambda: not alive(job), 5)
    if number == signal.SIGTERM:
        assert run.stderr is not None and "stopped: what was committed stays" in run.stderr.read()
    with open_instance(home) as instance:
        left = instance.get_runs(dg.RunsFilter(tags=FROM_TERMINAL, statuses=UNFINISHED))
        assert len(left) == (0 if number == signal.SIGTERM else 1)
    # The place in the gpu pool is free again, and the stage before is not repeated.
    again = subprocess.run(command, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert again.returncode == 0 and again.stderr == "corpus: unchanged\ndifficulty: Pass rates\n"
    with open_instance(home) as instance:
        assert not instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))


@pytest.mark.parametrize("mode", ["obliging", "stubborn"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_ends_where_its_job_is_a_fork(
    home: Home, tmp_path: Path, mode: str, number: signal.Signals
) -> None:
    mark = tmp_path / "job"
    run = subprocess.Popen([sys.executable, "-m", "tests.dagster.fake_launch", str(mark), mode], cwd=CHECKOUT)
    wait_for(lambda: mark.is_file() and mark.read_text() != "")
    job = int(mark.read_text())
    assert status(job)["PPid"] != str(run.pid)
    run.send_signal(number)
    assert run.wait(20) == 130
    assert not alive(job)


def test_the_instance_follows_the_template_until_it_is_changed(home: Home) -> None:
    target = prepare_instance(home) / "dagster.yaml"
    assert target.read_text() == TEMPLATE.read_text() and target.read_text().startswith(MANAGED)
    before = target.stat().st_mtime_ns
    prepare_instance(home)
    assert target.stat().st_mtime_ns == before
    target.write_text(MANAGED + ": of an older release\n")
    prepare_instance(home)
    assert target.read_text() == TEMPLATE.read_text()
    target.write_text("# mine\ntelemetry: {enabled: false}\n")
    prepare_instance(home)
    assert target.read_text().startswith("# mine")
    assert [path.name for path in home.dagster.iterdir()] == ["dagster.yaml"]


def test_the_instance_limits_pools_and_keeps_to_itself(home: Home) -> None:
    with open_instance(home) as instance:
        config = instance.get_concurrency_config()
        assert config.pool_config.default_pool_limit == 1
        assert instance.run_monitoring_enabled and instance.run_retries_enabled
        assert not instance.telemetry_enabled and not instance.nux_enabled
        assert Path(instance.root_directory) == home.dagster
