"""The bubblewrap backend: rooms that begin and end, and who runs in them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import sandbox
from sandbox import BackendUnavailable, SandboxError, WorkerSize
from sandbox.backends import cgroups
from sandbox.backends.bubblewrap import BubblewrapBackend
from sandbox.errors import WorkerGone
from sandbox.workers import greet
from tests.conftest import missing
from tests.processes import alive, family, status, survivors
from tests.sandbox.conftest import SIZE, or_miss

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users: needs root")


@pytest.fixture(scope="module")
def backend() -> Iterator[BubblewrapBackend]:
    with or_miss("bubblewrap backend"):
        made = BubblewrapBackend(SIZE)
    yield made
    made.close()
    assert made.leftovers() == []


def test_bubblewrap_and_all_in_it_are_nobody_on_the_host(backend: BubblewrapBackend) -> None:
    first, second = backend.start(), backend.start()
    try:
        for worker in (first, second):
            greet(worker, SIZE, (), 30)
        uids = []
        for worker in (first, second):
            members = family(worker.process)
            assert len(members) >= 3, "bubblewrap, the agent, the zygote"
            for member in members:
                assert "0" not in status(member)["Uid"].split(), (member, status(member)["Name"])
                assert status(member)["NoNewPrivs"] == "1"
            uids.append({uid for member in members for uid in status(member)["Uid"].split()})
        assert not uids[0] & uids[1], "rooms share a uid"
        agent = family(first.process)[1]
        assert int(status(agent)["CapEff"], 16) == (1 << 6) | (1 << 7), "SETGID and SETUID, no more"
        assert status(agent)["Seccomp"] == "2"
        host = Path("/proc/self/ns")
        for name in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup"):
            assert os.readlink(f"/proc/{agent}/ns/{name}") != os.readlink(host / name), name
    finally:
        first.kill()
        second.kill()


def test_a_room_ends_without_a_trace(backend: BubblewrapBackend) -> None:
    worker = backend.start()
    greet(worker, SIZE, (), 30)
    members = family(worker.process)
    worker.kill()
    worker.kill()
    assert backend.leftovers() == []
    assert not survivors(members)
    with pytest.raises(WorkerGone):
        worker.send(b"x")
    with pytest.raises(WorkerGone):
        worker.receive(0)


def test_an_agent_that_is_killed_from_outside_is_noticed(backend: BubblewrapBackend) -> None:
    worker = backend.start()
    greet(worker, SIZE, (), 30)
    members = family(worker.process)
    os.kill(members[1], signal.SIGKILL)
    with pytest.raises(WorkerGone, match="is gone"):
        worker.receive(10)
    worker.kill()
    assert not survivors(members)
    assert backend.leftovers() == []


@pytest.mark.parametrize("grouped", [True, False])
def test_a_room_ends_even_where_its_bubblewrap_is_dead(monkeypatch: pytest.MonkeyPatch, grouped: bool) -> None:
    if not grouped:
        monkeypatch.setattr(cgroups, "find", no_groups)
    made = BubblewrapBackend(SIZE, allow_no_cgroup=not grouped)
    worker = made.start()
    greet(worker, SIZE, (), 30)
    members = family(worker.process)
    os.kill(worker.process, signal.SIGKILL)
    worker.kill()
    assert not survivors(members)
    made.close()
    assert made.leftovers() == []


def no_groups() -> cgroups.Cgroups:
    raise BackendUnavailable("no control groups")


def test_the_spawner_may_be_killed_and_the_next_room_works(backend: BubblewrapBackend) -> None:
    worker = backend.start()
    greet(worker, SIZE, (), 30)
    members = family(worker.process)
    os.kill(int(status(worker.process)["PPid"]), signal.SIGKILL)
    another = backend.start()
    greet(another, SIZE, (), 30)
    members += family(another.process)
    worker.kill()
    another.kill()
    assert not survivors(members)
    assert backend.leftovers() == []


def test_a_killed_host_leaves_nothing(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys, time, sandbox
        opened = sandbox.open("bubblewrap", pool_size=2)
        opened.pool.wait_full(60)
        workers = [channel.worker for channel in opened.pool._ready]
        print(*(worker.process for worker in workers), flush=True)
        time.sleep(600)
    """)
    host = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    rooms = [int(word) for word in host.stdout.readline().split()]
    if len(rooms) != 2:
        host.kill()
        missing("no bubblewrap backend")
    members = [member for room in rooms for member in family(room)]
    host.kill()
    host.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        left = [member for member in members if alive(member)]
        groups = [path for path in cgroups.stale() if path.name.startswith(f"{cgroups.PREFIX}{host.pid}-")]
        if not left and not groups:
            break
        time.sleep(0.05)
    assert (left, groups) == ([], [])
    stages = list(Path(tempfile.gettempdir()).glob(f"sandbox-{host.pid}-*"))
    assert stages, "a killed process cannot remove its folder; the next backend does"
    BubblewrapBackend(SIZE).close()
    assert not [folder for folder in stages if folder.exists()]


