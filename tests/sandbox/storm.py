"""A storm: submissions run while workers and the engine are killed with SIGKILL, and every verdict is counted.

`python -m tests.sandbox.storm --submissions 1000` is the whole of it, on an engine of its own; test_faults.py runs a
small one. Belongs here: that engine, its image made of this machine's own Python, the killing, the counting.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import requests

from sandbox import Job, Limits, Outcome, Sandbox, WorkerSize
from sandbox.backends.docker import LABEL, DockerBackend, containers
from sandbox.image import import_root

TAG = "storm:latest"
INPUTS = 3
SIZE = WorkerSize(memory_mb=256, processes=32, disk_mb=16, files=500)
LIMITS = Limits(
    cpu_seconds=0.3, wall_seconds=5, memory_mb=128, processes=16, disk_mb=8, files=100, compile_memory_mb=128
)
# program, its true outcome; each first works a little, so that there is a middle to be killed in
PROGRAMS = (
    ("import time; time.sleep(0.05); print({n} + int(input()))", Outcome.OK),
    ("import time; time.sleep(0.02); print({n} + int(input())); raise SystemExit(1)", Outcome.WRONG_EXIT),
    ("print({n})\nwhile True: pass", Outcome.TIME_LIMIT),
    ("print({n}", Outcome.COMPILE_ERROR),
)


@dataclass
class Engine:
    """A Docker engine in a folder of its own, which can be killed and started again."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    def start(self) -> None:
        self._forget_the_dead()
        places = ["--data-root", self.folder / "data", "--exec-root", self.folder / "exec"]
        places += ["--cgroup-parent", f"/{self.folder.name}"]
        places += ["--pidfile", self.folder / "pid", "-H", self.url]
        firewall = ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none"]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(["dockerd", *firewall, *map(str, places)], stdout=log, stderr=log)
        until = time.monotonic() + 60
        while True:
            try:
                with contextlib.closing(docker.APIClient(base_url=self.url, version="auto")) as api:
                    api.ping()
                return
            except (docker.errors.DockerException, requests.RequestException):
                if time.monotonic() > until or self.process.poll() is not None:
                    raise
                time.sleep(0.2)

    def _forget_the_dead(self) -> None:
        """Removes pid files of a killed engine once its processes are gone: it takes a zombie for a running one."""
        until = time.monotonic() + 20
        for path in (self.folder / "pid", self.folder / "exec" / "containerd" / "containerd.pid"):
            while path.exists():
                status = Path(f"/proc/{path.read_text()}/stat")
                if not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
                    path.unlink()
                elif time.monotonic() > until:
                    raise TimeoutError(f"{path} names a process that lives")
                else:
                    time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL to the engine, as when the machine runs out of memory."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(60)

    def processes(self) -> list[int]:
        """Processes of this engine's containers and their keepers."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
                if b"containerd-shim" in command and str(self.folder).encode() in command:
                    found.append(int(pid))
        return found

    def scrub(self) -> None:
        """Removes what a killed engine left of its containers, and the folder. Mounts and groups go innermost first."""
        for pid in self.processes():
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
            os.kill(pid, signal.SIGKILL)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed([mount for mount in mounts if mount.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", "-l", mount], check=False)
        for root in Path("/sys/fs/cgroup").glob(f"**/{self.folder.name}"):
            for group in sorted([root, *root.rglob("*/")], key=lambda path: -len(path.parts)):
                with contextlib.suppress(OSError):
                    group.rmdir()
        shutil.rmtree(self.folder, ignore_errors=True)

    def groups(self) -> list[Path]:
        """Control groups of this engine's containers."""
        parents = [Path(root) for root in ("/sys/fs/cgroup", *map(str, Path("/sys/fs/cgroup").iterdir()))]
        return [group for parent in parents for group in (parent / self.folder.name).glob("*/")]


@contextlib.contextmanager
def own_engine() -> Iterator[Engine]:
    """An engine with the storm's image in it; nothing of it stays."""
    folder = Path(tempfile.mkdtemp(prefix="storm-", dir="/tmp"))  # a socket's path must be short
    engine = Engine(folder)
    engine.start()
    try:
        tar = folder / "root.tar"
        pack_python(tar)
        import_root(tar, TAG, engine.url)
        yield engine
    finally:
        engine.stop()
        engine.scrub()


