"""Faults: workers and the engine die in the middle, and every submission still ends with its true verdict or a sandbox
error. The whole of it, with 1,000 submissions: `python -m tests.sandbox.storm`."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from sandbox import Limits, Outcome, Sandbox, SandboxError, Verdict
from sandbox.backends.docker import DockerBackend
from sandbox.errors import BackendUnavailable, WorkerGone
from sandbox.languages import Language
from sandbox.pool import WarmPool
from sandbox.verdicts import WorkerSize, host_memory_mb
from tests.conftest import missing
from tests.sandbox import storm
from tests.sandbox.conftest import only


def host_children(pid: int) -> list[int]:
    """A process and all below it, seen from the host."""
    found, todo = [], [pid]
    while todo:
        found.append(pid := todo.pop())
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as file:
                    todo += map(int, file.read().split())
    return found


def first_process(backend: object, worker: Any) -> int:
    """Host pid of a worker's agent. Raises ProcessLookupError when it is gone (the engine says 0 then: nobody's pid)."""
    if not isinstance(backend, DockerBackend):
        return int(worker.process)
    with contextlib.closing(docker.APIClient(version="auto", **docker.utils.kwargs_from_env())) as api:
        try:
            pid = int(api.inspect_container(worker.identity)["State"]["Pid"])
        except docker.errors.APIError as error:
            raise ProcessLookupError from error
    if pid <= 1:
        raise ProcessLookupError
    return pid


def live(backend: Any) -> dict[str, Any]:
    return dict(backend._live)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may kill workers from outside")
def test_workers_killed_in_the_middle(room: Sandbox) -> None:
    """kill -9 of whichever worker, again and again, on each backend."""

    def disturb(tally: storm.Tally) -> None:
        workers = live(room.backend)
        with contextlib.suppress(ProcessLookupError):
            os.kill(first_process(room.backend, random.choice(list(workers.values()))), signal.SIGKILL)
            tally.killed_workers += 1

    tally = storm.weather(room, 12, disturb, every=6)
    assert tally.clean and tally.killed_workers > 1, tally
    assert tally.outcomes["sandbox_error"] <= tally.killed_workers, tally


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may kill processes inside from outside")
def test_the_zygote_killed_in_the_middle_is_no_wrong_answer(room: Sandbox) -> None:
    """The agent says so, the worker is thrown away, and the input runs on another."""
    verdicts = room.run("import time\ntime.sleep(float(input()))\nprint('done')", "python", [b"0", b"1"])
    assert next(verdicts).outcome is Outcome.OK
    late: list[Verdict] = []
    waiter = threading.Thread(target=lambda: late.append(next(verdicts)))
    waiter.start()
    time.sleep(0.4)
    trees = []
    for worker in live(room.backend).values():
        with contextlib.suppress(ProcessLookupError):
            trees.append(host_children(first_process(room.backend, worker)))
    busy = max(trees, key=len)  # the one that a program runs in; were the warm ones hit too, no try would be left
    for pid in busy[1:]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    waiter.join()
    (verdict,) = late
    assert verdict.outcome is Outcome.OK and verdict.stdout == b"done\n", verdict


@pytest.fixture(scope="module")
def engine() -> Iterator[storm.Engine]:
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        missing("no engine of one's own: dockerd is missing, or needs root")
    with storm.own_engine() as made:
        yield made


@pytest.mark.slow
def test_the_engine_killed_in_the_middle(engine: storm.Engine) -> None:
    tally = storm.docker_storm(engine, 12, every=8, engine_every=2)
    assert tally.clean, tally
    assert tally.killed_engines >= 1 and tally.killed_workers >= 1, tally
    assert sum(tally.outcomes.values()) == 12 * storm.INPUTS


@pytest.mark.slow
def test_an_engine_that_stays_away_ends_in_sandbox_errors(engine: storm.Engine) -> None:
    """No input waits for ever, and none is called wrong."""
    backend = DockerBackend(base_url=engine.url, image=storm.TAG, size=storm.SIZE)
    with Sandbox(backend, pool_size=1, patience=1.0) as room:
        verdicts = room.run("print(input())", "python", [b"%d" % n for n in range(200)], storm.LIMITS)
        assert next(verdicts).outcome is Outcome.OK
        engine.kill()
        began = time.monotonic()
        outcomes = {verdict.outcome for verdict in verdicts}
        assert outcomes <= {Outcome.OK, Outcome.SANDBOX_ERROR} and Outcome.SANDBOX_ERROR in outcomes
        assert time.monotonic() - began < 60
        engine.start()
        room.pool.wait_full(60)
        assert only(room.run("print(1)", "python", [b""], storm.LIMITS)).outcome is Outcome.OK
    assert backend.leftovers() == []
    backend.close()  # the client that was just asked with


class NoRooms:
    """A backend that can make none, and then one that is silent."""

    name = image = "none"
    size = WorkerSize()
    host_memory_mb = host_memory_mb()

    def __init__(self) -> None:
        self.closed = False

    def prepare(self, language: Language) -> None:
        pass

    def start(self) -> object:
        raise BackendUnavailable("the engine is on strike")

    def close(self) -> None:
        self.closed = True

    def leftovers(self) -> list[str]:
        return []


class Mute(NoRooms):
    """Its workers live and say nothing, or nonsense."""

    def __init__(self, says: bytes) -> None:
        super().__init__()
        self.says, self.killed = says, 0

    def start(self) -> object:
        backend = self

        class Worker:
            identity, test_uid = "mute", 1

            def send(self, data: bytes) -> None:
                pass

            def receive(self, timeout: float) -> bytes:
                if not backend.says:
                    raise WorkerGone("mute died")
                return backend.says

            def kill(self) -> None:
                backend.killed += 1

        return Worker()


def test_a_pool_without_workers_says_why() -> None:
    pool = WarmPool(NoRooms(), (), size=1, patience=0.5)  # type: ignore[arg-type]
    with pytest.raises(BackendUnavailable, match="no worker in 0 s: the engine is on strike"):
        pool.take()
    with pytest.raises(BackendUnavailable, match="strike"):
        pool.wait_full(0.1)
    pool.close()


def test_a_start_that_fails_in_any_way_is_told_and_tried_again() -> None:
    class Once(NoRooms):
        starts = 0

        def start(self) -> object:
            self.starts += 1
            raise OSError(24, "Too many open files")

    backend = Once()
    pool = WarmPool(backend, (), size=1, patience=0.5)  # type: ignore[arg-type]
    with pytest.raises(BackendUnavailable, match="Too many open files"):
        pool.take()
    assert backend.starts > 1
    pool.close()


@pytest.mark.parametrize("says", [b"", b"\xff\xff\xff\xff", b"\0\0\0\x03\x06{}"])
def test_workers_that_break_the_protocol_are_buried(says: bytes) -> None:
    backend = Mute(says)
    with Sandbox(backend, pool_size=1, patience=0.5) as room:  # type: ignore[arg-type]
        verdict = only(room.run("print(1)", "python", [b""], Limits()))
        assert verdict.outcome is Outcome.SANDBOX_ERROR and "mute" in verdict.detail
    assert backend.killed > 0 and backend.closed


def test_errors_have_one_base() -> None:
    assert issubclass(BackendUnavailable, SandboxError) and issubclass(WorkerGone, SandboxError)
