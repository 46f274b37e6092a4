"""The Docker backend: how a container is closed, what an engine that can't be used is answered with, the warm pool."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
import requests

from kimi_pipeline.home import CHECKOUT
from sandbox import BackendUnavailable, Limits, Outcome, Sandbox, make_backend, workers
from sandbox.backends.docker import LABEL, DockerBackend
from tests.sandbox.conftest import SIZE, only, open_or_miss


@pytest.fixture(scope="module")
def engine(docker_room: Sandbox) -> Iterator[docker.APIClient]:
    client = docker.APIClient(version="auto", **docker.utils.kwargs_from_env())
    yield client
    client.close()


def containers(engine: docker.APIClient, backend: Any) -> list[dict[str, Any]]:
    """What the engine says of each. One that is removed between the list and the question is not among them."""
    found = []
    for row in engine.containers(all=True, filters={"label": f"{LABEL}={backend.instance}"}):
        with contextlib.suppress(docker.errors.NotFound):
            found.append(engine.inspect_container(row["Id"]))
    return found


def test_a_container_is_closed(docker_room: Sandbox, engine: docker.APIClient) -> None:
    """What the engine says of a warm worker, setting by setting."""
    docker_room.pool.wait_full(60)
    made = containers(engine, docker_room.backend)[0]
    host = made["HostConfig"]
    assert host["NetworkMode"] == "none" and host["ReadonlyRootfs"] and host["AutoRemove"]
    assert not host["Privileged"] and not host["PidMode"] and host["IpcMode"] == "private"
    assert host["CapDrop"] == ["ALL"]
    assert {capability.removeprefix("CAP_") for capability in host["CapAdd"]} == {"SETUID", "SETGID"}
    options = dict(option.partition("=")[::2] for option in host["SecurityOpt"])
    assert set(options) == {"no-new-privileges", "seccomp"}
    profile = json.loads(options["seccomp"])
    allowed = {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert not allowed & {"mount", "unshare", "setns", "keyctl", "bpf", "ptrace", "io_uring_setup", "userfaultfd"}
    assert host["Memory"] == host["MemorySwap"] == workers.memory_budget_mb(SIZE) << 20
    assert host["PidsLimit"] == workers.pids_budget(SIZE) and host["NanoCpus"] == 10**9
    assert not host["Binds"] and not host["Devices"] and host["LogConfig"]["Type"] == "none"
    assert set(host["Tmpfs"]) == {"/tmp", "/dev/shm", "/box"}
    for options in host["Tmpfs"].values():
        assert {"nosuid", "nodev", f"size={SIZE.disk_mb}m", f"nr_inodes={SIZE.files + 1}"} <= set(options.split(","))
    assert made["Image"] == docker_room.backend.image


def test_containers_that_were_never_started_are_removed_by_the_next_backend(
    docker_room: Sandbox, engine: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a host leaves one that is killed between the two calls. One made a moment ago may be somebody's who lives."""
    monkeypatch.setattr(
        "sandbox.backends.docker.LABEL", mark := f"{LABEL}.test"
    )  # others' are none of this test's business
    made = engine.create_container(docker_room.backend.image, "true", labels={mark: "of a host that is dead"})["Id"]
    try:
        DockerBackend().close()
        assert engine.inspect_container(made)["State"]["Status"] == "created"
        monkeypatch.setattr("sandbox.backends.docker._ABANDONED_SECONDS", -1.0)
        DockerBackend().close()
        with pytest.raises(docker.errors.NotFound):
            engine.inspect_container(made)
    finally:
        with contextlib.suppress(docker.errors.NotFound):
            engine.remove_container(made, force=True)


