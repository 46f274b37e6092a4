"""A disk that is really full: a small file system in memory, mounted for the test (needs root; skipped without)."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kimi_pipeline import tables
from kimi_pipeline.errors import UserError
from kimi_pipeline.files import write_whole
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.problems import Problem


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=800k", "tmpfs", place], check=False).returncode
    ):
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def rows(n: int) -> list[dict]:
    rng = random.Random(0)
    texts = ("".join(chr(rng.randrange(33, 5000)) for _ in range(400)) for _ in range(n))
    return [Problem("s", str(k), text, "1", "integer").row() for k, text in enumerate(texts)]


def test_a_commit_that_does_not_fit_changes_nothing(small_disk: Path) -> None:
    lake = Lake(small_disk / "lake")
    lake.append(tables.PROBLEMS, rows(20), run_id="a", reason="r")
    digest, version = lake.digest(tables.PROBLEMS), lake.version(tables.PROBLEMS)
    for write in (lake.append, lake.upsert):
        with pytest.raises(UserError, match=r"no disk space for table problems in .*: free some"):
            write(tables.PROBLEMS, rows(2000), run_id="b", reason="r")
    assert (lake.digest(tables.PROBLEMS), lake.version(tables.PROBLEMS)) == (digest, version)


def test_a_full_disk_is_known_as_one(small_disk: Path, tmp_path: Path) -> None:
    assert Home(small_disk).is_full()
    assert not Home(tmp_path).is_full()


def test_a_home_without_room_is_refused_at_once(small_disk: Path) -> None:
    with pytest.raises(UserError, match=r"MiB are free at .*: free disk space or move KIMI_HOME"):
        Home(small_disk / "home").prepare()


def test_a_result_that_does_not_fit_leaves_nothing(small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        write_whole(small_disk / "result.json", "x" * 2_000_000)
    assert list(small_disk.iterdir()) == []
    write_whole(small_disk / "result.json", "{}")
    assert [path.name for path in small_disk.iterdir()] == ["result.json"]
