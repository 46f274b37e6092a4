from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from kimi_pipeline import tables
from kimi_pipeline.lake import Lake
from kimi_pipeline.ledger import IN_FORCE, KEEP, REFUSE, Decision, record, record_query
from kimi_pipeline.reasons import Reason
from kimi_pipeline.shards import LocalShards


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def decisions(refused: int) -> list[Decision]:
    return [
        Decision("duplicates", f"p{k}", REFUSE, Reason.EXACT_DUPLICATE, {"kept": 'a"b:1'}, subject=f"s:{k}")
        if k < refused
        else Decision("duplicates", f"p{k}", KEEP, Reason.UNIQUE)
        for k in range(50)
    ]


def test_columns_and_a_query_write_what_decisions_write(tmp_path: Path) -> None:
    digests = set()
    for way in ("values", "columns", "query"):
        lake = Lake(tmp_path / way)
        said = {"parameters": {"rule": 1}, "actor": "rule@1", "run_id": "r"}
        if way == "values":
            record(lake, decisions(9), **said)
        made = Lake(tmp_path / "values").read(tables.LEDGER)
        if way == "columns":
            record(lake, made.select(["stage", "problem_id", "subject", "verdict", "reason_code", "evidence"]), **said)
        if way == "query":
            query = "select * from given where verdict <> $no"
            record_query(lake, query, {"no": "x"}, stages=["duplicates"], given=made, **said)
        digests.add(lake.digest(tables.LEDGER))
    assert len(digests) == 1


def test_only_changed_decisions_are_written(lake: Lake) -> None:
    said = {"parameters": {}, "actor": "rule@1"}
    assert record(lake, decisions(9), run_id="a", **said) == 50
    assert record(lake, decisions(9), run_id="b", **said) == 0
    assert record(lake, [], run_id="b", **said) == 0
    assert record(lake, decisions(10), run_id="c", **said) == 1  # p9 is now refused as a row
    assert record(lake, [Decision("duplicates", "p0", KEEP, Reason.UNIQUE, subject="s:0")], run_id="d", **said) == 1
    in_force = lake.rows(f"select verdict, run_id from ({IN_FORCE}) where problem_id = 'p0'")
    assert in_force == [{"verdict": KEEP, "run_id": "d"}]


def test_a_query_is_committed_batch_by_batch(lake: Lake) -> None:
    row = {"problem_id": "", "verdict": KEEP, "reason_code": "clean", "evidence": "", "rule_version": "r"}
    columns = ", ".join(f"'{value}' as {name}" for name, value in row.items() if name != "problem_id")
    query = f"select i::varchar as problem_id, {columns} from range($n) t(i)"
    table = tables.CONTAMINATION
    assert lake.append_query(table, query, {"n": 0}, run_id="a", reason="r") == 0
    assert not lake.exists(table)
    assert lake.append_query(table, query, {"n": 45_000}, run_id="a", reason="r") == 45_000
    assert [batch.num_rows for batch in lake.stream("select * from contamination", rows=20_000)].count(0) == 0
    assert lake.version(table) == 0  # one commit
    assert lake.replace_query(table, query, {"n": 3}, where="verdict = 'keep'", run_id="b", reason="r") == 3
    assert lake.digest(table) == lake.query_digest("select * exclude (run_id, created_at) from contamination")
    assert lake.read(table).num_rows == 3


def _same(rows: pa.Table) -> pa.Table:
    return rows


def test_shards_are_taken_as_workers_become_free() -> None:
    taken, committed = [], []

    def shards() -> Iterator[pa.Table]:
        for k in range(12):
            taken.append(k)
            assert k - len(committed) <= 6  # what waits is bounded, however many shards there are
            yield pa.table({"k": [k]})

    assert LocalShards(2).map(_same, shards(), lambda rows: committed.append(rows.column("k")[0].as_py())) == 12
    assert sorted(committed) == taken == list(range(12))
