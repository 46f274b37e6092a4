"""Jobs: what people start by name, from the UI's job list or a schedule.

Belongs here: selections with a name. Does not belong here: assets, schedules.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dagster as dg

from kimi_pipeline.stages import Stage

WHOLE = "laptop_lineage"


def lineage_jobs(stages: Iterable[Stage]) -> list[Any]:
    """The whole lineage, and each stage alone. (Dagster exports no name for the type of an asset job.)"""
    stages = list(stages)
    whole = dg.define_asset_job(
        WHOLE,
        selection=[stage.name for stage in stages],
        description="The whole lineage of one prompt set, from raw corpora to an RL checkpoint and its evaluation",
    )
    return [whole, *(_job(stage) for stage in stages)]


def _job(stage: Stage) -> Any:
    return dg.define_asset_job(
        f"materialise_{stage.name}",
        selection=[stage.name],
        description=f"{stage.name} alone: {stage.description}",
    )
