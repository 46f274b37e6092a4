"""Leaving nothing of one run for the next: processes, files, System V objects.

Belongs here: what the agent does to programs' remains, as process 1 of a worker. Does not belong here: when
(`agent.py`). Runs inside a worker: standard library only.

All of it is done under the programs' own uid, taken on for a moment and given back (the saved uid stays 0): the kernel
then refuses whatever programs could not have done themselves, so a link they left leads nowhere, and no capability
beyond SETUID is needed. Process 1 cannot be killed from inside its pid namespace meanwhile.
"""

from __future__ import annotations

import ctypes
import os
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LIBC = ctypes.CDLL(None, use_errno=True)
_IPC_RMID = 0
_DEADLINE = 10.0  # seconds for killed processes to vanish


class CleaningError(Exception):
    """Something of a run remains. The worker must be thrown away."""


@contextmanager
def as_uid(uid: int) -> Iterator[None]:
    """The calling process has this uid, and can come back."""
    os.setresuid(uid, uid, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def programs(zygote: int) -> list[int]:
    """Pids of all processes of this pid namespace but the agent and its zygote."""
    return [pid for name in os.listdir("/proc") if name.isdigit() and (pid := int(name)) not in (1, zygote)]


def reap(zygote: int) -> tuple[float, int]:
    """CPU seconds and the largest resident size in kB of all processes that ended as children of process 1, now reaped.

    Raises CleaningError when the zygote is one of them.
    """
    cpu, peak = 0.0, 0
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return cpu, peak
        if pid == zygote:
            raise CleaningError("the zygote died")
        if not pid:
            return cpu, peak
        cpu += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss)


def kill_all(uid: int, zygote: int) -> tuple[float, int]:
    """Kills every process of this uid, whatever session, group or parent it has, and reaps those left to process 1.

    Returns CPU seconds and the largest resident size in kB of the reaped. One kill(-1) takes all at once: a process
    that forks at that moment is refused. Raises CleaningError when some outlive it.
    """
    cpu, peak, until = 0.0, 0, time.monotonic() + _DEADLINE
    while True:
        with as_uid(uid):
            os.kill(-1, signal.SIGKILL)
        left = programs(zygote)
        of_these, largest = reap(zygote)
        cpu, peak = cpu + of_these, max(peak, largest)
        if not left:
            return cpu, peak
        if time.monotonic() > until:
            raise CleaningError(f"processes of uid {uid} outlive SIGKILL")
        time.sleep(0.0003)


def empty(places: list[str], uid: int) -> None:
    """Removes all files in these places. Raises CleaningError when some remain."""
    with as_uid(uid):
        for place in places:
            if os.listdir(place):
                _empty(place)
            if left := os.listdir(place):
                raise CleaningError(f"{place}/{left[0]} cannot be removed")


def _empty(place: str) -> None:
    """Flattens instead of descending: no depth of folders and no length of path stops it."""
    fresh = 0
    while names := os.listdir(place):
        for name in names:
            path = os.path.join(place, name)
            try:
                if not stat.S_ISDIR(os.lstat(path).st_mode):
                    os.unlink(path)
                    continue
                os.chmod(path, 0o700)
                for inner in os.listdir(path):
                    fresh += 1
                    child = os.path.join(path, inner)
                    if stat.S_ISDIR(os.lstat(child).st_mode):
                        os.chmod(child, 0o700)
                        os.rename(child, os.path.join(place, f".flat-{fresh}-{time.monotonic_ns()}"))
                    else:
                        os.unlink(child)
                os.rmdir(path)
            except OSError as error:
                raise CleaningError(f"{path} cannot be removed: {error}") from error


def remove_ipc(uid: int) -> None:
    """Removes System V shared memory, semaphores and queues (POSIX queues are ruled out by their resource limit)."""
    for table, remove in (("shm", _LIBC.shmctl), ("sem", _LIBC.semctl), ("msg", _LIBC.msgctl)):
        try:
            with open(f"/proc/sysvipc/{table}") as file:
                rows = file.readlines()[1:]
        except FileNotFoundError:
            continue  # a kernel without System V IPC has nothing to remove
        if not rows:
            continue
        with as_uid(uid):
            for row in rows:
                identity = int(row.split()[1])
                arguments = (identity, 0, _IPC_RMID) if table == "sem" else (identity, _IPC_RMID, None)
                if remove(*arguments) != 0:
                    raise CleaningError(f"System V {table} {identity}: {os.strerror(ctypes.get_errno())}")
