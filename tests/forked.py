"""A job as a fork: `python -m tests.forked SPEC` is the job of a spec, with its output in `log` beside it.

A fork has no pipe of its own to tell on. Apart from `forks.py`, so that a job does not import what starting it takes. Where
`FORKED_RANKS` says so it is several ranks, each a fork of this one, which is their launcher: it tells each what
DeepSpeed's would, and the first that fails takes the others with it.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from pathlib import Path

from kimi_pipeline.jobs import free_port

RANKS = "FORKED_RANKS"


def become(spec: Path) -> None:
    log = os.open(spec.with_name("log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if (ranks := int(os.environ.pop(RANKS, "1"))) > 1:
        _launch(ranks)
    runpy.run_module(f"kimi_pipeline.{spec.parent.name.rpartition('-')[0]}", run_name="__main__", alter_sys=True)


def _launch(ranks: int) -> None:
    """Returns in each rank; the launcher ends with the first exit code that is not 0."""
    os.environ |= {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    running = set()
    for rank in range(ranks):
        pid = os.fork()
        if pid == 0:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            return
        running.add(pid)
    code = 0
    while running:
        ended, status = os.wait()
        running.discard(ended)
        code = code or os.waitstatus_to_exitcode(status)
        for pid in running if code else ():
            os.kill(pid, signal.SIGKILL)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    become(Path(sys.argv[-1]))
