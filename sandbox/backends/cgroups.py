"""Control groups, version 1 and 2: the memory, processes and processor time that a worker may take in all.

Belongs here: finding the place where groups may be made, making, reading, emptying and removing them. Does not belong
here: what runs in them.

A group of ours lies below the group that this process is in (or, in version 2, below its nearest ancestor that hands
controllers on), so that the limits of whoever started us hold as well. Its name carries our process id: what a killed
process of ours has left is found again.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import BackendUnavailable, SandboxError

PREFIX = "sandbox-"
NEEDED = ("memory", "pids")
"""Without these two, a fork bomb or a greedy program takes the machine down."""
WANTED = ("memory", "pids", "cpu", "cpuacct")
EMPTY_SECONDS = 5.0
_families = itertools.count()  # one a backend: closing one must not touch another's rooms

FIX = (
    "start as root, or in a delegated group (systemd-run --user --scope -p Delegate=yes COMMAND), "
    "or say --allow-no-cgroup and do without a limit over all processes of a program"
)


@dataclass(frozen=True)
class Ceiling:
    """What a group may take: memory in bytes, processes and threads, processors (2.0: two of them, full time)."""

    memory: int
    processes: int
    cpus: float | None = None


class Cgroups:
    """A family of groups, one a worker, under a parent of ours that `close` removes."""

    def __init__(self, version: int, parents: dict[str, Path]) -> None:
        self.version = version
        self._parents = parents
        """Controller to folder; in version 2 there is one folder, named after the first controller."""
        for folder in parents.values():
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
        if version == 2:
            _enable(parents["memory"])

    @property
    def parents(self) -> list[str]:
        """The folders in which our groups lie."""
        return list(dict.fromkeys(str(folder) for folder in self._parents.values()))

    def create(self, name: str, ceiling: Ceiling) -> Group:
        """A new group with its limits set. Raises SandboxError where the kernel refuses one."""
        folders = {controller: parent / name for controller, parent in self._parents.items()}
        group = Group(self.version, name, folders)
        try:
            for folder in folders.values():
                with contextlib.suppress(FileExistsError):
                    folder.mkdir()
            group.limit(ceiling)
        except OSError as error:
            group.remove()
            raise SandboxError(f"cannot make control group {name}: {error}") from error
        return group

    def leftovers(self) -> list[str]:
        """Groups of ours that still exist, as paths."""
        return [
            str(entry)
            for parent in self._parents.values()
            if parent.is_dir()
            for entry in parent.iterdir()
            if entry.is_dir()
        ]

    def close(self) -> None:
        """Empty and remove every group of ours, and the parents."""
        for path in self.leftovers():
            Group(self.version, Path(path).name, {"any": Path(path)}).remove()
        for folder in self._parents.values():
            _remove(folder)


class Group:
    """The group of one worker: one folder a controller in version 1, one folder in version 2."""

    def __init__(self, version: int, name: str, folders: dict[str, Path]) -> None:
        self.version = version
        self.name = name
        self._folders = folders

    @property
    def entrances(self) -> list[str]:
        """The files that a process writes `0` or its id into to join."""
        return [str(folder / "cgroup.procs") for folder in self._folders.values()]

    def views(self) -> list[tuple[str, str]]:
        """(folder, place inside): what a room may see of its own group, where an engine's container sees it."""
        if self.version == 2:
            return [(str(self._folders["memory"]), "/sys/fs/cgroup")]
        return [(str(folder), f"/sys/fs/cgroup/{controller}") for controller, folder in self._folders.items()]

    def limit(self, ceiling: Ceiling) -> None:
        """Set the limits. Raises OSError where the kernel refuses."""
        if self.version == 2:
            folder = self._folders["memory"]
            _write(folder / "memory.max", ceiling.memory)
            _write_if_there(folder / "memory.swap.max", 0)
            _write(folder / "pids.max", ceiling.processes)
            if ceiling.cpus:
                _write_if_there(folder / "cpu.max", f"{int(ceiling.cpus * 100_000)} 100000")
            return
        memory = self._folders["memory"]
        _write(memory / "memory.limit_in_bytes", ceiling.memory)
        _write_if_there(memory / "memory.memsw.limit_in_bytes", ceiling.memory)
        _write(self._folders["pids"] / "pids.max", ceiling.processes)
        if ceiling.cpus and "cpu" in self._folders:
            _write_if_there(self._folders["cpu"] / "cpu.cfs_quota_us", int(ceiling.cpus * 100_000))

    def processes(self) -> set[int]:
        """The ids of the processes in the group, as this process sees them."""
        found: set[int] = set()
        for entrance in self.entrances:
            with contextlib.suppress(OSError):
                found |= {int(line) for line in Path(entrance).read_text().split()}
        return found

    def memory_kills(self) -> int:
        """How often the kernel has killed a process of the group for memory."""
        folder = self._folders["memory"]
        file = folder / ("memory.events" if self.version == 2 else "memory.oom_control")
        with contextlib.suppress(OSError):
            for line in file.read_text().splitlines():
                key, _, value = line.partition(" ")
                if key == "oom_kill":
                    return int(value)
        return 0

    def remove(self, seconds: float = EMPTY_SECONDS) -> None:
        """Kill what is in the group, wait until it is empty, remove it. Raises SandboxError where something stays."""
        deadline = time.monotonic() + seconds
        pause = 0.0005
        while True:
            self._kill()
            # Every folder is tried each time: a dying process leaves them one after the other.
            left = [folder for folder in self._folders.values() if not _remove(folder)]
            if not left:
                return
            if time.monotonic() > deadline:
                raise SandboxError(f"control group {left[0]} cannot be emptied: processes {sorted(self.processes())}")
            time.sleep(pause)
            pause = min(pause * 2, 0.05)

    def _kill(self) -> None:
        if self.version == 2:
            with contextlib.suppress(OSError):
                _write(self._folders.get("memory", next(iter(self._folders.values()))) / "cgroup.kill", 1)
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)


