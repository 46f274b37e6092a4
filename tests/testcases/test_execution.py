"""Runs of submissions: committed as they come, none repeated, whatever kills the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kimi_pipeline import tables
from kimi_pipeline.corpora.coding_problem import ACCEPTED, CodingProblem, Program
from kimi_pipeline.home import CHECKOUT
from kimi_pipeline.lake import Lake
from kimi_pipeline.testcases.execution import Asked, Runs
from sandbox import Sandbox

SLOW = "import time\nn = int(input())\ntime.sleep(0.05)\nprint(n * n)"
PROGRAMS = (
    Program("python", SLOW, ACCEPTED),
    Program("python", SLOW + "\n", ACCEPTED),
    Program("python", "print(1 // 0)", "wrong: crash"),
    Program("python", "while True: pass", "wrong: never ends"),
    Program("cpp", "int main( {}", "wrong: does not compile"),
)
PROBLEM = CodingProblem("test", "made", "Made", "Print n^2 (0 <= n < 50).", "arrays", PROGRAMS, time_limit_s=0.5)
INPUTS = {f"input-{n}": f"{n}\n".encode() for n in range(50)}

KILLED = """
import sys
import sandbox
from pathlib import Path
from kimi_pipeline.lake import Lake
from kimi_pipeline.testcases.execution import Asked, Runs
from tests.testcases.test_execution import INPUTS, PROBLEM
with sandbox.open("bubblewrap", pool_size=1) as box:
    runs = Runs(Lake(Path(sys.argv[1])), box, "killed", 0.3, print)
    runs.run([Asked(PROBLEM, one, INPUTS, "suite") for one in PROBLEM.programs[:2]])
"""


def keys(lake: Lake) -> list[tuple[str, str]]:
    rows = lake.read(tables.SUBMISSION_RUNS, columns=["submission_id", "input_digest"]).to_pylist()
    return [(row["submission_id"], row["input_digest"]) for row in rows]


def asked(*programs: Program) -> list[Asked]:
    return [Asked(PROBLEM, one, INPUTS, "suite") for one in programs]


@pytest.mark.slow
def test_a_killed_run_goes_on_and_repeats_nothing_that_was_committed(tmp_path: Path, box: Sandbox) -> None:
    lake = Lake(tmp_path / "lake")
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(lake.root)], cwd=CHECKOUT, env=environment)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None and not lake.exists(tables.SUBMISSION_RUNS):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    committed = keys(lake)
    assert 0 < len(committed) < 100
    runs = Runs(lake, box, "again", 5.0, lambda text: None)
    runs.run(asked(*PROGRAMS[:2]))
    assert (runs.done, runs.reused) == (100 - len(committed), len(committed))
    assert len(keys(lake)) == len(set(keys(lake))) == 100
    by_run = lake.rows("select run_id, count(*) n from submission_runs group by 1 order by 1")
    assert by_run == [{"run_id": "again", "n": 100 - len(committed)}, {"run_id": "killed", "n": len(committed)}]
    outputs = runs.of(PROBLEM, PROGRAMS[:1])[PROGRAMS[0].submission_id]
    assert {name: run.output for name, run in outputs.items()} == {f"input-{n}": str(n * n) for n in range(50)}


def test_what_programs_come_to_is_stored_and_a_slow_one_is_asked_once(tmp_path: Path, box: Sandbox) -> None:
    lake = Lake(tmp_path / "lake")
    runs = Runs(lake, box, "run", 5.0, lambda text: None)
    three = dict(list(INPUTS.items())[:3])
    bad = [Asked(PROBLEM, one, three, "strength", stop_when_slow=True) for one in PROGRAMS[2:]]
    runs.run(bad)
    found = runs.of(PROBLEM, PROGRAMS[2:])
    outcomes = {name: [run.outcome for run in found[name].values()] for name in found}
    assert outcomes == {
        PROGRAMS[2].submission_id: ["wrong_exit"] * 3,
        PROGRAMS[3].submission_id: ["time_limit"],
        PROGRAMS[4].submission_id: ["compile_error"] * 3,
    }
    assert not any(run.ended_well for own in found.values() for run in own.values())
    before = lake.version(tables.SUBMISSION_RUNS)
    runs.run(bad)
    assert lake.version(tables.SUBMISSION_RUNS) == before
    # Another suite's inputs: that it was slow on those of the first says nothing of these.
    other = dict(list(INPUTS.items())[3:5])
    runs.run([Asked(PROBLEM, PROGRAMS[3], other, "strength", stop_when_slow=True)])
    (slow,) = runs.of(PROBLEM, PROGRAMS[3:4]).values()
    assert len(slow) == 2 and len(slow.keys() & other.keys()) == 1
