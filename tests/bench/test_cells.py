"""Cells: run once, kept while nothing that they depend on changed, taken up again after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.bench.cells import Cell, Once, Study, changed_parts
from kimi_pipeline.errors import UserError

CODE, DATA = "code of rl_checkpoint", "data of rl_prompt_set"


class Bench:
    """A study whose cells count their runs; `parts` are the digests that they depend on."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[str] = []
        self.study = Study(folder, say=self.lines.append)
        self.ran: list[str] = []
        self.parts = {CODE: "1", DATA: "1"}
        self.breaks: set[str] = set()

    def cell(self, arm: str, seed: int = 0) -> Cell:
        def work() -> dict[str, Any]:
            self.ran.append(arm)
            if arm in self.breaks:
                raise UserError("rl: the loss is no number")
            return {"arm": arm, "seed": seed}

        return Cell(arm, seed, lambda: dict(self.parts), work)

    def run(self, *arms: str) -> list[str]:
        """The arms that really ran."""
        self.ran.clear()
        self.study.run([self.cell(arm) for arm in arms])
        return list(self.ran)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "cells")


def test_a_finished_cell_is_not_run_again(bench: Bench) -> None:
    assert bench.run("a", "b") == ["a", "b"]
    assert bench.run("a", "b", "c") == ["c"]
    kept = bench.study.look(bench.cell("a"))
    assert (kept.state, kept.result) == ("current", {"arm": "a", "seed": 0})
    assert bench.study.look(bench.cell("a", seed=1)).state == "missing"  # another seed is another cell


@pytest.mark.parametrize("part", [CODE, DATA])
def test_a_changed_part_makes_it_stale_by_name_and_it_runs_again(bench: Bench, part: str) -> None:
    bench.run("a")
    bench.parts[part] = "2"
    kept = bench.study.look(bench.cell("a"))
    assert (kept.state, kept.changed) == ("stale", (part,))
    assert kept.result == {"arm": "a", "seed": 0}  # the old result can still be looked at, as what it is
    assert bench.run("a") == ["a"]
    assert any(part in line for line in bench.lines)
    assert bench.study.look(bench.cell("a")).state == "current"


def test_inputs_count_as_they_were_when_the_work_began(bench: Bench, tmp_path: Path) -> None:
    def work() -> dict[str, Any]:
        bench.parts[CODE] = "2"  # someone edits the code while the cell runs
        return {}

    cell = Cell("a", 0, lambda: dict(bench.parts), work)
    bench.study.run([cell])
    assert bench.study.look(cell).changed == (CODE,)


def test_what_is_shared_is_made_before_inputs_are_asked_for(bench: Bench) -> None:
    order: list[str] = []

    def inputs() -> dict[str, str]:
        order.append("inputs")
        return {}

    bench.study.run([Cell("a", 0, inputs, dict, lambda: order.append("prepare"))])
    assert order[0] == "prepare" and "inputs" in order


def test_a_failure_is_told_the_others_go_on_and_it_is_tried_again(bench: Bench) -> None:
    bench.breaks.add("a")
    assert bench.run("a", "b") == ["a", "b"]
    kept = bench.study.look(bench.cell("a"))
    assert (kept.state, kept.error) == ("missing", "rl: the loss is no number")
    bench.breaks.clear()
    assert bench.run("a", "b") == ["a"]
    assert bench.study.look(bench.cell("a")).error == ""


def test_a_failure_can_stop_the_rest(bench: Bench) -> None:
    bench.breaks.add("a")
    with pytest.raises(UserError, match="no number"):
        bench.study.run([bench.cell("a"), bench.cell("b")], stop_at_failure=True)
    assert bench.ran == ["a"]


def test_what_is_shared_is_made_once_and_its_failure_is_everyones(bench: Bench) -> None:
    tries: list[str] = []

    def breaks() -> None:
        tries.append("sft")
        raise UserError("the base has not learned")

    shared = Once(breaks)
    bench.study.run([Cell(arm, 0, dict, dict, shared) for arm in "ab"] + [bench.cell("c")])
    assert tries == ["sft"]
    assert bench.study.failed == {"a-seed-0": "the base has not learned", "b-seed-0": "the base has not learned"}
    assert bench.ran == ["c"]
    made = Once(lambda: tries.append("again"))
    made()
    made()
    assert tries == ["sft", "again"]


SCRIPT = """
import sys, time
from pathlib import Path
from kimi_pipeline.bench.cells import Cell, Study
root = Path(sys.argv[1])
def cell(arm):
    def work():
        with (root / "ran").open("a") as file:
            file.write(arm + "\\n")
        if arm == "b" and not (root / "again").exists():
            time.sleep(600)
        return {"arm": arm}
    return Cell(arm, 0, lambda: {"code": "1"}, work)
Study(root / "cells").run([cell(arm) for arm in "abc"])
"""


def ran(root: Path) -> list[str]:
    return (root / "ran").read_text().split() if (root / "ran").is_file() else []


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_after_kill_nine_the_finished_stays_and_the_rest_runs(tmp_path: Path, bench: Bench) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])})
    try:
        until(lambda: ran(tmp_path) == ["a", "b"])
        with pytest.raises(UserError, match=r"process \d+ works on"):
            Study(tmp_path / "cells").run([])
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (tmp_path / "again").touch()
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])})
    assert ran(tmp_path) == ["a", "b", "b", "c"]
    assert sorted(path.name for path in (tmp_path / "cells").glob("*.json")) == [f"{a}-seed-0.json" for a in "abc"]


PARTS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["1", "2"]))


@given(PARTS, PARTS)
def test_changed_parts_are_exactly_those_that_differ(before: dict[str, str], now: dict[str, str]) -> None:
    changed = changed_parts(before, now)
    assert (not changed) == (before == now)
    assert changed == changed_parts(now, before)
    kept = dict(before)
    for name in changed:
        if name in now:
            kept[name] = now[name]
        else:
            kept.pop(name)
    assert kept == now
