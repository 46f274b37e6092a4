"""Following one run to its end, and judging it.

Belongs here: taking a program's output, holding it to its limits while it runs, the decision on its outcome. Does not
belong here: starting it (`zygote.py`), readings (`meter.py`), the submission around it (`agent.py`). Runs inside a
worker: standard library only.
"""

from __future__ import annotations

import math
import os
import select
import signal
import socket
import time
from json import loads
from typing import Any, Protocol

from sandbox import zygote
from sandbox.meter import IdleClock, Meter, space

_CHUNK = 1 << 16
STARVED = 20.0
"""A run may last this many times its limits on the clock; beyond, the machine is too busy to judge it. The host waits a
little longer."""


class AgentError(Exception):
    """The agent can't go on. The host throws the worker away."""


class Room(Protocol):
    """What a run is watched in; `agent.Room` is it."""

    scratch: list[str]
    box: str
    zygote: socket.socket
    meter: Meter
    reaped: float
    orphans_kb: int

    def bury_orphans(self) -> None: ...

    def kill(self) -> None: ...


class Run:
    """What came of one run."""

    def __init__(self, outcome: str) -> None:
        self.outcome = outcome
        self.detail = ""
        self.exit_code: int | None = None
        self.cpu = self.wall = self.peak_mb = 0.0
        self.truncated = False
        self.stdout = self.stderr = b""
        self.code = b""

    def blame_compiler(self) -> None:
        """Of a compiler's run: whatever isn't ok is a compile error."""
        if self.outcome != "ok":
            self.detail = f"{self.outcome.replace('_', ' ')} of the compiler{': ' if self.detail else ''}{self.detail}"
            self.outcome = "compile_error"

    def header(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome,
            "detail": self.detail,
            "exit_code": self.exit_code,
            "cpu_seconds": self.cpu,
            "wall_seconds": self.wall,
            "peak_memory_mb": self.peak_mb,
            "truncated": self.truncated,
        }


