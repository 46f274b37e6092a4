"""Runs on a home: one from the terminal at a time, and no trace of one that was killed.

Belongs here: the lock, and clearing what dead runs left in the instance. Does not belong here: running (`assets/`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import dagster as dg

from kimi_pipeline.home import Home
from kimi_pipeline.locks import only_one

FROM_TERMINAL = {"kimi/started_from": "terminal"}
"""Tag of the runs that hold the lock while they live: without the lock, such a run is dead."""

UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@contextlib.contextmanager
def only_run(home: Home) -> Iterator[None]:
    """Hold the home's lock. Raises UserError where another process has it. The kernel frees it when we die."""
    refusal = f"a run is already active on {home.root} (process {{holder}}): wait for it or stop it"
    with only_one(home.prepare().root / "run.lock", refusal):
        yield


def clear_dead_runs(instance: dg.DagsterInstance) -> None:
    """Close what killed runs left open; called with the lock held.

    The runs are marked failed, and places in pools are freed that no living run holds: the next step that needs such a
    pool would else wait for ever.
    """
    dead = instance.get_runs(dg.RunsFilter(tags=FROM_TERMINAL, statuses=UNFINISHED))
    for run in dead:
        instance.report_run_failed(run, "The run's process ended without a word. What it had committed stays.")
    events = instance.event_log_storage
    for pool in events.get_concurrency_keys():
        for run_id in events.get_concurrency_info(pool).active_run_ids:
            holder = instance.get_run_by_id(run_id)
            if holder is None or holder.is_finished:
                events.free_concurrency_slots_for_run(run_id)
