"""Withdrawal and erasure: gone from the next version; no byte of the text is left; ids, reasons and old versions stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from kimi_pipeline import tables
from kimi_pipeline.audit.diff import diff
from kimi_pipeline.audit.explain import explain
from kimi_pipeline.audit.rebuild import rebuild
from kimi_pipeline.audit.views import query
from kimi_pipeline.cli import main
from kimi_pipeline.curation.erasure import Erased, erase
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.maintenance.tidying import compact
from kimi_pipeline.row_digests import content_digest
from tests.audit.small import rows, small, steady, write
from tests.curation.conftest import Curation

SECRET = "hens"  # a word of the texts of the source that goes
WHY = ["--reason", "its licence ended", "--by", "ada"]


def door(run: Curation, *arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments), env={"KIMI_HOME": str(run.context.home.root)})


def files_with(root: Path, text: str) -> list[str]:
    """Files below a folder in which the text stands, compressed or not."""
    found = []
    for path in sorted(root.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".parquet":
                content += str(pq.ParquetFile(path).read().to_pylist()).encode()
            if text.encode() in content:
                found.append(str(path.relative_to(root)))
    return found


def ledger_rows(lake: Lake) -> dict[str, int]:
    """Every ledger row by its digest."""
    found: dict[str, int] = {}
    for row in lake.read(tables.LEDGER).to_pylist():
        one = content_digest(tables.LEDGER, [row]) + str(row["created_at"]) + row["run_id"]
        found[one] = found.get(one, 0) + 1
    return found


def test_a_withdrawn_source_is_gone_and_its_text_is_erased_from_old_versions(
    curation: Callable[..., Curation], tmp_path: Path
) -> None:
    both = rows("farm", 1)  # this problem stands in the other source as well, and stays
    sources = write(tmp_path, one=[*rows("boxes", 12), *both], farm=rows("farm", 10))
    run = small(curation, sources, steady)
    run.run()
    lake, root = run.context.lake, run.context.home.root
    lake.delta(tables.PROBLEMS).create_checkpoint()  # the log's checkpoints quote texts as well
    ledger = ledger_rows(lake)
    told = door(run, "withdraw", "--source", "farm", *WHY, "--json")
    assert json.loads(told.output) == {
        "kind": "source", "name": "farm", "changed": True, "problems": 9, "erased": 0, "files": {}
    }  # fmt: skip
    small(curation, sources, steady).run()
    gone = {row["problem_id"]: row for row in diff(lake, "smoke@1", "smoke@2")["changes"]}
    assert {(one["stage"], one["cause"]) for one in gone.values()} == {("ingest", "source")}
    assert {one["detail"] for one in gone.values()} == {"person:ada withdrew farm: its licence ended"}
    assert files_with(lake.root, SECRET)
    told = door(run, "withdraw", "--source", "farm", *WHY, "--erase", "--json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.output)["erased"] == 9
    kept = both[0]["prompt"]
    (stays,) = lake.rows("select distinct problem_id from problems where prompt = ?", [kept])
    for word in [row["prompt"] for row in rows("farm", 10)[1:]]:
        assert files_with(root / "lake", word) == []
        assert files_with(root / "lake", word[:14] + word[14:20]) == []
        assert files_with(root / "jobs", word) == []
    assert ledger.items() <= ledger_rows(lake).items()
    story = explain(lake, next(iter(gone)))
    assert (story["prompt"], story["erased"]["reason"]) == ("(erased)", "its licence ended")
    assert {row["stage"] for row in story["decisions"]} >= {"ingest", "people", "difficulty"}
    old = rebuild(lake, "smoke@1")
    assert old["equal"] and len(old["erased"]) == 9
    assert stays["problem_id"] not in old["erased"]
    assert [row["table"] for row in old["tables"] if row["how"] == "as stored"] == ["reference_checks"]
    assert rebuild(lake, "smoke@2")["equal"]
    size = len(lake.read(tables.PROMPT_SET, where=[("version", "=", 1)]))
    assert size == lake.rows("select size from prompt_set_versions where version = 1")[0]["size"]
    for table in tables.TABLES.values():  # Delta's own reader takes every version of every table
        if lake.exists(table):
            for version in range(lake.delta(table).version() + 1):
                DeltaTable(lake.path(table), version=version).to_pyarrow_table()


def test_a_withdrawn_problem_does_not_come_back(curation: Callable[..., Curation], tmp_path: Path) -> None:
    run = small(curation, write(tmp_path, one=rows("boxes", 6)), steady)
    run.run()
    lake = run.context.lake
    gone = lake.rows("select problem_id, prompt from prompt_set order by 1 limit 1")[0]
    assert door(run, "withdraw", "--problem", gone["problem_id"][:12], "--erase", *WHY).exit_code == 0
    write(tmp_path, one=rows("boxes", 7))  # the source is read again, with the row still in it
    small(curation, [str(tmp_path / "sources.toml")], steady).run()
    assert lake.rows("select 1 from prompt_set where version = 2 and problem_id = ?", [gone["problem_id"]]) == []
    assert lake.rows("select reason_code, raw from quarantine") == [{"reason_code": "withdrawn", "raw": None}]
    assert files_with(lake.root, gone["prompt"]) == []
    changes = {row["problem_id"]: row for row in diff(lake, "smoke@1", "smoke@2")["changes"]}
    assert changes[gone["problem_id"]]["cause"] == "person"


def test_what_jobs_left_behind_holds_no_erased_text(home: Home) -> None:
    both = [{"problem_id": name, "prompt": f"prompt of {name}", "answer": f"answer of {name}"} for name in ("p", "q")]

    def left(place: str, content: list[dict[str, Any]]) -> Path:
        path = home.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(content), path)
        return path

    named = [left(f"jobs/{name}.parquet", both) for name in ("prompts-set-digest", "labels-1/problems", "problems-1/0")]
    left("reward_models/smoke/questions.parquet", [{"question": row["prompt"]} for row in both])
    (home.jobs / "problems-1" / "result.json").write_text(json.dumps({"opinions": both}))
    for run in ("of-both", "of-q", ".half-removed.gone"):
        rows_of = [row for row in both if run != "of-q" or row["problem_id"] == "q"]
        left(f"rl/{run}/iteration-000001/samples.parquet", rows_of)
        prompts = {row["problem_id"]: row["answer"] for row in rows_of}
        (home.root / "rl" / run / "run.json").write_text(json.dumps({"prompt_set": {}, "prompts": prompts}))
    erase(Lake(home.lake), home, Erased(frozenset(["p"])), run_id="r")
    assert files_with(home.root, "of p") == []
    assert [pq.read_table(path).to_pylist() for path in named] == [both[1:]] * 3
    assert [path.name for path in (home.root / "rl").iterdir()] == ["of-q"]


def test_withdrawing_refuses_what_is_wrong_with_one_line(curation: Callable[..., Curation], tmp_path: Path) -> None:
    run = small(curation, write(tmp_path, one=rows("boxes", 3)), steady)
    run.run("corpus")
    for arguments, said in (
        (["--source", "oen", *WHY], "no source 'oen' in this lake: there is one"),
        (["--problem", "zzz", *WHY], "no problem matches 'zzz'"),
        (WHY, "either --source NAME or --problem ID"),
        (["--source", "one", "--reason", ""], "--reason is empty"),
    ):
        found = door(run, "withdraw", *arguments)
        assert (found.exit_code, found.output.count("\n")) == (2, 1), found.output
        assert said in found.output


def test_no_public_path_changes_a_ledger_row(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    row = {"prompt_set": "", "stage": "duplicates", "problem_id": "p", "subject": "", "verdict": "keep"}
    row |= {"reason_code": "unique", "evidence": "{}", "checkpoint": "", "parameters": "", "actor": "rule@1"}
    for k in range(4):
        lake.append(tables.LEDGER, [row | {"problem_id": f"p{k}"}], run_id="r", reason="test")
    before = ledger_rows(lake)
    other = row | {"problem_id": "p1", "verdict": "refuse"}
    stamp = {"run_id": "r", "reason": "test"}
    for path in (
        lambda: lake.upsert(tables.LEDGER, [other], **stamp),
        lambda: lake.replace(tables.LEDGER, [other], where="problem_id = 'p1'", **stamp),
        lambda: lake.replace(tables.LEDGER, [], where=None, **stamp),
        lambda: lake.replace_query(tables.LEDGER, "select * from ledger where false", where=None, **stamp),
    ):
        with pytest.raises(ValueError, match="append-only"):
            path()
    for path in (
        lambda: lake.delta(tables.LEDGER).delete("problem_id = 'p1'"),
        lambda: lake.delta(tables.LEDGER).update(updates={"verdict": "'refuse'"}),
    ):
        with pytest.raises(CommitFailedError, match="append-only"):
            path()
    for text in ("delete from ledger", "update ledger set verdict = 'refuse'", "drop view ledger"):
        with pytest.raises(UserError, match="one statement that reads"):
            query(lake, text)
    lake.append(tables.LEDGER, [other], **stamp)  # a change of mind is a row of its own
    compact(lake, tables.LEDGER, run_id="r")
    assert before.items() <= ledger_rows(lake).items()
    assert sum(ledger_rows(lake).values()) == 5
