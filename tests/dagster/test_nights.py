"""The night shift by time travel: right ticks, one at a time, catch-up once, deadline, yielding, assets of a night."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets import nights
from assets.definitions import build_defs
from kimi_pipeline.home import Home
from kimi_pipeline.nights import shift, target
from kimi_pipeline.nights.hours import deadline
from kimi_pipeline.profiles import load_profile
from kimi_pipeline.profiles.sections import Nights
from resources.instance import open_instance
from resources.yielding import waiting_for, yielding
from tests.dagster.conftest import Materialise
from tests.dagster.fakes import LINEAGE

BERLIN = Nights(cron="0 1 * * *", timezone="Europe/Berlin", until="06:00")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def stored(home: Home) -> Iterator[dg.DagsterInstance]:
    """An instance on disk: a schedule opens its own door to it."""
    with open_instance(home) as instance:
        yield instance


def tick(instance: dg.DagsterInstance, due: str, now: str | None = None) -> dg.RunRequest | str:
    """What the schedule says at a tick, with the clock at `now` (default: on time)."""
    schedule = nights.night_schedule(nights.night_job(), BERLIN, clock=lambda: at(now or due))
    # The context opens its own door to the instance on disk. Left to the garbage collector, it would close after the
    # instance, and Dagster would go on naming a closed one: definitions could not be read by the tests that follow.
    with dg.build_schedule_context(instance=instance, scheduled_execution_time=at(due)) as context:
        said = schedule(context)
    return str(said.skip_message) if isinstance(said, dg.SkipReason) else said


def start(instance: dg.DagsterInstance, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    @dg.job(name=nights.JOB)
    def night() -> None: ...

    return instance.create_run_for_job(night, tags=request.tags, status=status)


def test_ticks_are_those_of_the_cron_in_its_zone() -> None:
    assert nights.last_due(BERLIN, at("2026-11-25T14:00")) == at("2026-11-25T00:00")
    assert nights.last_due(BERLIN, at("2026-11-25T00:00")) == at("2026-11-25T00:00")
    assert nights.last_due(BERLIN, at("2026-07-25T14:00")) == at("2026-07-24T23:00")  # summer time
    defs = build_defs(lineage=LINEAGE, sets=["smoke"])
    schedule = defs.resolve_schedule_def(nights.SCHEDULE)
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 1 * * *", "UTC")


def test_one_run_a_night_and_none_beside_another(stored: dg.DagsterInstance) -> None:
    request = tick(stored, "2026-11-25T00:00")
    assert isinstance(request, dg.RunRequest) and nights.LATE not in request.tags
    assert request.tags[nights.DUE] == "2026-11-25T00:00:00+00:00"
    run = start(stored, request, dg.DagsterRunStatus.STARTED)
    said = tick(stored, "2026-11-26T00:00")
    assert said == f"a night is going on already (run {run.run_id})"
    stored.report_run_failed(run)
    assert isinstance(tick(stored, "2026-11-26T00:00"), dg.RunRequest)
    # The clock jumps back, or the tick comes twice: that night has run.
    assert "has run already" in str(tick(stored, "2026-11-25T00:00"))
    assert "has run already" in str(tick(stored, "2026-11-24T00:00"))


def test_after_downtime_one_night_is_made_up_for(stored: dg.DagsterInstance) -> None:
    ticks = [f"2026-11-{day}T00:00" for day in (22, 23, 24, 25)]
    said = [tick(stored, due, now="2026-11-25T09:30") for due in ticks]
    assert [isinstance(one, dg.RunRequest) for one in said] == [False, False, False, True]
    assert "stands for it" in str(said[0])
    request = said[-1]
    assert isinstance(request, dg.RunRequest) and request.tags[nights.LATE] == "9:30:00"
    start(stored, request, dg.DagsterRunStatus.SUCCESS)
    assert "has run already" in str(tick(stored, ticks[-1], now="2026-11-25T11:00"))


def test_a_night_ends_at_its_hour_and_a_late_one_is_as_long() -> None:
    due = at("2026-11-25T00:00")  # 01:00 in Berlin
    assert deadline(due, due, "06:00", "Europe/Berlin") == at("2026-11-25T05:00")
    assert deadline(at("2026-11-25T04:00"), due, "06:00", "Europe/Berlin") == at("2026-11-25T05:00")
    assert deadline(at("2026-11-25T14:00"), due, "06:00", "Europe/Berlin") == at("2026-11-25T19:00")
    assert deadline(due, due, None, "UTC") is None


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"nights.until": "6 o'clock"}, "nights.until: .*HH:MM"),
        ({"nights.timezone": "Mars/Olympus"}, "nights.timezone: .*no such time zone"),
    ],
)
def test_wrong_settings_are_named(change: dict[str, Any], line: str) -> None:
    with pytest.raises(Exception, match=line):
        load_profile("smoke", change)


def test_a_night_gives_the_gpu_up_when_another_run_waits(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    instance.event_log_storage.set_concurrency_slots("gpu", 1)
    instance.event_log_storage.claim_concurrency_slot("gpu", "night", "nightly_estimates")
    assert not waiting_for(instance, "gpu", "night")
    with yielding(instance, "gpu", "night", tmp_path, seconds=0.01) as file:
        assert not file.exists()
        claim = instance.event_log_storage.claim_concurrency_slot("gpu", "training", "rl_checkpoint")
        assert not claim.is_claimed
        end = datetime.now(UTC) + timedelta(seconds=10)
        while not file.exists():
            assert datetime.now(UTC) < end
    assert not file.exists()
    defs = build_defs(lineage=LINEAGE, sets=["smoke"])
    op = defs.resolve_assets_def("nightly_estimates").op
    assert (op.pool, op.tags["dagster/priority"]) == ("gpu", "-10")
    assert defs.resolve_job_def(nights.JOB).tags["dagster/priority"] == "-10"


@pytest.fixture
def night(home: Home, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A night in Dagster whose parts are given: what was asked of them, and the run."""
    asked: dict[str, Any] = {}
    drift = {"mean_shift": 0.1, "moved": 3, "moved_by_luck": 0.2}
    report = {
        "stale": {"new_checkpoint": 5}, "sampled": 4, "left": 1, "tokens": 99, "stopped_by": "budget", "drift": drift,
        "guesses": {"stale": 2, "sampled": 2, "left": 0}, "checkpoint": "c",
    }  # fmt: skip

    def ask_again(context: Any, who: Any, **given: Any) -> dict[str, Any]:
        asked.update(given)
        return report

    monkeypatch.setattr(shift, "ask_again", ask_again)
    monkeypatch.setattr(target, "choose_target", lambda context: "newest")

    def run(rows: list[dict[str, Any]], due: str = "") -> tuple[dg.ExecuteInProcessResult, dict[str, Any]]:
        monkeypatch.setattr(shift, "cut_again", lambda context, lineage: rows)
        job = build_defs(lineage=LINEAGE, sets=["smoke"]).resolve_job_def(nights.JOB)
        config = {"ops": {"nightly_estimates": {"config": {"due": due}}}}
        return job.execute_in_process(instance=instance, run_config=config, raise_on_error=False), asked

    return run


