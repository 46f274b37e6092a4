"""The agent: process 1 of a worker. Takes one submission, runs each input, says what came of it.

Belongs here: the order of things inside a worker, limits, the decision on an outcome. Does not belong here: forking
(`zygote.py`), readings (`meter.py`), cleaning (`cleaning.py`). Runs inside a worker: standard library only.

The frame channel is stdin and stdout of this process alone: programs get a sealed file as stdin and pipes as stdout and
stderr, and have another uid, so nothing they write or signal passes for a frame. What was expected of a program is
never known here.
"""

from __future__ import annotations

import fcntl
import math
import os
import select
import signal
import socket
import stat
import sys
import time
from json import dumps, loads
from typing import Any

from sandbox import cleaning, frames, zygote
from sandbox.frames import Decoder, Kind
from sandbox.meter import IdleClock, Meter, space

_BASE_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
_CHUNK = 1 << 16
_COMPILE_OUTPUT = 1 << 20
_STARVED = 20.0
"""A run may last this many times its limits on the clock; beyond, the machine is too busy to judge it."""


class AgentError(Exception):
    """The agent can't go on. The host throws the worker away."""


def main() -> None:
    """Greets the host, forks the zygote, serves one submission, ends with the channel."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # process 1 ignores what it has no handler for
    channel = _Channel()
    try:
        settings, _ = channel.expect(Kind.HELLO)
        for place in settings["scratch"]:
            os.chmod(place, 0o1777)
        os.chmod(settings["box"], 0o755)
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            here.close()
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            os.dup2(null, 1)
            order = zygote.serve(there, settings)
            if order is not None:
                zygote.run_python(order)
            os._exit(0)
        there.close()
        if not here.recv(16):
            raise AgentError("the zygote did not start; see the worker's stderr")
        room = Room(settings, here, pid)
        channel.send(Kind.READY, {"python": sys.version.split()[0], "cgroup": room.meter.sources})
        room.serve(channel)
    except EOFError:
        pass
    except Exception as error:
        channel.send(Kind.FAULT, {"detail": f"{type(error).__name__}: {error}"})
    os._exit(0)


class _Channel:
    """Frames over the agent's own stdin and stdout."""

    def __init__(self) -> None:
        self._decoder = Decoder()

    def expect(self, *kinds: Kind) -> tuple[dict[str, Any], list[bytes]]:
        while (frame := self._decoder.next()) is None:
            data = os.read(0, 1 << 20)
            if not data:
                raise EOFError
            self._decoder.feed(data)
        if frame[0] not in kinds:
            raise AgentError(f"the host sent {frame[0].name} where {kinds[0].name} was due")
        return frames.unpack(frame[1])

    def wait_for_end(self) -> None:
        """Reads on until the host hangs up, which raises EOFError."""
        while os.read(0, _CHUNK):
            pass
        raise EOFError

    def send(self, kind: Kind, header: dict[str, Any], *blobs: bytes) -> None:
        data = memoryview(frames.encode(kind, frames.pack(header, *blobs)))
        while data:
            data = data[os.write(1, data) :]


