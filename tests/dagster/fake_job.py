"""A job that ends in the way that its spec names; `python -m tests.dagster.fake_job SPEC`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from kimi_pipeline.errors import UserError
from kimi_pipeline.jobs import Report, job_main


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    report.info("hello from the job")
    match spec["mode"]:
        case "refuse":
            raise UserError("model folder nowhere does not exist")
        case "crash":
            sys.exit("out of paper")
        case "look":
            seen = {"pid": os.getpid(), "group": os.getpgid(0), "parent": os.getppid(), "input": sys.stdin.read()}
            return seen | {"told": os.environ.get("TOLD")}
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stubborn":  # what an engine with its own signal handling may do
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            _wait(spec)
        case "obliging":
            _wait(spec)
    return {"answer": 42}


def _wait(spec: dict[str, Any]) -> None:
    Path(spec["mark"]).write_text(str(os.getpid()))
    time.sleep(120)


if __name__ == "__main__":
    job_main(run)