def test_a_night_in_dagster(night: Callable[..., Any], instance: dg.DagsterInstance) -> None:
    row = {
        "set": "smoke",
        "version": 3,
        "against": 2,
        "verdict": "blocked",
        "reason_code": "rates_shifted",
        "detail": "x",
    }
    before = dg.AssetMaterialization("difficulty", tags={nights.DATA_VERSION: "7"})
    instance.report_runless_asset_event(before)
    result, asked = night([row | {"figures": {}}], due="2026-11-25T01:00:00+00:00")
    assert result.success
    assert asked["until"] - asked["started"] == timedelta(hours=5)  # made up for: as long as on time
    shown = result.asset_materializations_for_node("nightly_estimates")[-1].metadata
    assert (shown["stale"].value, shown["sampled"].value, shown["stopped_by"].value) == (5, 4, "budget")
    versions = result.asset_materializations_for_node("nightly_versions")
    assert versions[-1].metadata["blocked"].value == 1
    event = instance.get_latest_materialization_event(dg.AssetKey("difficulty"))
    assert event is not None and event.asset_materialization is not None
    assert event.asset_materialization.description == "night: 4 prompts asked again, 1 left"
    assert event.asset_materialization.tags[nights.DATA_VERSION] == "7"  # nothing downstream asks for itself
    event = instance.get_latest_materialization_event(dg.AssetKey("rl_prompt_set"))
    assert event is not None and event.asset_materialization is not None
    assert event.asset_materialization.partition == "smoke"


def test_a_set_that_cannot_be_cut_fails_the_night_with_its_line(night: Callable[..., Any]) -> None:
    result, _ = night([{"set": "smoke", "error": "no source 'x'"}])
    failure = result.get_step_failure_events()[0].step_failure_data.user_failure_data
    assert not result.success and failure is not None and failure.description == "smoke: no source 'x'"


def test_what_changed_asks_for_its_downstream_work_alone(home: Home, instance: dg.DagsterInstance) -> None:
    defs = build_defs(lineage=LINEAGE, sets=["default", "smoke"])
    sensor = defs.resolve_sensor_def("downstream_work")
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED

    def version(asset: str, data_version: str, partition: str | None = None) -> None:
        tags = {"dagster/data_version": data_version}
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=partition, tags=tags))

    for asset in ("corpus", "evaluation_problems", "difficulty"):
        version(asset, "1")
    for asset in ("rl_prompt_set", "rl_checkpoint"):
        version(asset, "1", "smoke")
    seen = dg.evaluate_automation_conditions(defs, instance)
    version("corpus", "1")  # read again, and the same
    seen = dg.evaluate_automation_conditions(defs, instance, cursor=seen.cursor)
    assert seen.total_requested == 0
    version("difficulty", "2")  # another checkpoint answered
    seen = dg.evaluate_automation_conditions(defs, instance, cursor=seen.cursor)
    assert seen.get_requested_partitions(dg.AssetKey("rl_prompt_set")) == {"smoke"}
    assert seen.total_requested == 1
    version("corpus", "2")
    seen = dg.evaluate_automation_conditions(defs, instance, cursor=seen.cursor)
    assert seen.get_num_requested(dg.AssetKey("difficulty")) == 1
    assert seen.get_num_requested(dg.AssetKey("evaluation_problems")) == 0


def test_settings_of_nights_are_in_the_deployment(home: Home) -> None:
    assert json.loads(load_profile("smoke").model_dump_json())["nights"]["until"] == "06:00"


def test_a_set_that_was_cut_carries_its_data_version_and_one_that_was_not_is_left_alone(
    night: Callable[..., Any], materialise: Materialise, instance: dg.DagsterInstance
) -> None:
    materialise()
    verdict = {"version": 1, "against": None, "reason_code": None, "detail": "", "figures": {}}
    seen: list[str] = []
    for kind in (shift.UNCHANGED, shift.PROMOTED):
        night([{"set": "smoke", "verdict": kind} | verdict])
        event = instance.get_latest_materialization_event(dg.AssetKey("rl_prompt_set"))
        assert event is not None and event.asset_materialization is not None
        assert event.asset_materialization.tags[nights.DATA_VERSION] == "smoke-2"
        seen.append(event.asset_materialization.description or "")
    assert seen == ["", "night: promoted"]