@pytest.mark.parametrize("limit", ["MemoryLimit", "PidsLimit"])
def test_an_engine_that_would_leave_a_limit_out_is_refused(
    docker_room: Sandbox, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    information = docker.APIClient.info
    monkeypatch.setattr(docker.APIClient, "info", lambda self: information(self) | {limit: False})
    with pytest.raises(BackendUnavailable, match=limit):
        DockerBackend()


def test_the_kernel_agrees(docker_room: Sandbox) -> None:
    """The same from inside: seccomp filters, nothing can be gained, nothing written but scratch, sizes as stated."""
    program = """
status=$(cat /proc/self/status)
echo "$status" | grep -E '^(Seccomp|NoNewPrivs|CapEff|CapPrm|CapInh):' | tr -d '\\t' | sort
for place in / /etc /usr /box /dev /proc/sys/kernel /sys /opt/packages; do
    if touch "$place/x" 2>/dev/null; then echo "wrote $place"; fi
done
stat -f -c '%b %S %c' /tmp /dev/shm /box
"""
    lines = only(docker_room.run(program, "bash", [b""])).stdout.decode().splitlines()
    zero = "0" * 16
    assert lines[:5] == [f"CapEff:{zero}", f"CapInh:{zero}", f"CapPrm:{zero}", "NoNewPrivs:1", "Seccomp:2"]
    assert lines[5:] == [f"{SIZE.disk_mb * 256} 4096 {SIZE.files + 1}"] * 3


def test_workers_have_uids_of_their_own(docker_room: Sandbox) -> None:
    """RLIMIT_NPROC and other limits by uid count over the whole machine."""
    uids = {only(docker_room.run("id -u", "bash", [b""])).stdout for _ in range(3)}
    assert len(uids) == 3 and all(int(uid) >= 100_000 for uid in uids)


def test_each_submission_has_a_worker_of_its_own(docker_room: Sandbox, engine: docker.APIClient) -> None:
    docker_room.pool.wait_full(60)
    before = {made["Id"] for made in containers(engine, docker_room.backend)}
    verdicts = docker_room.run("cat", "bash", [b"1", b"2"])
    assert next(verdicts).outcome is Outcome.OK
    docker_room.pool.wait_full(60)  # a second one was made beside the one that serves
    assert len(containers(engine, docker_room.backend)) == 3
    assert [verdict.outcome for verdict in verdicts] == [Outcome.OK]
    until = time.monotonic() + 20
    while len({made["Id"] for made in containers(engine, docker_room.backend)} & before) > 1:
        assert time.monotonic() < until, "the used container is still there"
        time.sleep(0.05)
    assert docker_room.pool.refill_rate > 0


def test_packages_are_readable_and_no_more(docker_room: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "given.py").write_text("VALUE = 42")
    (tmp_path / "given.py").chmod(0o666)
    tmp_path.chmod(0o700)
    with pytest.raises(BackendUnavailable, match=r"can't be read by programs: chmod o\+rx"):
        make_backend("docker", packages=tmp_path)
    tmp_path.chmod(0o755)
    program = """
import given
try:
    open(given.__file__, "a")
except OSError as error:
    print(given.VALUE, error.strerror)
"""
    with open_or_miss("docker", pool_size=1, packages=tmp_path) as room:
        assert only(room.run(program, "python", [b""])).stdout == b"42 Read-only file system\n"


def test_a_named_runtime_is_taken(docker_room: Sandbox) -> None:
    with open_or_miss("docker", pool_size=1, runtime="runc") as room:
        assert only(room.run("echo $((6 * 7))", "bash", [b""])).stdout == b"42\n"


def test_a_language_is_data(docker_room: Sandbox, tmp_path: Path) -> None:
    """A language that no code knows: awk, from a table of one's own, with its factors."""
    from sandbox import languages

    path = tmp_path / "table.toml"
    path.write_text('[awk]\nfile = "main.awk"\nrun = ["/usr/bin/awk", "-f", "{source}"]\ntime_factor = 3.0\n')
    with open_or_miss("docker", pool_size=1, table=languages.load(path)) as room:
        assert only(room.run("{ print $1 * 2 }", "awk", [b"21\n"])).stdout == b"42\n"
        slow = only(room.run("BEGIN { while (1) i++ }", "awk", [b""], Limits(cpu_seconds=0.2)))
        assert slow.outcome is Outcome.TIME_LIMIT and slow.detail == "above 0.6 s of CPU"


def test_a_command_that_the_image_lacks_is_no_wrong_answer(docker_room: Sandbox, tmp_path: Path) -> None:
    from sandbox import languages

    path = tmp_path / "table.toml"
    path.write_text('[lua]\nfile = "main.lua"\nrun = ["/usr/bin/lua", "{source}"]\n')
    with open_or_miss("docker", pool_size=1, table=languages.load(path)) as room:
        verdict = only(room.run("print(1)", "lua", [b""]))
    assert verdict.outcome is Outcome.SANDBOX_ERROR and "No such file" in verdict.detail


def test_a_compiler_that_makes_no_program_is_the_submissions_own_fault(docker_room: Sandbox, tmp_path: Path) -> None:
    """What can't be executed is no reason to call the sandbox broken: a policy would learn to write it."""
    from sandbox import languages

    path = tmp_path / "table.toml"
    table = '[{}]\nfile = "main"\ncompile = ["/bin/{}", "{{source}}", "{{output}}"]\nrun = ["{{output}}"]\n'
    path.write_text(table.format("copied", "cp") + table.format("made", "true"))
    with open_or_miss("docker", pool_size=1, table=languages.load(path)) as room:
        verdict = only(room.run("\x7fELF of no kind", "copied", [b""]))
        assert verdict.outcome is Outcome.WRONG_EXIT and b"Exec format error" in verdict.stderr, verdict
        verdict = only(room.run("x", "made", [b""]))
        assert verdict.outcome is Outcome.COMPILE_ERROR and "left no program" in verdict.detail, verdict


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"engine": "unix:///nowhere/docker.sock"}, r"no engine answers at unix:///nowhere/docker.sock"),
        ({"engine": "tcp://127.0.0.1:9"}, r"no engine answers at tcp://127.0.0.1:9"),
        ({"engine": "nonsense://x"}, r"nonsense"),
    ],
)
def test_no_engine_is_said_at_once(settings: dict[str, Any], named: str) -> None:
    began = time.monotonic()
    with pytest.raises(BackendUnavailable, match=named):
        make_backend("docker", **settings)
    assert time.monotonic() - began < 20


