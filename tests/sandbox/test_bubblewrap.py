"""The bubblewrap backend: rooms that begin and end, uids, control groups of both versions, the list of system calls."""

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
from sandbox.backends import cgroups, seccomp
from sandbox.backends.bubblewrap import BubblewrapBackend
from sandbox.errors import WorkerGone
from sandbox.workers import greet
from tests.conftest import missing
from tests.sandbox.conftest import SIZE

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users: needs root")


@pytest.fixture(scope="module")
def backend() -> Iterator[BubblewrapBackend]:
    try:
        made = BubblewrapBackend(SIZE)
    except BackendUnavailable as error:
        missing(f"no bubblewrap backend: {error}")
        raise
    yield made
    made.close()
    assert made.leftovers() == []


def status(process: int) -> dict[str, str]:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def family(process: int) -> list[int]:
    """A process and all below it. One that ends while we look is listed without any."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        children = []
    return [process, *(found for child in children for found in family(int(child)))]


def alive(process: int) -> bool:
    try:
        return not status(process)["State"].startswith(("Z", "X"))
    except OSError:
        return False


def survivors(processes: list[int]) -> list[int]:
    """Those that live after a moment: a process that has left its group and its files may take one more to be gone."""
    deadline = time.monotonic() + 5
    while (left := [process for process in processes if alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


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


FORBIDDEN = """
keyctl add_key request_key ptrace process_vm_readv process_vm_writev mount umount2 pivot_root chroot unshare setns bpf
perf_event_open userfaultfd io_uring_setup init_module finit_module delete_module kexec_load reboot swapon swapoff
settimeofday clock_settime sethostname iopl ioperm open_by_handle_at fanotify_init kcmp pidfd_getfd clone3 socket
personality fsopen fsmount move_mount open_tree mount_setattr quotactl syslog acct
"""
V1_MOUNTS = """
30 23 0:26 / {root}/memory rw,relatime - cgroup cgroup rw,memory
31 23 0:27 / {root}/pids rw,relatime - cgroup cgroup rw,pids
32 23 0:28 / {root}/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct
33 23 0:29 / {root}/unified rw,relatime - cgroup2 cgroup2 rw
"""
V2_MOUNTS = "35 24 0:30 / {root} rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


def kernel_files(folder: Path, **files: str) -> None:
    """A folder as the kernel's would be: a regular file stands for each of its files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_version_2_goes_to_the_nearest_group_that_hands_controllers_on(tmp_path: Path) -> None:
    own = tmp_path / "user.slice" / "user-0.slice" / "session-1.scope"
    for folder, handed in (
        (tmp_path, "memory pids cpu"),
        (own.parent.parent, "memory pids"),
        (own.parent, "memory pids"),
        (own, ""),
    ):
        has = "memory pids cpu" if handed else ""
        kernel_files(folder, cgroup__controllers=has, cgroup__subtree_control=handed, cgroup__procs="")
    found = cgroups.find(V2_MOUNTS.format(root=tmp_path), "0::/user.slice/user-0.slice/session-1.scope\n")
    (parent,) = found.parents
    assert Path(parent).parent == own.parent
    assert found.version == 2


def test_version_2_takes_a_delegated_group_of_its_own(tmp_path: Path) -> None:
    own = tmp_path / "app.scope"
    kernel_files(tmp_path, cgroup__controllers="memory pids cpu", cgroup__subtree_control="cpu", cgroup__procs="")
    kernel_files(own, cgroup__controllers="memory pids", cgroup__subtree_control="", cgroup__procs="")
    found = cgroups.find(V2_MOUNTS.format(root=tmp_path), "0::/app.scope\n")
    assert [Path(parent).parent for parent in found.parents] == [own]
    assert (own / "cgroup.subtree_control").read_text(), "controllers are handed on"


def test_version_2_writes_its_limits(tmp_path: Path) -> None:
    kernel_files(tmp_path, **dict.fromkeys(("memory__max", "memory__swap__max", "pids__max", "cpu__max"), ""))
    group = cgroups.Group(2, "room", {"memory": tmp_path})
    group.limit(cgroups.Ceiling(memory=100 << 20, processes=7, cpus=1.5))
    read = {name: (tmp_path / name).read_text() for name in ("memory.max", "memory.swap.max", "pids.max", "cpu.max")}
    assert read == {"memory.max": str(100 << 20), "memory.swap.max": "0", "pids.max": "7", "cpu.max": "150000 100000"}
    assert group.views() == [(str(tmp_path), "/sys/fs/cgroup")]
    kernel_files(tmp_path, memory__events="low 0\noom 3\noom_kill 2\n")
    assert group.memory_kills() == 2


def test_a_place_without_permission_is_refused_with_the_fix(tmp_path: Path) -> None:
    for mounts, membership in (
        (V2_MOUNTS, "0::/user.slice\n"),
        (V1_MOUNTS, "4:memory:/user\n3:pids:/\n2:cpu,cpuacct:/\n"),
    ):
        with pytest.raises(BackendUnavailable, match="allow-no-cgroup"):
            cgroups.find(mounts.format(root=tmp_path), membership, try_place=lambda folder: False)
    with pytest.raises(BackendUnavailable, match="no control groups"):
        cgroups.find("", "")


def test_version_1_lies_below_our_own_group(tmp_path: Path) -> None:
    for folder in ("memory/mine/deep", "pids", "cpu"):
        kernel_files(tmp_path / folder, cgroup__procs="")
    found = cgroups.find(V1_MOUNTS.format(root=tmp_path), "4:memory:/mine/deep\n3:pids:/\n2:cpu,cpuacct:/\n0::/\n")
    assert found.version == 1
    assert {str(Path(parent).parent.relative_to(tmp_path)) for parent in found.parents} == {
        "memory/mine/deep",
        "pids",
        "cpu",
    }


@as_root
def test_a_group_bounds_processes_and_is_emptied() -> None:
    try:
        groups = cgroups.find()
    except BackendUnavailable as error:
        missing(str(error))
        raise
    group = groups.create("trial", cgroups.Ceiling(memory=64 << 20, processes=4))
    script = "read line; for i in 1 2 3 4 5 6 7 8; do sleep 60 2>/dev/null & done; wait"
    process = subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for entrance in group.entrances:
            Path(entrance).write_text(str(process.pid))
        _, told = process.communicate("go\n", timeout=30)
        assert "Cannot fork" in told
        left = group.processes()
        assert 1 <= len(left) <= 4
    finally:
        group.remove()
        groups.close()
    assert not survivors(list(left))
    assert not any(Path(parent).exists() for parent in groups.parents)


def test_the_filter_names_no_call_that_changes_the_kernel() -> None:
    assert not set(FORBIDDEN.split()) & set(seccomp.ALLOWED)
    assert len(seccomp.ALLOWED) == len(set(seccomp.ALLOWED))


def test_the_filter_compiles_to_whole_instructions() -> None:
    try:
        program = seccomp.compile_filter()
    except BackendUnavailable as error:
        missing(str(error))
        raise
    assert len(program) % 8 == 0
    assert 20 < len(program) // 8 < 4096, "the kernel takes 4096 instructions"


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
