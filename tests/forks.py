"""Jobs of tests as forks of one process that has imported the engines: half of what a small job takes is imports.

The tests of how jobs start do without.
"""

from __future__ import annotations

import atexit
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from kimi_pipeline.home import CHECKOUT
from kimi_pipeline.jobs import owned_environment, read_result, write_spec
from resources.compute import Process
from resources.warm import WarmProcess
from tests.forked import RANKS

TOLD = {"PYTHONPATH": str(CHECKOUT), "MLFLOW_LOGGING_LEVEL": "ERROR"}
"""What the environment of a job of a test has beside the test's own."""


class Job:
    """A running job, asked like a `subprocess.Popen`. It leads a process group of its own."""

    def __init__(self, process: Process, log: Path) -> None:
        self._process, self._log, self.pid = process, log, process.pid

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        return self._process.wait(timeout)

    def output(self) -> str:
        return self._log.read_text()


class ForkLauncher:
    """A `jobs.Launcher` whose jobs are forks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, module: str, spec: dict[str, Any], *, ranks: int = 1) -> dict[str, Any]:
        assert ranks == 1
        path = write_spec(self._folder, module, spec)
        job = start(path)
        code = job.wait()
        assert code == 0 or path.with_name("result.json").is_file(), job.output()
        return read_result(path)


def start(spec: Path, ranks: int = 1) -> Job:
    """The job of a spec that `write_spec` wrote. Its ranks are forks as well, without DeepSpeed's launcher."""
    return Job(start_module("tests.forked", spec, {RANKS: str(ranks)}), spec.with_name("log"))


def start_module(module: str, argument: Path, told: Mapping[str, str] | None = None) -> Process:
    """`python -m MODULE ARGUMENT`, which is told `told` in its environment."""
    return _warm().start([sys.executable, "-m", module, str(argument)], owned_environment() | TOLD | (told or {}))


@cache
def _warm() -> WarmProcess:
    """The session's, ready. It ends with the session."""
    process = WarmProcess()
    process.__enter__()
    atexit.register(process.__exit__)
    process._is_free = process._answer(None) == {"ready": True}
    assert process._is_free
    return process
