"""The night shift: two assets, their job, and the schedule that starts it (off until it is switched on).

Belongs here: when a night starts and when it does not, and what the UI shows of it. Does not belong here: what a night does
(`kimi_pipeline/nights/`).
(No future annotations here: Dagster reads those of the asset functions as types.)
"""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from assets.shown import markdown_table
from assets.work import refusals_as_failures, stage_context
from kimi_pipeline.clock import now
from kimi_pipeline.profiles import Profile
from kimi_pipeline.profiles.sections import Nights
from kimi_pipeline.stages import Context, Stage, latest_outcome
from resources import ComputeResource, LakeResource, ProfileResource, SandboxResource
from resources.pools import MODELS
from resources.runs import UNFINISHED
from resources.yielding import yielding

JOB = SCHEDULE = "night_shift"
GROUP = "nights"
DUE = "kimi/night_due"
"""Tag of a night's run: when it was due, in UTC."""
LATE = "kimi/night_late"
"""Tag of a night that is made up for: how late it began."""
PRIORITY = {"dagster/priority": "-10"}  # behind all that people start, in the run queue and in the pool
DATA_VERSION = "dagster/data_version"
ON_TIME = timedelta(minutes=30)
FRESH = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=50), warn_window=timedelta(hours=26))
"""A night a day, with room for one that is made up for."""


def night_assets(lineage: Mapping[str, Stage], defaults: Profile) -> list[dg.AssetsDefinition]:
    """`nightly_estimates` asks again, `nightly_versions` cuts, compares and promotes or blocks."""
    common: dict[str, Any] = {"group_name": GROUP, "owners": ["team:data"], "freshness_policy": FRESH}

    @dg.asset(
        name="nightly_estimates",
        description="Ask the newest checkpoint again about prompts whose difficulty or guesses are stale",
        deps=[name for name in ("difficulty", "guessability") if name in lineage],
        kinds={"vllm", "deltalake"},
        pool=MODELS,
        op_tags=PRIORITY,
        config_schema={"due": dg.Field(str, default_value="", description="When the night was due, ISO; empty: now")},
        **common,
    )
    def nightly_estimates(
        context: dg.AssetExecutionContext,
        profile: ProfileResource,
        lake: LakeResource,
        compute: ComputeResource,
        sandbox: SandboxResource,
    ) -> dg.MaterializeResult[None]:
        from kimi_pipeline.nights.hours import deadline
        from kimi_pipeline.nights.shift import ask_again
        from kimi_pipeline.nights.target import choose_target

        with refusals_as_failures():
            work = stage_context(context, profile, lake, compute, sandbox, defaults=defaults)
            begun, nights = now(), work.profile.nights
            given = context.op_execution_context.op_config["due"]
            due = datetime.fromisoformat(given) if given else begun
            until = deadline(begun, due, nights.until, nights.timezone)
            with yielding(context.instance, MODELS, context.run.run_id, work.home.jobs) as stop_file:
                found = ask_again(work, choose_target(work), started=begun, until=until, stop_file=stop_file)
        for name, made in (("difficulty", found), ("guessability", found["guesses"])):
            if name in lineage and made["sampled"]:
                context.log_event(_asked_again(context.instance, name, made))
        return dg.MaterializeResult(metadata=_estimates_shown(found))

    @dg.asset(
        name="nightly_versions",
        description="Cut the sets whose recipe says nightly, compare each with its current version, promote or block",
        deps=["nightly_estimates"],
        kinds={"duckdb", "deltalake"},
        **common,
    )
    def nightly_versions(
        context: dg.AssetExecutionContext,
        profile: ProfileResource,
        lake: LakeResource,
        compute: ComputeResource,
        sandbox: SandboxResource,
    ) -> dg.MaterializeResult[None]:
        from kimi_pipeline.nights.shift import UNCHANGED, cut_again

        with refusals_as_failures():
            work = stage_context(context, profile, lake, compute, sandbox, defaults=defaults)
            rows = cut_again(work, lineage)
        for row in rows:
            if "error" not in row and row["verdict"] != UNCHANGED:
                context.log_event(_cut_again(work, lineage["rl_prompt_set"], row))
        failed = [f"{row['set']}: {row['error']}" for row in rows if "error" in row]
        if failed:
            raise dg.Failure("; ".join(failed), allow_retries=False)
        return dg.MaterializeResult(metadata=_versions_shown(rows))

    return [nightly_estimates, nightly_versions]


def _asked_again(instance: dg.DagsterInstance, asset: str, made: Mapping[str, Any]) -> dg.AssetMaterialization:
    """A stage's asset shows that a night has made estimates of it again. Its data version stays: the stage's own result did
    not change, and sets are cut anew by the night, which compares them, not by automation, which would not."""
    newest = instance.get_latest_materialization_event(dg.AssetKey(asset))
    made_before = newest.asset_materialization if newest is not None else None
    known = (made_before.tags if made_before is not None else None) or {}
    return dg.AssetMaterialization(
        asset,
        description=f"night: {made['sampled']} prompts asked again, {made['left']} left",
        metadata={"asked_again": made["sampled"], "left": made["left"]},
        tags={DATA_VERSION: known[DATA_VERSION]} if DATA_VERSION in known else None,
    )