class Room:
    """The worker as programs find it, and one submission in it."""

    def __init__(self, settings: dict[str, Any], zygote_socket: socket.socket, zygote_pid: int) -> None:
        self.uid: int = settings["uid"]
        self.scratch: list[str] = settings["scratch"]
        self.box: str = settings["box"]
        self.size: dict[str, Any] = settings["size"]
        self.environment = dict(_BASE_ENVIRONMENT)
        if zygote.has_packages(settings):
            self.environment["PYTHONPATH"] = settings["packages"]
        self.zygote = zygote_socket
        self.zygote_pid = zygote_pid
        self.meter = Meter(zygote_pid)
        self.reaped = 0.0

    def serve(self, channel: _Channel) -> None:
        """One submission: compile it, then each input as it comes, until the host hangs up."""
        header, (source,) = channel.expect(Kind.SUBMIT)
        language, limits = header["language"], header["limits"]
        self.environment.update(language["environment"])
        places = {"{source}": os.path.join(self.box, language["file"]), "{output}": os.path.join(self.box, "program")}
        _write(places["{source}"], source, 0o444)
        code, compiled = self._compile(language, limits, places)
        channel.send(Kind.COMPILED, compiled.header(), compiled.stdout, compiled.stderr)
        if compiled.outcome != "ok":
            channel.wait_for_end()
        argv = [places.get(word, word) for word in language["run"]]
        mode = "run" if language["zygote"] else "exec"
        while True:
            asked, (data,) = channel.expect(Kind.INPUT)
            run = self.run(mode, argv if mode == "exec" else [places["{source}"]], data, limits, code)
            channel.send(Kind.VERDICT, {"index": asked["index"], **run.header()}, run.stdout, run.stderr)

    def _compile(self, language: dict[str, Any], limits: dict[str, Any], places: dict[str, str]) -> tuple[bytes, _Run]:
        """Compiles under limits and the programs' uid. What comes out is copied to where programs can't write."""
        if not language["zygote"] and not language["compile"]:
            return b"", _Run("ok")
        bounds = {
            **self.size,
            "cpu_seconds": limits["compile_seconds"],
            "wall_seconds": limits["compile_seconds"],
            "memory_mb": limits["compile_memory_mb"],
            "output_bytes": self.size["disk_mb"] << 20 if language["zygote"] else _COMPILE_OUTPUT,
        }
        if language["zygote"]:
            run = self.run("compile", [places["{source}"]], b"", bounds, b"")
            code, run.stdout = run.stdout, b""
        else:
            made = os.path.join(self.scratch[0], "program")
            argv = [{**places, "{output}": made}.get(word, word) for word in language["compile"]]
            code = b""
            run = self.run("exec", argv, b"", bounds, b"", keep=True)
            try:
                if run.outcome == "ok":
                    _write(places["{output}"], _read_plain(made), 0o555)
            except OSError as error:
                run.outcome, run.detail = "wrong_exit", f"the compiler left no program: {error.strerror}"
            self._clean()
        if run.outcome != "ok":
            run.detail = f"{run.outcome.replace('_', ' ')} of the compiler{': ' if run.detail else ''}{run.detail}"
            run.outcome = "compile_error"
        return code, run

    def run(
        self, mode: str, argv: list[str], data: bytes, limits: dict[str, Any], code: bytes, keep: bool = False
    ) -> _Run:
        """One program on one input, from a clean room; `keep` leaves its files for the caller to take."""
        order = {
            "mode": mode,
            "argv": argv,
            "uid": self.uid,
            "cwd": self.scratch[0],
            "environment": self.environment,
            "rlimits": _rlimits(limits),
        }
        given = [_sealed(data)] + ([_sealed(code)] if mode == "run" else [])
        with cleaning.as_uid(self.uid):  # the pipes are the programs' own, so /dev/stdout opens
            (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        fds = [given[0], out_end, err_end, *given[1:]]
        watch = _Watch(self, limits, out, err)
        try:
            socket.send_fds(self.zygote, [dumps(order).encode()], fds)
        finally:
            for fd in fds:
                os.close(fd)
        run = watch.until_end()
        os.close(out)
        os.close(err)
        if not keep:
            self._clean()
        return run

    def kill(self) -> int:
        """Ends all programs; returns the largest resident size in kB of those that were nobody's children."""
        cpu, peak = cleaning.kill_all(self.uid, self.zygote_pid)
        self.reaped += cpu
        return peak

    def _clean(self) -> None:
        cleaning.empty(self.scratch, self.uid)
        cleaning.remove_ipc(self.uid)


class _Run:
    """What came of one run."""

    def __init__(self, outcome: str) -> None:
        self.outcome = outcome
        self.detail = ""
        self.exit_code: int | None = None
        self.cpu = self.wall = self.peak_mb = 0.0
        self.truncated = False
        self.stdout = self.stderr = b""

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


class _Watch:
    """Follows a run to its end: takes its output, and kills it when it passes a limit."""

    def __init__(self, room: Room, limits: dict[str, Any], out: int, err: int) -> None:
        self.room, self.limits = room, limits
        self.captured = {out: bytearray(), err: bytearray()}
        self.out, self.err = out, err
        self.run = _Run("ok")
        self.excess: tuple[str, str] | None = None
        self.peak_mb = 0.0
        self.began = time.monotonic()
        self.reaped_before = room.reaped
        self.cpu_before = room.meter.cpu_seconds(room.reaped)
        self.oom_before = room.meter.oom_kills()
        self.shared_before = room.meter.shared_mb([*room.scratch, room.box])  # sealed inputs are shared memory as well
        self.idle: IdleClock | None = None

    def until_end(self) -> _Run:
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
        data = os.read(fd, _CHUNK)
        held, bound = self.captured[fd], self.limits["output_bytes"]
        if len(held) + len(data) > bound:
            self.run.truncated = True
            name = "stdout" if fd == self.out else "stderr"
            self._stop("output_limit", f"{name} above {bound} bytes")
        held += data[: bound - len(held)]
        return bool(data)

    def _tick(self) -> None:
        room, limits = self.room, self.limits
        cpu = room.meter.cpu_seconds(room.reaped)
        if self.idle is None:
            self.idle = IdleClock(room.meter, room.reaped)
        self.idle.tick(cpu)
        shared = room.meter.shared_mb([*room.scratch, room.box]) - self.shared_before
        self.peak_mb = max(self.peak_mb, room.meter.memory_mb() + max(0.0, shared))
        self._check_space()
        if self.peak_mb > limits["memory_mb"]:
            self._stop("memory_limit", f"above {limits['memory_mb']} MB")
        if cpu - self.cpu_before > limits["cpu_seconds"]:
            self._stop("time_limit", f"above {limits['cpu_seconds']:g} s of CPU")
        if self.idle.seconds > limits["wall_seconds"]:
            self._stop("time_limit", f"blocked for {limits['wall_seconds']:g} s")
        if time.monotonic() - self.began > _STARVED * (limits["cpu_seconds"] + limits["wall_seconds"]):
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

    def _judge(self, report: dict[str, Any]) -> _Run:
        orphans_kb = self.room.kill()
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
        run.peak_mb = max(self.peak_mb, report["maxrss"] / 1024, orphans_kb / 1024)
        run.exit_code = os.waitstatus_to_exitcode(report["status"])
        run.stdout, run.stderr = bytes(self.captured[self.out]), bytes(self.captured[self.err])
        if self.excess is None:
            self._check_space()
        oom = self.room.meter.oom_kills() > self.oom_before
        if oom or run.peak_mb > limits["memory_mb"]:
            run.outcome, run.detail = "memory_limit", f"above {limits['memory_mb']} MB"
        elif self.excess is not None:
            run.outcome, run.detail = self.excess
        elif run.cpu > limits["cpu_seconds"]:
            run.outcome, run.detail = "time_limit", f"above {limits['cpu_seconds']:g} s of CPU"
        elif run.exit_code == -signal.SIGXFSZ:
            run.outcome, run.detail = "output_limit", f"a file above {limits['disk_mb']} MB"
        elif run.exit_code != 0:
            run.outcome = "wrong_exit"
            run.detail = f"exit code {run.exit_code}" if run.exit_code > 0 else f"signal {-run.exit_code}"
        return run


def _rlimits(limits: dict[str, Any]) -> dict[str, int]:
    """Bounds that the kernel keeps by itself for each process; the whole run is the watch's business."""
    return {
        "RLIMIT_CPU": math.ceil(limits["cpu_seconds"]) + 2,
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": limits["disk_mb"] << 20,
        "RLIMIT_NPROC": limits["processes"],
        "RLIMIT_NOFILE": 1024,
        "RLIMIT_STACK": limits["memory_mb"] << 20,
        "RLIMIT_MEMLOCK": 1 << 16,
        "RLIMIT_MSGQUEUE": 0,
    }


def _sealed(data: bytes) -> int:
    """A read-only descriptor of a file in memory that nobody can change."""
    writable = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(writable, view) :]
        fcntl.fcntl(writable, fcntl.F_ADD_SEALS, _SEALS)
        return os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writable)


def _write(path: str, data: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        os.fchmod(fd, mode)


def _read_plain(path: str) -> bytes:
    """The bytes of a regular file; a link, FIFO or device in its place is refused."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(0, "no regular file")
        return file.read()