def pack_python(tar: Path) -> None:
    """A root file system of this machine's /usr/bin/python3 and what it loads: 3 seconds instead of a minute."""
    python = Path("/usr/bin/python3").resolve()
    version = python.name
    library = Path("/usr/lib") / version
    programs = [python, Path("/usr/bin/env"), *library.glob("lib-dynload/*.so")]
    listed = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=True).stdout
    lines = [
        line.split() for line in listed.splitlines() if line.startswith("\t")
    ]  # the others name what was asked for
    loaded = {word for line in lines for word in line if word.startswith("/")}
    with tarfile.open(tar, "w", dereference=True) as archive:
        for path in sorted(loaded | {str(python), "/usr/bin/env"}):
            archive.add(path, recursive=False)
        archive.add(library, filter=lambda entry: None if "/test" in entry.name or "-312" in entry.name else entry)
        link = tarfile.TarInfo("usr/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, version
        archive.addfile(link)
        for name in ("tmp", "box", "proc", "sys", "dev", "etc"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)


@dataclass
class Tally:
    """What came of a storm."""

    submissions: int
    killed_workers: int = 0
    killed_engines: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    missing: list[tuple[int, int]] = field(default_factory=list)
    doubled: list[tuple[int, int]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        return not (self.wrong or self.missing or self.doubled or self.left)


def job(number: int) -> Job:
    program, _ = PROGRAMS[number % len(PROGRAMS)]
    return Job(program.format(n=number), "python", [b"%d" % index for index in range(INPUTS)], LIMITS)


def weather(room: Sandbox, submissions: int, disturb: Callable[[Tally], None], every: int) -> Tally:
    """Runs the submissions, calls `disturb` beside after each `every` verdicts, compares each verdict with the truth."""
    tally, due, over, began = Tally(submissions), threading.Semaphore(0), threading.Event(), time.monotonic()

    def blow() -> None:
        while due.acquire() and not over.is_set():
            disturb(tally)

    wind = threading.Thread(target=blow, daemon=True)
    wind.start()
    seen: Counter[tuple[int, int]] = Counter()
    try:
        for number, verdict in room.run_many((job(number) for number in range(submissions)), parallel=2):
            seen[number, verdict.input_index] += 1
            tally.outcomes[verdict.outcome.value] += 1
            if sum(seen.values()) % every == 0:
                due.release()
            truth = PROGRAMS[number % len(PROGRAMS)][1]
            if verdict.outcome is Outcome.SANDBOX_ERROR:
                continue
            said = b"%d\n" % (number + verdict.input_index)
            if verdict.outcome is not truth or (truth is Outcome.OK and verdict.stdout != said):
                tally.wrong.append(f"{number}: {truth}, but {verdict}")
    finally:
        over.set()
        due.release()
        wind.join()
    wanted = [(number, index) for number in range(submissions) for index in range(INPUTS)]
    tally.missing = [one for one in wanted if not seen[one]]
    tally.doubled = [one for one in seen if seen[one] > 1]
    tally.seconds = time.monotonic() - began
    return tally


def kill_a_container(engine: Engine, instance: str) -> bool:
    """SIGKILL to process 1 of one of its containers, from outside; False where there is none just now."""
    try:
        with contextlib.closing(docker.APIClient(base_url=engine.url, version="auto", timeout=10)) as api:
            rows = api.containers(filters={"label": f"{LABEL}={instance}"})
            pid = api.inspect_container(random.choice(rows)["Id"])["State"]["Pid"] if rows else 0
    except (docker.errors.DockerException, requests.RequestException):
        return False
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(pid)


def docker_storm(engine: Engine, submissions: int, every: int, engine_every: int) -> Tally:
    """Kills a container after each `every` verdicts, the `engine_every`-th time the engine, which starts again."""
    backend = DockerBackend(base_url=engine.url, image=TAG, size=SIZE)
    times = 0

    def disturb(tally: Tally) -> None:
        nonlocal times
        times += 1
        if times % engine_every == 0:
            engine.kill()
            tally.killed_engines += 1
            time.sleep(0.5)
            engine.start()
        else:
            tally.killed_workers += kill_a_container(engine, backend.instance)

    with Sandbox(backend, pool_size=2) as room:
        tally = weather(room, submissions, disturb, every)
    with contextlib.closing(docker.APIClient(base_url=engine.url, version="auto")) as api:
        tally.left += [f"container {row['Id'][:12]}: {row['Status']}" for row in containers(api, LABEL)]
    until = time.monotonic() + 10
    while (keepers := engine.processes()) and time.monotonic() < until:
        time.sleep(0.2)
    tally.left += [f"process {pid}" for pid in keepers]
    tally.left += [f"cgroup {path}" for path in engine.groups()]
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=1000)
    parser.add_argument("--every", type=int, default=10, help="verdicts between two kills")
    parser.add_argument("--engine-every", type=int, default=20, help="each so many kills, the engine itself")
    arguments = parser.parse_args()
    with own_engine() as engine:
        tally: Any = docker_storm(engine, arguments.submissions, arguments.every, arguments.engine_every)
    print(tally)
    return 0 if tally.clean else 1


if __name__ == "__main__":
    sys.exit(main())
