"""`python -m tests.dagster.fake_launch [MARK [MODE]]`: a run from the terminal whose first stage's job won't end by itself.

Where MODE is given, the job is a fork of a warm process.
"""

from __future__ import annotations

import sys
from pathlib import Path

from assets.launch import heed_signals, launch
from kimi_pipeline.stages import Stage
from resources import warm
from tests.dagster.fakes import LINEAGE, runs_job, with_compute


def chosen(mark: str | None = None, mode: str | None = None) -> dict[str, Stage]:
    if mode is not None:
        warm.MODULE = "tests.dagster.light_warm"
        warm.is_worth_it = lambda *_: True
    return with_compute("difficulty", runs_job(mode or "stubborn", Path(mark))) if mark else LINEAGE


if __name__ == "__main__":
    heed_signals()
    sys.exit(launch(["difficulty"], "smoke", lineage=chosen(*sys.argv[1:])))
