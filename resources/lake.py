"""Where state lives, as a Dagster resource.

Belongs here: the folder a deployment uses. Does not belong here: what is in it (`kimi_pipeline/home.py`, `lake.py`).
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg
from pydantic import Field

from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake


class LakeResource(dg.ConfigurableResource):
    """The home folder and the lake in it."""

    root: str = Field(default="", description="State folder; empty: $KIMI_HOME, or .kimi in the checkout")

    def home(self) -> Home:
        """The home, its folders made. Raises UserError where it can't be written."""
        return (Home(Path(self.root).expanduser().resolve()) if self.root else Home.from_env()).prepare()

    def lake(self) -> Lake:
        return Lake(self.home().lake)
