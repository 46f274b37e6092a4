"""Jobs: model work in a process of its own, which gives its memory back when it ends.

Belongs here: the contract between whoever starts a job and the job (a spec file in, progress lines and a result file
out), and the plain launcher. Does not belong here: what a job does (`python -m` modules in `inference/`, `training/`,
`rl/`) or Dagster's launcher (`resources/compute.py`).

A job module calls `job_main(run)`; `run(spec, report)` returns a JSON object. Under Dagster the same process finds the
Pipes variables in its environment and reports there as well.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from kimi_pipeline.errors import UserError
from kimi_pipeline.files import write_whole

PROGRESS_SECONDS = 5.0
OWNER = "KIMI_JOB_OWNER"  # environment variable: the process that a job works for
OWNER_POLL_SECONDS = 1.0
BAD_INPUT = 2


class Launcher(Protocol):
    """Runs `python -m module SPEC` and returns what the job returned. `ranks` > 1 starts one process a rank."""

    def run(self, module: str, spec: dict[str, Any], *, ranks: int = 1) -> dict[str, Any]: ...


def write_spec(folder: Path, module: str, spec: dict[str, Any]) -> Path:
    """A fresh folder with the job's spec; returns the spec's path (the result will lie beside it)."""
    job = folder / f"{module.removeprefix('kimi_pipeline.')}-{uuid.uuid4().hex[:12]}"
    job.mkdir(parents=True)
    path = job / "spec.json"
    path.write_text(json.dumps(spec, indent=1, default=str))
    return path


def read_result(spec: Path) -> dict[str, Any]:
    """The job's result. Raises UserError with the job's own line where it refused its input."""
    result = spec.with_name("result.json")
    if not result.is_file():
        raise RuntimeError(f"job {spec.parent.name} ended without a result: its output is above")
    values = json.loads(result.read_text())
    if "user_error" in values:
        raise UserError(values["user_error"])
    return values


def command(module: str, spec: Path, ranks: int) -> list[str]:
    """The command of a job: plain Python for one rank, DeepSpeed's launcher for several."""
    if ranks == 1:
        return [sys.executable, "-m", module, str(spec)]
    launcher = [sys.executable, "-m", "deepspeed.launcher.runner", "--num_gpus", str(ranks), "--log_level", "error"]
    # The launcher's own default port is the same for every job of the machine.
    return [*launcher, "--master_port", str(free_port()), "--module", module, str(spec)]


def free_port() -> int:
    """A TCP port of this machine that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LocalLauncher:
    """Runs jobs as children of this process; their progress goes to this process's standard error."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, module: str, spec: dict[str, Any], *, ranks: int = 1) -> dict[str, Any]:
        path = write_spec(self.folder, module, spec)
        done = subprocess.run(command(module, path, ranks), env=owned_environment(), check=False)
        if done.returncode and not path.with_name("result.json").is_file():
            raise RuntimeError(f"job {module} failed with exit code {done.returncode}: its output is above")
        return read_result(path)


class Report:
    """Where a job tells how far it is: a line on standard error, and Dagster's log where Pipes is open."""

    def __init__(self, name: str, pipes: Any = None) -> None:
        self.name = name
        self._pipes = pipes
        self._last = 0.0
        self._started = time.monotonic()

    def info(self, message: str) -> None:
        print(f"  {self.name}: {message}", file=sys.stderr, flush=True)
        if self._pipes is not None:
            self._pipes.log.info(message)

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Called as often as one likes; shown every few seconds, and at the end."""
        passed = time.monotonic()
        if done < total and passed - self._last < PROGRESS_SECONDS:
            return
        self._last = passed
        filled = round(24 * done / max(total, 1))
        bar = "#" * filled + "-" * (24 - filled)
        self.info(f"[{bar}] {done}/{total} {note} ({passed - self._started:.0f} s)".rstrip())


def owned_environment() -> dict[str, str]:
    """This process's environment for a job, with the owner that the job must not outlive."""
    return {**os.environ, OWNER: str(os.getpid())}


def die_with_parent(by: signal.Signals = signal.SIGTERM) -> None:
    """End this process, by that signal, when its parent or its owner dies (a killed run must not leave a job sampling).

    The kernel tells of the parent at once. The owner is watched as well: between it and a rank stands DeepSpeed's
    launcher, which lives on when its own parent is killed.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(1, by)  # 1: PR_SET_PDEATHSIG
    if OWNER in os.environ:
        threading.Thread(target=_die_with, args=(int(os.environ[OWNER]),), daemon=True).start()


def _die_with(owner: int) -> None:
    while _running(owner):
        time.sleep(OWNER_POLL_SECONDS)
    os._exit(128 + signal.SIGTERM)


def _running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"  # dead, but not yet reaped


@contextlib.contextmanager
def _pipes() -> Iterator[Any]:
    if "DAGSTER_PIPES_CONTEXT" not in os.environ or os.environ.get("RANK", "0") != "0":
        yield None
        return
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as pipes:
        yield pipes


class Terminated(BaseException):
    """The job was asked to end (SIGTERM): what is buffered gets committed on the way out."""


def _unwind(*_: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would cut off what the first one's way out commits
    raise Terminated


def job_main(run: Callable[[dict[str, Any], Report], dict[str, Any]]) -> None:
    """The entry point of a job module: reads the spec named on the command line, runs, writes the result atomically."""
    die_with_parent()
    path = Path(sys.argv[-1])
    spec = json.loads(path.read_text())
    with _pipes() as pipes:
        report = Report(path.parent.name.rsplit("-", 1)[0], pipes)
        signal.signal(signal.SIGTERM, _unwind)
        try:
            result = run(spec, report)
        except UserError as error:
            result = {"user_error": str(error)}
        except Terminated:
            os._exit(128 + signal.SIGTERM)
    is_master = os.environ.get("RANK", "0") == "0"
    if is_master:
        write_whole(path.with_name("result.json"), json.dumps(result, default=str))
    sys.stdout.flush()
    sys.stderr.flush()
    # Engines keep threads and children of their own; the result is on disk, so nothing they still do matters. A launcher
    # kills all ranks when one fails: the master alone may say so, after it has written its line.
    os._exit(BAD_INPUT if is_master and "user_error" in result else 0)
