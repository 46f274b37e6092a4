"""Phases of an iteration: how long each takes on each rank, and the watch over ranks that hang.

Belongs here: timing, heartbeats, the watch. Does not belong here: what happens in a phase (`loop.py`).

Every rank writes the phase it is in to a file of its own; every rank's watch reads all of them, and touches another one as a
sign of life. A rank that waits for others is no suspect: the one they wait for is, and one whose process is frozen before one
that lives and may only wait for it inside a phase. The watch is a thread, so it works while its own rank is stuck in an
engine, and ends the whole process: the launcher then ends the others, and the run resumes from its last checkpoint.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kimi_pipeline.files import write_whole

HUNG = 75  # exit code: a temporary failure, worth another try
WAITING = "idle"


class Phases:
    """Seconds of the current iteration by phase, and this rank's heartbeat in `folder`.

    `cpu_seconds` are those of all threads of this process: what a phase costs where other work shares the machine.
    `memory`, where the device is asked for it (`used`, in GiB): what is in use when the phase ends.
    """

    def __init__(self, folder: Path, rank: int, used: Callable[[], float] | None = None) -> None:
        self._path = folder / f"rank-{rank}.json"
        self._used = used
        self._rank = rank
        self._iteration = 0
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self.memory: dict[str, float] = {}
        self._beats = 0
        self._beat(WAITING)

    def begin(self, iteration: int) -> None:
        self._iteration = iteration
        self.seconds = {}
        self.cpu_seconds = {}
        self.memory = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time spent in the block counts for phase `name`; `idle` means waiting for other ranks."""
        self._beat(name)
        began, worked = time.monotonic(), time.process_time()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began
            self.cpu_seconds[name] = self.cpu_seconds.get(name, 0.0) + time.process_time() - worked
            if self._used is not None:
                self.memory[name] = max(self.memory.get(name, 0.0), self._used())
            self._beat(WAITING)

    def _beat(self, name: str) -> None:
        self._beats += 1  # makes every beat another one, also where phase and iteration are the same
        beat = {"rank": self._rank, "phase": name, "iteration": self._iteration, "number": self._beats}
        write_whole(self._path, json.dumps(beat))


def _stop(line: str) -> None:
    print(f"rl: {line}", file=sys.stderr, flush=True)
    os._exit(HUNG)


class Watch:
    """A thread that looks at all ranks' heartbeats, for `rank`. `stop` gets the line that names a hung rank.

    It trusts its own clock alone: a beat is as old as the time since this watch first saw it.
    """

    def __init__(self, folder: Path, rank: int, limit: float, stop: Callable[[str], None] = _stop) -> None:
        self._folder, self._rank, self._limit, self._stop = folder, rank, limit, stop
        self._seen: dict[Path, tuple[Any, float]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def hung(self, now: float) -> str | None:
        """The line about ranks that are too long in one phase at `now` (monotonic seconds), or about all of them waiting
        for one another; None where all is well."""
        beats = []
        for path in sorted(self._folder.glob("rank-*.json")):
            with contextlib.suppress(FileNotFoundError):
                beat = json.loads(path.read_text())
                beats.append((beat, self._age(path, beat, now), self._frozen(beat["rank"], now)))
        late = [one for one in beats if one[1] > self._limit]
        frozen = [one for one in late if one[2]]
        suspects = frozen or [one for one in late if one[0]["phase"] != WAITING]
        if suspects:
            (beat, passed, _), *others = suspects
            numbers = " and ".join(str(one[0]["rank"]) for one in suspects)
            who = f"ranks {numbers} have" if others else f"rank {numbers} has"
            return self._line(f"{who} been in phase {beat['phase']!r}", beat["iteration"], passed)
        if late and len(late) == len(beats):
            beat, passed, _ = late[0]
            return self._line("all ranks have been waiting for one another in", beat["iteration"], passed)
        return None

    def _frozen(self, rank: int, now: float) -> bool:
        """Whether a rank's watch has given no sign of life for half the limit: its whole process stands still."""
        path = self._alive(rank)
        return path.exists() and self._age(path, path.stat().st_mtime_ns, now) > self._limit / 2

    def _age(self, path: Path, content: Any, now: float) -> float:
        if path not in self._seen or self._seen[path][0] != content:
            self._seen[path] = (content, now)
        return now - self._seen[path][1]

    def _alive(self, rank: int) -> Path:
        return self._folder / f"alive-{rank}"

    def _line(self, who: str, iteration: int, passed: float) -> str:
        limit = f"rl.phase_seconds is {self._limit:g}"
        return f"{who} of iteration {iteration} for {passed:.0f} s, {limit}: taken for hung. Run again: it resumes"

    def _look(self) -> None:
        while not self._ended.wait(min(1.0, self._limit / 4)):
            self._alive(self._rank).touch()
            line = self.hung(time.monotonic())
            if line is not None:
                self._stop(line)
                return
