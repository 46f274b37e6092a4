"""Phases of an iteration: how long each takes on each rank, and the watch over ranks that hang.

Belongs here: timing, heartbeats, the watch. Does not belong here: what happens in a phase (`loop.py`).

Every rank writes the phase it is in to a file of its own; every rank's watch reads all of them. A rank that waits for
others is no suspect: the one they wait for is. The watch is a thread, so it works while its own rank is stuck in an
engine, and ends the whole process: the launcher then ends the others, and the run resumes from its last checkpoint.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HUNG = 75  # exit code: a temporary failure, worth another try
WAITING = "idle"


class Phases:
    """Seconds of the current iteration by phase, and this rank's heartbeat in `folder`.

    `cpu_seconds` are those of all threads of this process: what a phase costs where other work shares the machine.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self._path = folder / f"rank-{rank}.json"
        self._rank = rank
        self._iteration = 0
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self._beats = 0
        self._beat(WAITING)

    def begin(self, iteration: int) -> None:
        self._iteration = iteration
        self.seconds = {}
        self.cpu_seconds = {}

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
            self._beat(WAITING)

    def _beat(self, name: str) -> None:
        scratch = self._path.with_suffix(".tmp")
        self._beats += 1  # makes every beat another one, also where phase and iteration are the same
        beat = {"rank": self._rank, "phase": name, "iteration": self._iteration, "number": self._beats}
        scratch.write_text(json.dumps(beat))
        os.replace(scratch, self._path)


def _stop(line: str) -> None:
    print(f"rl: {line}", file=sys.stderr, flush=True)
    os._exit(HUNG)


class Watch:
    """A thread that looks at all ranks' heartbeats. `stop` gets the line that names a hung rank.

    It trusts its own clock alone: a beat is as old as the time since this watch first saw it.
    """

    def __init__(self, folder: Path, limit: float, stop: Callable[[str], None] = _stop) -> None:
        self._folder, self._limit, self._stop = folder, limit, stop
        self._seen: dict[Path, tuple[dict[str, Any], float]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def hung(self, now: float) -> str | None:
        """The line about a rank that is too long in one phase at `now` (monotonic seconds), or about all of them waiting
        for one another; None where all is well."""
        beats = []
        for path in sorted(self._folder.glob("rank-*.json")):
            try:
                beat = json.loads(path.read_text())
            except FileNotFoundError:
                continue
            if path not in self._seen or self._seen[path][0] != beat:
                self._seen[path] = (beat, now)
            beats.append((beat, now - self._seen[path][1]))
        late = [(beat, passed) for beat, passed in beats if passed > self._limit]
        for beat, passed in late:
            if beat["phase"] != WAITING:
                return self._line(f"rank {beat['rank']} has been in phase {beat['phase']!r}", beat["iteration"], passed)
        if late and len(late) == len(beats):
            beat, passed = late[0]
            return self._line("all ranks have been waiting for one another in", beat["iteration"], passed)
        return None

    def _line(self, who: str, iteration: int, passed: float) -> str:
        limit = f"rl.phase_seconds is {self._limit:g}"
        return f"{who} of iteration {iteration} for {passed:.0f} s, {limit}: taken for hung. Run again: it resumes"

    def _look(self) -> None:
        while not self._ended.wait(min(1.0, self._limit / 4)):
            line = self.hung(time.monotonic())
            if line is not None:
                self._stop(line)
                return
