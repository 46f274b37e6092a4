"""A curation run that kills itself with SIGKILL at one of its commits: `python -m tests.curation.killed_run HOME CORPUS KILL_AT`.

KILL_AT counts the writes of this process from 1; an odd number dies before the write, an even one right after it, when the
commit stands and nothing else knows. 0: live to the end, and print how many writes there were.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from kimi_pipeline.bench import curation_job
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake

ROWS = 600


def main(root: Path, corpus: Path, kill_at: int) -> None:
    write, written = Lake._write, 0

    def counted(self: Lake, *arguments: Any, **options: Any) -> None:
        nonlocal written
        written += 1
        if written == kill_at and kill_at % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, *arguments, **options)
        if written == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    Lake._write = counted  # type: ignore[method-assign]
    context = curation_job.context_on(Home(root).prepare(), corpus, ROWS, {"corpora.evaluation_problems": 60})
    for _ in curation_job.stages_in_order(context):
        pass
    print(written)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
