"""The watch: a rank that hangs is named, one that waits for it is not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from kimi_pipeline.rl.phases import WAITING, Phases, Watch


def test_seconds_add_up_by_phase(tmp_path: Path) -> None:
    phases = Phases(tmp_path, 0)
    phases.begin(3)
    for _ in range(2):
        with phases("rollout"):
            time.sleep(0.02)
    with pytest.raises(KeyError), phases("train"):
        raise KeyError
    assert phases.seconds["rollout"] >= 0.04 and set(phases.seconds) == {"rollout", "train"}
    phases.begin(4)
    assert phases.seconds == {}


def test_memory_is_read_when_a_phase_ends_where_the_device_tells_it(tmp_path: Path) -> None:
    readings = iter([3.0, 2.0, 5.0])
    phases = Phases(tmp_path, 0, lambda: next(readings))
    phases.begin(1)
    for name in ("rollout", "rollout", "train"):
        with phases(name):
            pass
    assert phases.memory == {"rollout": 3.0, "train": 5.0}
    phases.begin(2)
    assert phases.memory == {}
    silent = Phases(tmp_path, 1)
    with silent("train"):
        pass
    assert silent.memory == {}


def test_the_rank_that_others_wait_for_is_named(tmp_path: Path) -> None:
    waiting, stuck = Phases(tmp_path, 0), Phases(tmp_path, 1)
    watch = Watch(tmp_path, 0, limit=10)
    waiting.begin(7)
    stuck.begin(7)
    with waiting(WAITING), stuck("rollout"):
        assert watch.hung(100.0) is None and watch.hung(109.0) is None
        line = watch.hung(111.0)
    assert line is not None and "rank 1 has been in phase 'rollout' of iteration 7 for 11 s" in line
    assert watch.hung(150.0) is None  # it went on, and now waits


def test_ranks_that_all_wait_for_one_another_are_named_too(tmp_path: Path) -> None:
    one, other = Phases(tmp_path, 0), Phases(tmp_path, 1)
    watch = Watch(tmp_path, 0, limit=10)
    assert watch.hung(0.0) is None and watch.hung(9.0) is None
    with one("train"):
        pass  # rank 0 is alive: no reason for alarm about the other
    assert watch.hung(12.0) is None
    line = watch.hung(23.0)
    assert line is not None and "all ranks have been waiting for one another" in line
    del other


def test_of_two_in_one_phase_the_one_without_a_sign_of_life_is_named(tmp_path: Path) -> None:
    one, other = Phases(tmp_path, 0), Phases(tmp_path, 1)
    watch = Watch(tmp_path, 0, limit=10)
    signs = [tmp_path / f"alive-{rank}" for rank in (0, 1)]
    with one("train"), other("train"):
        for now in range(0, 12, 2):
            os.utime(signs[0], ns=(now, now)) if signs[0].exists() else signs[0].touch()
            if now == 0:
                signs[1].touch()
            line = watch.hung(float(now))
            assert line is None
        assert (line := watch.hung(11.0)) is not None and line.startswith("rank 1 has been in phase 'train'")
        signs[1].unlink()  # nobody knows
        assert (line := watch.hung(11.5)) is not None and line.startswith("ranks 0 and 1 have been in phase 'train'")


def test_a_phase_that_begins_anew_starts_the_clock_anew(tmp_path: Path) -> None:
    phases, watch = Phases(tmp_path, 0), Watch(tmp_path, 0, limit=10)
    phases.begin(1)
    with phases("rollout"):
        assert watch.hung(0.0) is None
    with phases("rollout"):
        assert watch.hung(11.0) is None and watch.hung(20.0) is None and watch.hung(22.0) is not None


def test_the_thread_calls_stop(tmp_path: Path) -> None:
    said: list[str] = []
    phases = Phases(tmp_path, 0)
    with Watch(tmp_path, 0, 0.1, said.append), phases("train"):
        deadline = time.monotonic() + 5
        while not said and time.monotonic() < deadline:
            time.sleep(0.01)
    assert said and "'train'" in said[0]
