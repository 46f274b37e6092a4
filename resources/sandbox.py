"""Where untrusted programs run, as a Dagster resource.

Belongs here: which settings a deployment changes, the name of the pool. Does not belong here: the sandbox (`sandbox/`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from kimi_pipeline.profiles import Profile
from kimi_pipeline.sandbox_door import open_sandbox
from sandbox import Sandbox

POOL = "sandbox"
"""The Dagster pool of assets that run untrusted code: `deploy/dagster.yaml` lets one step in at a time."""


class SandboxResource(dg.ConfigurableResource):
    """The sandbox of the profile; fields that are set here outweigh the profile's."""

    backend: str = Field(default="", description="auto, docker or bubblewrap; empty: the profile's")
    engine: str = Field(default="", description="URL of the container engine; empty: the profile's")
    pool_size: int = Field(default=0, description="Workers kept warm; 0: the profile's")

    @contextlib.contextmanager
    def open(self, profile: Profile) -> Iterator[Sandbox]:
        """A sandbox for one step, ended with it. Raises UserError where no backend works, or a setting is wrong."""
        own = {"backend": self.backend, "engine": self.engine, "pool_size": self.pool_size}
        changed = profile.with_changes({f"sandbox.{name}": value for name, value in own.items() if value})
        with open_sandbox(changed.sandbox) as opened:
            yield opened