@as_root
def test_the_spawner_refuses_to_start_bubblewrap_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BubblewrapBackend, "_host_uids", lambda self, slot: (0, 1))
    made = BubblewrapBackend(SIZE)
    try:
        with pytest.raises(SandboxError, match="never started by root"):
            made.start()
        assert made.leftovers() == []
    finally:
        made.close()


@as_root
def test_a_user_without_a_delegated_group_is_refused_or_says_so_aloud(tmp_path: Path) -> None:
    if shutil.which("newuidmap") is None:
        missing("no newuidmap")
    script = textwrap.dedent("""
        import os, sys
        sys.path.insert(0, sys.argv[1])
        os.setgroups([]); os.setresgid(54321, 54321, 54321); os.setresuid(54321, 54321, 54321)
        import sandbox
        try:
            sandbox.make_backend("bubblewrap", allow_no_cgroup=sys.argv[2] == "yes")
        except sandbox.BackendUnavailable as error:
            print(error)
    """)
    said = []
    for word in ("no", "yes"):
        done = subprocess.run(
            ["/usr/bin/python3", "-c", script, os.getcwd(), word], capture_output=True, text=True, check=True
        )
        said.append(done.stdout.strip())
    # This user has no subordinate uids; without them there is no second uid to keep programs from the agent.
    assert all("usermod --add-subuids" in text for text in said)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_without_control_groups_rooms_end_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "find", no_groups)
    with pytest.raises(BackendUnavailable, match="no control groups"):
        BubblewrapBackend(SIZE)
    made = BubblewrapBackend(SIZE, allow_no_cgroup=True)
    assert not made.limits_all_processes
    program = "import os, time\nos.fork()\nos.fork()\ntime.sleep(100)"
    with sandbox.Sandbox(made, pool_size=1) as opened:
        limits = sandbox.Limits(cpu_seconds=1, wall_seconds=0.3, memory_mb=128)
        (verdict,) = opened.run(program, "python", [b""], limits)
        assert verdict.outcome == sandbox.Outcome.TIME_LIMIT
        members = [member for child in made._spawner.children() for member in family(child)]
    assert members and not survivors(members)
    assert made.leftovers() == []


def test_missing_programs_and_folders_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match="usr/bin/python3"):
        BubblewrapBackend(root=tmp_path)
    with pytest.raises(BackendUnavailable, match=r"packages .* is no folder"):
        BubblewrapBackend(packages=tmp_path / "nothing")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(BackendUnavailable, match=r"chmod o\+x"):
        BubblewrapBackend(packages=closed)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendUnavailable, match="apt-get install bubblewrap"):
        BubblewrapBackend()


def test_packages_are_read_only_in_the_room(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = Path("/tmp") / f"packages-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        (folder / "planted.py").write_text("answer = 42\n")
        program = "import os, planted\nprint(planted.answer, os.access(os.path.dirname(planted.__file__), os.W_OK))"
        try:
            (verdict,) = sandbox.run(program, "python", [b""], backend="bubblewrap", packages=folder)
        except BackendUnavailable as error:
            missing(f"no bubblewrap backend: {error}")
        assert verdict.stdout == b"42 False\n", verdict
    finally:
        shutil.rmtree(folder)


def test_a_second_backend_after_a_fork_is_refused(backend: BubblewrapBackend) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            backend.start()
            os.write(write, b"a room was made")
        except SandboxError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert b"does not survive a fork" in os.read(read, 4096)
    os.close(read)
    os.close(write)
    assert backend.leftovers() == []


def test_sizes_reach_the_room(backend: BubblewrapBackend) -> None:
    small = BubblewrapBackend(WorkerSize(memory_mb=256, processes=32, disk_mb=8, files=100))
    try:
        with sandbox.Sandbox(small, pool_size=1) as opened:
            program = "import os\ns = os.statvfs('/tmp')\nprint(s.f_blocks * s.f_frsize >> 20, s.f_files)"
            limits = sandbox.Limits(memory_mb=64, processes=8, disk_mb=8, files=100, compile_memory_mb=128)
            (verdict,) = opened.run(program, "python", [b""], limits)
        assert verdict.stdout == b"8 100\n", verdict
    finally:
        small.close()
