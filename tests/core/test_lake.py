from __future__ import annotations

import logging
import multiprocessing
import shutil
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline import tables
from kimi_pipeline.errors import UserError
from kimi_pipeline.lake import Lake
from kimi_pipeline.maintenance.tidying import compact
from kimi_pipeline.problems import Problem


def rows(n: int, source: str = "s", start: int = 0) -> list[dict]:
    return [Problem(source, str(i), f"What is {i} + 1?", str(i + 1), "integer").row() for i in range(start, start + n)]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_a_commit_carries_run_reason_and_schema_version(lake: Lake) -> None:
    lake.append(tables.PROBLEMS, rows(3), run_id="run-1", reason="because")
    newest = lake.delta(tables.PROBLEMS).history()[0]
    assert (newest["run_id"], newest["reason"], newest["schema_version"]) == (
        "run-1",
        "because",
        str(tables.PROBLEMS.version),
    )


def test_upsert_writes_only_what_changed(lake: Lake) -> None:
    first = rows(50)
    assert lake.upsert(tables.PROBLEMS, first, run_id="a", reason="r") == 50
    version, digest = lake.version(tables.PROBLEMS), lake.digest(tables.PROBLEMS)
    assert lake.upsert(tables.PROBLEMS, first, run_id="b", reason="r") == 0
    assert (lake.version(tables.PROBLEMS), lake.digest(tables.PROBLEMS)) == (version, digest)
    changed = [first[0] | {"answer": "other"}, *rows(1, start=99)]
    assert lake.upsert(tables.PROBLEMS, changed, run_id="c", reason="r") == 2
    assert lake.read(tables.PROBLEMS).num_rows == 51
    assert lake.digest(tables.PROBLEMS) != digest
    assert lake.digest(tables.PROBLEMS, version=version) == digest


def test_digest_ignores_order_run_and_compaction(tmp_path: Path) -> None:
    one, other = Lake(tmp_path / "one"), Lake(tmp_path / "other")
    one.append(tables.PROBLEMS, rows(20), run_id="a", reason="r")
    for row in reversed(rows(20)):
        other.append(tables.PROBLEMS, [row], run_id="b", reason="r")
    assert one.digest(tables.PROBLEMS) == other.digest(tables.PROBLEMS)
    files = len(other.delta(tables.PROBLEMS).file_uris())
    compact(other, tables.PROBLEMS, run_id="c")
    assert len(other.delta(tables.PROBLEMS).file_uris()) < files
    assert one.digest(tables.PROBLEMS) == other.digest(tables.PROBLEMS)


def test_replace_touches_its_own_rows_alone(lake: Lake) -> None:
    lake.append(tables.PROBLEMS, rows(5, "a") + rows(5, "b"), run_id="x", reason="r")
    lake.replace(tables.PROBLEMS, rows(2, "a"), where="source = 'a'", run_id="y", reason="r")
    counts = lake.rows("select source, count(*) n from problems group by 1 order by 1")
    assert counts == [{"source": "a", "n": 2}, {"source": "b", "n": 5}]


def test_tables_that_were_never_written_are_empty(lake: Lake) -> None:
    assert lake.read(tables.SAMPLES).num_rows == 0
    assert lake.rows("select count(*) n from samples") == [{"n": 0}]
    assert lake.version(tables.SAMPLES) is None


def test_a_newer_release_is_refused(lake: Lake) -> None:
    lake.append(tables.PROBLEMS, rows(1), run_id="x", reason="r")
    lake.delta(tables.PROBLEMS).alter.set_table_description("schema version 9")
    with pytest.raises(UserError, match="schema version 9, this release has 2: use the matching release"):
        lake.read(tables.PROBLEMS)


def test_rows_keep_their_order_when_the_clock_jumps_back(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)  # a trainer in this process (another test) leaves every handler at ERROR
    clock = datetime(2026, 1, 1, 12, tzinfo=UTC)
    monkeypatch.setattr("kimi_pipeline.clock.now", lambda: clock)
    for k, behind in enumerate((0, 0, 7200)):  # twice the same moment, then two hours back
        monkeypatch.setattr("kimi_pipeline.clock.now", lambda behind=behind: clock - timedelta(seconds=behind))
        Lake(lake.root).append(tables.PROBLEMS, rows(1, start=k), run_id=str(k), reason="r")
    times = lake.rows("select created_at from problems order by source_row::int")
    assert [row["created_at"] - clock for row in times] == [timedelta(microseconds=k) for k in range(3)]
    assert [one.getMessage() for one in caplog.records] == [
        "the clock says 2026-01-01 10:00:00+00:00, rows of the lake are newer: they go on from "
        "2026-01-01 12:00:00.000001+00:00"
    ]


