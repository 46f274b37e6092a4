"""Jobs as forks of a warm process: they end, fail and are told as those that start by themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kimi_pipeline.home import Home
from kimi_pipeline.jobs import command, owned_environment, read_result, write_spec
from kimi_pipeline.profiles import load_profile
from resources import warm
from resources.compute import Process
from resources.warm import WarmProcess, is_worth_it
from tests.conftest import require
from tests.dagster.test_launch import wait_for
from tests.processes import alive

BASE = "kimi_pipeline.training.base"
LIGHT = "tests.dagster.light_warm"
JOB = "tests.dagster.fake_job"


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[WarmProcess]:
    """A warm process that has imported nothing and is ready."""
    monkeypatch.setattr(warm, "MODULE", LIGHT)
    with WarmProcess() as found:
        yield found


def started(process: WarmProcess, home: Home, mode: str, **told: str) -> tuple[Process, Path]:
    spec = write_spec(home.jobs, JOB, {"mode": mode, "mark": str(home.root / "mark")})
    return process.start(command(JOB, spec, 1), owned_environment() | told), spec


def ready(process: WarmProcess, home: Home) -> None:
    def forked() -> bool:
        job, _ = started(process, home, "look")
        assert job.wait(30) == 0
        return not isinstance(job, subprocess.Popen)

    wait_for(forked)


def test_until_the_process_is_ready_jobs_start_by_themselves(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "MODULE", LIGHT)
    monkeypatch.setenv("SLOW", "60")
    with WarmProcess() as slow:
        for _ in range(2):
            job, _ = started(slow, home, "look")
            assert isinstance(job, subprocess.Popen) and job.wait(30) == 0


def test_a_fork_is_told_what_a_job_is_told(process: WarmProcess, home: Home) -> None:
    ready(process, home)
    job, spec = started(process, home, "look", TOLD="this")
    assert job.wait() == 0
    seen = read_result(spec)
    assert seen["pid"] == seen["group"] == job.pid and seen["parent"] != os.getpid()
    assert seen["told"] == "this" and seen["input"] == ""
    job, spec = started(process, home, "look")
    assert job.wait() == 0 and read_result(spec)["told"] is None  # the last one's environment is gone with it


@pytest.mark.parametrize(("mode", "code"), [("refuse", 2), ("crash", 1), ("killed", -signal.SIGKILL), ("", 0)])
def test_a_fork_ends_with_the_jobs_code(process: WarmProcess, home: Home, mode: str, code: int) -> None:
    ready(process, home)
    for _ in range(2):
        assert started(process, home, mode)[0].wait() == code


def test_a_running_fork_is_waited_for_and_ended(process: WarmProcess, home: Home) -> None:
    ready(process, home)
    job, _ = started(process, home, "stubborn")
    mark = home.root / "mark"
    wait_for(lambda: mark.is_file() and mark.read_text() == str(job.pid))
    with pytest.raises(subprocess.TimeoutExpired):
        job.wait(0.1)
    other, _ = started(process, home, "look")
    assert isinstance(other, subprocess.Popen) and other.wait() == 0  # one fork at a time; the other starts by itself
    os.killpg(job.pid, signal.SIGKILL)
    for _ in range(2):
        assert job.wait(10) == -signal.SIGKILL
    assert started(process, home, "look")[0].wait(10) == 0  # the code that was asked for twice is not the next one's


def test_a_launcher_of_several_ranks_starts_by_itself(process: WarmProcess, home: Home) -> None:
    ready(process, home)
    launcher = [sys.executable, "-m", "timeit", "-n", "1", "pass"]  # a module with options, as DeepSpeed's
    for arguments in (launcher, ["/bin/sh", "-c", "exit 0"]):
        other = process.start(arguments, owned_environment())
        assert isinstance(other, subprocess.Popen) and other.wait() == 0


def test_where_the_process_has_died_jobs_start_by_themselves(process: WarmProcess, home: Home) -> None:
    ready(process, home)
    job, spec = started(process, home, "look")
    parent = read_result(spec)["parent"] if job.wait() == 0 else 0
    job, _ = started(process, home, "stubborn")
    os.kill(parent, signal.SIGKILL)
    assert job.wait(10) == -signal.SIGKILL  # as any job that was killed
    wait_for(lambda: not alive(job.pid))
    for _ in range(2):
        again, _ = started(process, home, "look")
        assert isinstance(again, subprocess.Popen) and again.wait() == 0


def test_the_process_ends_with_its_context(monkeypatch: pytest.MonkeyPatch, home: Home) -> None:
    monkeypatch.setattr(warm, "MODULE", LIGHT)
    with WarmProcess() as process:
        ready(process, home)
        job, spec = started(process, home, "look")
        assert job.wait() == 0
        parent = read_result(spec)["parent"]
        assert alive(parent)
    assert not alive(parent)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_engines_are_imported_and_a_fork_computes_the_same(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    require(*warm.ENGINES)
    monkeypatch.setenv("KIMI_PROFILE", "smoke")
    spec = {"home": str(home.root), "profile": load_profile("smoke", {}).model_dump()}
    digests = set()
    with WarmProcess() as process:

        def forked() -> bool:
            path = write_spec(home.jobs, BASE, spec)
            job = process.start(command(BASE, path, 1), owned_environment())
            assert job.wait(120) == 0
            digests.add(read_result(path)["digest"])
            return not isinstance(job, subprocess.Popen)

        assert not forked()  # it has only begun to import
        wait_for(forked, 240)
    assert len(digests) == 1


def test_for_whom_it_is_worth_it() -> None:
    require(*warm.ENGINES)
    profile = load_profile("smoke", {})
    assert is_worth_it(profile, 3) and not is_worth_it(profile, 2)
    assert not is_worth_it(load_profile("smoke", {"inference.device": "cuda"}), 3)
    assert not is_worth_it(load_profile("smoke", {"inference.carrier": "endpoint"}), 3)
