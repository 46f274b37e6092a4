"""Which lines of the methods do the tests run? All tests under coverage.py, the share of lines a package.

Belongs here: which packages are the methods', running the tests, the shares. Does not belong here: whether a test would notice
a wrong line (`mutation.py`), how coverage is taken in jobs and forks (`[tool.coverage]` in `pyproject.toml`).

The verifier's workers run without coverage, since they end by SIGKILL: lines that they alone run count as not run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kimi_pipeline.errors import UserError
from kimi_pipeline.home import CHECKOUT, Home

NAME = "lines"
METHODS = (
    "corpora",
    "curation",
    "evaluation",
    "inference",
    "models",
    "reward_models",
    "rewards",
    "rl",
    "testcases",
    "training",
)
SUBMISSIONS = "testcases/builtin/"  # data


def measure(home: Home, tests: Sequence[str] = ("tests",), workers: int = 2) -> dict[str, Any]:
    """Shares of statements that ran, by package and of all, and the ten modules with most lines that none ran.

    `tests_passed` says whether the tests did; a share is told either way. Raises UserError where this is no checkout, where
    coverage.py is missing, and where nothing was recorded.
    """
    if not (CHECKOUT / "tests").is_dir() or find_spec("coverage") is None:
        raise UserError("bench lines: run from a checkout with the tools of tests: make install-dev")
    folder = Path(tempfile.mkdtemp(prefix="lines-", dir=home.root))
    report, passed = _under_coverage(folder, tests, workers)
    shutil.rmtree(folder)  # where there is no report, what was recorded in the better part of an hour stays
    return {
        "name": NAME,
        "figures": shares(report) | {"tests_passed": passed},
        "peer": None,
        "ratio": None,
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench {NAME}",
    }


def shares(report: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of a report by `coverage json`: `methods` and `packages` as shares, `untouched` as `{module: lines}`."""
    counted = {package: [0, 0] for package in METHODS}
    missing: dict[str, int] = {}
    for path, found in report["files"].items():
        package, _, name = path.partition("kimi_pipeline/")[2].partition("/")
        if package not in counted or SUBMISSIONS in path:
            continue
        summary = found["summary"]
        counted[package][0] += summary["covered_lines"]
        counted[package][1] += summary["num_statements"]
        missing[f"{package}/{name}"] = summary["missing_lines"]
    ran, lines = (sum(column) for column in zip(*counted.values(), strict=True))
    return {
        "methods": _share(ran, lines),
        "packages": {package: _share(*of) for package, of in counted.items()},
        "statements": lines,
        "untouched": dict(sorted(missing.items(), key=lambda item: -item[1])[:10]),
    }


def _share(ran: int, lines: int) -> float:
    return round(ran / lines, 4) if lines else 0.0


def _under_coverage(folder: Path, tests: Sequence[str], workers: int) -> tuple[dict[str, Any], bool]:
    environment = os.environ | {"COVERAGE_FILE": str(folder / "data")}

    def coverage(*arguments: str) -> int:
        command = [sys.executable, "-m", "coverage", *arguments]
        return subprocess.run(command, cwd=CHECKOUT, env=environment, stdout=sys.stderr, check=False).returncode

    passed = coverage("run", "-m", "pytest", "-q", "-n", str(workers), "--no-loadscope-reorder", *tests) == 0
    target = folder / "report.json"
    # Tests write modules of their own, which are gone by now: nobody asks for their lines.
    if coverage("combine", "-q") or coverage("json", "-q", "--ignore-errors", "-o", str(target)):
        raise UserError(f"bench lines: no report of what was recorded in {folder}: coverage.py's reason is above")
    return json.loads(target.read_text()), passed
