"""Interrupting any stage and running again gives the same tables."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kimi_pipeline import tables
from kimi_pipeline.bench import generated
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


def run(home: Path, corpus: Path, kill_at: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.curation.killed_run", str(home), str(corpus), str(kill_at)]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def digests(home: Path) -> dict[str, str]:
    lake = Lake(Home(home).lake)
    in_force = "select prompt_set, stage, problem_id, subject, verdict, reason_code, evidence from ledger"
    return {table.name: lake.digest(table) for table in COMPARED} | {"ledger": lake.query_digest(in_force)}


def test_killed_at_any_commit_and_run_again_gives_the_same_digests(tmp_path: Path) -> None:
    corpus = generated.write(tmp_path / "corpus.jsonl", ROWS)
    whole = run(tmp_path / "whole", corpus, 0)
    assert whole.returncode == 0, whole.stderr
    writes = int(whole.stdout.split()[-1])
    killed = tmp_path / "killed"
    # A run that goes on has fewer writes left: the shares are of what the one before had.
    for kill_at in (writes // 6 * 2, writes // 4, writes // 4 + 1):
        assert run(killed, corpus, kill_at).returncode == -signal.SIGKILL
    again = run(killed, corpus, 0)
    assert again.returncode == 0, again.stderr
    assert digests(killed) == digests(tmp_path / "whole")