def _cut_again(work: Context, stage: Stage, row: Mapping[str, Any]) -> dg.AssetMaterialization:
    """The set's asset shows the version that a night has cut, under the data version that its stage gave it."""
    cut = latest_outcome(stage, dataclasses.replace(work, prompt_set=row["set"]))
    return dg.AssetMaterialization(
        "rl_prompt_set",
        partition=row["set"],
        description=f"night: {row['verdict']}",
        metadata={"version": row["version"], "detail": row["detail"]},
        tags={DATA_VERSION: cut.data_version} if cut is not None else None,
    )


def _estimates_shown(found: Mapping[str, Any]) -> dict[str, Any]:
    drift, guesses = found["drift"], found["guesses"]
    return {
        "stale": sum(found["stale"].values()),
        "sampled": found["sampled"],
        "left": found["left"],
        "tokens": found["tokens"],
        "stopped_by": found["stopped_by"] or "nothing",
        "mean_shift": drift["mean_shift"] if drift["mean_shift"] is not None else "no prompt",
        "moved_buckets": drift["moved"],
        "moved_by_luck": drift["moved_by_luck"],
        "stale_guesses": guesses["stale"],
        "guesses_left": guesses["left"],
        "checkpoint": found["checkpoint"],
        **{f"stale: {cause}": count for cause, count in found["stale"].items()},
    }


def _versions_shown(rows: list[dict[str, Any]]) -> dict[str, Any]:
    shown = [{name: row[name] for name in ("set", "version", "against", "verdict", "detail")} for row in rows]
    counts = {
        verdict: sum(row["verdict"] == verdict for row in rows) for verdict in ("promoted", "blocked", "unchanged")
    }
    table = {"versions": dg.MetadataValue.md(markdown_table(shown))} if shown else {}
    return {"sets": len(rows), **counts, **table}


def night_job() -> Any:
    return dg.define_asset_job(
        JOB,
        selection=["nightly_estimates", "nightly_versions"],
        description="Re-estimate what is stale with the newest checkpoint, cut the nightly sets, promote or block",
        tags=PRIORITY | {"dagster/max_retries": "0"},
    )


def last_due(nights: Nights, at: datetime) -> datetime:
    """The newest moment at or before `at` at which a night was due."""
    days = dg.TimeWindowPartitionsDefinition(
        start=at - timedelta(days=370),
        fmt="%Y-%m-%dT%H:%M:%S%z",
        cron_schedule=nights.cron,
        timezone=nights.timezone,
    )
    window = days.get_prev_partition_window(at)
    assert window is not None, "a cron that is due less than once a year"
    return window.end


def night_schedule(job: Any, nights: Nights, clock: Callable[[], datetime] = now) -> dg.ScheduleDefinition:
    """One run a night. After downtime the last night that was missed is made up for, and no other one; nothing starts
    while a night is going on, and no night twice, whatever the clock does."""

    @dg.schedule(
        name=SCHEDULE,
        job=job,
        cron_schedule=nights.cron,
        execution_timezone=nights.timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Nightly re-estimation; off until switched on (README, Nights)",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        due, at = context.scheduled_execution_time.astimezone(UTC), clock()
        newest = last_due(nights, at).astimezone(UTC)
        if due < newest:
            return dg.SkipReason(
                f"the night of {due:%Y-%m-%d %H:%M} was missed; that of {newest:%Y-%m-%d %H:%M} stands for it"
            )
        going_on = context.instance.get_runs(dg.RunsFilter(job_name=JOB, statuses=UNFINISHED), limit=1)
        if going_on:
            return dg.SkipReason(f"a night is going on already (run {going_on[0].run_id})")
        done = newest_night(context.instance)
        if done is not None and done >= due:
            return dg.SkipReason(f"the night of {done:%Y-%m-%d %H:%M} has run already")
        late = {LATE: str(at - due)} if at - due > ON_TIME else {}
        return dg.RunRequest(
            run_key=due.isoformat(),
            tags={DUE: due.isoformat()} | late,
            run_config={"ops": {"nightly_estimates": {"config": {"due": due.isoformat()}}}},
        )

    return tick


def newest_night(instance: dg.DagsterInstance) -> datetime | None:
    """When the newest scheduled night that was started was due."""
    runs = instance.get_runs(dg.RunsFilter(job_name=JOB), limit=50)
    found = [datetime.fromisoformat(run.tags[DUE]) for run in runs if DUE in run.tags]
    return max(found, default=None)
