"""Where untrusted programs run, as a Dagster resource.

Belongs here: which settings a deployment changes. Does not belong here: the sandbox (`sandbox/`), its pool (`pools.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from kimi_pipeline.profiles import Profile
from kimi_pipeline.sandbox_door import open_sandbox
from sandbox import Sandbox


class SandboxResource(dg.ConfigurableResource):
    """The sandbox of the profile; fields that are set here outweigh the profile's, for the lineage's stages and for assets of
    one's own (with the pool `resources.pools.PROGRAMS`)."""

    backend: str = Field(default="", description="auto, docker or bubblewrap; empty: the profile's")
    engine: str = Field(default="", description="URL of the container engine; empty: the profile's")
    pool_size: int = Field(default=0, description="Workers kept warm; 0: the profile's")

    def applied(self, profile: Profile) -> Profile:
        """The profile with what is set here. Raises UserError where a setting is wrong."""
        own = {"backend": self.backend, "engine": self.engine, "pool_size": self.pool_size}
        changes = {f"sandbox.{name}": value for name, value in own.items() if value}
        return profile.with_changes(changes) if changes else profile

    @contextlib.contextmanager
    def open(self, profile: Profile) -> Iterator[Sandbox]:
        """A sandbox for one step, ended with it. Raises UserError where no backend works, or a setting is wrong."""
        with open_sandbox(self.applied(profile).sandbox) as opened:
            yield opened
