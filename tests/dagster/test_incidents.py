"""Incidents: one message when one begins and one when it is over, whoever was down in between."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from assets import incidents, nights
from kimi_pipeline import tables
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles import load_profile
from resources import LakeResource
from resources.channels import send
from resources.instance import open_instance
from tests.dagster.conftest import Materialise
from tests.dagster.fakes import breaks, rl_prompt_set, with_compute
from tests.dagster.test_nights import at

STAMP = {"run_id": "r", "reason": "test"}


class Receiver:
    """A webhook on loopback that keeps what it was told; `port` stays the same when it is down."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: Any) -> None: ...

        self._handler, self._server = Handler, HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._serve()

    def _serve(self) -> None:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def down(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def up(self) -> None:
        self._server = HTTPServer(("127.0.0.1", self.port), self._handler)
        self._serve()

    def titles(self) -> list[str]:
        return [one["title"] for one in self.heard]


@pytest.fixture
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    """An instance on disk: one in memory keeps no schedules."""
    with open_instance(home) as instance:
        yield instance


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = Receiver()
    yield made
    made.down()


class Watch:
    """The sensor on an instance, look after look, with its cursor."""

    def __init__(self, instance: dg.DagsterInstance, channels: list[str]) -> None:
        self.instance, self.cursor = instance, ""
        self.profile = load_profile("smoke", {"notifications.channels": channels})

    def look(self, now: str = "2026-11-25T02:00") -> str:
        sensor = incidents.incident_sensor(self.profile, LakeResource(), clock=lambda: at(now))
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor) as context:
            said = sensor(context)
        assert isinstance(said, dg.SensorResult) and said.skip_reason is not None
        self.cursor = said.cursor or self.cursor
        return str(said.skip_reason.skip_message)


def test_a_failed_run_is_told_once_and_its_end_once(
    materialise: Materialise, instance: dg.DagsterInstance, receiver: Receiver
) -> None:
    watch = Watch(instance, [f"json://127.0.0.1:{receiver.port}"])
    assert watch.look() == "0 open: none"
    for _ in range(2):
        materialise(with_compute("corpus", breaks), ["corpus"], None)
        watch.look()
    assert receiver.titles() == ["__ASSET_JOB failed"]
    assert "failed: corpus\nhttp://127.0.0.1:3000/runs/" in receiver.heard[0]["message"]
    materialise(select=["corpus"], prompt_set=None)
    assert watch.look() == watch.look() == "0 open: none"
    assert receiver.titles()[1:] == ["over: __ASSET_JOB failed"]


def test_a_receiver_that_is_down_hears_of_it_later_and_the_other_one_only_once(
    materialise: Materialise, instance: dg.DagsterInstance, receiver: Receiver
) -> None:
    other = Receiver()
    watch = Watch(instance, [f"json://127.0.0.1:{receiver.port}", f"json://127.0.0.1:{other.port}"])
    receiver.down()
    materialise(with_compute("corpus", breaks), ["corpus"], None)
    assert "did not take the message: tried again later" in watch.look()
    watch.look()
    receiver.up()
    watch.look()
    assert receiver.titles() == other.titles() == ["__ASSET_JOB failed"]
    other.down()


def test_a_blocked_check_and_its_end(materialise: Materialise, instance: dg.DagsterInstance, home: Home) -> None:
    from functools import partial

    def keys() -> list[str]:
        return [one.key for one in incidents.blocked_checks(instance)]

    materialise(with_compute("rl_prompt_set", partial(rl_prompt_set, members=())))
    (found,) = incidents.blocked_checks(instance)
    assert found.key == "check:rl_prompt_set:not_empty" and "no problem passed" in found.body
    materialise(
        with_compute("difficulty", breaks), config={"difficulty": {"samples": 2}}
    )  # plans it, never evaluates it
    check = dg.AssetCheckKey(dg.AssetKey("rl_prompt_set"), "not_empty")
    (record,) = instance.event_log_storage.get_latest_asset_check_execution_by_key([check]).values()
    assert record.status.value == "PLANNED" and keys() == [found.key]
    materialise(config={"difficulty": {"samples": 3}})
    assert keys() == []


