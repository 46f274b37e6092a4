"""Curation runs that die by SIGKILL in every stage: `python -m tests.curation.killed_run WHOLE KILLED CORPUS SEED`.

In the home WHOLE the stages run once to the end. In KILLED each stage is killed at writes of its own, and what is left runs
to its end. Each run is a child of one process that has imported everything, which is what makes so many of them cheap.
Prints the moments as JSON: stage, the number of the write within it, whether it died before the write or right after it, when
the commit stands and nothing else knows.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kimi_pipeline.bench import curation_job
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake

ROWS = 400


@dataclass(frozen=True)
class Moment:
    """When a run dies: at the `write`-th write (from 1) of a stage, before it or right after it."""

    stage: str
    write: int
    after: bool


def run(root: Path, corpus: Path, doom: Moment | None, counted: Path | None = None) -> None:
    """All stages in order; dies at `doom`. `counted`: where the writes of each stage are written down."""
    real, writes, stage = Lake._write, Counter[str](), ""

    def deadly(self: Lake, *arguments: Any, **options: Any) -> None:
        writes[stage] += 1
        here = doom is not None and (stage, writes[stage]) == (doom.stage, doom.write)
        if doom and here and not doom.after:
            os.kill(os.getpid(), signal.SIGKILL)
        real(self, *arguments, **options)
        if here:
            os.kill(os.getpid(), signal.SIGKILL)

    Lake._write = deadly  # type: ignore[method-assign]
    context = curation_job.context_on(Home(root).prepare(), corpus, ROWS, {"corpora.evaluation_problems": 60})
    stages = curation_job.drawn_lineage()
    for stage in curation_job.names_in_order(stages):
        curation_job.run_alone(stages, stage, context)
        if doom and stage == doom.stage:
            break  # it had fewer writes left than the moment asks for: the other stages are to die as well
    if counted:
        counted.write_text(json.dumps(writes))


def child(*arguments: Any) -> int:
    """The signal that ended a run in a process of its own (0: it lived)."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            run(*arguments)
            code = 0
        finally:
            os._exit(code)  # pytest's or the parent's own clean-up is not for the child
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status)
    if os.WEXITSTATUS(status):
        raise RuntimeError("the run failed by itself: see above")
    return 0


def main(whole: Path, killed: Path, corpus: Path, seed: int) -> list[Moment]:
    counted = whole.with_suffix(".writes")
    assert child(whole, corpus, None, counted) == 0
    writes, rng = json.loads(counted.read_text()), random.Random(seed)
    moments = []
    for stage, count in writes.items():
        # The last write says that the stage is done. One that went on has fewer writes left than one that never died.
        moments += [Moment(stage, rng.randint(1, count - 1), after=True)] if count > 1 else []
        moments += [Moment(stage, 1, after=False)] if count != 2 else []
    died = [moment for moment in moments if child(killed, corpus, moment) == signal.SIGKILL]
    assert child(killed, corpus, None) == 0
    return died


if __name__ == "__main__":
    found = main(*map(Path, sys.argv[1:4]), int(sys.argv[4]))
    print(json.dumps([vars(moment) for moment in found]))
