"""Locks: turns are waited for, a second worker is refused by name, the dead hold nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kimi_pipeline import locks
from kimi_pipeline.errors import UserError

HOLD = """
import sys, time
from pathlib import Path
from kimi_pipeline import locks
with locks.only_one(Path(sys.argv[1]), "refused"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_who_waits_is_told_so_and_gets_the_turn_of_the_dead(path: Path, holder: subprocess.Popen[str]) -> None:
    told = []

    def waiting() -> None:
        told.append("waits")
        holder.kill()

    with locks.in_turn(path, waiting):
        assert told == ["waits"]
    with locks.in_turn(path, waiting):
        assert told == ["waits"]


def test_a_second_one_is_refused_with_the_first_ones_process(path: Path, holder: subprocess.Popen[str]) -> None:
    with (
        pytest.raises(UserError, match=rf"^process {holder.pid} is at it$"),
        locks.only_one(path, "process {holder} is at it"),
    ):
        raise AssertionError("both held it")
    holder.kill()
    holder.wait()
    with locks.only_one(path, "refused"):
        assert not locks.is_free(path)


def test_a_lock_is_free_when_nobody_holds_it_and_unknown_before_it_is_there(
    path: Path, holder: subprocess.Popen[str]
) -> None:
    assert not locks.is_free(path)
    holder.kill()
    holder.wait()
    assert locks.is_free(path)
    assert not locks.is_free(path.with_name("nothing"))