def find(
    mounts: str | None = None, membership: str | None = None, try_place: Callable[[Path], bool] | None = None
) -> Cgroups:
    """The groups that this process may make.

    `mounts` and `membership` are the texts of /proc/self/mountinfo and /proc/self/cgroup (read where not given).
    Raises BackendUnavailable, saying what to do, where there is no place for the memory and pids controllers.
    """
    mounts = Path("/proc/self/mountinfo").read_text() if mounts is None else mounts
    membership = Path("/proc/self/cgroup").read_text() if membership is None else membership
    own = dict(_memberships(membership))
    usable = try_place or _writable
    v1, v2 = _hierarchies(mounts)
    name = f"{PREFIX}{os.getpid()}-{next(_families)}"
    if all(controller in v1 for controller in NEEDED):
        places = {c: _below(*v1[c], own.get(c, "/")) for c in WANTED if c in v1}
        usable_places = {c: place / name for c, place in places.items() if usable(place)}
        if all(controller in usable_places for controller in NEEDED):
            return Cgroups(1, usable_places)
        raise BackendUnavailable(f"backend bubblewrap may not make control groups under {places['memory']}: {FIX}")
    if v2 is not None:
        place = _place_v2(v2[0], _below(*v2, own.get("", "/")), usable)
        if place is not None:
            return Cgroups(2, {"memory": place / name})
        raise BackendUnavailable(
            f"backend bubblewrap may not make control groups with {' and '.join(NEEDED)} under {v2[0]}: {FIX}"
        )
    raise BackendUnavailable(f"backend bubblewrap finds no control groups for {' and '.join(NEEDED)}: {FIX}")


