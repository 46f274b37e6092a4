"""Giving a pool up: a step that holds a place ends early when another run waits for one.

Belongs here: watching a pool and saying so by a file. Does not belong here: what ends early (a drawing that is given the
file, `kimi_pipeline/inference/budget.py`).
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

LOOK_SECONDS = 10.0


def waiting_for(instance: dg.DagsterInstance, pool: str, own_run: str) -> bool:
    """Whether a step of another run waits for a place in the pool."""
    info = instance.event_log_storage.get_concurrency_info(pool)
    return any(step.run_id != own_run and step.assigned_timestamp is None for step in info.pending_steps)


@contextlib.contextmanager
def yielding(
    instance: dg.DagsterInstance, pool: str, own_run: str, folder: Path, seconds: float = LOOK_SECONDS
) -> Iterator[Path]:
    """A file's path; the file appears when another run waits for the pool."""
    folder.mkdir(parents=True, exist_ok=True)
    file, ended = folder / f"yield-{uuid.uuid4().hex[:12]}", threading.Event()

    def watch() -> None:
        while not ended.is_set():
            if waiting_for(instance, pool, own_run):
                file.touch()
                return
            ended.wait(seconds)

    watcher = threading.Thread(target=watch, name="yielding", daemon=True)
    watcher.start()
    try:
        yield file
    finally:
        ended.set()
        watcher.join()
        file.unlink(missing_ok=True)
