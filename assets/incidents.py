"""Incidents: what a person should hear of, once when it begins and once when it is over. Off until it is switched on.

Belongs here: which states of instance and lake are incidents, and remembering who was told. Does not belong here: channels
(`resources/channels.py`).

An incident is a state, not an event: the sensor compares the states of now with those that it told of. However often a
night fails, it is one incident until one succeeds, and a channel that was down gets the message once it is up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from assets.checks import RULES
from assets.nights import JOB, SCHEDULE, last_due, newest_night
from kimi_pipeline.clock import now
from kimi_pipeline.curation.promotion import current
from kimi_pipeline.inference.budget import BUDGET
from kimi_pipeline.lake import Lake
from kimi_pipeline.nights.shift import BLOCKED
from kimi_pipeline.profiles import Profile
from resources import LakeResource
from resources.channels import deliver

SENSOR = "incidents"
LOOK_SECONDS = 60
GRACE = timedelta(hours=1)
"""How late a night may be before it counts as missed."""
LOOKED_AT = 100  # newest finished runs, executions of a check, rows of nights


@dataclass(frozen=True)
class Incident:
    """`key` is what makes it the same incident; `path` leads to it in the UI."""

    key: str
    title: str
    body: str
    path: str


def incidents(instance: dg.DagsterInstance, lake: Lake, profile: Profile, at: datetime) -> Iterator[Incident]:
    """The incidents that there are now."""
    yield from failed_runs(instance)
    yield from blocked_checks(instance)
    yield from drift_blocks(lake)
    yield from spent_budget(instance, lake)
    yield from missed_night(instance, profile, at)


def failed_runs(instance: dg.DagsterInstance) -> Iterator[Incident]:
    """Jobs (a set each) whose newest finished run failed."""
    ended = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    seen: set[str] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=ended), limit=LOOKED_AT):
        key = f"run:{run.job_name}:{run.tags.get('dagster/partition', '')}"
        if key not in seen and run.status is dg.DagsterRunStatus.FAILURE:
            steps = ", ".join(_failed_steps(instance, run.run_id))
            yield Incident(
                key, f"{run.job_name} failed", f"failed: {steps or 'before its first step'}", f"runs/{run.run_id}"
            )
        seen.add(key)


def _failed_steps(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    return [
        stats.step_key
        for stats in instance.get_run_step_stats(run_id)
        if stats.status and stats.status.value == "FAILURE"
    ]


def blocked_checks(instance: dg.DagsterInstance) -> Iterator[Incident]:
    """Checks whose newest evaluation did not pass; most of them block. One that a run has only planned says nothing yet."""
    for rule in RULES:
        key = dg.AssetCheckKey(dg.AssetKey(rule.asset), rule.name)
        evaluation = _newest_evaluation(instance, key)
        if evaluation is not None and not evaluation.passed:
            yield Incident(
                f"check:{rule.asset}:{rule.name}",
                f"check {rule.name} of {rule.asset} {'blocks' if rule.blocking else 'warns'}",
                evaluation.description or rule.description,
                f"assets/{rule.asset}?view=checks",
            )


def _newest_evaluation(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> dg.AssetCheckEvaluation | None:
    for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=LOOKED_AT):
        event = record.event.dagster_event if record.event is not None else None
        if event is not None and isinstance(event.event_specific_data, dg.AssetCheckEvaluation):
            return event.event_specific_data
    return None


def drift_blocks(lake: Lake) -> Iterator[Incident]:
    """Versions that a night held back and nobody has promoted since, where they are the newest of their set."""
    rows = lake.rows(
        """
        select * from version_checks qualify row_number() over (partition by prompt_set order by created_at desc) = 1
        """
    )
    accepted = {(row["prompt_set"], row["version"]) for row in lake.rows("select prompt_set, version from promotions")}
    for row in rows:
        key = (row["prompt_set"], row["version"])
        if row["verdict"] == BLOCKED and key not in accepted and (current(lake, key[0]) or 0) < row["version"]:
            name = f"{row['prompt_set']}@{row['version']}"
            yield Incident(
                f"drift:{row['prompt_set']}",
                f"{name} is not current: {row['reason_code']}",
                f"{row['detail']}. Compare: kimi-pipeline drift {row['prompt_set']}@{row['against']} {name}; "
                f"accept: kimi-pipeline promote {name} --reason ...",
                "assets/nightly_versions",
            )


def spent_budget(instance: dg.DagsterInstance, lake: Lake) -> Iterator[Incident]:
    """The last night ended because its token budget was spent. A re-estimation from the terminal, which is no run of Dagster's,
    has a budget of its own and is no night."""
    rows = lake.rows(
        f'select run_id, stopped_by, tokens, "left" from nights order by created_at desc limit {LOOKED_AT}'
    )
    night = next((row for row in rows if instance.has_run(row["run_id"])), None)
    if night is not None and night["stopped_by"] == BUDGET:
        text = f"{night['tokens']:,} tokens spent, {night['left']:,} prompts left (nights.token_budget)"
        yield Incident("budget", "the night's token budget was spent", text, "assets/nightly_estimates")


def missed_night(instance: dg.DagsterInstance, profile: Profile, at: datetime) -> Iterator[Incident]:
    """The schedule is on, and the newest night that was due since it was switched on has not begun."""
    due = last_due(profile.nights, at - GRACE).astimezone(UTC)
    states = [state for state in instance.all_instigator_state() if state.instigator_name == SCHEDULE]
    if not any(state.is_running and _switched_on(state) <= due for state in states):
        return
    begun = newest_night(instance)
    if begun is None or begun < due:
        yield Incident("missed", "a night was missed", f"due at {due:%Y-%m-%d %H:%M} UTC, not begun", f"jobs/{JOB}")


def _switched_on(schedule: Any) -> datetime:
    """When a schedule was started. (Dagster exports no name for its state.)"""
    return datetime.fromtimestamp(getattr(schedule.instigator_data, "start_timestamp", None) or 0, UTC)


def tell(told: dict[str, Any], found: list[Incident], profile: Profile) -> tuple[dict[str, Any], list[str]]:
    """Send what is new and what is over: who was told of what from now on, and what went wrong.

    `told`: by key, `{"incident", "opened": [channels], "closed": [channels] or None while it lasts}`.
    """
    channels, ui = profile.notifications.channels, profile.notifications.ui
    here, kept, wrong = {one.key: one for one in found}, {}, []
    for key in [*told, *(key for key in here if key not in told)]:
        entry = told.get(key) or {"incident": asdict(here[key]), "opened": [], "closed": None}
        if key in here and entry["closed"] is not None:  # it came back before everybody heard of its end
            entry = {**entry, "closed": None}
        one = Incident(**entry["incident"])
        link = f"{ui.rstrip('/')}/{one.path}"
        entry["opened"], errors = deliver(channels, entry["opened"], one.title, f"{one.body}\n{link}")
        wrong += errors
        if key not in here:
            entry["closed"], errors = deliver(channels, entry["closed"] or [], f"over: {one.title}", link)
            wrong += errors
            if not errors:
                continue
        kept[key] = entry
    return kept, wrong


def incident_sensor(profile: Profile, lake: LakeResource, clock: Callable[[], datetime] = now) -> dg.SensorDefinition:
    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="One message when an incident begins and one when it is over, to notifications.channels",
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        if not profile.notifications.channels:
            return dg.SensorResult(skip_reason="notifications.channels is empty: nobody to tell")
        told = json.loads(context.cursor) if context.cursor else {}
        kept, wrong = tell(told, list(incidents(context.instance, lake.lake(), profile, clock())), profile)
        for line in wrong:
            context.log.warning(line)
        open_ = [key for key, entry in kept.items() if entry["closed"] is None]
        reason = f"{len(open_)} open: {', '.join(open_) or 'none'}" + (f"; {'; '.join(wrong)}" if wrong else "")
        return dg.SensorResult(skip_reason=reason, cursor=json.dumps(kept))

    return look
