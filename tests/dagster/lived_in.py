"""A home in which a scripted curation run has happened, as the browser finds it: lake, event store, report.

Belongs here: making it. Does not belong here: what is looked at (`test_ui.py`, `screenshots.py`).
"""

from __future__ import annotations

import json
from typing import Any

import dagster as dg
import pytest

from assets.definitions import build_defs
from kimi_pipeline.home import CHECKOUT, Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles import load_profile
from kimi_pipeline.stages import Context, new_run_id
from resources.instance import open_instance
from tests.curation.conftest import Curation, InProcess, able

SETTINGS: dict[str, Any] = {"corpora.problems_per_family": 40, "corpora.evaluation_problems": 60}
SET = "smoke"


def live_in(home: Home, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Point the environment at the home, run curation on a scripted model, and materialise its stages in Dagster."""
    monkeypatch.setenv("KIMI_HOME", str(home.root))
    monkeypatch.setenv("KIMI_PROFILE", "smoke")
    monkeypatch.setenv("KIMI_SET", json.dumps(SETTINGS))
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    lake = Lake(home.prepare().lake)
    context = Context(
        home, lake, load_profile("smoke", SETTINGS), InProcess(), new_run_id(), SET, say=lambda text: None
    )
    with pytest.MonkeyPatch.context() as patched:  # the UI's own processes know nothing of the script
        run = Curation(context, able, patched)
        done_stages = list(run.run("rl_prompt_set"))
        with open_instance(
            home
        ) as instance:  # first, as in a run: Dagster reads definitions beside the instance in force
            job = build_defs(lineage=run.stages).resolve_implicit_global_asset_job_def()
            done = job.execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey(name) for name in done_stages],
                partition_key=SET,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
    assert done.success
    return lake
