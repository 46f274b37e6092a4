"""An erasure that is killed anywhere and done again ends as one that was not: nothing is half erased."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from deltalake import DeltaTable

from kimi_pipeline import tables
from kimi_pipeline.cli import main
from kimi_pipeline.lake import Lake
from tests.audit.small import rows, small, steady, write
from tests.audit.test_withdrawal import SECRET, WHY, files_with
from tests.curation.conftest import Curation

ERASE = ["withdraw", "--source", "farm", *WHY, "--erase"]
KILLED = """
import os, signal, sys
count, real = int(sys.argv[1]), os.replace
def replace(*names):
    global count
    count -= 1
    if count < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*names)
os.replace = replace
from kimi_pipeline.cli import main
main(sys.argv[2:])
"""
"""Dies at the n-th file that would take another's place."""


def contents(lake: Lake) -> dict[str, list[str]]:
    """The digest of every version of every table, as Delta's own reader finds them; who wrote a row and when left out."""
    found = {}
    for table in tables.TABLES.values():
        if lake.exists(table):
            DeltaTable(lake.path(table)).to_pyarrow_table()
            found[table.name] = [lake.digest(table, version=v) for v in range(lake.delta(table).version() + 1)]
    return found


def test_killed_and_done_again_ends_the_same(curation: Callable[..., Curation], tmp_path: Path) -> None:
    edited = [row | {"prompt": row["prompt"].replace("weekly", "a week")} for row in rows("farm", 2)]
    sources = write(tmp_path, one=rows("boxes", 6), farm=[*edited, *rows("farm", 5)[2:]])
    small(curation, sources, steady).run("corpus")  # two rows of the source had another wording once
    sources = write(tmp_path, one=rows("boxes", 6), farm=rows("farm", 5))
    run = small(curation, sources, steady)
    run.run()
    home = run.context.home.root

    def door(place: Path) -> Any:
        told = CliRunner().invoke(main, ERASE, env={"KIMI_HOME": str(place)})
        assert told.exit_code == 0, told.output
        return told

    whole = shutil.copytree(home, tmp_path / "whole")
    assert "erased 7 problems" in door(whole).output
    expected = contents(Lake(whole / "lake"))
    assert files_with(whole / "lake", SECRET) == []
    deaths = 0
    for files in (0, 5, 14):
        place = shutil.copytree(home, tmp_path / f"killed-{files}")
        environment = os.environ | {"KIMI_HOME": str(place)}
        command = [sys.executable, "-c", KILLED, str(files), *ERASE]
        ended = subprocess.run(command, env=environment, capture_output=True, check=False)
        deaths += ended.returncode == -signal.SIGKILL
        door(place)
        assert files_with(place / "lake", SECRET) == [], files
        assert not list((place / "lake").rglob("*.erasing"))
        assert contents(Lake(place / "lake")) == expected, files
    assert deaths == 3
