"""What `kimi-pipeline bench chaos` does to the processes of a run from within: a clock that jumps, storage that is slow.

Belongs here: the two injections, for every Python process that finds this folder on its PYTHONPATH. Does not belong here: when
and how much (the environment variable KIMI_CHAOS, a JSON object that the bench writes), killing and filling disks
(`kimi_pipeline/bench/chaos_faults.py`). The product has no flag for any of this.

    {"clock": {"at": 812.5, "by": -7200.0}}
    {"slow": {"at": 812.5, "seed": 7, "home": "/path", "told": "/path/told.jsonl"}}

`at` is a moment of the machine's monotonic clock, which all its processes share. The clock that jumps is `time.time` (Dagster's
and MLflow's as well) and the lake's own `now`. Slow are the end of a commit of the lake, when its rows are being written and
no log names them yet, and every rename below the home: a little before `at`, a second or more from then on, told as a line
in `told` before the wait begins, so that somebody can kill in the middle of it.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

CLOCK, LAKE = "kimi_pipeline.clock", "kimi_pipeline.lake"
BRIEF, LONG = (0.0, 0.05), (1.0, 2.0)  # seconds


class After:
    """Finds one module as others would, and changes it when it has been executed."""

    def __init__(self, name: str, change: Callable[[Any], None]) -> None:
        self._name, self._change = name, change

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> Any:
        if name != self._name:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next((spec for finder in others if (spec := finder.find_spec(name, path, target))), None)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_change(module: Any) -> None:
            execute(module)
            self._change(module)

        # Of this one loader, the module's own: that is how it is changed when it is ready, and before anybody uses it.
        spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]
        return spec


def jump_clock(at: float, by: float) -> None:
    seconds, nanoseconds = time.time, time.time_ns

    def shift() -> float:
        return by if time.monotonic() >= at else 0.0

    time.time = lambda: seconds() + shift()
    time.time_ns = lambda: nanoseconds() + int(shift() * 1e9)

    def change(clock: Any) -> None:
        now = clock.now
        clock.now = lambda: now() + timedelta(seconds=shift())

    sys.meta_path.insert(0, After(CLOCK, change))


def slow_storage(at: float, seed: int, home: str, told: str) -> None:
    rng = random.Random(seed)
    below = home.rstrip("/") + "/"

    def wait(what: str) -> None:
        if time.monotonic() < at:
            time.sleep(rng.uniform(*BRIEF))
            return
        with open(told, "a") as file:
            file.write(json.dumps({"what": what, "process": os.getpid()}) + "\n")
        time.sleep(rng.uniform(*LONG))

    def slowly(move: Callable[..., None]) -> Callable[..., None]:
        def moved(source: Any, target: Any, **options: Any) -> None:
            if os.path.abspath(os.fspath(target)).startswith(below):
                wait(f"rename to {os.path.relpath(target, home)}")
            move(source, target, **options)

        return moved

    os.replace, os.rename = slowly(os.replace), slowly(os.rename)

    def change(lake: Any) -> None:
        write = lake.write_deltalake

        def written(path: str, data: Any, **options: Any) -> None:
            import pyarrow as arrow

            def batches() -> Iterator[Any]:
                yield from data.to_batches() if isinstance(data, arrow.Table) else data
                wait(f"commit to {os.path.relpath(path, home)}")

            write(path, arrow.RecordBatchReader.from_batches(data.schema, batches()), **options)

        lake.write_deltalake = written

    sys.meta_path.insert(0, After(LAKE, change))


def inject(said: str | None) -> None:
    asked = json.loads(said or "{}")
    if "clock" in asked:
        jump_clock(**asked["clock"])
    if "slow" in asked:
        slow_storage(**asked["slow"])


inject(os.environ.get("KIMI_CHAOS"))
