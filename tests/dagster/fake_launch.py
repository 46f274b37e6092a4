"""`python -m tests.dagster.fake_launch MARK`: a run from the terminal whose first stage runs a job that won't end."""

from __future__ import annotations

import sys
from pathlib import Path

from assets.launch import heed_signals, launch
from tests.dagster.fakes import LINEAGE, runs_job, with_compute

if __name__ == "__main__":
    heed_signals()
    lineage = with_compute("difficulty", runs_job("stubborn", Path(sys.argv[1]))) if len(sys.argv) > 1 else LINEAGE
    sys.exit(launch(["difficulty"], "smoke", lineage=lineage))
