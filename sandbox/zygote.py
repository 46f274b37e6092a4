"""The zygote: a process that is up already and forks programs, each ahead of its order.

Belongs here: forking, giving a child its uid, limits and streams, starting it (an exec, or Python code in the fork
itself), waiting for it. The child takes its order by itself, from the socket that it shares with the zygote, which
waits for its end meanwhile: a fork and the copying of pages that comes with it are over when an input arrives. Does not
belong here: measuring, judging, cleaning (`agent.py`); the frame channel, which this process never has. Runs inside a
worker as uid 0: standard library only. It never parses what programs wrote; whatever touches their bytes runs in the
child, after its uid is gone.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import ctypes
import gc
import importlib
import json
import marshal
import os
import resource
import signal
import socket
import struct
import sys
import threading
import time
import types
from typing import IO, Any, NoReturn

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_DUMPABLE = 4
_MESSAGE = 1 << 17  # bytes of the longest order
_START_FAILED = 127
PYTHON, COMMAND = b"python", b"command"
_AHEAD = struct.Struct("d")  # what a child says first of itself: CPU seconds that it took before its order came
_STREAMS = (
    ("stdin", "r", "surrogateescape", -1),
    ("stdout", "w", "surrogateescape", -1),
    ("stderr", "w", "backslashreplace", 1),
)
_SAMPLE = """
import sys
def first(values, *rest, **named):
    return sorted((int(word) + at for at, word in enumerate(values.split())), key=lambda value: -value)
class Sample:
    def __init__(self): self.held = {"a": [1, 2.5], "b": (None, True)}
    def each(self):
        for key, (one, other) in self.held.items():
            yield f"{key}: {one!r} {other}"
try:
    text = "\\n".join(Sample().each()) + str(sum(first("3 1 2")[1:]))
    assert text and [n for n in range(9) if n % 2] and not text.isdigit()
    while len(text) > 9: text = text[:-3]
    print(text, end="", file=open("/dev/null", "w"))
except (ValueError, OSError) as error:
    raise SystemExit(1) from error
"""
"""A program of every day's kind, for `_warm_up`."""
CODE_HEAD = struct.Struct("d")
"""Before compiled code: CPU seconds that compiling took."""


def has_packages(settings: dict[str, Any]) -> bool:
    """Whether the worker was given a folder of Python packages (an image may have the empty place)."""
    return os.path.isdir(settings["packages"]) and bool(os.listdir(settings["packages"]))


