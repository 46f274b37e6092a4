"""Where state lives: the folders under `$KIMI_HOME`.

Belongs here: paths and how they are found. Does not belong here: what is inside them (`lake.py`, `checkpoints.py`).
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from kimi_pipeline.errors import UserError

CHECKOUT = Path(__file__).resolve().parents[1]
LEAST_FREE_MIB = 200  # less, and a run would end in the middle of it
FULL_MIB = 1  # less, and hardly anything that is written fits


@dataclass(frozen=True)
class Home:
    """The state of one installation; every path the project writes to is below `root`."""

    root: Path

    @classmethod
    def from_env(cls) -> Home:
        """`$KIMI_HOME`, or `.kimi/` in the checkout."""
        root = os.environ.get("KIMI_HOME")
        return cls(Path(root).expanduser().resolve() if root else CHECKOUT / ".kimi")

    @property
    def lake(self) -> Path:
        return self.root / "lake"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def recipes(self) -> Path:
        """A user's own prompt-set recipes (`NAME.toml`), beside the shipped ones."""
        return self.root / "recipes"

    @property
    def jobs(self) -> Path:
        """Specs and results of jobs that run outside the caller's process."""
        return self.root / "jobs"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def dagster(self) -> Path:
        return self.root / "dagster"

    @property
    def mlflow_database(self) -> Path:
        return self.root / "mlflow.db"

    @property
    def mlflow_uri(self) -> str:
        return f"sqlite:///{self.mlflow_database}"

    def prepare(self) -> Home:
        """Create the folders. Raises UserError where the place cannot be written or has hardly any space left."""
        try:
            for folder in (self.lake, self.checkpoints, self.recipes, self.jobs, self.reports, self.dagster):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot write to {self.root} ({error.strerror}): set KIMI_HOME to a writable folder"
            ) from error
        free = self._free_mib()
        if free < LEAST_FREE_MIB:
            raise UserError(f"only {free:.0f} MiB are free at {self.root}: free disk space or move KIMI_HOME")
        return self

    def is_full(self) -> bool:
        return self._free_mib() < FULL_MIB

    def _free_mib(self) -> float:
        return shutil.disk_usage(self.root).free / 2**20
