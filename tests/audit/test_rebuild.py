"""Rebuild: equal from a fresh process after later runs; what was changed behind its back is found and named."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline import tables
from kimi_pipeline.audit.rebuild import rebuild
from kimi_pipeline.curation import evaluability, selection
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import CHECKOUT
from tests.audit.small import rows, small, special, steady, write
from tests.curation.conftest import Curation


def mostly(row: dict[str, Any], purpose: str, rng: random.Random) -> str:
    right = purpose == "difficulty" and rng.random() < 0.88
    return f"\\boxed{{{row['answer']}}}" if right else "\\boxed{wrong}"


def fresh(home: Path, version: str) -> dict[str, Any]:
    """The command's answer from a process of its own."""
    command = [sys.executable, "-m", "kimi_pipeline.cli", "rebuild", version, "--json"]
    environment = os.environ | {"KIMI_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return dict(json.loads(done.stdout))


def test_a_version_is_rebuilt_after_later_runs_and_a_forged_row_is_found(
    curation: Callable[..., Curation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = [
        row | {"prompt": row["prompt"].replace("How many pencils", "So how many pencils")} for row in rows("boxes", 2)
    ]
    sources = write(tmp_path, one=[*rows("boxes", 20), *special()], two=[*near, *rows("farm", 8)])
    run = small(curation, sources, steady, curation__max_size=20)
    run.run()
    lake, home = run.context.lake, run.context.home.root
    small(curation, sources, steady, "newer", curation__max_size=10).run()
    write(tmp_path, one=rows("boxes", 5))  # later, the files are others
    before = {name: lake.version(table) for name, table in tables.TABLES.items()}
    found = fresh(home, "smoke@1")
    assert found["equal"] and found["version"] == "smoke@1"
    assert [(row["table"], row["how"]) for row in found["tables"]] == [
        (name, "recomputed")
        for name in ("duplicates", "evaluability", "contamination", "difficulty", "reference_checks", "guessability")
    ] + [("prompt_set (smoke@1)", "recomputed")]
    assert all(row["rows"] for row in found["tables"])
    assert before == {name: lake.version(table) for name, table in tables.TABLES.items()}  # nothing was written
    forged = lake.rows("select * from prompt_set where version = 2 limit 1")[0]
    where = f"prompt_set = 'smoke' and version = 2 and problem_id = '{forged['problem_id']}'"
    lake.replace(tables.PROMPT_SET, [forged | {"weight": 9.0}], where=where, run_id="r", reason="forged")
    told = fresh(home, "smoke@2")
    assert not told["equal"]
    assert [(row["table"], row["why"]) for row in told["tables"] if not row["equal"]] == [
        ("prompt_set (smoke@2)", "2 rows differ")
    ]
    # Another rule since: its table is taken as stored, and named. Another selection: refused, and named.
    monkeypatch.setattr("kimi_pipeline.audit.rebuild.EVALUABILITY_RULE", "evaluability@9")
    told = {row["table"]: row for row in rebuild(lake, "smoke@1")["tables"]}
    assert told["evaluability"]["how"] == "as stored"
    assert told["evaluability"]["why"] == f"made under {evaluability.RULE}, this release has evaluability@9"
    assert all(row["equal"] for row in told.values())
    monkeypatch.setattr("kimi_pipeline.audit.rebuild.RULE", "selection@9")
    with pytest.raises(UserError, match=f"cut by {selection.RULE} .* this release has selection@9"):
        rebuild(lake, "smoke@1")


def test_answers_that_came_after_a_stage_count_in_no_rebuild_of_it(
    curation: Callable[..., Curation], tmp_path: Path
) -> None:
    sources = write(tmp_path, one=rows("boxes", 20))
    adaptive = {
        "curation__samples": 12,
        "curation__adaptive": True,
        "curation__bucket_risk": 0.9,
        "curation__suspect_ability": 0.2,
    }
    run = small(curation, sources, mostly, **adaptive)
    run.run()
    lake = run.context.lake
    (spared,) = lake.rows("select problem_id, n from difficulty order by n, problem_id limit 1")
    assert spared["n"] < 12  # the rule stopped before all its answers
    asked = "select * from samples where purpose = 'difficulty' and problem_id = ? limit 1"
    (row,) = lake.rows(asked, [spared["problem_id"]])
    row = {name: value for name, value in row.items() if name not in ("run_id", "created_at")}
    wrong = {"status": "wrong", "extracted_answer": "999999"}
    left = [row | wrong | {"sample_id": f"left-{n}", "sample_index": n} for n in range(spared["n"], 60)]
    lake.append(tables.SAMPLES, left, run_id="r", reason="a night that was cut short")
    small(curation, sources, mostly, curation__max_size=3, **adaptive).run("rl_prompt_set")
    found = rebuild(lake, "smoke@2")
    assert {row["table"]: row["why"] for row in found["tables"] if not row["equal"]} == {}
    assert all(row["how"] == "recomputed" for row in found["tables"])
