"""The zygote: a process that is up already and forks programs.

Belongs here: forking, giving a child its uid, limits and streams, starting it (an exec, or Python code in the fork
itself), waiting for it. Does not belong here: measuring, judging, cleaning (`agent.py`); the frame channel, which this
process never has. Runs inside a worker as uid 0: standard library only. It never parses what programs wrote; whatever
touches their bytes runs in the child, after its uid is gone.
"""

from __future__ import annotations

import atexit
import builtins
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
from typing import Any, NoReturn

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_DUMPABLE = 4
_MESSAGE = 1 << 17  # bytes of the longest order
_START_FAILED = 127
CODE_HEAD = struct.Struct("d")
"""Before compiled code: CPU seconds that compiling took."""


def has_packages(settings: dict[str, Any]) -> bool:
    """Whether the worker was given a folder of Python packages (an image may have the empty place)."""
    return os.path.isdir(settings["packages"]) and bool(os.listdir(settings["packages"]))


def serve(orders: socket.socket, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Forks a program for each order, until the agent is gone. Returns None then.

    In a forked child that is to run Python it returns the order, for the caller to hand to `run_python`: the program
    then runs without the zygote's frames below it.
    """
    if has_packages(settings):
        sys.path.insert(0, settings["packages"])
    for name in settings["preload"]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    orders.send(b"{}")
    while True:
        message, fds, _, _ = socket.recv_fds(orders, _MESSAGE, 8)
        if not message:
            return None
        order = json.loads(message)
        failed, status = os.pipe()
        pid = os.fork()
        if pid == 0:
            orders.detach()  # its descriptor is closed below; the object must not close another of that number
            try:
                if order["mode"] == "exec":
                    _become(order, fds, status)
                    _exec(order)
                order["code"] = _become(order, fds, status)
            except BaseException as error:
                os.write(3, f"{type(error).__name__}: {error}".encode())
                os._exit(_START_FAILED)
            os.close(3)
            return order
        for fd in (*fds, status):
            os.close(fd)
        _, code, usage = os.wait4(pid, 0)
        os.set_blocking(failed, False)
        try:
            trouble = os.read(failed, 4096)
        except BlockingIOError:
            trouble = b""
        os.close(failed)
        report = {
            "status": code,
            "cpu": usage.ru_utime + usage.ru_stime,
            "maxrss": usage.ru_maxrss,
            "trouble": trouble.decode(errors="replace"),
        }
        orders.send(json.dumps(report).encode())


def _become(order: dict[str, Any], fds: list[int], status: int) -> int:
    """In the child: the program's streams at 0 to 2, the status pipe at 3, its code (if any) at 4; limits; its uid."""
    os.setsid()
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
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    os.umask(0o022)
    os.setgroups([])
    os.setresgid(order["uid"], order["uid"], order["uid"])
    os.setresuid(order["uid"], order["uid"], order["uid"])
    os.chdir(order["cwd"])
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
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
    for name in [name for name in sys.modules if name == "sandbox" or name.startswith("sandbox.")]:
        del sys.modules[name]
    del sys.meta_path[0]  # the loader of the agent's text
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
    try:
        exec(code, main.__dict__)
    except SystemExit as leaving:
        code_of_exit = _exit_code(leaving.code)
    except BaseException as error:
        trace = error.__traceback__
        error.__traceback__ = trace.tb_next if trace else None  # this frame is not the program's
        sys.excepthook(type(error), error, error.__traceback__)
        code_of_exit = 130 if isinstance(error, KeyboardInterrupt) else 1
        del error, trace
    _end(main, code_of_exit)


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


def _exit_code(asked: object) -> int:
    """What the interpreter makes of the argument of `sys.exit`."""
    if asked is None:
        return 0
    if isinstance(asked, int):
        return asked & 0xFF
    print(asked, file=sys.stderr)
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
    os._exit(code if flushed and _flush() else 120)


def _flush() -> bool:
    done = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except Exception as error:
            done = False
            if stream is not sys.stderr:
                print(f"Exception ignored in: {stream!r}\n{type(error).__name__}: {error}", file=sys.stderr)
    return done


def _fresh_streams() -> None:
    """Text streams over the program's own descriptors, as the interpreter makes them at its start."""
    for fd, name, mode, errors, buffering in (
        (0, "stdin", "r", "strict", -1),
        (1, "stdout", "w", "strict", -1),
        (2, "stderr", "w", "backslashreplace", 1),
    ):
        stream = os.fdopen(fd, mode, buffering, encoding="utf-8", errors=errors, closefd=False)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
