"""The abuse suite: every case contained on every backend, and a suite that can say no."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kimi_pipeline.home import CHECKOUT
from sandbox import Sandbox, SandboxError, Verdict
from sandbox.abuse.case import Seen, refused
from sandbox.abuse.suite import CASES, names, run_suite
from sandbox.verdicts import Outcome
from tests.sandbox.leaky import LeakyDoor, SilentDoor

LEAKS = [
    "tcp",
    "udp",
    "unix_abstract",
    "unix_filesystem",
    "listening",
    "host_files",
    "parent_environment",
    "proc_sys",
    "identity",
    "setuid_files",
    "orphan_daemon",
]
"""Cases that do no harm on a machine that lets them through."""


def test_there_are_enough_cases_and_each_is_named_once() -> None:
    assert len(CASES) >= 50
    assert len(set(names())) == len(CASES)
    assert all(case.about for case in CASES)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_case_is_contained(room: Sandbox) -> None:
    escaped = [finding for finding in run_suite(room, room.backend.name) if not finding.contained]
    assert not escaped, "\n".join(f"{finding.case}: {finding.evidence}" for finding in escaped)


def test_bare_processes_are_told_from_a_sandbox() -> None:
    # The programs of these cases leave their files where a sandbox has its own /tmp.
    before = set(os.listdir("/tmp")) | set(os.listdir("/dev/shm"))
    findings = list(run_suite(LeakyDoor(), "leaky", LEAKS))
    try:
        contained = [f"{finding.case}: {finding.evidence}" for finding in findings if finding.contained]
        assert not contained
        assert len(findings) == len(LEAKS)
    finally:
        for folder in ("/tmp", "/dev/shm"):
            for name in set(os.listdir(folder)) - before:
                if name == "root-shell":
                    (Path(folder) / name).unlink()


def test_silence_proves_nothing() -> None:
    findings = list(run_suite(SilentDoor(), "silent"))
    assert len(findings) == len(CASES)
    assert not [finding.case for finding in findings if finding.contained]


def test_a_report_that_is_made_up_is_no_containment() -> None:
    for text in (
        b"",
        b"[]",
        b"{}",
        b'{"could": 1}',
        b'{"could": [], "refused": []}',
        b'{"could": ["x"], "refused": []}',
    ):
        seen = Seen([Verdict(0, Outcome.OK, text + b"\n")], [], {}, CASES[0].limits)
        try:
            contained, _ = refused(1)(seen)
        except (KeyError, TypeError):
            continue  # the suite takes these for a no
        assert not contained, text


def test_the_documentation_names_every_case() -> None:
    page = (CHECKOUT / "docs" / "sandbox.md").read_text()
    assert not [name for name in names() if f"`{name}`" not in page]


def test_an_unknown_case_is_named() -> None:
    with pytest.raises(SandboxError, match="no abuse case 'nope'"):
        list(run_suite(SilentDoor(), "silent", ["nope"]))


def test_the_host_is_watched() -> None:
    """Whatever carries the suite's token on this machine is found, and so is a file that changes."""
    from sandbox.abuse.host import Host

    with Host() as host:
        assert host.marked() == []
        before = host.state()
        planted = [Path("/tmp") / f"left-{host.token}", Path("/dev/shm") / f"left-{host.token}"]
        for path in planted:
            path.write_text("x")
        try:
            assert len(host.marked()) == len(planted)
        finally:
            for path in planted:
                path.unlink()
        assert host.state() == before
        host.trap.write_text("changed")
        assert host.state() != before
        assert host.saw()["victim_alive"]
        host.victim.kill()
        host.victim.wait()
        assert not host.saw()["victim_alive"]
    assert not host.folder.exists()
    shutil.rmtree(host.folder, ignore_errors=True)
