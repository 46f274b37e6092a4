"""The agent: process 1 of a worker. Takes one submission, runs each input, says what came of it.

Belongs here: the order of things inside a worker. Does not belong here: forking (`zygote.py`), following and judging a
run (`watch.py`), readings (`meter.py`), cleaning (`cleaning.py`). Runs inside a worker: standard library only.

The frame channel is stdin and stdout of this process alone: programs get a sealed file as stdin and pipes as stdout and
stderr, and have another uid, so nothing they write or signal passes for a frame. What was expected of a program is
never known here.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import stat
from json import dumps
from typing import Any

from sandbox import cleaning, frames, zygote
from sandbox.frames import Decoder, Kind
from sandbox.meter import Meter
from sandbox.watch import AgentError, Run, Watch, rlimits

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
_SMALL_SOURCE = 1 << 14  # bytes up to which compiling takes too little to be kept apart from the first run


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
                try:
                    zygote.run_python(order)
                except BaseException:  # of the program's making: its stdout is not this process's to speak on
                    os._exit(1)
            os._exit(0)
        there.close()
        if not here.recv(16):
            raise AgentError("the zygote did not start; see the worker's stderr")
        room = Room(settings, here, pid)
        room.rehearse()
        channel.send(Kind.READY, {})
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
        self.reaped = 0.0  # CPU seconds of processes that are gone
        self.orphans_kb = 0  # the largest resident size of those of this run that were nobody's children
        self._python = True  # what the next child of the zygote is likely to run
        self._ready = False

    def make_ready(self) -> None:
        """Nothing is left of the last run, and a child of the zygote waits for the next. Raises CleaningError."""
        if not self._ready:
            cleaning.empty(self.scratch, self.uid)
            cleaning.remove_ipc(self.uid)
            self.zygote.send(zygote.PYTHON if self._python else zygote.COMMAND)
            self._ready = True

    def rehearse(self) -> None:
        """Runs an empty program, as the first of a submission would be: a worker that can't is never given one, and
        one that could is quicker. Raises AgentError."""
        path = os.path.join(self.box, "rehearsal.py")
        _write(path, b"pass", 0o444)
        bounds = {"cpu_seconds": 10, "wall_seconds": 10, "compile_seconds": 10, "output_bytes": _CHUNK}
        run = self.run("first", [path], b"", {**self.size, "compile_memory_mb": self.size["memory_mb"], **bounds}, b"")
        os.unlink(path)
        if run.outcome != "ok":
            raise AgentError(f"an empty program ended with {run.outcome} {run.detail} {run.stderr[-500:]!r}")
        self.make_ready()

    def serve(self, channel: _Channel) -> None:
        """One submission: compile it, then each input as it comes, until the host hangs up."""
        header, (source,) = channel.expect(Kind.SUBMIT)
        language, limits = header["language"], header["limits"]
        self.environment.update(language["environment"])
        places = {"{source}": os.path.join(self.box, language["file"]), "{output}": os.path.join(self.box, "program")}
        _write(places["{source}"], source, 0o444)
        self._python = language["zygote"]
        mode, code, compiled = "exec", b"", Run("ok")
        argv = [places.get(word, word) for word in language["run"]]
        if language["zygote"]:
            mode, argv = "run", [places["{source}"]]
        if language["zygote"] and len(source) <= _SMALL_SOURCE:
            mode = "first"  # compiled by the first run: one fork less until its verdict
        elif language["zygote"] or language["compile"]:
            code, compiled = self._compile(language, limits, places)
        channel.send(Kind.COMPILED, compiled.header(), compiled.stdout, compiled.stderr)
        if compiled.outcome != "ok":
            channel.wait_for_end()
        while True:
            asked, (data,) = channel.expect(Kind.INPUT)
            run = self.run(mode, argv, data, limits, code)
            if mode == "first":
                mode, code = "run", run.code
            channel.send(Kind.VERDICT, {"index": asked["index"], **run.header()}, run.stdout, run.stderr)
            self.make_ready()  # where it can't be, the next input goes to another worker

    def _compile(self, language: dict[str, Any], limits: dict[str, Any], places: dict[str, str]) -> tuple[bytes, Run]:
        """Compiles under limits and the programs' uid. What comes out is copied to where programs can't write."""
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
            run = self.run("exec", argv, b"", bounds, b"")
            try:
                if run.outcome == "ok":
                    _write(places["{output}"], _read_plain(made), 0o555)
            except OSError as error:
                run.outcome, run.detail = "wrong_exit", f"the compiler left no program: {error.strerror}"
        self.make_ready()
        run.blame_compiler()
        return code, run

    def run(self, mode: str, argv: list[str], data: bytes, limits: dict[str, Any], code: bytes) -> Run:
        """One program on one input, from a clean room. Its processes end with it; its files stay until `make_ready`.

        `mode` is that of the zygote: "exec" a command, "compile" Python, "run" its `code`, or "first": compile it and run
        it in one, the code comes back in the run.
        """
        self.make_ready()
        self._ready = False
        order = {
            "mode": mode,
            "argv": argv,
            "own": os.path.dirname(argv[0]) == self.box,  # what was compiled of the program
            "uid": self.uid,
            "cwd": self.scratch[0],
            "environment": self.environment,
            "rlimits": rlimits(limits, mode),
        }
        made = os.memfd_create("code", os.MFD_CLOEXEC) if mode == "first" else None
        given = [_sealed(data)] + ([_sealed(code)] if mode == "run" else [])
        with cleaning.as_uid(self.uid):  # the pipes are the programs' own, so /dev/stdout opens
            (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        os.set_blocking(out, False)
        os.set_blocking(err, False)
        fds = [given[0], out_end, err_end, *given[1:]]
        watch = Watch(self, limits, out, err, made)
        try:
            socket.send_fds(self.zygote, [dumps(order).encode()], fds + ([made] if made is not None else []))
        finally:
            for fd in fds:
                os.close(fd)
        run = watch.until_end()
        for fd in (out, err) if made is None else (out, err, made):
            os.close(fd)
        return run

    def bury_orphans(self) -> None:
        """Reaps those of a run that ended as nobody's children: unreaped, they count against its limit of processes."""
        self._count(*cleaning.reap(self.zygote_pid))

    def kill(self) -> None:
        """Ends all programs."""
        self._count(*cleaning.kill_all(self.uid, self.zygote_pid))

    def _count(self, cpu: float, peak_kb: int) -> None:
        self.reaped += cpu
        self.orphans_kb = max(self.orphans_kb, peak_kb)


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