def _append(root: str, start: int) -> None:
    lake = Lake(Path(root))
    for k in range(5):
        lake.append(tables.PROBLEMS, rows(3, start=start + 3 * k), run_id=str(start), reason="r")


def test_concurrent_appends_lose_nothing(lake: Lake) -> None:
    lake.append(tables.PROBLEMS, rows(1, "first"), run_id="x", reason="r")
    # No pool: one that is terminated may wait for ever for its last process.
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_append, args=(str(lake.root), start)) for start in (0, 100, 200)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=300)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert lake.read(tables.PROBLEMS).num_rows == 46


def test_two_upserts_of_a_new_key_write_it_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Lake._write

    def slowly(*arguments: Any, **options: Any) -> None:
        time.sleep(0.3)  # time for the other one to look, and to find the key new
        write(*arguments, **options)

    monkeypatch.setattr(Lake, "_write", slowly)
    for start in (0, 10):  # where there is no table yet, and where there is one
        both = [
            threading.Thread(
                target=Lake(lake.root).upsert,
                args=(tables.PROBLEMS, [row | {"answer": answer} for row in rows(3, start=start)]),
                kwargs={"run_id": answer, "reason": "r"},
            )
            for answer in ("one", "other")
        ]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join(timeout=60)
    assert lake.read(tables.PROBLEMS).num_rows == 6


def test_the_newest_row_of_what_a_subquery_chooses_is_of_its_own_file(tmp_path: Path) -> None:
    """DuckDB 2.0.0 took it from another file, unless told not to (`database.py`)."""
    lake = Lake(tmp_path / "lake")
    policies = [f"policy-{number}" for number in range(6)]
    rows = [
        {"policy": policy, "iteration": at, "signal": "unverifiable", "alarm": True, "sample_ids": []}
        for policy in policies
        for at in (1, 2)
    ]
    lake.append(tables.REWARD_WATCH, rows, run_id="r", reason="a file a policy")
    for policy in policies:
        chosen = {"stage": "rl_checkpoint", "partition": policy, "outputs": policy}
        lake.append(tables.STAGES, [chosen], run_id="r", reason="one that is chosen")
    for policy in policies:
        found = lake.rows(
            "select * from reward_watch where alarm and policy = (select outputs from stages where partition = $1 "
            "order by created_at desc limit 1) "
            "qualify row_number() over (partition by signal order by iteration desc) = 1 order by iteration",
            [policy],
        )
        assert [(row["policy"], row["iteration"]) for row in found] == [(policy, 2)]


def test_what_another_writer_commits_is_seen_at_once(lake: Lake) -> None:
    other = Lake(lake.root)
    assert lake.version(tables.PROBLEMS) is None
    for number in range(4):
        other.append(tables.PROBLEMS, rows(1, start=number), run_id="b", reason="r")
        assert lake.version(tables.PROBLEMS) == other.delta(tables.PROBLEMS).version()
        assert lake.read(tables.PROBLEMS).num_rows == number + 1
    compact(other, tables.PROBLEMS, run_id="c")
    assert len(lake.files(tables.PROBLEMS)) == 1 < len(lake.files(tables.PROBLEMS, 2))


def test_a_table_made_anew_in_the_same_place_is_not_taken_for_the_old_one(lake: Lake) -> None:
    lake.append(tables.PROBLEMS, rows(1), run_id="a", reason="r")
    assert lake.read(tables.PROBLEMS).num_rows == 1
    shutil.rmtree(lake.path(tables.PROBLEMS))
    assert lake.version(tables.PROBLEMS) is None
    Lake(lake.root).append(tables.PROBLEMS, rows(5), run_id="b", reason="r")
    assert lake.read(tables.PROBLEMS).num_rows == 5