def test_a_drift_block_lasts_until_it_is_promoted_and_a_budget_until_a_whole_night(
    home: Home, instance: dg.DagsterInstance
) -> None:
    from kimi_pipeline.curation.promotion import promote

    lake = Lake(home.lake)
    for version in (1, 2):
        row = {"prompt_set": "s", "version": version, "size": 1, "digest": str(version), "manifest": "{}"}
        lake.append(tables.PROMPT_SET_VERSIONS, [row], **STAMP)
    promote(lake, "s", 1, actor="a", reason="r", run_id="r")
    check = {"prompt_set": "s", "version": 2, "against": 1, "verdict": "blocked", "reason_code": "rates_shifted"}
    lake.append(tables.VERSION_CHECKS, [check | {"detail": "pass rates shifted by +0.400", "figures": "{}"}], **STAMP)
    (found,) = incidents.drift_blocks(lake)
    assert found.title == "s@2 is not current: rates_shifted" and "kimi-pipeline promote s@2" in found.body
    promote(lake, "s", 2, actor="person:ada", reason="meant so", run_id="r")
    assert list(incidents.drift_blocks(lake)) == []

    @dg.job(name=nights.JOB)
    def night() -> None: ...

    def keeps(stopped_by: str, run_id: str) -> list[str]:
        row = {"stopped_by": stopped_by, "tokens": 7, "left": 2}
        lake.append(tables.NIGHTS, [row], run_id=run_id, reason="test")
        return [one.title for one in incidents.spent_budget(instance, lake)]

    terminal = "0" * 32
    assert keeps("budget", terminal) == []  # a re-estimation is no night
    spent = keeps("budget", instance.create_run_for_job(night).run_id)
    assert spent == keeps("", terminal) == ["the night's token budget was spent"]
    assert keeps("", instance.create_run_for_job(night).run_id) == []


def test_a_night_is_missed_only_where_the_schedule_is_on(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = load_profile("smoke", {})
    with open_instance(home) as instance:
        assert list(incidents.missed_night(instance, profile, at("2026-11-25T14:00"))) == []

        class On:
            instigator_name, is_running = nights.SCHEDULE, True
            instigator_data = SimpleNamespace(start_timestamp=at("2026-11-25T00:30").timestamp())

        monkeypatch.setattr(instance, "all_instigator_state", lambda: [On()])
        assert list(incidents.missed_night(instance, profile, at("2026-11-25T01:30"))) == []  # that of the day before
        (found,) = incidents.missed_night(instance, profile, at("2026-11-25T14:00"))
        assert found.body == "due at 2026-11-25 01:00 UTC, not begun"

        @dg.job(name=nights.JOB)
        def night() -> None: ...

        instance.create_run_for_job(night, tags={nights.DUE: "2026-11-25T01:00:00+00:00"})
        assert list(incidents.missed_night(instance, profile, at("2026-11-25T14:00"))) == []
        assert list(incidents.missed_night(instance, profile, at("2026-11-26T01:30"))) == []  # not late yet
        assert list(incidents.missed_night(instance, profile, at("2026-11-26T02:30")))


def test_secrets_come_from_the_environment_and_none_is_kept(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="needs the environment variable HOOK_PORT: set it"):
        send("json://127.0.0.1:${HOOK_PORT}", "t", "b")
    monkeypatch.setenv("HOOK_PORT", str(receiver.port))
    assert send("json://127.0.0.1:${HOOK_PORT}", "t", "b") and receiver.titles() == ["t"]
    with pytest.raises(UserError, match="knows no channel nosuch://"):
        send("nosuch://x", "t", "b")


def test_no_channel_tells_nobody(home: Home, instance: dg.DagsterInstance) -> None:
    watch = Watch(instance, [])
    assert watch.look() == "notifications.channels is empty: nobody to tell" and watch.cursor == ""
