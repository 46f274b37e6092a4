"""Fixtures of the Dagster layer: a home of its own, and runs of a fake lineage on an instance in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.definitions import build_defs
from kimi_pipeline.home import CHECKOUT, Home
from kimi_pipeline.stages import Stage
from resources import ComputeResource, ProfileResource
from tests.dagster.fakes import LINEAGE

QUIET = {"console": {"config": {"log_level": "CRITICAL"}}}
Materialise = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("KIMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KIMI_PROFILE", "smoke")
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    monkeypatch.delenv("KIMI_SET", raising=False)
    return Home.from_env().prepare()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def materialise(home: Home, instance: dg.DagsterInstance) -> Materialise:
    """Run a lineage (or some of it) in this process; `config` is `{stage: {field: value}}`."""

    def run(
        lineage: dict[str, Stage] = LINEAGE,
        select: list[str] | None = None,
        prompt_set: str | None = "smoke",
        config: dict[str, dict[str, Any]] | None = None,
    ) -> dg.ExecuteInProcessResult:
        resources = {"profile": ProfileResource.from_env(), "compute": ComputeResource(stop_seconds=0.5)}
        defs = build_defs(resources, lineage, ["default", "smoke"])
        job = defs.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(name) for name in select or lineage],  # the stages alone, no night
            partition_key=prompt_set,
            run_config={
                "ops": {stage: {"config": values} for stage, values in (config or {}).items()},
                "loggers": QUIET,
            },
            raise_on_error=False,
        )

    return run
