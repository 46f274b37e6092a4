"""Definitions: what Dagster loads, as workspace.yaml names it.

Belongs here: putting assets, checks, jobs and resources together. Does not belong here: any of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from assets.automation import automation_sensor
from assets.checks import lineage_checks
from assets.factory import stage_asset
from assets.incidents import incident_sensor
from assets.jobs import lineage_jobs
from assets.maintenance import maintenance_job, maintenance_schedule
from assets.nights import night_assets, night_job, night_schedule
from assets.partitions import by_prompt_set, prompt_sets
from kimi_pipeline.errors import UserError
from kimi_pipeline.stages import Stage
from resources import ComputeResource, LakeResource, ProfileResource, SandboxResource


def default_resources() -> dict[str, Any]:
    """What a deployment runs with: the environment's profile and home, jobs on this machine."""
    return {
        "profile": ProfileResource.from_env(),
        "lake": LakeResource(),
        "compute": ComputeResource(),
        "sandbox": SandboxResource(),
    }


def build_defs(
    resource_overrides: Mapping[str, Any] | None = None,
    lineage: Mapping[str, Stage] | None = None,
    sets: Sequence[str] | None = None,
) -> dg.Definitions:
    """The definitions, with other resources, stages or set names where a test brings its own.

    Raises UserError where the profile is unknown or wrong, or names a cron that Dagster does not know.
    """
    resources = default_resources() | dict(resource_overrides or {})
    if lineage is None:
        from kimi_pipeline.lineage import STAGES

        lineage = STAGES
    partitions = by_prompt_set(prompt_sets(resources["lake"].home()) if sets is None else sets)
    defaults = resources["profile"].load()
    night, maintenance = night_job(), maintenance_job(defaults)
    stages = [stage_asset(stage, lineage, partitions, defaults) for stage in lineage.values()]
    try:
        schedules = [night_schedule(night, defaults.nights), maintenance_schedule(maintenance, defaults)]
    except dg.DagsterInvalidDefinitionError as error:
        crons = f"nights.cron = {defaults.nights.cron!r}, maintenance.cron = {defaults.maintenance.cron!r}"
        raise UserError(f"{crons}: {error}") from error
    return dg.Definitions(
        assets=[*stages, *night_assets(lineage, defaults)],
        asset_checks=lineage_checks(lineage, defaults),
        jobs=[*lineage_jobs(lineage.values()), night, maintenance],
        schedules=schedules,
        sensors=[incident_sensor(defaults, resources["lake"]), automation_sensor(lineage)],
        resources=resources,
        # Assets do no heavy work themselves (jobs do), so a process a step would cost more than the steps.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    return build_defs()