def serve(orders: socket.socket, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Forks a child for each message that asks for one, until the agent is gone. Returns None then.

    The message is PYTHON or COMMAND, what the child will most likely be. The child waits for an order, the next message
    on the socket. In one that is to run Python this returns the order, for the caller to hand to `run_python`: the
    program then runs without the zygote's frames below it.
    """
    if has_packages(settings):
        sys.path.insert(0, settings["packages"])
    for name in settings["preload"]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    orders.send(b"{}")
    while expected := orders.recv(_MESSAGE):
        failed, status = os.pipe()
        pid = os.fork()
        if pid == 0:
            return _child(orders, status, expected)
        os.close(status)
        _, code, usage = os.wait4(pid, 0)
        os.set_blocking(failed, False)
        try:
            said = os.read(failed, 4096)
        except BlockingIOError:
            said = b""  # a process of the program's has the other end: it was stopped at its start
        os.close(failed)
        ahead = _AHEAD.unpack_from(said)[0] if len(said) >= _AHEAD.size else 0.0
        report = {
            "status": code,
            "cpu": usage.ru_utime + usage.ru_stime - ahead,
            "maxrss": usage.ru_maxrss,
            "trouble": said[_AHEAD.size :].decode(errors="replace"),
        }
        orders.send(json.dumps(report).encode())
    return None


def _child(orders: socket.socket, status: int, expected: bytes) -> dict[str, Any]:
    """In the child: gets ready, waits for its order, becomes what that says. Returns the order where it is Python's."""
    try:
        os.setsid()
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
        os.umask(0o022)
        os.setgroups([])
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        if expected == PYTHON:
            _warm_up()
        message, fds, _, _ = socket.recv_fds(orders, _MESSAGE, 8)
        if not message:
            os._exit(0)  # the agent is gone
        os.write(status, _AHEAD.pack(time.process_time()))
        order = json.loads(message)
        orders.detach()  # its descriptor is closed below; the object must not close another of that number
        code = _become(order, fds, status)
        status = 3
        if order["mode"] == "exec":
            _exec(order)
        order["code"] = code
        os.close(status)
        return order
    except BaseException as error:
        os.write(status, f"{type(error).__name__}: {error}".encode())
        os._exit(_START_FAILED)


def _warm_up() -> None:
    """Does once what `run_python` will do: the pages that it writes to are then this process's own."""
    _forget_the_agent()
    for _ in range(2):
        os.environ.clear()
        os.environ.update({f"NAME_{number}": "sample" for number in range(8)})
    os.environ.clear()
    null = os.open(os.devnull, os.O_RDWR)
    streams = [_stream(null, mode, errors, buffering) for _, mode, errors, buffering in _STREAMS]
    code = compile(_SAMPLE, "sample", "exec", dont_inherit=True)
    exec(marshal.loads(marshal.dumps(code)), types.ModuleType("__main__").__dict__)
    for stream in streams:
        stream.close()
    os.close(null)
    json.loads(json.dumps({name: getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT")}))
    gc.collect()


def _become(order: dict[str, Any], fds: list[int], status: int) -> int:
    """In the child: the program's streams at 0 to 2, the status pipe at 3, its code (if any) at 4; limits; its uid."""
    high = [os.dup(fd) for fd in (*fds[:3], status, *fds[3:])]
    base = max(high) + 1
    for at, fd in enumerate(high):
        os.dup2(fd, base + at)
    for at in range(len(high)):
        os.dup2(base + at, at, inheritable=at < 3)
    os.closerange(len(high), base + len(high))
    for name, value in order["rlimits"].items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
    os.setresgid(order["uid"], order["uid"], order["uid"])
    os.setresuid(order["uid"], order["uid"], order["uid"])
    os.chdir(order["cwd"])
    return 4


def _exec(order: dict[str, Any]) -> NoReturn:
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(order["argv"][0], order["argv"], order["environment"])
    except OSError as error:
        if not order["own"]:
            raise  # the image lacks a command: nothing that the program can be blamed for
        os.write(2, f"{order['argv'][0]}: {error.strerror}\n".encode())
        os._exit(126)


def run_python(order: dict[str, Any]) -> NoReturn:
    """In the child, at the top of the interpreter: compiles the source, or runs compiled code as `__main__`."""
    _LIBC.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # the change of uid took it; without it /proc/self is root's
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _forget_the_agent()
    _fresh_streams()
    os.environ.clear()
    os.environ.update(order["environment"])
    path = order["argv"][-1]
    if order["mode"] == "compile":
        sys.stdout.buffer.write(marshal.dumps(_compiled(path)))
        sys.stdout.flush()
        os._exit(0)
    if order["mode"] == "first":
        began = time.process_time()
        code = _compiled(path)
        text = marshal.dumps(code)
        with os.fdopen(order["code"], "wb") as file:  # closed before the program's first line
            file.write(CODE_HEAD.pack(time.process_time() - began) + text)
        del text
    else:
        with os.fdopen(order["code"], "rb") as file:
            code = marshal.loads(file.read())
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=path, __builtins__=builtins, __cached__=None)
    sys.modules["__main__"] = main
    sys.argv = [path]
    sys.orig_argv = [sys.executable, path]
    sys.path.insert(0, os.path.dirname(path))
    atexit._clear()
    code_of_exit = 0
    failed: BaseException | None = None
    try:
        exec(code, main.__dict__)
    except SystemExit as leaving:
        code_of_exit = _exit_code(leaving.code)
    except BaseException as error:
        trace = error.__traceback__
        failed = error.with_traceback(trace.tb_next if trace else None)  # this frame is not the program's
        del error, trace
    if failed is not None:  # out of the handler: an error of the program's hook is not one of handling this one
        code_of_exit = _told(failed)
        failed = None
    _end(main, code_of_exit)


def _forget_the_agent() -> None:
    """Nothing of it is to be seen by the program."""
    modules = [name for name in sys.modules if name == "sandbox" or name.startswith("sandbox.")]
    if modules:
        for name in modules:
            del sys.modules[name]
        del sys.meta_path[0]  # the loader of the agent's text


def _compiled(path: str) -> types.CodeType:
    """The program's code. Ends the process where it can't be compiled."""
    with open(path, "rb") as file:
        source = file.read()
    try:
        return compile(source, path, "exec", dont_inherit=True)
    except BaseException as error:
        sys.excepthook(type(error), error, None)
        sys.stderr.flush()
        os._exit(1)


def _told(error: BaseException) -> int:
    """The exit code of an error that ended the program, which its own hook may tell of."""
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except SystemExit as leaving:
        return _exit_code(leaving.code)
    except BaseException as second:
        second.__traceback__ = second.__traceback__.tb_next if second.__traceback__ else None
        with contextlib.suppress(BaseException):
            print("Error in sys.excepthook:", file=sys.stderr)
            sys.__excepthook__(type(second), second, second.__traceback__)
            print("\nOriginal exception was:", file=sys.stderr)
            sys.__excepthook__(type(error), error, error.__traceback__)
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def _exit_code(asked: object) -> int:
    """What the interpreter makes of the argument of `sys.exit`."""
    if asked is None:
        return 0
    if isinstance(asked, int):
        return asked & 0xFF
    try:
        sys.stderr.write(f"{asked}\n")
    except BaseException:  # a program may have closed its stderr, or put anything in its place
        os.write(2, b"\n")
    return 1


def _end(main: types.ModuleType, code: int) -> NoReturn:
    """Ends as the interpreter does (threads, exit functions, streams, the program's own objects), but for freeing what
    the zygote made: that would copy all of its memory, 7 ms of CPU each time."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    flushed = _flush()
    for name in [name for name in main.__dict__ if name != "__builtins__"]:
        main.__dict__[name] = None
    gc.collect()
    flushed = flushed and _flush()
    for stream in (sys.__stdout__, sys.__stderr__):  # where the program put others in their place, these end unseen
        with contextlib.suppress(Exception):
            stream.flush()  # type: ignore[union-attr]
    os._exit(code if flushed else 120)


def _flush() -> bool:
    done = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not getattr(stream, "closed", False):
                stream.flush()
        except Exception as error:
            done = False
            if stream is not sys.stderr:
                with contextlib.suppress(BaseException):
                    print(f"Exception ignored in: {stream!r}\n{type(error).__name__}: {error}", file=sys.stderr)
    return done


def _fresh_streams() -> None:
    """Text streams over the program's own descriptors, as the interpreter makes them at its start."""
    for fd, (name, mode, errors, buffering) in enumerate(_STREAMS):
        stream = _stream(fd, mode, errors, buffering)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _stream(fd: int, mode: str, errors: str, buffering: int) -> IO[str]:
    return os.fdopen(fd, mode, buffering, encoding="utf-8", errors=errors, newline="\n", closefd=False)
