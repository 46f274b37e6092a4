"""Cells of a study: one arm under one seed, run once and kept.

Belongs here: what makes a kept result current or stale, running the others, the files they lie in. Does not belong here:
what a cell does (`trial.py`), which cells a study has (`ablations.py`, `real.py`).

A result is kept with its inputs, a digest a named part ("code of rl_checkpoint", "data of rl_prompt_set", ...). It is
current while every part is what it was; a stale one names the parts that changed. A cell that was killed has no result:
it runs again, and goes on where its job's own checkpoints left it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kimi_pipeline import locks
from kimi_pipeline.errors import UserError
from kimi_pipeline.files import write_whole

State = Literal["current", "stale", "missing"]
FAILURES = (UserError, RuntimeError)  # refused input, a job that broke


@dataclass(frozen=True)
class Cell:
    """`work` gives the result, any JSON object. `prepare` makes what cells share, before `inputs` is asked for its parts
    (name -> digest). Both cost little where everything is there."""

    arm: str
    seed: int
    inputs: Callable[[], Mapping[str, str]]
    work: Callable[[], dict[str, Any]]
    prepare: Callable[[], None] = lambda: None

    @property
    def name(self) -> str:
        return f"{self.arm}-seed-{self.seed}"


@dataclass(frozen=True)
class Kept:
    """What is known of a cell. `changed` names the parts that a stale result was made with other versions of; `error` is
    why the last try in this run failed."""

    state: State
    result: dict[str, Any] | None = None
    seconds: float = 0.0
    changed: tuple[str, ...] = ()
    error: str = ""


class Once:
    """Work that several cells share, done at the first call. Where it failed, every call raises its error: a base that does
    not learn is not trained again for each arm."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._done = False
        self._error: Exception | None = None

    def __call__(self) -> None:
        if not self._done:
            try:
                self._work()
            except FAILURES as error:
                self._error = error
            self._done = True
        if self._error is not None:
            raise self._error


@dataclass
class Study:
    """The results of one study, a file a cell in `folder`."""

    folder: Path
    say: Callable[[str], None] = print
    failed: dict[str, str] = field(default_factory=dict)

    def look(self, cell: Cell) -> Kept:
        """What there is of a cell; nothing is run."""
        path = self._path(cell)
        error = self.failed.get(cell.name, "")
        if not path.is_file():
            return Kept("missing", error=error)
        stored = json.loads(path.read_text())
        changed = changed_parts(stored["inputs"], cell.inputs())
        return Kept("stale" if changed else "current", stored["result"], stored["seconds"], changed, error)

    def forget(self, cell: Cell) -> None:
        """The cell has no result any more: it runs again."""
        self._path(cell).unlink(missing_ok=True)

    def run(self, cells: Sequence[Cell], *, stop_at_failure: bool = False) -> None:
        """Run every cell without a current result, in order. One that fails is told and left for the next time, and the
        others go on (`stop_at_failure`: it ends the study). Raises UserError then, and where another process works on this
        study."""
        with self._alone():
            for number, cell in enumerate(cells, start=1):
                where = f"cell {number} of {len(cells)}: {cell.name}"
                try:
                    cell.prepare()
                    known = self.look(cell)
                    if known.state == "current":
                        self.say(f"{where}: unchanged")
                        continue
                    self.say(where + (f" ({', '.join(known.changed)} changed)" if known.changed else ""))
                    began, inputs = time.monotonic(), dict(cell.inputs())
                    result = cell.work()
                except FAILURES as error:
                    if stop_at_failure:
                        raise UserError(
                            f"{cell.name}: {error}; once that is mended, the same command goes on"
                        ) from error
                    self.failed[cell.name] = str(error)
                    self.say(f"{where}: failed: {error}")
                    continue
                self.failed.pop(cell.name, None)
                self._write(cell, inputs, result, time.monotonic() - began)

    def _path(self, cell: Cell) -> Path:
        return self.folder / f"{cell.name}.json"

    def _write(self, cell: Cell, inputs: dict[str, str], result: dict[str, Any], seconds: float) -> None:
        write_whole(self._path(cell), json.dumps({"inputs": inputs, "result": result, "seconds": seconds}))

    def _alone(self) -> AbstractContextManager[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        return locks.only_one(
            self.folder / ".lock", f"process {{holder}} works on {self.folder}: wait for it, or stop it"
        )


def changed_parts(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Names of parts that differ, or that only one side has."""
    return tuple(name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name))
