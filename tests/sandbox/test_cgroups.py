"""Control groups of both versions: where a room's group lies, what bounds it, what is refused."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sandbox import BackendUnavailable
from sandbox.backends import cgroups
from tests.processes import survivors
from tests.sandbox.conftest import or_miss

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes control groups: needs root")

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
    with or_miss("control groups"):
        groups = cgroups.find()
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
