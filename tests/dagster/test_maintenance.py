"""Maintenance in Dagster: old runs go, what the UI shows of today stays; the job does both halves."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dagster as dg

from assets.definitions import build_defs
from assets.maintenance import JOB, SCHEDULE
from kimi_pipeline.clock import now
from kimi_pipeline.home import Home
from resources.instance import open_instance
from resources.pruning import prune
from tests.dagster.fakes import LINEAGE


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["one", "other"]))
def numbers() -> None: ...


def test_old_runs_go_and_the_newest_of_each_partition_stays(home: Home) -> None:
    with open_instance(home) as instance:
        runs = [
            dg.materialize([numbers], instance=instance, partition_key=name).run_id for name in ("one", "other", "one")
        ]
        shards = home.dagster / "history" / "runs"
        assert prune(instance, home, at=now() + timedelta(days=89), keep_days=90)["pruned"] == 0
        later = {"at": now() + timedelta(days=91), "keep_days": 90}
        assert prune(instance, home, **later, only_look=True)["pruned"] == 1
        assert (shards / f"{runs[0]}.db").is_file()
        found = prune(instance, home, **later)
        assert (found["runs"], found["pruned"]) == (2, 1) and found["after"] < found["before"]
        assert {path.stem for path in shards.glob("*.db")} - {"index"} == set(runs[1:])
        assert not instance.has_run(runs[0])
        assert instance.get_materialized_partitions(numbers.key) == {"one", "other"}
        newest = instance.get_latest_materialization_event(numbers.key)
        assert newest is not None and newest.run_id == runs[2]


def test_the_job_tidies_and_prunes(home: Home, instance: dg.DagsterInstance) -> None:
    defs = build_defs(lineage=LINEAGE, sets=["smoke"])
    assert defs.resolve_schedule_def(SCHEDULE).default_status is dg.DefaultScheduleStatus.STOPPED
    done = defs.resolve_job_def(JOB).execute_in_process(instance=instance)
    assert done.success
    assert Path(home.lake).is_dir()
