"""Runs of the chaos bench: the one command, how a run of it ended, and what it had to say.

Belongs here: the command, starting it, judging its end. Does not belong here: what happens to it (`chaos_faults.py`), what it
leaves (`chaos_judging.py`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kimi_pipeline import tables
from kimi_pipeline.bench import chaos_faults as faults
from kimi_pipeline.bench.chaos_faults import Round
from kimi_pipeline.home import CHECKOUT, Home
from kimi_pipeline.jobs import OWNER, die_with_parent
from kimi_pipeline.lake import Lake
from kimi_pipeline.lineage import STAGES

SETTINGS = {
    "corpora.problems_per_family": 15,
    "corpora.evaluation_problems": 30,
    "sft.clean_examples": 1000,
    "sft.noisy_examples": 100,
    "sft.max_held_out_loss": 5.0,  # so few examples teach little; what they teach is not what is measured here
    "rl.iterations": 2,
    "rl.prompts": 8,
    "rl.max_tokens": 60,
    "curation.samples": 6,
    "curation.max_tokens": 60,
    "evaluation.max_tokens": 60,
    # Its planted generator is refused. Of a sound problem the reduced suite is chosen by measured seconds, and is no two times
    # the same.
    "testcases.problems": '["bracket_depth"]',
    "testcases.mutants": 1,
    "testcases.further_inputs": 10,
}
COMMAND = (
    "run",
    "--profile",
    "smoke",
    *(word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")),
)
GONE_WITHIN = 10.0  # seconds in which the processes of a run that has ended are gone


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code (None: it did not, and was killed), what it said on standard error."""

    code: int | None
    said: str
    seconds: float

    @property
    def last_line(self) -> str:
        return next((line.strip() for line in reversed(self.said.splitlines()) if line.strip()), "")

    @property
    def stage(self) -> str:
        """The stage that failed, else the one that ran last: after a failure, those go on that don't need it."""
        for line in self.said.splitlines():
            if line.startswith("failed: "):
                return line.split(": ")[1]
        began = [line.partition(": ") for line in self.said.splitlines()]
        return next((name for name, _, rest in reversed(began) if name in STAGES and rest != "unchanged"), "")


def run(
    home: Path,
    log: Path,
    extra: Mapping[str, str] | None = None,
    disturb: Callable[[subprocess.Popen[bytes]], object] = lambda process: None,
    limit: float = 1800,
) -> Ended:
    """The command on a home; what it says on standard error goes to `log`."""
    given = {name: value for name, value in os.environ.items() if name not in (OWNER, "KIMI_SET", "KIMI_PROFILE")}
    environment = given | {"KIMI_HOME": str(home)} | dict(extra or {})
    began = time.monotonic()
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "kimi_pipeline.cli", *COMMAND],
            cwd=CHECKOUT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=said,
            preexec_fn=die_with_parent,  # noqa: PLW1509 (a bench that is killed takes its run along; it has no threads)
        )
        try:
            disturb(process)
            code: int | None = process.wait(max(1.0, began + limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            code = None
        finally:
            process.kill()
            process.wait()
    return Ended(code, log.read_text(errors="replace"), time.monotonic() - began)


def said_wrong(one: Round, hit: str, first: Ended) -> list[str]:
    """What the disturbed run should have done otherwise. One that was killed can say nothing."""
    if first.code is None:
        return ["the disturbed run did not end"]
    if not hit or one.kind == "clock" or hit == faults.IDLE:
        return [] if first.code == 0 else [f"it failed: {first.last_line}"]
    wrong = []
    if one.kind == "dead_engine" and first.code != 1:
        wrong.append(f"a job died and the run ended with {first.code}")
    if one.kind in ("dead_engine", "full_disk") and first.code:
        if not first.last_line.startswith(("failed: ", "error: ")):
            wrong.append(f"its last line does not say how it ended: {first.last_line}")
        if one.kind == "dead_engine" and "Traceback" in first.said:
            wrong.append("it ended with a traceback")
        if one.kind == "full_disk" and "disk" not in first.last_line:  # others may have said more before
            wrong.append(f"its last line does not name the disk: {first.last_line}")
    return wrong


def still_there(home: Path) -> list[str]:
    """Processes of a home whose run has ended, given a little time."""
    end = time.monotonic() + GONE_WITHIN
    while (left := faults.processes_of(home)) and time.monotonic() < end:
        time.sleep(0.1)
    return [f"{len(left)} processes go on"] if left else []


def recomputed(home: Home, log: Path, limit: float) -> list[str]:
    """The command a last time: nothing may be computed, nothing written."""
    lake = Lake(home.lake)
    before = {name: lake.version(table) for name, table in tables.TABLES.items()}
    last = run(home.root, log, limit=limit)
    wrong = [] if last.code == 0 else [f"run a last time, it ends with {last.code}: {last.last_line}"]
    if last.said.count(": unchanged") != len(STAGES):
        wrong.append(f"run a last time, it computes {last.stage or 'something'}")
    moved = [name for name, table in tables.TABLES.items() if lake.version(table) != before[name]]
    return wrong + [f"run a last time, it writes {name}" for name in moved]
