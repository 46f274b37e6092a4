"""`python -m tests.dagster.fake_launch [MARK [MODE]]`: a run from the terminal whose first stage's job won't end by itself.

Where MODE is given, the job is a fork of a warm process.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from assets.launch import heed_signals, launch
from kimi_pipeline.stages import Stage
from resources import warm
from resources.compute import Process
from tests.dagster.fakes import LINEAGE, runs_job, with_compute


class ReadyWarmProcess(warm.WarmProcess):
    """Its one job waits until it is ready."""

    def start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Process:
        select.select([self._answers], [], [], 60)
        return super().start(arguments, environment)


def chosen(mark: str | None = None, mode: str | None = None) -> dict[str, Stage]:
    if mode is not None:
        warm.MODULE = "tests.dagster.light_warm"
        warm.WarmProcess = ReadyWarmProcess
        warm.is_worth_it = lambda *_: True
    return with_compute("difficulty", runs_job(mode or "stubborn", Path(mark))) if mark else LINEAGE


if __name__ == "__main__":
    heed_signals()
    sys.exit(launch("difficulty", "smoke", lineage=chosen(*sys.argv[1:])))
