"""Maintenance: the job that keeps the home from growing without end, and its schedule (off until it is switched on).

Belongs here: when it runs and what the UI shows of it. Does not belong here: the work (`kimi_pipeline/maintenance/`,
`resources/pruning.py`).
(No future annotations here: Dagster reads those of the op function as types.)
"""

from typing import Any

import dagster as dg

from kimi_pipeline.clock import now
from kimi_pipeline.maintenance.tidying import tidy
from kimi_pipeline.profiles import Profile
from resources import LakeResource
from resources.pruning import prune

JOB = SCHEDULE = "maintenance"


def maintenance_job(defaults: Profile) -> dg.JobDefinition:
    settings = defaults.maintenance

    @dg.op(name="tidy_the_lake", description="Merge small files, remove those that no version in use names")
    def tidy_the_lake(context: dg.OpExecutionContext, lake: LakeResource) -> None:
        told = tidy(lake.lake(), run_id=context.run_id, keep_hours=settings.keep_hours)
        for row in told:
            context.log.info(f"{row['table']}: {row['compacted']} files merged, {row['freed']:,} bytes freed")
        context.add_output_metadata({"tables": len(told), "freed": sum(row["freed"] for row in told)})

    @dg.op(
        name="prune_the_event_store", ins={"after": dg.In(dg.Nothing)}, description="Delete old runs and their events"
    )
    def prune_the_event_store(context: dg.OpExecutionContext, lake: LakeResource) -> None:
        found = prune(context.instance, lake.home(), at=now(), keep_days=settings.keep_run_days)
        context.add_output_metadata(found)

    @dg.job(name=JOB, description="Compaction, vacuum and pruning; what a manifest names is never touched")
    def maintenance() -> None:
        prune_the_event_store(tidy_the_lake())

    return maintenance


def maintenance_schedule(job: Any, defaults: Profile) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=SCHEDULE,
        job=job,
        cron_schedule=defaults.maintenance.cron,
        execution_timezone=defaults.nights.timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Weekly tidying; off until switched on (README, Maintenance)",
    )
