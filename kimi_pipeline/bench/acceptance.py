"""Every promise of the project measured by one command: `kimi-pipeline acceptance` (`make acceptance`), resumable.

Belongs here: reading the table of promises (`benchmarks/acceptance.toml`), running the commands behind them, holding figures
against bounds. Does not belong here: what a command measures, keeping results (`cells.py`), the page (`acceptance_page.py`).

A check names a figure in what one command said, and its bound. Several checks may read one command, which runs once. A
result is current while the code and the command are what they were; a check whose command can't run here says why and
counts neither way. The machine's pace is taken before and after each command: bounds in seconds were set on one of
`PACE_OF_BOUNDS`, and a shared machine may be half as fast for a day.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kimi_pipeline.bench.cells import Cell, Kept, Study
from kimi_pipeline.digests import digest, folder_digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.files import write_whole
from kimi_pipeline.home import CHECKOUT, Home

NAME = "acceptance"
PROMISES = CHECKOUT / "benchmarks" / f"{NAME}.toml"
CODE = ("kimi_pipeline", "sandbox", "assets", "resources")
SUFFIXES = (".py", ".toml", ".j2", ".json", ".jsonl")
PACE_OF_BOUNDS = 70  # `pace` where the bounds in seconds were set: two idle cores of an AMD EPYC (Zen 3)
SAID = (0, 1)  # exit codes of a command that has an answer; 1 is "no"
TAIL = 3  # lines of a failed command's standard error that are told

Verdict = Literal["holds", "falls short", "not run", "failed"]


class Check(BaseModel):
    """One promise. `figure` is a dotted path into `{"seconds", "exit_code", "said"}`, `said` being the command's JSON.

    `*` takes the figures of all members of a list or table that have one, and then the bound must hold for each; `length`
    counts members. `shortfall` says why a promise is known not to hold, and what was tried.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    promise: str
    figure: str
    at_least: float | None = None
    at_most: float | None = None
    equals: bool | int | float | str | None = None
    shortfall: str = ""

    @model_validator(mode="after")
    def _has_a_bound(self) -> Check:
        if self.at_least is None and self.at_most is None and self.equals is None:
            raise ValueError("give at_least, at_most or equals")
        return self

    @property
    def bound(self) -> str:
        low = None if self.at_least is None else f"at least {self.at_least:g}"
        high = None if self.at_most is None else f"at most {self.at_most:g}"
        same = None if self.equals is None else f"{json.dumps(self.equals)}"
        return " and ".join(part for part in (low, high, same) if part)

    def holds(self, value: Any) -> bool:
        """Whether a figure keeps the bound. A list holds where it has members and each does; what is missing (None) does
        not hold."""
        if isinstance(value, list):
            return bool(value) and all(self.holds(each) for each in value)
        if self.equals is not None:
            return bool(value == self.equals)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


