"""Interrupting any stage and running again gives the same tables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kimi_pipeline import tables
from kimi_pipeline.bench import generated
from kimi_pipeline.bench.curation_job import drawn_lineage, names_in_order
from kimi_pipeline.home import CHECKOUT, Home
from kimi_pipeline.lake import Lake
from tests.curation.killed_run import ROWS

pytestmark = pytest.mark.slow

COMPARED = (
    tables.PROBLEMS,
    tables.QUARANTINE,
    tables.EVALUATION_PROBLEMS,
    tables.DUPLICATES,
    tables.TAGS,
    tables.EVALUABILITY,
    tables.CONTAMINATION,
    tables.PROMPT_SET,
)


def digests(home: Path) -> dict[str, str]:
    lake = Lake(Home(home).lake)
    in_force = "select prompt_set, stage, problem_id, subject, verdict, reason_code, evidence from ledger"
    return {table.name: lake.digest(table) for table in COMPARED} | {"ledger": lake.query_digest(in_force)}


def test_killed_in_every_stage_and_run_again_gives_the_same_digests(tmp_path: Path) -> None:
    corpus = generated.write(tmp_path / "corpus.jsonl", ROWS)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-m", "tests.curation.killed_run", str(whole), str(killed), str(corpus), "0"]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=1800, check=False
    )
    assert done.returncode == 0, done.stderr
    moments = json.loads(done.stdout.splitlines()[-1])
    assert {moment["stage"] for moment in moments} == set(names_in_order(drawn_lineage()))
    assert {moment["after"] for moment in moments} == {True, False}
    assert digests(killed) == digests(whole)
