"""A stage's context, made from Dagster's: home, lake, settings, jobs and the prompt set that the run is about.

Belongs here: that translation, and refusals as failures of one line. Does not belong here: any stage's work.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

import dagster as dg

from assets.run_config import given_changes
from kimi_pipeline.errors import UserError
from kimi_pipeline.profiles import Profile
from kimi_pipeline.stages import Context
from resources import ComputeResource, LakeResource, ProfileResource, SandboxResource
from resources.compute import AnyContext

REFUSED = "refused input"  # metadata key of a failure that is the input's fault, not the code's


def stage_context(
    context: AnyContext,
    profile: ProfileResource,
    lake: LakeResource,
    compute: ComputeResource,
    sandbox: SandboxResource,
    *,
    defaults: Profile,
) -> Context:
    """The context of a stage in this run. The set is the run's partition, or the one that the profile names."""
    settings = sandbox.applied(profile.load(given_changes(context.run.run_config, defaults)))
    home = lake.home()
    return Context(
        home=home,
        lake=lake.lake(),
        profile=settings,
        launcher=compute.launcher(context, home.jobs),
        run_id=context.run.run_id,
        prompt_set=context.partition_key if context.has_partition_key else settings.curation.prompt_set,
        say=partial(compute.say, context),
        shards=compute.shards(settings),
    )


@contextlib.contextmanager
def refusals_as_failures() -> Iterator[None]:
    """A UserError becomes a failure that shows its one line; trying again would not help."""
    try:
        yield
    except UserError as error:
        raise dg.Failure(str(error), metadata={REFUSED: str(error)}, allow_retries=False) from error
