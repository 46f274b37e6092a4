"""Bad input of the auditing commands: one clear line each, exit code 2; and the contract of `sets --json`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kimi_pipeline.cli import main
from kimi_pipeline.home import Home
from kimi_pipeline.stages import run_stage
from tests.audit.small import rows, small, steady, write
from tests.curation.conftest import Curation

BAN = ["--reason", "x", "--by", "ada"]


@pytest.fixture
def read_only(home: Home) -> Iterator[Callable[[], None]]:
    """Makes the home read-only, as a disk is."""
    mounted = []

    def make() -> None:
        if os.geteuid() != 0:
            pytest.skip("mounting needs root")
        for options in (["--bind", str(home.root), str(home.root)], ["-o", "remount,ro,bind", str(home.root)]):
            if subprocess.run(["mount", *options], check=False).returncode:
                pytest.skip("mounting is not allowed here")
            mounted.append(1)

    yield make
    if mounted:
        subprocess.run(["umount", "-l", home.root], check=True)


def test_one_clear_line_each(curation: Callable[..., Curation], tmp_path: Path, read_only: Callable[[], None]) -> None:
    run = small(curation, write(tmp_path, one=rows("boxes", 6)), steady)
    run.run()
    lake, home = run.context.lake, run.context.home
    other = {"other": "max_size = 3\n", "empty": "min_pass_rate = 0.99\nmax_pass_rate = 1.0\n"}
    for name, recipe in other.items():
        (home.recipes / f"{name}.toml").write_text(recipe)
        context = run.context.__class__(**{**run.context.__dict__, "prompt_set": name})
        run_stage(run.stages["rl_prompt_set"], context, run.stages)
    known = lake.rows("select problem_id from problems order by 1 limit 1")[0]["problem_id"]
    unknown = known[:-2] + ("zz" if known[-2:] != "zz" else "yy")

    def door(*arguments: str) -> Any:
        return CliRunner().invoke(main, list(arguments), env={"KIMI_HOME": str(home.root)})

    for arguments, said in (
        (["explain", unknown], f"nearest: {known[:12]}"),
        (["decide", "ban", unknown, *BAN], f"nearest: {known[:12]}"),
        (["diff", "smoke@1", "smoke@7"], "no prompt set 'smoke@7': there is smoke@1"),
        (["rebuild", "smoke@7"], "no prompt set 'smoke@7': there is smoke@1"),
        (["report", "smoke@7"], "no prompt set 'smoke@7': there is smoke@1"),
        (["cost", "smoke@7"], "no prompt set 'smoke@7': there is smoke@1"),
        (["funnel", "smok"], "no prompt set 'smok': there is smoke"),
        (["rebuild", "smoke"], "write it as SET@VERSION"),
        (["report", "smoke"], "write it as SET@VERSION"),
        (["diff", "smoke@1", "other@1"], "are versions of two sets"),
        (["promote", "smoke@7", *BAN], "no prompt set 'smoke@7'"),
    ):
        found = door(*arguments)
        assert (found.exit_code, found.output.count("\n")) == (2, 1), found.output
        assert said in found.output

    # An empty set is a version like any other: it is told, not a crash.
    assert json.loads(door("funnel", "empty@1", "--json").output)["stages"][-1]["out"] == 0
    assert json.loads(door("cost", "empty@1", "--json").output)["a_kept_prompt"]["samples"] is None
    assert json.loads(door("rebuild", "empty@1", "--json").stdout)["equal"]
    assert (
        "No problem is in this version"
        in Path(json.loads(door("report", "empty@1", "--json").output)["report"]).read_text()
    )

    told = json.loads(door("sets", "--json").output)
    assert [list(row) for row in told] == [["set", "version", "created", "size", "current", "digest"]] * 3
    assert [row["version"] for row in told] == ["smoke@1", "other@1", "empty@1"]  # oldest first
    assert [row["size"] for row in told][1:] == [3, 0]

    read_only()
    assert json.loads(door("sets", "--json").output) == told  # reading needs no writing
    assert door("explain", known, "--json").exit_code == 0
    for arguments in (["decide", "ban", known, *BAN], ["withdraw", "--source", "one", *BAN], ["report", "smoke@1"]):
        found = door(*arguments)
        assert (found.exit_code, found.output.count("\n")) == (2, 1), found.output
        assert "writable folder" in found.output
