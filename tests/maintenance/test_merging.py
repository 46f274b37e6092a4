"""Versions of prompt sets merge: the content stays, a problem's rows lie side by side, nobody's change is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake.exceptions import CommitFailedError

from kimi_pipeline import commits, tables
from kimi_pipeline.audit.explain import explain
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.maintenance import merging, tidying
from kimi_pipeline.maintenance.merging import TOGETHER, Span
from kimi_pipeline.maintenance.tidying import tidy

VERSIONS, MEMBERS, GROUP = 20, 40, 64
RUN: dict[str, Any] = {"run_id": "m", "keep_hours": 0}


def cut(lake: Lake, prompt_set: str, version: int, prompt: str = "of") -> None:
    """A version as a cut writes it, its problems in an order of their own."""
    rows = [
        {
            "prompt_set": prompt_set,
            "version": version,
            "problem_id": f"{(number * 7 + version) % MEMBERS:032x}",
            "prompt": f"{prompt} {version}",
            "answer": str(number),
        }
        for number in range(MEMBERS)
    ]
    where = f"prompt_set = '{prompt_set}' and version = {version}"
    lake.replace(tables.PROMPT_SET, rows, where=where, run_id=f"r{version}", reason="cut")


@pytest.fixture
def lake(home: Home, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A set of twenty versions and one of two."""
    monkeypatch.setattr(commits, "GROUP_ROWS", GROUP)
    monkeypatch.setattr(tidying, "MANY", VERSIONS)
    lake = Lake(home.lake)
    for version in range(1, VERSIONS + 1):
        cut(lake, "long", version)
    for version in (1, 2):
        cut(lake, "short", version)
    return lake


def content(lake: Lake) -> list[str]:
    return sorted(map(str, lake.rows("select * from prompt_set")))  # with run ids and times


def groups_to_read(lake: Lake, problem: str) -> int:
    """Row groups in which a problem may be, by the least and the greatest id in each."""
    files = [file for file in lake.files(tables.PROMPT_SET) if "=long" in file]
    query = (
        "select count(*) from parquet_metadata($files) "
        "where path_in_schema = 'problem_id' and $problem between stats_min_value and stats_max_value"
    )
    (found,) = duckdb.execute(query, {"files": files, "problem": problem}).fetchall()
    return int(found[0])


def test_merged_versions_keep_their_rows_and_a_problem_is_found_in_one_group_of_a_file(lake: Lake) -> None:
    before, digest, problem = content(lake), lake.digest(tables.PROMPT_SET), f"{5:032x}"
    story = explain(lake, problem)
    assert groups_to_read(lake, problem) == VERSIONS
    (told,) = tidy(lake, **RUN, only_look=True)
    assert (told["small_files"], told["compacted"]) == (VERSIONS, 0)
    (told,) = tidy(lake, **RUN)
    assert (told["table"], told["compacted"], told["removed_files"]) == ("prompt_set", VERSIONS, VERSIONS)
    assert (content(lake), lake.digest(tables.PROMPT_SET)) == (before, digest)
    assert explain(lake, problem) == story
    assert len(lake.files(tables.PROMPT_SET)) == 2 + 2  # the short set has too few to be worth it
    assert groups_to_read(lake, problem) == 2
    assert tidy(lake, **RUN) == []


def test_a_file_that_has_room_takes_later_versions(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    tidy(lake, **RUN)
    monkeypatch.setattr(tidying, "MANY", 3)
    for version in (VERSIONS + 1, VERSIONS + 2):
        cut(lake, "long", version)
    before = content(lake)
    assert merging.spans(lake) == {
        "long": [Span("long", TOGETHER + 1, VERSIONS + 2, 3)],
        "short": [Span("short", 1, 2, 2)],
    }
    (told,) = tidy(lake, **RUN)
    assert (told["compacted"], content(lake)) == (3, before)
    assert merging.spans(lake)["long"] == []


def test_a_version_that_is_written_anew_meanwhile_is_not_lost(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    streamed = lake.stream

    def late(*arguments: Any) -> Iterator[pa.Table]:
        rows = list(streamed(*arguments))
        cut(lake, "long", 3, "anew")
        return iter(rows)

    monkeypatch.setattr(lake, "stream", late)
    with pytest.raises(CommitFailedError):
        tidy(lake, **RUN)
    assert lake.rows("select distinct prompt from prompt_set where prompt_set = 'long' and version = 3") == [
        {"prompt": "anew 3"}
    ]
    assert len(lake.read(tables.PROMPT_SET)) == (VERSIONS + 2) * MEMBERS


def test_a_long_log_is_summed_up_and_old_versions_stay_readable(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidying, "LONG_LOG", 5)
    lake = Lake(home.lake)
    table = tables.PROMOTIONS
    log = Path(lake.path(table)) / "_delta_log"
    row = {"prompt_set": "s", "version": 1, "actor": "a", "reason": "r"}
    for _ in range(5):
        lake.append(table, [row], run_id="r", reason="r")
    assert tidy(lake, run_id="m") == [] and not (log / "_last_checkpoint").exists()
    lake.append(table, [row], run_id="r", reason="r")
    assert tidy(lake, run_id="m", only_look=True) == [] and not (log / "_last_checkpoint").exists()
    assert tidy(lake, run_id="m") == []
    assert json.loads((log / "_last_checkpoint").read_text())["version"] == 5
    lake.append(table, [row], run_id="r", reason="r")
    assert [len(Lake(home.lake).read(table, version=version)) for version in (0, 4, 5, 6)] == [1, 5, 6, 7]
    assert len(list(log.glob("*.json"))) == 7
