"""One Dagster asset a stage: the stage says what, the factory gives it its place in the graph.

Belongs here: names, groups, kinds, owners, pools, partitions, versions. Does not belong here: any stage's work.
(No future annotations here: Dagster reads those of the asset function as types.)
"""

from collections.abc import Mapping

import dagster as dg

from assets.automation import CONDITION
from assets.reports import report_link
from assets.run_config import config_class
from assets.shown import definition_metadata, outcome_metadata
from assets.work import refusals_as_failures, stage_context
from kimi_pipeline.profiles import Profile
from kimi_pipeline.stages import Stage, code_version, run_stage
from resources import ComputeResource, LakeResource, ProfileResource, SandboxResource
from resources.pools import MODELS, PROGRAMS

POOLS = {"vllm": MODELS, "deepspeed": MODELS, "docker": PROGRAMS}
"""Kinds of work, and the pool that they hold a place in."""


def stage_asset(
    stage: Stage, lineage: Mapping[str, Stage], partitions: dg.PartitionsDefinition[str], defaults: Profile
) -> dg.AssetsDefinition:
    """The asset of a stage. It is computed by `run_stage`, which does nothing where nothing has changed.

    There is no retry policy: jobs are resumable inside, and a refused input stays refused.
    """
    config = config_class(stage.name, defaults)
    upstream = {name: lineage[name] for name in stage.upstream}
    held = pool(stage, defaults)

    @dg.asset(
        name=stage.name,
        description=stage.description,
        group_name=stage.group,
        deps=[*stage.upstream, *(name for name in stage.after if name in lineage)],
        kinds=set(stage.kinds),
        owners=["team:models" if held == MODELS else "team:data"],
        tags={"result": "by_set" if stage.by_set else "by_profile" if stage.by_profile else "shared"},
        metadata=definition_metadata(stage),
        code_version=code_version(stage.code),
        partitions_def=partitions if stage.by_set else None,
        config_schema=config.to_fields_dict() if config else None,
        pool=held,
        automation_condition=CONDITION if stage.upstream else None,
    )
    def materialise(
        context: dg.AssetExecutionContext,
        profile: ProfileResource,
        lake: LakeResource,
        compute: ComputeResource,
        sandbox: SandboxResource,
    ) -> dg.MaterializeResult[None]:
        with refusals_as_failures():
            work = stage_context(context, profile, lake, compute, sandbox, defaults=defaults)
            outcome = run_stage(stage, work, upstream)
            return dg.MaterializeResult(
                metadata=outcome_metadata(stage, work, outcome) | report_link(stage, work, outcome),
                data_version=dg.DataVersion(outcome.data_version),
            )

    return materialise


def pool(stage: Stage, profile: Profile) -> str | None:
    """The pool a stage holds a place in while it runs, under the deployment's profile."""
    if stage.asks_model(profile):
        return MODELS
    return next((POOLS[kind] for kind in stage.kinds if kind in POOLS), None)
