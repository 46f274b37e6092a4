"""kill -9 while sources are read or written, and again: the same tables, nothing left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline import tables
from kimi_pipeline.corpora.ingest import CORPUS
from kimi_pipeline.digests import digest
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.stages import Context, run_stage

DOOMED = """
import os, signal, sys
from pathlib import Path
from kimi_pipeline.corpora import ingest
from kimi_pipeline.corpora.staging import Staged
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles import load_profile
from kimi_pipeline.stages import Context, new_run_id, run_stage

folder, point, calls, *files = sys.argv[1:]
owner, name = {"stage": (Staged, "write"), "commit": (Lake, "replace_query"), "said": (ingest, "_say_state")}[point]
real, left = getattr(owner, name), [int(calls)]

def deadly(*given, **named):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given, **named)

setattr(owner, name, deadly)
home = Home(Path(folder))
context = Context(home, Lake(home.lake), load_profile("smoke", {"corpora.sources": files}), None, new_run_id(), "smoke")
run_stage(ingest.CORPUS, context, {})
"""


def table_digests(lake: Lake) -> dict[str, str]:
    """The digest of every table's sorted content, without who and when."""
    found = {}
    for table in (tables.PROBLEMS, tables.QUARANTINE, tables.SOURCE_READS, tables.LEDGER):
        rows = lake.read(table).drop_columns([c for c in table.volatile if c in table.schema.names]).to_pylist()
        found[table.name] = digest(sorted(json.dumps(row, default=str, sort_keys=True) for row in rows))
    return found


@pytest.mark.parametrize(
    ("point", "calls"),
    [("stage", 2), ("commit", 1), ("commit", 2), ("said", 2), ("said", 3)],
    ids=["while reading", "before the problems", "before the quarantine", "before the first is read", "between two"],
)
def test_a_killed_run_and_another_give_the_tables_of_one(
    make_context: Callable[..., Context], home: Home, tmp_path: Path, point: str, calls: int
) -> None:
    files = [tmp_path / f"{name}.jsonl" for name in "ab"]
    for file in files:
        rows: list[dict[str, Any]] = [
            {"question": f"{file.stem}: what is {k} + 1?", "answer": k + 1} for k in range(40)
        ]
        file.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"question": None, "answer": 1}]))
    doomed = [sys.executable, "-c", DOOMED, str(home.root), point, str(calls), *map(str, files)]
    assert subprocess.run(doomed, check=False, capture_output=True).returncode == -signal.SIGKILL
    again = make_context(corpora__sources=list(map(str, files)))
    figures = run_stage(CORPUS, again, {}).figures
    assert (figures["rows"], figures["problems"], figures["quarantined"]) == (82, 80, 2)
    assert not list((home.root / "staging").iterdir())

    clean = Home(tmp_path / "clean").prepare()
    whole = Context(
        clean, Lake(clean.lake), again.profile, again.launcher, again.run_id, "smoke", say=lambda text: None
    )
    run_stage(CORPUS, whole, {})
    assert table_digests(again.lake) == table_digests(whole.lake)
