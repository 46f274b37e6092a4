"""How fast submissions are run for test suites, beside one container a run in the same call.

Belongs here: the work that is measured, the peer's sample, the figures. Does not belong here: running (`testcases/execution.py`,
`sandbox/`).

The work is the built-in problems, `CASES` inputs each, the ten drawn submissions of each on all of them, committed to a lake as
the stage does. An input counts whether or not it meets the constraints, and a generator that repeats itself is asked in a
circle: what is measured is running. The peer runs `PEER_INPUTS` inputs of one submission a problem, in turns Python and C++ as
they are drawn; its rate stands for all of them.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kimi_pipeline.corpora.coding_library import builtin_problems
from kimi_pipeline.corpora.coding_problem import ACCEPTED, CodingProblem, Program
from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles.sections import Sandbox as Settings
from kimi_pipeline.sandbox_door import open_sandbox
from kimi_pipeline.stages import new_run_id
from kimi_pipeline.testcases.execution import Asked, Runs
from kimi_pipeline.testcases.generating import cyaron_folder, draw_inputs, shares
from kimi_pipeline.testcases.rules import draw_submissions
from sandbox.bench import PEER, Containers, containers_of, prepared

CASES, SUBMISSIONS, PEER_INPUTS = 50, 10, 2
SEED = 0


def measure(
    home: Home,
    names: Sequence[str] = (),
    *,
    cases: int = CASES,
    submissions: int = SUBMISSIONS,
    backend: str = "bubblewrap",
) -> dict[str, Any]:
    """`{"name", "figures", "peer", "ratio", "machine", "command"}`. Raises UserError where the backend does not work."""
    own = home.root / "bench" / "testcases"
    shutil.rmtree(own, ignore_errors=True)  # runs that are committed would not be run again
    problems = builtin_problems(names)
    section = Settings(backend=backend)  # type: ignore[arg-type]
    began = time.monotonic()
    with cyaron_folder() as folder, open_sandbox(section.model_copy(update={"packages": str(folder)})) as box:
        inputs = {one.problem_id: _inputs(box, one, cases) for one in problems}
    generating = time.monotonic() - began
    asked = [
        Asked(one, program, inputs[one.problem_id], "bench") for one in problems for program in _drawn(one, submissions)
    ]
    with open_sandbox(section) as box:
        runs = Runs(Lake(own), box, new_run_id(), 5.0, lambda text: print(f"bench testcases: {text}", file=sys.stderr))
        began = time.monotonic()
        runs.run(asked)
        seconds = time.monotonic() - began
    figures: dict[str, Any] = {
        "runs": runs.done,
        "runs_per_second": round(runs.done / seconds, 1),
        "seconds": round(seconds, 1),
        "generating_seconds": round(generating, 1),
        "problems": len(problems),
        "cases": cases,
        "submissions": submissions,
        "backend": backend,
    }
    containers = containers_of(None, None)
    ratio = None
    if isinstance(containers, str):
        figures["container_a_run"] = {"unavailable": containers}
    else:
        rate = _container_rate(containers, asked[::submissions], cases)
        figures["container_a_run"] = {"runs_per_second": round(rate, 2), "sample": PEER_INPUTS * len(problems)}
        ratio = round(runs.done / seconds / rate, 1)
    return {
        "name": "testcases",
        "figures": figures,
        "peer": None if ratio is None else PEER,
        "ratio": ratio,
        "machine": f"{os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f}",
        "command": "kimi-pipeline bench testcases",
    }


def _drawn(problem: CodingProblem, submissions: int) -> list[Program]:
    accepted = {one.submission_id: one for one in problem.of_kind(ACCEPTED)}
    return [accepted[name] for name in draw_submissions(problem.problem_id, list(accepted), submissions, SEED)]


def _inputs(box: Any, problem: CodingProblem, count: int) -> dict[str, bytes]:
    """`count` inputs, each under a name of its own."""
    if problem.generator is None:
        raise UserError(f"{problem.name} has no generator.py: give it one")
    cases = draw_inputs(box, problem.generator, None, problem_id=problem.problem_id, seed=SEED, counts=shares(count))
    usable = [case.data for case in cases if case.usable and case.data is not None]
    around = itertools.islice(itertools.cycle(usable), count)
    return {digest([number, data.decode()]): data for number, data in enumerate(around)}


def _container_rate(containers: Containers, asked: Sequence[Asked], cases: int) -> float:
    """Runs a second; what compiling costs is shared by the `cases` runs of a submission."""
    seconds = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        for number, one in enumerate(asked):
            folder = Path(scratch, str(number))
            folder.mkdir(mode=0o755)
            began = time.monotonic()
            prepared(folder, one.program.language, one.program.source)
            seconds += (time.monotonic() - began) * PEER_INPUTS / cases
            began = time.monotonic()
            for data in itertools.islice(one.inputs.values(), PEER_INPUTS):
                containers.run(folder, one.program.language, data)
            seconds += time.monotonic() - began
    return PEER_INPUTS * len(asked) / seconds
