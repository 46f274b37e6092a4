"""Jobs as forks of a process that has imported the engines, once for a run.

Belongs here: starting and ending that process, asking it for jobs. Does not belong here: what it imports and how it forks
(`kimi_pipeline/training/warm.py`), jobs that start by themselves (`compute.py`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from kimi_pipeline.jobs import Launcher, owned_environment
from kimi_pipeline.profiles import Profile
from resources.compute import AnyContext, ComputeResource, PipesLauncher, Process, start

MODULE = "kimi_pipeline.training.warm"
WORTH = 3  # stages: the first one mostly comes too early for it
ENGINES = ("torch", "deepspeed", "vllm")


def is_worth_it(profile: Profile, model_stages: int) -> bool:
    """Whether a run of so many stages that ask or train a model is faster with a warm process: for several, on CPUs (no fork
    can use CUDA), where the engines are installed and sample here."""
    here = profile.inference.device == "cpu" and profile.inference.carrier == "vllm"
    return here and model_stages >= WORTH and all(importlib.util.find_spec(name) for name in ENGINES)


class WarmProcess:
    """A context: the process is started at once, so that it imports while the first stages work, and ends with the context.

    A job becomes a fork where the process is ready and has no other, and starts by itself otherwise: waiting for imports is
    no faster than importing. For use by one thread.
    """

    def __init__(self) -> None:
        self._read = b""
        self._is_free = False

    def __enter__(self) -> Self:
        self._answers, writing = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE, str(writing)],
            stdin=subprocess.PIPE,
            pass_fds=[writing],
            env=owned_environment(),
            start_new_session=True,
        )
        os.close(writing)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()  # reaps it and closes its input
        os.close(self._answers)

    def start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Process:
        """A `compute.Start`: a fork where there is one to be had and the command is a job of one rank."""
        match arguments:
            case [sys.executable, "-m", module, spec]:  # several ranks have a launcher's command before them
                return self._fork([module, spec], environment) or start(arguments, environment)
            case _:
                return start(arguments, environment)

    def ended(self, timeout: float | None) -> int | None:
        """The exit code of the running fork; None where it still runs after `timeout` seconds."""
        answer = self._answer(timeout)
        if answer is None:
            return None
        self._is_free = True
        return int(answer["code"])

    def _fork(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Process | None:
        assert self._process.stdin is not None
        request = {"arguments": list(arguments), "environment": dict(environment)}
        try:
            if not self._is_free and self._answer(0) != {"ready": True}:
                return None
            self._is_free = False
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            begun = self._answer(None)
        except (BrokenPipeError, EOFError):  # it has said why on standard error, and stays away
            return None
        assert begun is not None
        return _Fork(self, begun["pid"], list(arguments))

    def _answer(self, timeout: float | None) -> dict[str, Any] | None:
        """The next line; None where none has come in time. Raises EOFError where the process is gone."""
        end = None if timeout is None else time.monotonic() + timeout
        while b"\n" not in self._read:
            left = None if end is None else max(0.0, end - time.monotonic())
            if not select.select([self._answers], [], [], left)[0]:
                return None
            more = os.read(self._answers, 65536)
            if not more:
                raise EOFError("the warm process has ended")
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer


@dataclass
class _Fork:
    """A job that runs as a fork."""

    parent: WarmProcess
    pid: int
    arguments: list[str]
    code: int | None = None
    """Kept, since the warm process tells it once, and who stops a job waits for it twice."""

    def wait(self, timeout: float | None = None) -> int:
        """Where the warm process dies, by whatever hand, its fork goes with it: nobody could tell any more how that ends."""
        if self.code is None:
            try:
                self.code = self.parent.ended(timeout)
            except EOFError:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
                self.code = -signal.SIGKILL
        if self.code is None:
            raise subprocess.TimeoutExpired(self.arguments, timeout or 0)
        return self.code


def compute_with(warm: WarmProcess) -> ComputeResource:
    """Compute for runs from a terminal whose jobs are forks of this process."""

    class WarmCompute(ComputeResource):
        def launcher(self, context: AnyContext, folder: Path) -> Launcher:
            return PipesLauncher(context, folder, self.stop_seconds, warm.start)

    return WarmCompute(echo=True)
