"""A job as a fork: `python -m tests.forked SPEC` is the job of a spec, with its output in `log` beside it.

A fork has no pipe of its own to tell on. Apart from `forks.py`, so that a job does not import what starting it takes.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path


def become(spec: Path) -> None:
    log = os.open(spec.with_name("log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    runpy.run_module(f"kimi_pipeline.{spec.parent.name.rpartition('-')[0]}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    become(Path(sys.argv[-1]))
