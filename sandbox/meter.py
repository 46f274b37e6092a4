"""What programs in a worker take: CPU time, memory, idle time, space.

Belongs here: reading the worker's cgroup and /proc, as process 1 sees them. Does not belong here: deciding what is too
much (`watch.py`). Runs inside a worker: standard library only.

CPU time comes from the worker's cgroup, less what agent and zygote used themselves, so no double fork or ignored
SIGCHLD hides any. Memory is the cgroup's anonymous memory, less theirs, and its shared mappings: pages shared after a
fork count once and files in a tmpfs do not count. Where a worker has no readable cgroup, both are summed over the
processes in /proc.
"""

from __future__ import annotations

import os
import time

from sandbox.cleaning import programs

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MB = 2.0**20
_CPU_FILES = (
    ("/sys/fs/cgroup/cpu.stat", b"usage_usec ", 1e-6),
    ("/sys/fs/cgroup/cpuacct/cpuacct.usage", b"", 1e-9),
    ("/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage", b"", 1e-9),
)
_MEMORY_FILES = (
    ("/sys/fs/cgroup/memory.stat", b"anon "),
    ("/sys/fs/cgroup/memory/memory.stat", b"total_rss "),
)
_SHARED_FILES = (
    ("/sys/fs/cgroup/memory.stat", b"shmem "),
    ("/sys/fs/cgroup/memory/memory.stat", b"total_shmem "),
)
_OOM_FILES = (
    ("/sys/fs/cgroup/memory.events", b"oom_kill "),
    ("/sys/fs/cgroup/memory/memory.oom_control", b"oom_kill "),
)


class _Gauge:
    """One number of a file that stays open."""

    def __init__(self, path: str, key: bytes) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._key = key

    def read(self) -> int:
        text = b"\n" + os.pread(self._fd, 8192, 0)
        at = text.index(b"\n" + self._key) + 1 + len(self._key)
        return int(text[at:].split(None, 1)[0])


def _first_gauge(files: tuple[tuple[str, bytes], ...]) -> _Gauge | None:
    for path, key in files:
        try:
            gauge = _Gauge(path, key)
            gauge.read()
        except (OSError, ValueError):
            continue
        return gauge
    return None


class Meter:
    """Readings of one worker. `zygote` is the pid of the agent's helper, which is not counted either."""

    def __init__(self, zygote: int) -> None:
        self._own = (os.getpid(), zygote)
        self._cpu = None
        for path, key, unit in _CPU_FILES:
            if (gauge := _first_gauge(((path, key),))) is not None:
                self._cpu, self._cpu_unit = gauge, unit
                break
        self._memory = _first_gauge(_MEMORY_FILES)
        self._shared = _first_gauge(_SHARED_FILES)
        self._oom = _first_gauge(_OOM_FILES)
        self._own_memory = [os.open(f"/proc/{pid}/statm", os.O_RDONLY | os.O_CLOEXEC) for pid in self._own]

    def pids(self) -> list[int]:
        """Processes of programs: all but the agent and its zygote."""
        return programs(self._own[1])

    def cpu_seconds(self, reaped: float) -> float:
        """CPU seconds of programs since the worker began. `reaped`: of those that are gone, for want of a cgroup."""
        if self._cpu is not None:
            return self._cpu.read() * self._cpu_unit - sum(_process_cpu(pid) for pid in self._own)
        return reaped + sum(_process_cpu(pid) for pid in self.pids())

    def memory_mb(self) -> float:
        """Anonymous memory of programs now, in MB."""
        if self._memory is not None:
            own = sum(_private_pages(os.pread(fd, 256, 0)) for fd in self._own_memory)
            return (self._memory.read() - own * _PAGE) / _MB
        pages = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/statm", "rb") as file:
                    pages += _private_pages(file.read())
            except OSError:
                continue
        return pages * _PAGE / _MB

    def shared_mb(self, places: list[str]) -> float:
        """Memory in shared mappings, System V segments and files without a name, in MB.

        That is all shared memory of the worker but the files in these places, which have a bound of their own.
        """
        if self._shared is None:
            return 0.0
        files = 0
        for place in places:
            status = os.statvfs(place)
            files += (status.f_blocks - status.f_bfree) * status.f_frsize
        return (self._shared.read() - files) / _MB

    def oom_kills(self) -> int:
        """How often the kernel killed a process of this worker for want of memory."""
        return self._oom.read() if self._oom is not None else 0


class IdleClock:
    """Seconds in which no thread of the programs ran or waited for a core.

    The kernel books a wait for a core when it is over, so a thread that waits now is known by its state, and a booking
    that is longer than the time since the last tick takes back what was counted as idle before. Threads that come and go
    between two ticks are seen through the CPU time they used only.
    """

    def __init__(self, meter: Meter, reaped: float) -> None:
        self._meter = meter
        self._at = time.monotonic()
        self._cpu = meter.cpu_seconds(reaped)
        self._threads: dict[tuple[int, int], int] = {}
        self.seconds = 0.0

    def tick(self, cpu: float) -> None:
        """Advances the clock; `cpu` is the meter's CPU reading of now."""
        now = time.monotonic()
        threads, runnable = {}, False
        for pid in self._meter.pids():
            try:
                for name in os.listdir(f"/proc/{pid}/task"):
                    task = f"/proc/{pid}/task/{name}"
                    with open(f"{task}/schedstat", "rb") as file:
                        ran, waited, _ = file.read().split()
                    threads[pid, int(name)] = int(ran) + int(waited)
                    if not runnable:
                        with open(f"{task}/stat", "rb") as file:
                            runnable = file.read().rpartition(b")")[2].split()[0] == b"R"
            except (OSError, ValueError, IndexError):
                continue
        spent = [booked - self._threads.get(thread, 0) for thread, booked in threads.items()]
        passed = now - self._at
        idle = passed - max(sum(spent) * 1e-9, cpu - self._cpu)
        late = max(spent, default=0) * 1e-9 - passed
        if late > 0:
            self.seconds = max(0.0, self.seconds - late)
        elif not runnable:
            self.seconds += max(0.0, idle)
        self._at, self._cpu, self._threads = now, cpu, threads


def space(places: list[str]) -> tuple[float, int]:
    """MB and inodes in use in the fullest of these file systems (the root of each is not counted)."""
    used_mb, used_files = 0.0, 0
    for place in places:
        status = os.statvfs(place)
        used_mb = max(used_mb, (status.f_blocks - status.f_bfree) * status.f_frsize / _MB)
        used_files = max(used_files, status.f_files - status.f_ffree - 1)
    return used_mb, used_files


def _process_cpu(pid: int) -> float:
    """CPU seconds of a process, all its threads; 0 when it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | 2)  # the kernel's process clock, see clock_getcpuclockid(3)
    except OSError:
        return 0.0


def _private_pages(statm: bytes) -> int:
    _, resident, shared, *_ = statm.split()
    return int(resident) - int(shared)