def stale(mounts: str | None = None) -> list[Path]:
    """Parents that processes of ours made and that are dead now."""
    v1, v2 = _hierarchies(Path("/proc/self/mountinfo").read_text() if mounts is None else mounts)
    roots = [root for root, _ in v1.values()] + ([v2[0]] if v2 else [])
    found = []
    for root in dict.fromkeys(roots):
        for place, folders, _ in os.walk(root):  # unlike a glob, it bears folders that vanish meanwhile
            for name in [name for name in folders if name.startswith(PREFIX)]:
                folders.remove(name)
                number = name.removeprefix(PREFIX).partition("-")[0]
                if number.isdigit() and not Path(f"/proc/{number}").exists():
                    found.append(Path(place, name))
    return found


def sweep(parent: Path) -> None:
    """Kill and remove what lies in a parent that `stale` found, and the parent."""
    with contextlib.suppress(FileNotFoundError):  # its spawner may be about to do the same
        for entry in [entry for entry in parent.iterdir() if entry.is_dir()]:
            with contextlib.suppress(SandboxError):
                Group(1, entry.name, {"any": entry}).remove()
    _remove(parent)


def _hierarchies(mounts: str) -> tuple[dict[str, tuple[Path, str]], tuple[Path, str] | None]:
    """Version 1: controller to (mount point, root of the mount). Version 2: (mount point, root), or None."""
    v1: dict[str, tuple[Path, str]] = {}
    v2 = None
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        place = (Path(fields[4]), fields[3])
        if kind[0] == "cgroup":
            for option in kind[2].split(","):
                v1.setdefault(option, place)
        elif kind[0] == "cgroup2":
            v2 = place
    return v1, v2


def _memberships(text: str) -> Iterable[tuple[str, str]]:
    """(controller, path) of /proc/self/cgroup; the version 2 line has the empty name."""
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _below(mount: Path, root: str, path: str) -> Path:
    """The folder of the group `path` in a hierarchy of which `root` is mounted at `mount`."""
    if root != "/" and (path == root or path.startswith(root + "/")):
        path = path[len(root) :]
    return mount / path.lstrip("/")


def _place_v2(mount: Path, own: Path, usable: Callable[[Path], bool]) -> Path | None:
    """Where groups with controllers may be made: our own group or the nearest ancestor that hands the controllers on."""
    for folder in (own, *own.parents):
        if not folder.is_relative_to(mount):
            break
        if not usable(folder) or not set(NEEDED) <= _words(folder / "cgroup.controllers"):
            continue
        if set(NEEDED) <= _words(folder / "cgroup.subtree_control"):
            return folder
        if folder == own and _hand_on(own):
            return folder
    return None


def _hand_on(own: Path) -> bool:
    """Let our own group hand its controllers on; a group with processes may not, so we move into one below it.

    Only this process moves. Where others are in the group, it stays as it is, and the answer is no.
    """
    try:
        _enable(own)
        return True
    except OSError as error:
        if error.errno != errno.EBUSY:
            return False
    if _words(own / "cgroup.procs") != {str(os.getpid())}:
        return False
    try:
        below = own / f"{PREFIX}host"
        below.mkdir(exist_ok=True)
        _write(below / "cgroup.procs", os.getpid())
        _enable(own)
    except OSError:
        return False
    return True


def _enable(folder: Path) -> None:
    available = _words(folder / "cgroup.controllers")
    enabled = _words(folder / "cgroup.subtree_control")
    for controller in WANTED:
        if controller in available and controller not in enabled:
            _write(folder / "cgroup.subtree_control", f"+{controller}")


def _writable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)


def _words(file: Path) -> set[str]:
    try:
        return set(file.read_text().split())
    except OSError:
        return set()


def _write(file: Path, value: int | str) -> None:
    # Without buffering: the kernel's refusal must come from this line.
    descriptor = os.open(file, os.O_WRONLY)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)


def _write_if_there(file: Path, value: int | str) -> None:
    if file.exists():
        _write(file, value)


def _remove(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