class Watch:
    """Follows a run to its end: takes its output, and kills it when it passes a limit."""

    def __init__(self, room: Room, limits: dict[str, Any], out: int, err: int, made: int | None) -> None:
        self.room, self.limits = room, limits
        self.made = made  # where a first run puts CPU seconds of its compiling, then its code
        self.captured = {out: bytearray(), err: bytearray()}
        self.out, self.err = out, err
        self.run = Run("ok")
        self.excess: tuple[str, str] | None = None
        self.peak_mb = 0.0
        self.began = time.monotonic()
        self.reaped_before = room.reaped
        room.orphans_kb = 0
        self.cpu_before = room.meter.cpu_seconds(room.reaped)
        self.oom_before = room.meter.oom_kills()
        self.shared_before = room.meter.shared_mb([*room.scratch, room.box])  # sealed inputs are shared memory as well
        self.idle: IdleClock | None = None

    def until_end(self) -> Run:
        """The run, finished and judged, all its processes gone."""
        poll = select.poll()
        for fd in (self.room.zygote.fileno(), *self.captured):
            poll.register(fd, select.POLLIN)
        poll.register(0, 0)  # the host hanging up
        pause, report = 0.002, b""
        due = self.began + pause
        while not report:
            for fd, event in poll.poll(max(0.0, due - time.monotonic()) * 1000):
                if fd == self.room.zygote.fileno():
                    report = self.room.zygote.recv(1 << 16)
                    if not report:
                        raise AgentError("the zygote is gone")
                elif fd == 0:
                    if event & (select.POLLHUP | select.POLLERR):
                        raise EOFError
                elif not self._take(fd):
                    poll.unregister(fd)
            if not report and time.monotonic() >= due:
                self._tick()
                pause = min(pause * 1.5, 0.025)
                due = time.monotonic() + pause
        return self._judge(loads(report))

    def _take(self, fd: int) -> bool:
        """Some output; False at its end. What is above the limit is read and dropped."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:  # a program can open its own pipe, and take back what it wrote
            return True
        held, bound = self.captured[fd], self.limits["output_bytes"]
        if len(held) + len(data) > bound:
            self.run.truncated = True
            name = "stdout" if fd == self.out else "stderr"
            self._stop("output_limit", f"{name} above {bound} bytes")
        held += data[: bound - len(held)]
        return bool(data)

    def _compiling(self) -> float | None:
        """CPU seconds that went into compiling in this run; None while (or if ever) it has not come to an end."""
        if self.made is None:
            return 0.0
        head = os.pread(self.made, zygote.CODE_HEAD.size, 0)
        return zygote.CODE_HEAD.unpack(head)[0] if len(head) == zygote.CODE_HEAD.size else None

    def _bounds(self, compiling: float | None) -> tuple[float, int]:
        """CPU seconds and MB that the run may come to, its compiling included."""
        limits = self.limits
        if compiling is None:
            return limits["compile_seconds"], max(limits["memory_mb"], limits["compile_memory_mb"])
        return limits["cpu_seconds"] + compiling, limits["memory_mb"]

    def _tick(self) -> None:
        room, limits = self.room, self.limits
        room.bury_orphans()
        cpu = room.meter.cpu_seconds(room.reaped)
        if self.idle is None:
            self.idle = IdleClock(room.meter, room.reaped)
        self.idle.tick(cpu)
        shared = room.meter.shared_mb([*room.scratch, room.box]) - self.shared_before
        self.peak_mb = max(self.peak_mb, room.meter.memory_mb() + max(0.0, shared))
        self._check_space()
        seconds, memory_mb = self._bounds(self._compiling())
        if self.peak_mb > memory_mb:
            self._stop("memory_limit", f"above {memory_mb} MB")
        if cpu - self.cpu_before > seconds:
            self._stop("time_limit", f"above {limits['cpu_seconds']:g} s of CPU")
        if self.idle.seconds > limits["wall_seconds"]:
            self._stop("time_limit", f"blocked for {limits['wall_seconds']:g} s")
        if time.monotonic() - self.began > STARVED * (limits["cpu_seconds"] + limits["wall_seconds"]):
            raise AgentError("the machine is too busy to judge this run")

    def _check_space(self) -> None:
        used_mb, files = space(self.room.scratch)
        if used_mb >= self.limits["disk_mb"]:
            self._stop("output_limit", f"files of {self.limits['disk_mb']} MB")
        if files >= self.limits["files"]:
            self._stop("output_limit", f"{self.limits['files']} files")

    def _stop(self, outcome: str, detail: str) -> None:
        self.excess = self.excess or (outcome, detail)
        self.room.kill()  # each time: the first may have come before the child gave up uid 0

    def _judge(self, report: dict[str, Any]) -> Run:
        self.room.kill()
        for fd in self.captured:
            while self._take(fd):
                pass
        if report["trouble"]:
            raise AgentError(f"the program could not be started: {report['trouble']}")
        run, limits = self.run, self.limits
        self.room.reaped += report["cpu"]
        by_processes = self.room.reaped - self.reaped_before
        run.cpu = max(by_processes, self.room.meter.cpu_seconds(self.room.reaped) - self.cpu_before)
        run.wall = time.monotonic() - self.began
        run.peak_mb = max(self.peak_mb, report["maxrss"] / 1024, self.room.orphans_kb / 1024)
        run.exit_code = os.waitstatus_to_exitcode(report["status"])
        run.stdout, run.stderr = bytes(self.captured[self.out]), bytes(self.captured[self.err])
        if self.excess is None:
            self._check_space()
        oom = self.room.meter.oom_kills() > self.oom_before
        compiling = self._compiling()
        seconds, memory_mb = self._bounds(compiling)
        if oom or run.peak_mb > memory_mb:
            run.outcome, run.detail = "memory_limit", f"above {memory_mb} MB"
        elif self.excess is not None:
            run.outcome, run.detail = self.excess
        elif run.cpu > seconds:
            run.outcome, run.detail = "time_limit", f"above {limits['cpu_seconds']:g} s of CPU"
        elif run.exit_code == -signal.SIGXFSZ:
            run.outcome, run.detail = "output_limit", f"a file above {limits['disk_mb']} MB"
        elif run.exit_code != 0:
            run.outcome = "wrong_exit"
            run.detail = f"exit code {run.exit_code}" if run.exit_code > 0 else f"signal {-run.exit_code}"
        if compiling is None:
            run.blame_compiler()
        else:
            run.cpu = max(0.0, run.cpu - compiling)
            if self.made is not None:
                run.code = _read_from(self.made, zygote.CODE_HEAD.size)
        return run


def rlimits(limits: dict[str, Any], mode: str) -> dict[str, int]:
    """Bounds that the kernel keeps by itself for each process; the whole run is the watch's business."""
    seconds = limits["cpu_seconds"] + (limits["compile_seconds"] if mode == "first" else 0)
    return {
        "RLIMIT_CPU": math.ceil(seconds) + 2,
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": limits["disk_mb"] << 20,
        "RLIMIT_NPROC": limits["processes"],
        "RLIMIT_NOFILE": 1024,
        "RLIMIT_STACK": limits["memory_mb"] << 20,
        "RLIMIT_MEMLOCK": 1 << 16,
        "RLIMIT_MSGQUEUE": 0,
    }


def _read_from(fd: int, start: int) -> bytes:
    """The bytes of an open file from there on."""
    parts = []
    while part := os.pread(fd, 1 << 20, start):
        parts.append(part)
        start += len(part)
    return b"".join(parts)
