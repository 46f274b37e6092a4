"""How far a model gets that writes generators: from the prompt to a validated suite, and where the others end.

Belongs here: built-in problems without their generators, the figures. Does not belong here: prompt, parser and attempts
(`testcases/writing.py`, `writing_job.py`).

The problems are the sound ones that ship with the project: their own generators are left out, so that every suite there is
was made by the model's. The lineage runs in a home of its own with `testcases.writer = "model"`; it repeats no finished stage.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kimi_pipeline.corpora.coding_library import BUILTIN, builtin_problems
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.ledger import KEEP
from kimi_pipeline.reasons import Reason

NAME = "writing"
PROFILE = "smol"


def measure(home: Home, model: Path, names: Sequence[str] = (), *, max_tokens: int = 400) -> dict[str, Any]:
    """`{"name", "figures", "peer", "ratio", "machine", "command"}`. Raises UserError where the lineage fails."""
    if not (model / "config.json").is_file():
        raise UserError(f"--model {model} is no model folder: give one in Hugging Face format")
    root = home.root / "bench" / NAME
    problems = without_generators(root / "problems", names)
    settings = {
        "testcases.folders": [str(problems)],
        "testcases.problems": ["max_subarray"],  # with its own generator: shows that the branch works
        "testcases.writer": "model",
        "testcases.writer_max_tokens": max_tokens,
        "model.window": 4096,
        "corpora.sources": ["coding"],
        "inference.max_num_seqs": 32,
    }
    changes = [part for name, value in settings.items() for part in ("--set", f"{name}={json.dumps(value)}")]
    command = ["run", "--profile", PROFILE, "--model", str(model), "--select", "validated_test_suites", *changes]
    environment = os.environ | {"KIMI_HOME": str(root / "home")}
    done = subprocess.run(
        [sys.executable, "-m", "kimi_pipeline.cli", *command], env=environment, stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise UserError("the lineage failed: mend what it says above and run this again")
    figures = figures_of(Lake(Home(root / "home").lake)) | {"model": model.name, "max_tokens": max_tokens}
    return {
        "name": NAME,
        "figures": figures,
        "peer": None,
        "ratio": None,
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench {NAME} --model {model.name}",
    }


def without_generators(folder: Path, names: Sequence[str] = ()) -> Path:
    """The sound built-in problems (those of `names`) as folders without `generator.py`; returns `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    for one in builtin_problems(names):
        if one.planted == "sound" and one.name != "max_subarray":
            shutil.copytree(BUILTIN / one.name, folder / one.name, ignore=shutil.ignore_patterns("generator.py"))
    return folder


def figures_of(lake: Lake) -> dict[str, Any]:
    """Attempts by reason, generators that work, suites that were kept, all of generators that the model wrote."""
    attempts = lake.rows(
        "select problem_id, attempt, reason_code from test_case_generators where origin like 'model:%'"
    )
    ready = {row["problem_id"] for row in attempts if row["reason_code"] == Reason.GENERATOR_READY}
    suites = lake.rows("select problem_id, verdict, reason_code from validated_suites where valid_cases > 0")
    kept = [row for row in suites if row["problem_id"] in ready and row["verdict"] == KEEP]
    ended = lake.rows(
        "select problem_id, reason_code from ledger where stage in ('test_cases', 'validated_test_suites') "
        "and verdict <> ? and problem_id in (select unnest(?))",
        [KEEP, sorted(ready)],
    )
    return {
        "problems": len({row["problem_id"] for row in attempts}),
        "attempts": len(attempts),
        "attempts_by_reason": dict(Counter(row["reason_code"] for row in attempts).most_common()),
        "working_generators": len(ready),
        "ended_later": dict(Counter(row["reason_code"] for row in ended).most_common()),
        "suites_kept": len(kept),
    }
