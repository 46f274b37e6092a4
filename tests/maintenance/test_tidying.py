"""Maintenance: files merge and go, digests and pinned versions stay; an older lake is brought up to date."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner
from deltalake import write_deltalake

from kimi_pipeline import tables
from kimi_pipeline.cli import main
from kimi_pipeline.clock import stamp
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.maintenance import tidying
from kimi_pipeline.maintenance.storage import of_table, storage
from kimi_pipeline.maintenance.tidying import tidy

ROUNDS = 6


@pytest.fixture
def lake(home: Home, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A table that six rounds upserted and a ledger that they appended to; a manifest names the third round's versions."""
    monkeypatch.setattr(tidying, "MANY", 4)
    lake = Lake(home.lake)
    for k in range(ROUNDS):
        run: dict[str, Any] = {"run_id": str(k), "reason": "round"}
        lake.upsert(tables.DIFFICULTY, [rated(p, k) for p in range(20)], **run)
        lake.append(tables.LEDGER, [decided(k)], **run)
        if k == 2:
            inputs = {"difficulty": lake.version(tables.DIFFICULTY), "samples": None}
            row = {
                "prompt_set": "s",
                "version": 1,
                "size": 1,
                "digest": "d",
                "manifest": json.dumps({"inputs": inputs}),
            }
            lake.append(tables.PROMPT_SET_VERSIONS, [row], **run)
    return lake


def rated(problem: int, right: int) -> dict[str, Any]:
    row = {"problem_id": f"p{problem}", "checkpoint": "c", "template": "t", "n": 10, "correct": right, "cut": 0}
    return row | {"excluded": 0, "imported": 0, "pass_rate": right / 10, "low": 0.0, "high": 1.0}


def decided(k: int) -> dict[str, Any]:
    row = {"prompt_set": "", "stage": "difficulty", "problem_id": f"p{k}", "subject": "", "verdict": "keep"}
    return row | {"reason_code": "rated", "evidence": "{}", "checkpoint": "c", "parameters": "", "actor": "rule@1"}


def test_tidying_keeps_content_ledger_rows_and_pinned_versions(lake: Lake, home: Home) -> None:
    digests = {table.name: lake.digest(table) for table in (tables.DIFFICULTY, tables.LEDGER)}
    ledger = sorted(map(str, lake.rows("select * from ledger")))
    then = lake.digest(tables.DIFFICULTY, version=2)
    row = of_table(lake, tables.DIFFICULTY, [2])
    assert min(row["bytes"], row["pinned"], row["loose"]) > 0
    looked = {row["table"]: row for row in tidy(lake, run_id="m", keep_hours=0, only_look=True)}
    assert looked["difficulty"]["removed_files"] == ROUNDS - 2  # but for the newest file and the pinned one
    assert storage(lake, home)["loose"] >= row["loose"]  # looking has removed nothing
    told = {row["table"]: row for row in tidy(lake, run_id="m", keep_hours=0)}
    assert (told["difficulty"]["removed_files"], told["difficulty"]["freed"]) == (ROUNDS - 2, row["loose"])
    assert told["ledger"]["compacted"] == told["ledger"]["removed_files"] == ROUNDS
    assert len(lake.files(tables.LEDGER)) == 1
    assert {name: lake.digest(tables.TABLES[name]) for name in digests} == digests
    assert sorted(map(str, lake.rows("select * from ledger"))) == ledger  # with run ids and times
    assert lake.digest(tables.DIFFICULTY, version=2) == then
    with pytest.raises(Exception, match=r"No such file|not found|IO Error"):
        lake.digest(tables.DIFFICULTY, version=1)
    assert tidy(lake, run_id="m", keep_hours=0) == []
    assert storage(lake, home)["loose"] == 0


def test_every_byte_of_a_home_is_counted(lake: Lake, home: Home) -> None:
    before = storage(lake, home)
    assert {row["folder"] for row in before["folders"]} >= {"checkpoints", "dagster", "jobs", "reports"}
    (home.root / "mlflow.db").write_bytes(b"1" * 1000)
    (home.root / "rl" / "run").mkdir(parents=True)
    (home.root / "rl" / "run" / "buffer").write_bytes(b"1" * 200)
    found = storage(lake, home)
    assert found["total"] == before["total"] + 1200
    assert {("mlflow.db", 1000), ("rl", 200)} <= {(row["folder"], row["bytes"]) for row in found["folders"]}
    assert not any(row["folder"] == "lake" for row in found["folders"])


def test_what_was_in_use_lately_stays(lake: Lake) -> None:
    before = len(list(Path(lake.path(tables.DIFFICULTY)).glob("*.parquet")))
    tidy(lake, run_id="m", keep_hours=1)
    assert len(list(Path(lake.path(tables.DIFFICULTY)).glob("*.parquet"))) == before


def test_the_commands(lake: Lake, home: Home) -> None:
    def door(*arguments: str) -> Any:
        return CliRunner().invoke(main, list(arguments), env={"KIMI_HOME": str(home.root)})

    told = json.loads(door("storage", "--json").output)
    assert {row["table"] for row in told["tables"]} == {"difficulty", "ledger", "prompt_set_versions"}
    assert "in no version that is in use" in door("storage").output
    assert json.loads(door("maintain", "--keep-hours", "0", "--dry-run", "--json").output)
    assert door("maintain", "--keep-hours", "0").exit_code == 0
    assert door("maintain", "--keep-hours", "0").output == "nothing to do\n"
    assert door("migrate").output == "every table is up to date\n"


def test_a_lake_of_an_older_release_is_refused_and_migrated(home: Home) -> None:
    """A review table as schema version 1 wrote it: without `until`, and not append-only."""
    lake = Lake(home.lake)
    schema = pa.schema([field for field in tables.REVIEW.schema if field.name != "until"])
    row = {name: "x" for name in schema.names if name != "created_at"}
    old = pa.Table.from_pylist([row | {"created_at": stamp(lake.root)}], schema=schema)
    write_deltalake(lake.path(tables.REVIEW), old, name="review", description="schema version 1")
    with pytest.raises(UserError, match="under schema version 1, this release has 2: use `kimi-pipeline migrate`"):
        lake.read(tables.REVIEW)
    told = CliRunner().invoke(main, ["migrate", "--json"], env={"KIMI_HOME": str(home.root)})
    assert json.loads(told.output) == [{"table": "review", "from": 1, "to": 2, "rows": 1}]
    assert lake.read(tables.REVIEW).to_pylist() == [old.to_pylist()[0] | {"until": None}]
    assert lake.read(tables.REVIEW, version=0).to_pylist() == lake.read(tables.REVIEW).to_pylist()  # a pinned version
    lake.append(tables.REVIEW, [row | {"until": None}], run_id="r", reason="r")
    with pytest.raises(Exception, match=r"appendOnly|append-only|append only"):
        lake.delta(tables.REVIEW).delete()
