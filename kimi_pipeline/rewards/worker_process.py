"""One worker process of the verifier, as the caller sees it: started, fed, read, killed.

Belongs here: its pipes, environment and end. Does not belong here: what it computes (`worker.py`), which task it gets and
what becomes of one that it did not finish (`pool.py`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEADLINE = "deadline"
START_SECONDS = 120.0  # an import on a busy machine

_log = logging.getLogger(__name__)
_CRASHES = (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS)  # a stack or an allocator at its end


@dataclass(frozen=True, slots=True)
class Limits:
    """What one answer may cost. `wall_seconds` only ends a worker that stands still: the verdict must not depend on how
    busy the machine is, so the deadline is CPU time."""

    workers: int = 2
    cpu_seconds: float = 2.0
    wall_seconds: float = 60.0
    memory_mb: int = 1024
    tasks_a_worker: int = 5000  # then it is replaced: sympy's caches grow
    waiting: int = 4096  # groups; a full queue is a failure of ours


class DiedError(Exception):
    """The worker ended or was ended; `reason` where its own limits did it."""

    def __init__(self, reason: str | None, crashed: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.crashed = reason, crashed


class Worker:
    """One process."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffer = b""
        self.done = 0
        # What we import it must find as well, also where packages lie on the path by the environment alone.
        path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))))
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        with tempfile.TemporaryFile() as said:  # until it is ready; then it says nothing any more
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kimi_pipeline.rewards.worker", str(limits.memory_mb)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                env=kept | {"PYTHONPATH": path, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
                start_new_session=True,
                bufsize=0,
            )
            try:
                self.receive(START_SECONDS)
            except DiedError as death:
                self.kill()
                self.close_pipes()
                said.seek(0)
                why = said.read().decode(errors="replace").strip().rpartition("\n")[2][:200] or "it said nothing"
                _log.warning("a verifier's worker did not start (exit code %s): %s", self.process.returncode, why)
                raise DiedError(None) from death

    def send(self, task: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        rest = memoryview((json.dumps(task) + "\n").encode())
        try:
            while rest:
                rest = rest[self.process.stdin.write(rest) :]
        except OSError as error:
            raise self._death() from error

    def receive(self, seconds: float) -> dict[str, Any]:
        """The next line. Raises DiedError, also for a worker that is late: it is killed."""
        assert self.process.stdout is not None
        pipe = self.process.stdout.fileno()
        until = time.monotonic() + seconds
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        while b"\n" not in self._buffer:
            left = until - time.monotonic()
            if left <= 0:
                late = _cpu_seconds(self.process.pid)
                self.kill()
                raise DiedError(DEADLINE if late >= self._limits.wall_seconds / 2 else None)
            if not poll.poll(left * 1000):
                continue
            part = os.read(pipe, 1 << 16)
            if not part:
                raise self._death()
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def _death(self) -> DiedError:
        code = self.process.wait()
        return DiedError(DEADLINE if code == -signal.SIGPROF else None, crashed=code in _CRASHES)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close_pipes(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
