"""Workers in rooms that bubblewrap makes: for a machine without a container engine.

Belongs here: what a room looks like from the host, its life, its end. Does not belong here: the steps between fork and
exec (`bubblewrap_spawner.py`), those between bubblewrap and the agent (`bubblewrap_entry.py`), control groups, the
list of system calls.

bubblewrap is never started as root. Started by root, the spawner joins the room's control groups, becomes a host uid
that nobody has, and then starts bubblewrap, in a user namespace of exactly two uids: the agent's and, beside it, that
of programs. Each room has two host uids of its own. Started by a user, the agent has the user's uid, and programs have
one of the user's subordinate uids (newuidmap maps it).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import shutil
import signal
import threading
import time
from pathlib import Path

from sandbox import workers
from sandbox.backends import bubblewrap_tree, cgroups, host_uids, seccomp
from sandbox.backends.prepared import Prepared
from sandbox.backends.spawning import Spawner
from sandbox.errors import BackendUnavailable, SandboxError, WorkerGone
from sandbox.languages import PREPARED, Language
from sandbox.verdicts import WorkerSize, host_memory_mb

ROOM_UID = 65534
"""The uid of programs, as they see it. On the host it is another one for each room."""

CHUNK = 1 << 18
BUBBLEWRAP_PIDS = 2
DEATH_SECONDS = 5.0
HIDDEN = ("kcore", "keys", "key-users", "timer_list", "latency_stats", "sched_debug", "sysrq-trigger", "kallsyms")
"""Files of /proc that tell of the machine; a container engine hides them as well."""

_INSIDE = "/run/sandbox"


class BubblewrapBackend:
    """Makes rooms with bubblewrap.

    `root` is a tree that holds the languages' packages (as the image's script makes one); without one, rooms have the
    machine's own /usr, read-only and without /usr/local. `packages` is a folder of Python packages. Raises
    BackendUnavailable, saying what to install or to set, where rooms can't be made safely; without control groups that
    is so too, unless `allow_no_cgroup`: then nothing bounds all processes of a program together but the agent.
    """

    name = "bubblewrap"

    def __init__(
        self,
        size: WorkerSize | None = None,
        *,
        packages: Path | str | None = None,
        root: Path | str | None = None,
        allow_no_cgroup: bool = False,
    ) -> None:
        self.size = size or WorkerSize()
        self.host_memory_mb = host_memory_mb()
        self._bwrap = _needed_program("bwrap", "bubblewrap")
        self._root = Path(root or "/").resolve()
        self._packages = None if packages is None else Path(packages).resolve()
        self._check_folders()
        self._as_root = os.geteuid() == 0
        self._beside = None if self._as_root else host_uids.subordinate_ids()
        self._filter = seccomp.compile_filter()
        self.image = bubblewrap_tree.digest(self._root)
        self._prepared = Prepared(self.image) if self._root == Path("/") else None
        self._groups = _control_groups(allow_no_cgroup)
        bubblewrap_tree.sweep()
        self._stage = bubblewrap_tree.make_stage(self._filter, self._root)
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._live: dict[str, BubblewrapWorker] = {}
        self._spawner = Spawner([] if self._groups is None else self._groups.parents)
        self._closed = False

    @property
    def limits_all_processes(self) -> bool:
        """Whether control groups hold the rooms (else `allow_no_cgroup` was said)."""
        return self._groups is not None

    def prepare(self, language: Language) -> None:
        """Makes it of the machine's own system; a given root has it from its making. Raises BackendUnavailable."""
        if self._prepared is not None:
            self._prepared.make(language)

    def start(self) -> BubblewrapWorker:
        """A new room with an agent that waits for its text. Raises SandboxError where one can't be made."""
        if self._closed:
            raise SandboxError("backend bubblewrap is closed")
        slot = host_uids.take_slot()
        group = None
        ours: list[int] = []
        theirs: list[int] = []
        try:
            name = f"room-{next(self._numbers)}"
            if self._groups is not None:
                group = self._groups.create(name, self._ceiling())
            for _ in range(3):
                read, write = os.pipe2(os.O_CLOEXEC)
                ours.append(write if not theirs else read)
                theirs.append(read if not theirs else write)
            user, beside = self._host_uids(slot)
            process = self._spawner.start(
                user=user,
                room_uid=ROOM_UID,
                beside=beside,
                entrances=[] if group is None else group.entrances,
                command=self._command(group),
                descriptors=theirs,
            )
            worker = BubblewrapWorker(self, name, slot, process, ours, group)
        except BaseException:
            for descriptor in ours:
                os.close(descriptor)
            with contextlib.suppress(SandboxError):
                if group is not None:
                    group.remove()
            host_uids.give_slot(slot)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        with self._lock:
            self._live[name] = worker
        return worker

    def forget(self, worker: BubblewrapWorker) -> None:
        """Called by a worker whose room is gone."""
        with self._lock:
            self._live.pop(worker.name, None)
        host_uids.give_slot(worker.slot)

    def close(self) -> None:
        """End all rooms, the spawner, and what they lay in. Safe to call twice. Raises SandboxError where one stays."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            live = list(self._live.values())
        troubles = []
        for worker in live:
            try:
                worker.kill()
            except SandboxError as error:
                troubles.append(str(error))
        self._spawner.close()
        if self._groups is not None:
            self._groups.close()
        shutil.rmtree(self._stage, ignore_errors=True)
        if troubles:
            raise SandboxError("; ".join(troubles))

    def leftovers(self) -> list[str]:
        """Control groups and processes that belong to no live worker, and groups of owners that are dead."""
        with self._lock:
            names = set(self._live)
            processes = {worker.process for worker in self._live.values()}
        found = [str(path) for path in cgroups.stale()]
        if self._groups is not None:
            found += [path for path in self._groups.leftovers() if Path(path).name not in names]
        found += [f"process {number}" for number in self._spawner.children() if number not in processes]
        return found

    def _ceiling(self) -> cgroups.Ceiling:
        return cgroups.Ceiling(
            memory=workers.memory_budget_mb(self.size) << 20,
            processes=workers.pids_budget(self.size) + BUBBLEWRAP_PIDS,
            cpus=self.size.cpus,
        )

    def _host_uids(self, slot: int) -> tuple[int | None, int]:
        if self._beside is not None:
            return None, self._beside[slot % len(self._beside)]
        return host_uids.pair(slot)

    def _check_folders(self) -> None:
        if not (self._root / "usr/bin/python3").exists():
            raise BackendUnavailable(
                f"root {self._root} has no usr/bin/python3: give a tree made by the image's script"
            )
        if self._packages is not None and not self._packages.is_dir():
            raise BackendUnavailable(f"packages {self._packages} is no folder")
        for name, folder in (("root", self._root), ("packages", self._packages)):
            for place in (folder, *folder.parents) if folder else ():
                if not place.stat().st_mode & 0o001:
                    raise BackendUnavailable(
                        f"{name} {folder} cannot be read by an unprivileged user: chmod o+x {place}, or move it"
                    )

    def _command(self, group: cgroups.Group | None) -> list[str]:
        words = [self._bwrap, "--userns", "@USERNS@"]
        words += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup"]
        words += ["--hostname", "sandbox", "--uid", "0", "--gid", "0", "--new-session", "--die-with-parent"]
        words += ["--as-pid-1", "--clearenv", "--chdir", "/"]
        words += bubblewrap_tree.tree(self._root, self._stage)
        words += ["--proc", "/proc", "--dev", "/dev", "--ro-bind", str(self._stage), _INSIDE]
        for name in HIDDEN:
            if os.path.exists(f"/proc/{name}"):
                words += ["--ro-bind", "/dev/null", f"/proc/{name}"]
        for parent in ("/sys", "/sys/fs", "/sys/fs/cgroup", os.path.dirname(workers.PACKAGES)):
            words += ["--perms", "0755", "--dir", parent]
        if self._packages is not None:
            words += ["--ro-bind", str(self._packages), workers.PACKAGES]
        prepared = self._root / PREPARED.lstrip("/") if self._prepared is None else self._prepared.folder
        if prepared.is_dir():
            words += ["--ro-bind", str(prepared), PREPARED]
        if group is not None:
            for folder, inside in group.views():
                words += ["--ro-bind", folder, inside]
        places = []
        for place in (*workers.SCRATCH, workers.BOX):
            words += ["--dir", place]
            places.append(place if place == workers.BOX else f"{place}:noexec")
        words += ["--remount-ro", "/dev", "--remount-ro", "/"]
        for capability in ("SYS_ADMIN", "SETPCAP", "SETUID", "SETGID"):
            words += ["--cap-add", f"CAP_{capability}"]
        words += ["--", "/usr/bin/python3", "-I", "-S", "-B", f"{_INSIDE}/entry.py", f"{_INSIDE}/filter"]
        words += [str(workers.STACK_BYTES), str(self.size.disk_mb << 20), str(self.size.files), *places]
        return [*words, "--", *workers.AGENT_COMMAND]


class BubblewrapWorker:
    """One room: the pipes to its agent, the process that bubblewrap is, the control groups around both."""

    test_uid = ROOM_UID

    def __init__(
        self,
        backend: BubblewrapBackend,
        name: str,
        slot: int,
        process: int,
        pipes: list[int],
        group: cgroups.Group | None,
    ) -> None:
        self.name, self.slot, self.process = name, slot, process
        self.identity = f"bubblewrap {process} ({name})"
        self._backend = backend
        self._group = group
        self._stdin, self._stdout, self._stderr = pipes
        os.set_blocking(self._stderr, False)
        try:
            self._handle: int | None = os.pidfd_open(process)
        except ProcessLookupError:
            self._handle = None
        self._sending, self._receiving, self._killing = threading.Lock(), threading.Lock(), threading.Lock()
        self._gone = False

    def send(self, data: bytes) -> None:
        """All of `data` to the agent. Raises WorkerGone."""
        with self._sending:
            if self._gone:
                raise WorkerGone(f"worker {self.identity} was ended")
            left = memoryview(data)
            try:
                while left:
                    left = left[os.write(self._stdin, left) :]
            except OSError as error:
                raise WorkerGone(f"worker {self.identity} is gone: {self._last_words() or error}") from error

    def receive(self, timeout: float) -> bytes:
        """Some bytes of the agent's; none after `timeout` seconds of silence. Raises WorkerGone."""
        with self._receiving:
            if self._gone:
                raise WorkerGone(f"worker {self.identity} was ended")
            watch = select.poll()
            watch.register(self._stdout, select.POLLIN)
            if not watch.poll(timeout * 1000):
                return b""
            data = os.read(self._stdout, CHUNK)
        if not data:
            raise WorkerGone(f"worker {self.identity} is gone: {self._last_words() or self._why()}")
        return data

    def kill(self) -> None:
        """End the room and remove every trace. Raises SandboxError where the kernel keeps a process."""
        with self._killing:
            if self._gone:
                return
            if self._group is None:
                self._kill_first_process()
            if self._handle is not None:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            if self._group is not None:
                self._group.remove(DEATH_SECONDS)
            self._wait()
            self._gone = True
            # With all processes dead, whoever blocks in send or receive comes back and lets go of the lock.
            with self._sending, self._receiving:
                for descriptor in (self._stdin, self._stdout, self._stderr, self._handle):
                    if descriptor is not None:
                        os.close(descriptor)
            self._backend.forget(self)

    def _kill_first_process(self) -> None:
        """Without control groups: end the room by its process 1, bubblewrap's only child, which takes the others along.

        It has changed its uid now and then, and with that the kernel forgets that it was to die with bubblewrap.
        """
        with contextlib.suppress(OSError):
            for word in Path(f"/proc/{self.process}/task/{self.process}/children").read_text().split():
                os.kill(int(word), signal.SIGKILL)
        # Where bubblewrap itself is dead already, the end of its input ends the agent, and the room with it.
        nothing = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nothing, self._stdin, inheritable=False)
        os.close(nothing)

    def _wait(self) -> None:
        """Until bubblewrap is dead and, as nobody holds the other end of stderr, everything in the room as well."""
        if self._handle is not None:
            watch = select.poll()
            watch.register(self._handle, select.POLLIN)
            if not watch.poll(DEATH_SECONDS * 1000):
                raise SandboxError(f"worker {self.identity} cannot be killed")
        deadline = time.monotonic() + DEATH_SECONDS
        watch = select.poll()
        watch.register(self._stderr, 0)
        while not any(event & select.POLLHUP for _, event in watch.poll(100)):
            if time.monotonic() > deadline:
                raise SandboxError(f"worker {self.identity}: a process outlives the room")

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            return os.read(self._stderr, 65536).decode(errors="replace").strip().replace("\n", "; ")[-500:]
        return ""

    def _why(self) -> str:
        kills = self._group.memory_kills() if self._group else 0
        return f"the kernel killed {kills} of its processes for memory" if kills else "its pipe ended"


def _needed_program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise BackendUnavailable(f"backend bubblewrap needs {name}: apt-get install {package}")
    return os.path.realpath(found)


def _control_groups(allow_no_cgroup: bool) -> cgroups.Cgroups | None:
    try:
        found = cgroups.find()
    except BackendUnavailable:
        if allow_no_cgroup:
            return None
        raise
    for path in cgroups.stale():
        cgroups.sweep(path)
    return found
