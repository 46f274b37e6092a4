"""Do the tests notice when a formula is wrong? Small wrong changes to the methods' own modules, each held against the tests.

Belongs here: which modules answer to which tests, running the tests on a changed copy of the tree, the share that was
noticed. Does not belong here: the changes themselves, which are those of suite strength (`testcases/mutants.py`).

A mutant is killed where its tests fail or don't end. One that lives is either a hole in the tests or means the same. Those
that were read and found to mean the same stand in `EQUIVALENT` with the reason and are counted apart; the others are listed.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kimi_pipeline.corpora.coding_problem import Program
from kimi_pipeline.digests import digest, folder_digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.files import write_whole
from kimi_pipeline.home import CHECKOUT, Home
from kimi_pipeline.testcases.mutants import Mutant, draw_mutants

NAME = "mutation"
COPIED = ("kimi_pipeline", "sandbox", "assets", "resources", "benchmarks", "tests", "pyproject.toml", "workspace.yaml")
MUTANTS = 25  # a target
SEED = 0
PATIENCE = 6.0  # times what the tests take on the unchanged module, then a mutant that loops counts as killed
FEWEST_SECONDS = 30.0


@dataclass(frozen=True)
class Target:
    """A module, and the tests that must notice a change of it."""

    name: str
    module: str
    tests: tuple[str, ...]


TARGETS = (
    Target(
        "RL loss", "kimi_pipeline/rl/mirror_descent.py", ("tests/rl/test_mirror_descent.py", "tests/rl/test_tabular.py")
    ),
    Target("length reward", "kimi_pipeline/rewards/length.py", ("tests/rewards/test_length.py",)),
    Target("test-case rules", "kimi_pipeline/testcases/rules.py", ("tests/testcases/test_testcase_rules.py",)),
    Target(
        "evaluability",
        "kimi_pipeline/curation/evaluability.py",
        ("tests/curation/test_evaluability.py", "tests/curation/test_rules.py"),
    ),
)


@dataclass(frozen=True)
class Equivalent:
    """A change that means the same wherever it stands in a line that holds `text`."""

    module: str
    change: str
    text: str
    why: str


EQUIVALENT = tuple(
    Equivalent(TARGETS[0].module, "0 -> -1", text, "the tensor has one axis, the first and the last")
    for text in ("index_add(0,", "scatter_reduce(0,")
)


def without_words(source: str) -> str:
    """The module as the mutants see it: what a docstring or an annotation says changes nothing."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Name("object", ast.Load())  # a dataclass asks that there be one
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [one for one in body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def measure(home: Home, count: int = MUTANTS, targets: Sequence[Target] = TARGETS) -> dict[str, Any]:
    """The share of `count` mutants of each target that its tests kill, drawn by seed; what was tried is not tried again.

    Raises UserError where the tests fail on the unchanged module, or this is no checkout.
    """
    if not (CHECKOUT / "tests").is_dir():
        raise UserError("bench mutation: run from a checkout of the project: the tests are not installed")
    own = home.root / "bench" / NAME
    tree = own / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    _copy(tree)
    figures = {target.name: _target(target, tree, own, count) for target in targets}
    return {
        "name": NAME,
        "figures": figures,
        "peer": None,
        "ratio": None,
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench {NAME} --count {count}",
    }


def _copy(tree: Path) -> None:
    tree.mkdir(parents=True)
    for name in COPIED:
        origin = CHECKOUT / name
        if origin.is_dir():
            shutil.copytree(origin, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(origin, tree / name)


def _target(target: Target, tree: Path, own: Path, count: int) -> dict[str, Any]:
    path = tree / target.module
    original = path.read_text()
    plain = without_words(original)
    mutants = draw_mutants([Program("python", plain, "module", path.stem)], count, SEED, target.module)
    known = own / f"{digest([plain, folder_digest(tree / 'tests', ('.py',)), count])}.json"
    found: dict[str, bool] = json.loads(known.read_text()) if known.is_file() else {}
    path.write_text(plain)
    began = time.monotonic()
    if not _passes(tree, target.tests, None):
        raise UserError(
            f"bench {NAME}: {' '.join(target.tests)} fail on the unchanged {target.module}: mend that first"
        )
    limit = max(FEWEST_SECONDS, PATIENCE * (time.monotonic() - began))
    for number, mutant in enumerate(mutants, start=1):
        key = mutant.program.submission_id
        if key not in found:
            path.write_text(mutant.program.source)
            found[key] = not _passes(tree, target.tests, limit)
            write_whole(known, json.dumps(found))
        print(
            f"{target.name} {number}/{len(mutants)}: {mutant.change}: {'killed' if found[key] else 'alive'}",
            file=sys.stderr,
            flush=True,
        )
    path.write_text(original)
    killed = sum(found[mutant.program.submission_id] for mutant in mutants)
    alive = [mutant for mutant in mutants if not found[mutant.program.submission_id]]
    same = {mutant.change: why for mutant in alive if (why := _equivalent(target, mutant, plain))}
    return {
        "module": target.module,
        "mutants": len(mutants),
        "equivalent": len(same),
        "killed": killed,
        "killed_share": round(killed / max(1, len(mutants) - len(same)), 4),
        "alive": [f"{mutant.change} | {_line(mutant, plain)}" for mutant in alive if mutant.change not in same],
    }


def _line(mutant: Mutant, plain: str) -> str:
    """The line that it changes."""
    return plain.splitlines()[int(mutant.change.split(":")[1]) - 1].strip()


def _equivalent(target: Target, mutant: Mutant, plain: str) -> str | None:
    """Why a mutant means the same; None where nobody found that it does."""
    for one in EQUIVALENT:
        if (
            one.module == target.module
            and mutant.change.endswith(f": {one.change}")
            and one.text in _line(mutant, plain)
        ):
            return one.why
    return None


def _passes(tree: Path, tests: Sequence[str], limit: float | None) -> bool:
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", *tests]
    try:
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
