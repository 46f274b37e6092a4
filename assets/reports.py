"""The report of a version, written as the set is cut and linked from its asset.

Belongs here: writing it and the link. Does not belong here: what the page shows (`kimi_pipeline/audit/report.py`).
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from kimi_pipeline.audit.report_page import write_report
from kimi_pipeline.audit.sets import manifest
from kimi_pipeline.stages import Context, Outcome, Stage

ASSET = "rl_prompt_set"


def report_link(stage: Stage, context: Context, outcome: Outcome) -> dict[str, Any]:
    """Metadata with the page of the version that `rl_prompt_set` has cut; nothing for other stages."""
    version = outcome.outputs.get("version")
    if stage.name != ASSET or version is None:
        return {}
    name = f"{context.prompt_set}@{version}"
    if "recipe" not in manifest(context.lake, name):  # a set that no recipe cut has no funnel or thresholds to show
        return {}
    return {"report": dg.MetadataValue.path(str(write_report(context.lake, name, context.home.reports)))}
