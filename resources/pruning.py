"""Pruning Dagster's own store: old runs with their events and logs go, what the UI shows of today stays.

Belongs here: which runs may go, deleting them, giving the room back to the disk. Does not belong here: ticks of schedules
and sensors (Dagster prunes those itself: `deploy/dagster.yaml`), the lake (`kimi_pipeline/maintenance/`).
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from kimi_pipeline.home import Home
from resources.runs import UNFINISHED

ENDED = [status for status in dg.DagsterRunStatus if status not in [*UNFINISHED, dg.DagsterRunStatus.QUEUED]]
BATCH = 200  # runs looked at at a time


def prune(
    instance: dg.DagsterInstance, home: Home, *, at: datetime, keep_days: int, only_look: bool = False
) -> dict[str, Any]:
    """Delete ended runs that were started before `keep_days` ago: `{"runs", "pruned", "before", "after"}`, bytes of the store.

    A run stays whatever its age where it holds the newest materialisation of an asset or of one of its partitions: the UI
    shows it, and automation compares data versions with it. The ledger and the lake know more than these events do.
    """
    before = _bytes(home.dagster)
    needed = set(_newest_runs(instance))
    old = dg.RunsFilter(statuses=ENDED, created_before=at - timedelta(days=keep_days))
    gone = [record.dagster_run.run_id for record in _records(instance, old) if record.dagster_run.run_id not in needed]
    if not only_look:
        for run_id in gone:
            instance.delete_run(run_id)
            (home.dagster / "history" / "runs" / f"{run_id}.db").unlink(missing_ok=True)
            shutil.rmtree(home.dagster / "storage" / run_id, ignore_errors=True)
        if gone:
            _shrink(home)
    return {
        "runs": instance.get_runs_count(),
        "pruned": len(gone),
        "before": before,
        "after": _bytes(home.dagster),
    }


def _records(instance: dg.DagsterInstance, wanted: dg.RunsFilter) -> Iterator[Any]:
    cursor = None
    while found := instance.get_run_records(wanted, limit=BATCH, cursor=cursor):
        yield from found
        cursor = found[-1].dagster_run.run_id


def _newest_runs(instance: dg.DagsterInstance) -> Iterator[str]:
    """The runs that hold the newest materialisation of an asset, or of a partition of one."""
    for key in instance.get_asset_keys():
        newest = instance.get_latest_materialization_event(key)
        if newest is not None:
            yield newest.run_id
        for partition in instance.get_materialized_partitions(key):
            wanted = dg.AssetRecordsFilter(key, asset_partitions=[partition])
            for record in instance.fetch_materializations(wanted, limit=1).records:
                yield record.run_id


def _shrink(home: Home) -> None:
    """SQLite keeps the room of deleted rows in its files. A file that is in use is left for the next time."""
    for path in [home.dagster / "history" / "runs.db", *(home.dagster / "history").glob("runs/index.db")]:
        if path.is_file():
            with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(sqlite3.connect(path)) as db:
                db.execute("vacuum")


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
