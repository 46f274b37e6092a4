"""Declarative automation: an asset asks for itself when what it reads has changed. Off until it is switched on.

Belongs here: the one condition of all stages, and the sensor that evaluates it. Does not belong here: nights (a schedule).
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from kimi_pipeline.stages import Stage

SENSOR = "downstream_work"
_HANDLED = dg.AutomationCondition.newly_requested() | dg.AutomationCondition.newly_updated()
CONDITION = (
    dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed()).since(_HANDLED)
    & ~dg.AutomationCondition.missing()
    & ~dg.AutomationCondition.in_progress()
    & ~dg.AutomationCondition.any_deps_in_progress()
).with_label("what it reads has other content")
"""A new data version upstream, not a new run: a source that was read again and is the same asks for nothing. What was
never made (a set that nobody cut) is nobody's downstream work yet."""


def automation_sensor(lineage: Mapping[str, Stage]) -> dg.AutomationConditionSensorDefinition:
    return dg.AutomationConditionSensorDefinition(
        SENSOR,
        target=dg.AssetSelection.assets(*lineage),
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="A new checkpoint or a changed source asks for exactly the work that follows from it",
    )