class Command(BaseModel):
    """What is run. `{data}` and `{model}` in `run` stand for the folders that the caller gives. `home` names a state folder
    that commands share (else it is the caller's), `fresh` empties it first. `needs` is what not every machine has. `tests`:
    its figures are of the tests too, so that a change of them makes it stale."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    section: str
    run: tuple[str, ...] = Field(min_length=1)
    tier: Literal["standard", "full"] = "standard"
    needs: Literal["", "docker", "gpu"] = ""
    home: str = ""
    fresh: bool = False
    tests: bool = False
    check: tuple[Check, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _empties_its_own(self) -> Command:
        if self.fresh and not self.home:
            raise ValueError("fresh needs a home: the caller's own is never emptied")
        return self


@dataclass(frozen=True)
class Judged:
    """A check beside what was measured for it."""

    command: Command
    check: Check
    verdict: Verdict
    figure: Any = None
    why: str = ""
    seconds: float = 0.0
    pace: int | None = None  # ns, see `pace`


def promises(path: Path = PROMISES) -> tuple[Command, ...]:
    """The table of promises. Raises UserError naming the entry that is not well formed, or a name that stands twice."""
    if not path.is_file():
        raise UserError(f"{path} is missing: run from a checkout of the project")
    try:
        commands = tuple(Command.model_validate(each) for each in tomllib.loads(path.read_text())["command"])
    except (tomllib.TOMLDecodeError, KeyError, ValidationError) as error:
        raise UserError(f"{path}: {str(error).splitlines()[0]}: {' '.join(str(error).splitlines()[1:3])}") from error
    names = [each.name for each in commands] + [check.name for each in commands for check in each.check]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{path}: {twice[0]} stands twice")
    return commands


def chosen(commands: Sequence[Command], tier: str, only: Sequence[str]) -> tuple[Command, ...]:
    """Commands of the tier (`full` holds `standard`), or those named, by their own or a check's name. Raises UserError for an
    unknown name."""
    known = {name: each for each in commands for name in (each.name, *(check.name for check in each.check))}
    unknown = sorted(set(only) - known.keys())
    if unknown:
        raise UserError(f"no check {unknown[0]!r}: one of {', '.join(sorted(known))}")
    wanted = {known[name].name for name in only}
    if only:
        return tuple(each for each in commands if each.name in wanted)
    return tuple(each for each in commands if tier == "full" or each.tier == "standard")


@dataclass
class Acceptance:
    """The checks in `home`. `data` and `model` are folders of real corpora and of a real model, where there are any."""

    home: Home
    data: Path | None = None
    model: Path | None = None
    say: Callable[[str], None] = print
    study: Study = field(init=False)

    def __post_init__(self) -> None:
        self.study = Study(self.home.root / "bench" / NAME, self.say)

    def run(self, commands: Sequence[Command], *, again: bool = False) -> None:
        """Run every command without a current result that can run here (`again`: also those with one). What can't is told
        before the hours that the others take."""
        cells = []
        for command in commands:
            if obstacle := self.obstacle(command):
                self.say(f"{command.name} is not run: {obstacle}")
            else:
                cells.append(self._cell(command))
        if again:
            for cell in cells:
                self.study.forget(cell)
        self.study.run(cells)

    def judge(self, commands: Sequence[Command]) -> list[Judged]:
        """Every check beside its figure. Runs nothing."""
        found: list[Judged] = []
        for command in commands:
            obstacle = self.obstacle(command)
            kept = Kept("missing") if obstacle else self.study.look(self._cell(command))
            found += [_judged(command, check, kept, obstacle) for check in command.check]
        return found

    def obstacle(self, command: Command) -> str:
        """Why a command can't run here; empty where it can."""
        for name, folder in (("data", self.data), ("model", self.model)):
            if any(f"{{{name}}}" in word for word in command.run) and folder is None:
                return f"needs --{name} FOLDER"
        if command.needs == "docker" and not _answers(["docker", "version"]):
            return "no Docker engine answers (deploy/engine.sh starts one)"
        if command.needs == "gpu" and not _answers(["nvidia-smi", "-L"]):
            return "no NVIDIA GPU here"
        return ""

    def _cell(self, command: Command) -> Cell:
        given = [str(self.data or ""), str(self.model or "")]

        def inputs() -> dict[str, str]:
            parts = {"code": _code(), "command": digest([command.run, given])}
            return parts | ({"tests": folder_digest(CHECKOUT / "tests", SUFFIXES)} if command.tests else {})

        return Cell(command.name, 0, inputs, lambda: self._measure(command))

    def _measure(self, command: Command) -> dict[str, Any]:
        """What a command said and how long it took. Raises RuntimeError with its last words where it broke; all it said is
        kept in a file beside the results then."""
        root = self.home.root / "bench" / NAME / "homes" / command.home if command.home else self.home.root
        if command.fresh:
            shutil.rmtree(root, ignore_errors=True)
        log = self.study.folder / f"{command.name}.log"
        log.unlink(missing_ok=True)  # of an earlier try
        words = [word.replace("{data}", str(self.data)).replace("{model}", str(self.model)) for word in command.run]
        before, began = pace(), time.monotonic()
        done = subprocess.run(
            started_as(words),
            cwd=CHECKOUT,
            env=os.environ | {"KIMI_HOME": str(root), "PYTHONPATH": str(CHECKOUT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds, said = time.monotonic() - began, _json(done.stdout)
        out, err = _lines(done.stdout), _lines(done.stderr)
        broke = ""
        if done.returncode not in SAID:
            broke = f"exit code {done.returncode}: {' | '.join([*out[-1:], *err[-TAIL:]])}"
        elif said is None and any(check.figure.startswith("said") for check in command.check):
            told = f"begins with {out[0]!r}" if out else f"is empty: {' | '.join(err[-TAIL:])}"
            broke = f"exit code {done.returncode}, no JSON: standard output {told}"
        if broke:
            write_whole(log, done.stdout + done.stderr)
            self.say(f"all that {command.name} said is in {log}")
            raise RuntimeError(broke)
        figures = {"seconds": round(seconds, 1), "exit_code": done.returncode, "said": said}
        return figures | {"pace": round((before + pace()) / 2)}


def pace() -> float:
    """Nanoseconds that a step of a plain Python loop takes, the least of three tries: how fast the machine is now."""
    steps, tries = 2_000_000, []
    for _ in range(3):
        began, total = time.perf_counter_ns(), 0
        for number in range(steps):
            total += number * number
        tries.append((time.perf_counter_ns() - began) / steps)
    return min(tries)


def _code() -> str:
    # of benchmarks only the programs: the table beside them is told a shortfall's cause after it was measured
    programs = folder_digest(CHECKOUT / "benchmarks", (".py",))
    return digest([*(folder_digest(CHECKOUT / name, SUFFIXES) for name in CODE), programs])


def started_as(words: Sequence[str]) -> list[str]:
    """A command line of the table as it is started: the project's own programs through this very Python."""
    program, *rest = words
    own = {"kimi-pipeline": [sys.executable, "-m", "kimi_pipeline.cli"], "python": [sys.executable]}
    return [*own.get(program, [program]), *rest]


def take(found: Any, path: str) -> Any:
    """The figure at a dotted path; None where there is none. `*` gives the figures of all members that have one, `length`
    the number of members."""
    first, _, rest = path.partition(".")
    if not first:
        return found
    if first == "*":
        members = list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else []
        taken = [figure for each in members if (figure := take(each, rest)) is not None]
        return [one for each in taken for one in (each if isinstance(each, list) else [each])]
    if first == "length" and isinstance(found, list):
        return len(found)
    if isinstance(found, list) and first.lstrip("-").isdecimal() and -len(found) <= int(first) < len(found):
        return take(found[int(first)], rest)
    return take(found[first], rest) if isinstance(found, Mapping) and first in found else None


def _judged(command: Command, check: Check, kept: Kept, obstacle: str) -> Judged:
    if obstacle:
        return Judged(command, check, "not run", why=obstacle)
    if kept.error:
        return Judged(command, check, "failed", why=kept.error)
    if kept.state != "current" or kept.result is None:
        why = "measured on other code: run it again" if kept.state == "stale" else "not measured yet"
        return Judged(command, check, "not run", why=why)
    value = take(kept.result, check.figure)
    verdict: Verdict = "holds" if check.holds(value) else "falls short"
    why = "" if verdict == "holds" else f"no figure at {check.figure}" if value in (None, []) else check.shortfall
    return Judged(command, check, verdict, value, why, kept.seconds, kept.result.get("pace"))


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _answers(words: Sequence[str]) -> bool:
    if shutil.which(words[0]) is None:
        return False
    return subprocess.run(words, capture_output=True, check=False).returncode == 0
