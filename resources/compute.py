"""Where work runs: model work as jobs outside Dagster's process, through Dagster Pipes; shards on this machine.

Belongs here: starting a job for an asset, forwarding its log, ending it with the run, choosing who maps over shards.
Does not belong here: what a job does, or the contract with it (`kimi_pipeline/jobs.py`).

The process is started here and not by `PipesSubprocessClient`, because a job may be a tree of processes (DeepSpeed's
launcher and its ranks) that can ignore the one SIGINT which that client sends: each job leads a process group of its
own, and a cancelled run ends the whole group.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import dagster as dg
from pydantic import Field

from kimi_pipeline.jobs import Launcher, command, owned_environment, read_result, write_spec
from kimi_pipeline.profiles import Profile
from kimi_pipeline.shards import LocalShards, ShardMap

AnyContext = dg.AssetExecutionContext | dg.AssetCheckExecutionContext


class Process(Protocol):
    """A job's process, the leader of a process group of its own."""

    @property
    def pid(self) -> int: ...

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, negative for a signal. Raises subprocess.TimeoutExpired."""
        ...


Start = Callable[[Sequence[str], Mapping[str, str]], Process]
"""Starts a command with an environment."""


def start(arguments: Sequence[str], environment: Mapping[str, str]) -> Process:
    return subprocess.Popen(arguments, env=environment, start_new_session=True)


class ComputeResource(dg.ConfigurableResource):
    """Launches jobs on this machine. `echo` repeats progress on standard error, for runs from a terminal."""

    echo: bool = Field(default=False, description="Repeat progress lines on standard error")
    stop_seconds: float = Field(default=5, description="Time a cancelled job gets to end by itself before it is killed")

    def launcher(self, context: AnyContext, folder: Path) -> Launcher:
        """The launcher of one asset's jobs; specs and results lie in `folder`."""
        return PipesLauncher(context, folder, self.stop_seconds)

    def shards(self, profile: Profile) -> ShardMap:
        """What maps over shards: the processes of this machine."""
        return LocalShards(profile.limits.workers)

    def say(self, context: AnyContext, message: str) -> None:
        context.log.info(message)
        if self.echo:
            print(message, file=sys.stderr, flush=True)


class PipesLauncher:
    """A `jobs.Launcher` that reports to the run of `context`."""

    def __init__(self, context: AnyContext, folder: Path, stop_seconds: float, start: Start = start) -> None:
        self._context = context
        self._folder = folder
        self._stop_seconds = stop_seconds
        self._start = start

    def run(self, module: str, spec: dict[str, Any], *, ranks: int = 1) -> dict[str, Any]:
        """What the job returned. Raises UserError where it refused its input, else dg.Failure with one line."""
        path = write_spec(self._folder, module, spec)
        code = self._wait(command(module, path, ranks))
        if code and not path.with_name("result.json").is_file():
            raise dg.Failure(
                f"job {module} {_ending(code)}: its output is above (in the UI: under stderr)",
                metadata={"spec": dg.MetadataValue.path(str(path))},
            )
        return read_result(path)

    def _wait(self, arguments: list[str]) -> int:
        with dg.open_pipes_session(
            context=self._context.op_execution_context,
            context_injector=dg.PipesTempFileContextInjector(),
            message_reader=dg.PipesTempFileMessageReader(),
        ) as session:
            environment = {**owned_environment(), **session.get_bootstrap_env_vars()}
            process = self._start(arguments, environment)
            try:
                return process.wait()
            except BaseException:  # the run was cancelled, or is being killed
                self._stop(process)
                raise

    def _stop(self, process: Process) -> None:
        _signal_group(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self._stop_seconds)
        _signal_group(process, signal.SIGKILL)  # also ranks whose launcher has already gone
        process.wait()


def _signal_group(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _ending(code: int) -> str:
    if code >= 0:
        return f"failed with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
