"""The settings of a run, as a Dagster resource.

Belongs here: which profile a deployment uses, and the changes on top of it. Does not belong here: the settings
themselves (`kimi_pipeline/profiles/`), or which of them the Launchpad offers asset by asset (`assets/run_config.py`).
"""

from __future__ import annotations

import os
from typing import Any

import dagster as dg
from pydantic import Field

from kimi_pipeline.profiles import Profile, load_profile
from kimi_pipeline.profiles.profile import parse_changes


class ProfileResource(dg.ConfigurableResource):
    """A profile by name, with the deployment's changes; `load` gives it checked."""

    name: str = Field(default="laptop", description="Profile: smoke, laptop, code, smol, real, gpu or cluster")
    overrides: str = Field(default="{}", description='Changed fields as a JSON object, e.g. {"rl.iterations": 40}')

    @classmethod
    def from_env(cls) -> ProfileResource:
        """`$KIMI_PROFILE` and `$KIMI_SET`, which the terminal's door sets from `--profile` and `--set`."""
        return cls(name=os.environ.get("KIMI_PROFILE") or "laptop", overrides=os.environ.get("KIMI_SET") or "{}")

    def load(self, changes: dict[str, Any] | None = None) -> Profile:
        """The profile with the deployment's changes and then the run's. Raises UserError, naming the field."""
        profile = load_profile(self.name, parse_changes(self.overrides))
        return profile.with_changes(changes) if changes else profile