def test_a_missing_image_and_runtime_are_named(docker_room: Sandbox) -> None:
    with pytest.raises(BackendUnavailable, match=r"image nobody:1 .*python -m sandbox.image --tag nobody:1"):
        make_backend("docker", image="nobody:1")
    with pytest.raises(BackendUnavailable, match=r"runtime 'warp' is unknown to the engine: it has .*runc"):
        make_backend("docker", runtime="warp")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without permission")
def test_no_permission_is_said(docker_room: Sandbox) -> None:
    """As nobody, on the engine's real socket."""
    program = (
        "import os, docker, sandbox.backends.docker as d, sandbox\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: sandbox.make_backend('docker')\n"
        "except sandbox.BackendUnavailable as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=CHECKOUT, check=True)
    assert "no permission on the engine at unix://" in done.stdout and "DOCKER_HOST" in done.stdout


def test_the_host_process_going_away_leaves_no_container(engine: docker.APIClient, docker_room: Sandbox) -> None:
    """kill -9 of the caller: its containers end with the stream that fed them."""
    program = (
        "import sandbox, sys, time\n"
        "s = sandbox.open('docker', pool_size=1); s.pool.wait_full(60)\n"
        "v = s.run('import time\\nprint(1)\\ntime.sleep(100)', 'python', [b''])\n"
        "import threading; threading.Thread(target=lambda: next(v), daemon=True).start()\n"
        "time.sleep(1); print(s.backend.instance, flush=True); time.sleep(100)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as caller:
        assert caller.stdout is not None
        instance = caller.stdout.readline().strip()
        rows = {"all": True, "filters": {"label": f"{LABEL}={instance}"}}
        assert engine.containers(**rows)
        caller.kill()
    until = time.monotonic() + 20
    while engine.containers(**rows):
        assert time.monotonic() < until, "a container outlives the process that made it"
        time.sleep(0.1)


def test_remains_are_ended_before_they_are_forgotten(docker_room: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A keeper that a killed engine forgot ends while the backend serves on, however many containers follow."""
    monkeypatch.setattr("sandbox.backends.docker._REMEMBERED", 4)
    waits = "import time; time.sleep(100)"
    backend = DockerBackend(size=SIZE)
    with subprocess.Popen(["containerd-shim", "-c", waits, "-id", "0" * 64], executable=sys.executable) as keeper:
        try:
            for number in range(4):
                assert keeper.poll() is None
                backend.bury(str(number) * 64)
            assert keeper.wait(10) == -9
        finally:
            keeper.kill()
            backend.close()


def test_a_container_that_the_engine_made_without_saying_so_is_removed(
    docker_room: Sandbox, engine: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when an engine is killed between making a container and answering: nobody knows its id."""
    make, failing = docker.APIClient.create_container, [requests.ConnectionError("Connection aborted")]

    def unanswered(self: docker.APIClient, *arguments: Any, **settings: Any) -> Any:
        made = make(self, *arguments, **settings)
        assert containers(engine, backend) and backend.leftovers() == []  # it is being made, not left
        if failing:
            raise failing.pop()
        return made

    monkeypatch.setattr(docker.APIClient, "create_container", unanswered)
    with contextlib.closing(DockerBackend(size=SIZE)) as backend:
        monkeypatch.setattr(DockerBackend, "_remove", lambda *_: None)  # nor does it answer now
        with pytest.raises(BackendUnavailable, match="Connection aborted"):
            backend.start()
        (lost,) = backend.leftovers()
        monkeypatch.undo()
        worker = backend.start()
        assert [row["Id"][:12] for row in containers(engine, backend)] == [worker.identity], lost
    assert containers(engine, backend) == []


def test_what_an_engine_lists_and_does_not_have_is_nothing_left(
    docker_room: Sandbox, engine: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead one with no name, as an engine shows it that was killed while it removed it."""
    made = engine.create_container(docker_room.backend.image, "true")["Id"]
    try:
        rows = [{"Id": identity, "Names": [], "State": "dead"} for identity in (made, "0" * 64)]
        monkeypatch.setattr(docker.APIClient, "containers", lambda self, **asked: rows)
        assert docker_room.backend.leftovers() == [f"container {made}"]
    finally:
        engine.remove_container(made)


def test_close_ends_all(docker_room: Sandbox, engine: docker.APIClient) -> None:
    room = open_or_miss("docker", pool_size=2)
    backend = room.backend
    assert isinstance(backend, DockerBackend)
    verdicts = room.run("cat", "bash", [b"1", b"2"])
    next(verdicts)
    room.close()
    assert containers(engine, backend) == []
    with pytest.raises(BackendUnavailable, match="closed"):
        room.pool.take()
