"""Erasure: the text of withdrawn problems leaves every table and every old version of it; ids and numbers stay.

Belongs here: which columns hold text, and rewriting data files and the Delta log in place. Does not belong here: what may be
used no more (`corpora/withdrawals.py`), sets without it (the next run).

A pinned version must stay readable, so no file is removed: each one that holds a row of the problem is written again
without the text, under its own name, and the log forgets the file's statistics, which quote the least and greatest texts.
The ledger is never touched: it holds no text. Killed in between, erasing again goes on where it stopped.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kimi_pipeline import tables
from kimi_pipeline.commits import GROUP_ROWS
from kimi_pipeline.digests import digest
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.tables import Table

GONE: dict[str, Any] = {"evidence": "{}", "decision": "answer=(erased)", "proposed": ""}
"""What stands in a column that must not be null; null in all others."""
TEXTS: dict[str, tuple[str, ...]] = {
    "problems": ("prompt", "answer", "options", "images", "submissions", "labels"),
    "quarantine": ("raw", "detail"),
    "prompt_set": ("prompt", "answer"),
    "samples": ("text", "extracted_answer"),
    "segments": ("prompt_ids", "response_ids", "behaviour_log_probs", "reference_log_probs"),
    "reference_checks": ("evidence",),
    "review": ("proposed", "evidence"),
    "spot_checks": ("reference", "response"),
    "coding_problems": ("name", "title", "statement", "submissions", "generator", "validator", "checker"),
    "test_case_generators": ("program", "response"),
    "output_checkers": ("evidence", "program", "response"),
    "test_cases": ("input", "detail"),
    "submission_runs": ("output", "detail"),
    "validated_suites": ("evidence",),
    "suite_cases": ("expected",),
    "mutants": ("change", "program"),
    "reward_model_corpus": ("question", "reference", "response", "reasoning"),
    "reward_model_judgements": ("evidence",),
    "reward_parts": ("evidence",),
}
"""The columns that hold a problem's text, a table. `decision` of review and people is told apart by what it says."""
DECISIONS = ("review", "people")
RL_RUN = "run.json"  # of an RL run (`rl/recovery.py`): its prompts by problem id, with their answers
PREVIEW = 12  # letters from which on a cell of a preview counts as a piece of a prompt


@dataclass(frozen=True)
class Erased:
    """What is erased: problems by id, and all rows of withdrawn sources. `own`: an evaluation set's copy goes as well."""

    problem_ids: frozenset[str]
    sources: frozenset[str] = frozenset()
    own: bool = False


def remember(lake: Lake, what: Erased, *, reason: str, by: str, run_id: str) -> int:
    """Write down what will be erased, each with the digest of its rows, before anything is; returns how many are new."""
    known = {row["problem_id"] for row in lake.rows("select problem_id from erasures")}
    columns = ("source", "source_row", "prompt", "answer")
    rows = lake.rows(
        f"select problem_id, {', '.join(columns)} from problems where problem_id in (select unnest(?))",
        [sorted(what.problem_ids - known)],
    )
    here = {row["problem_id"] for row in rows}
    missing = what.problem_ids - known - here
    old = _ever(lake, lambda source: source in what.sources, columns[1:]) if missing else ()
    rows += [row for row in old if row["problem_id"] in missing]
    rows.sort(key=lambda row: (row["problem_id"], row["source"], row["source_row"]))
    content: dict[str, list[Any]] = {}
    for row in rows:
        content.setdefault(row["problem_id"], []).append([row[name] for name in columns])
    source = ", ".join(sorted(what.sources))
    made = [
        {"problem_id": one, "content_digest": digest(said), "source": source, "reason": reason, "decided_by": by}
        for one, said in sorted(content.items())
    ]
    lake.append(tables.ERASURES, made, run_id=run_id, reason=f"{len(made)} problems erased")
    return len(made)


def ever_held(lake: Lake, source: str) -> set[str]:
    """The problems that rows of a source hold or ever held (a row that was edited since was another problem), but for those
    that a source in use holds now."""
    elsewhere = lake.rows(
        "select distinct problem_id from problems where source <> $source "
        "and source not in (select name from withdrawals where kind = 'source')",
        {"source": source},
    )
    ever = {row["problem_id"] for row in _ever(lake, lambda name: name == source)}
    return ever - {row["problem_id"] for row in elsewhere}


def _ever(lake: Lake, of: Callable[[str], bool], columns: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Rows of some sources in any version of the corpus: problem_id, source and these columns."""
    root = Path(lake.path(tables.PROBLEMS))
    for name, partition in _partitions(root).items() if lake.exists(tables.PROBLEMS) else ():
        if "source" in partition and of(partition["source"]):
            for row in pq.ParquetFile(root / name).read(columns=["problem_id", *columns]).to_pylist():
                yield row | {"source": partition["source"]}


def erase(lake: Lake, home: Home, what: Erased, *, run_id: str) -> dict[str, int]:
    """Erase from all tables with their old versions, and from what jobs and reports left; files rewritten, by table. No job may
    run."""
    prompts = {
        row["prompt"]
        for row in _ever(lake, lambda source: True, ("prompt",))
        if row["problem_id"] in what.problem_ids and row["prompt"] is not None
    }
    # What quotes the texts goes before the texts themselves: a second try after a kill must still find it.
    rewritten = {"stages": _table(lake, tables.STAGES, _previews(prompts))}
    columns = dict(TEXTS) | ({"evaluation_problems": ("prompt", "answer", "labels")} if what.own else {})
    for name in sorted({*columns, *DECISIONS}, key=lambda name: name == tables.PROBLEMS.name):
        rewritten[name] = _table(lake, tables.TABLES[name], _without(what, columns.get(name, ())))
    _leave_the_corpus(lake, what, run_id)
    _leave_the_jobs(home, what)
    for path in home.reports.glob("*.html"):
        path.unlink()  # `kimi-pipeline report` makes them again
    return {name: files for name, files in rewritten.items() if files}


Change = Callable[[pa.Table, Mapping[str, str]], pa.Table | None]
"""A file's rows and its partition values in; the rows as they shall be out, or None where the file may stay."""


def _without(what: Erased, columns: Collection[str]) -> Change:
    ids = pa.array(sorted(what.problem_ids), pa.string())

    def change(data: pa.Table, partition: Mapping[str, str]) -> pa.Table | None:
        hit = pa.array([False] * data.num_rows)
        if "problem_id" in data.column_names:
            hit = pc.is_in(data.column("problem_id"), ids).combine_chunks()
        if partition.get("source") in what.sources:
            hit = pa.array([True] * data.num_rows)
        if not pc.any(hit).as_py():
            return None
        made = data
        for name in columns:
            made = _emptied(made, name, hit)
        if "decision" in data.column_names:  # of review and people: an answer that a person gave
            answers = pc.starts_with(data.column("decision"), "answer=").combine_chunks()
            made = _emptied(made, "decision", pc.fill_null(pc.and_(hit, answers), False))
        return None if made.equals(data) else made

    return change


def _emptied(data: pa.Table, name: str, hit: pa.Array) -> pa.Table:
    """The column with null (or what `GONE` says) where `hit`."""
    place, column = data.schema.get_field_index(name), data.column(name).combine_chunks()
    if name in GONE:
        emptied = pc.if_else(hit, pa.scalar(GONE[name], column.type), column)
    else:
        emptied = column.take(pc.if_else(hit, pa.scalar(None, pa.int64()), pa.array(range(len(column)))))
    return data.set_column(place, data.schema.field(name), emptied)


def _previews(prompts: Iterable[str]) -> Change:
    """Drops the preview rows of finished stages that quote one of the prompts."""
    begins: dict[str, list[str]] = {}
    for prompt in prompts:
        begins.setdefault(prompt[:PREVIEW], []).append(prompt)

    def quotes(cell: Any) -> bool:
        return isinstance(cell, str) and any(
            cell.startswith(prompt) or prompt.startswith(cell) for prompt in begins.get(cell[:PREVIEW], ())
        )

    def change(data: pa.Table, partition: Mapping[str, str]) -> pa.Table | None:
        made = []
        for text in data.column("metadata").to_pylist():
            told = json.loads(text)
            told["preview"] = [row for row in told["preview"] if not any(map(quotes, row.values()))]
            made.append(
                json.dumps(told, default=str) if len(told["preview"]) < len(json.loads(text)["preview"]) else text
            )
        if made == data.column("metadata").to_pylist():
            return None
        place = data.schema.get_field_index("metadata")
        return data.set_column(place, data.schema.field("metadata"), pa.array(made, data.schema.field("metadata").type))

    return change


def _table(lake: Lake, table: Table, change: Change) -> int:
    """Change the rows of every data file of a table, old ones included, and set the log right. Returns how many files.

    The log's statistics of a file, which quote its texts, go before the file does, and its size is set right after: cut off
    anywhere, doing it again ends in the same state.
    """
    if not lake.exists(table):
        return 0
    root = Path(lake.path(table))
    partitions = _partitions(root)
    made: dict[str, Path] = {}
    for path in sorted(root.rglob("*.parquet")):
        name = str(path.relative_to(root))
        if not name.startswith("_delta_log"):
            changed = change(pq.ParquetFile(path).read(), partitions.get(name, {}))
            if changed is not None:
                made[name] = _scratch(path)
                pq.write_table(changed, made[name], compression="snappy", row_group_size=GROUP_ROWS)
    _correct_log(root, made)
    for name, scratch in made.items():
        os.replace(scratch, root / name)
    _correct_log(root, made)
    return len(made)


def _correct_log(root: Path, changed: Collection[str]) -> None:
    for log in sorted((root / "_delta_log").glob("*.json")):
        lines = [json.loads(line) for line in log.read_text().splitlines() if line]
        if sum(_corrected(root, action, changed) for action in lines):  # a sum: every action is looked at
            _write(log, "".join(json.dumps(action) + "\n" for action in lines).encode())
    for checkpoint in sorted((root / "_delta_log").glob("*.checkpoint*.parquet")):
        data = pq.ParquetFile(checkpoint).read()
        actions = data.to_pylist()
        if sum(_corrected(root, action, changed) for action in actions):
            _replace(checkpoint, pa.Table.from_pylist(actions, schema=data.schema))


def _partitions(root: Path) -> dict[str, dict[str, str]]:
    """The partition values of every data file that the log ever named."""
    found: dict[str, dict[str, str]] = {}
    for path in root.rglob("*.parquet"):
        parts = [unquote(part).split("=", 1) for part in path.relative_to(root).parts[:-1] if "=" in part]
        found[str(path.relative_to(root))] = dict(parts)  # type: ignore[arg-type]
    return found


def _corrected(root: Path, action: dict[str, Any], done: Collection[str]) -> bool:
    """Give a log's action the file's true size and take its statistics away; True where that changed it."""
    changed = False
    for kind in ("add", "remove"):
        entry = action.get(kind)
        if not entry or not entry.get("path"):
            continue
        name = unquote(entry["path"])
        path = root / name
        size = path.stat().st_size if path.is_file() else None
        if size is not None and entry.get("size") == size and name not in done:
            continue
        before = dict(entry)  # of a file that is gone nobody knows whose texts its statistics quote
        entry["size"] = entry.get("size") if size is None else size
        stats = json.loads(entry.get("stats") or "{}")
        if "stats" in entry:
            entry["stats"] = json.dumps({"numRecords": stats["numRecords"]}) if "numRecords" in stats else None
        if entry.get("stats_parsed"):
            entry["stats_parsed"] = None
        changed = changed or entry != before
    return changed


def _leave_the_corpus(lake: Lake, what: Erased, run_id: str) -> None:
    """Take the emptied rows out of the newest version of `problems`: nothing reads them any more."""
    if not lake.exists(tables.PROBLEMS):
        return
    named = [("source", sorted(what.sources)), ("problem_id", sorted(what.problem_ids))]
    for column, values in named:
        left = lake.rows(f"select count(*) n from problems where {column} in (select unnest(?))", [values])[0]["n"]
        if left:
            listed = ", ".join(f"'{value}'" for value in values)
            where = f"{column} in ({listed})"
            lake.replace(tables.PROBLEMS, [], where=where, run_id=run_id, reason="erased problems leave")


def _leave_the_jobs(home: Home, what: Erased) -> None:
    """Take the problems out of what jobs were given and left behind. A file that does not say whose texts it holds goes as a
    whole, and so does an RL run that was begun on one of the problems: it could not go on without it."""
    ids = pa.array(sorted(what.problem_ids), pa.string())
    for folder in (home.jobs, home.root / "reward_models"):
        for path in folder.rglob("*.parquet"):
            data = pq.ParquetFile(path).read()
            if "problem_id" not in data.column_names:
                path.unlink()
                continue
            kept = data.filter(pc.invert(pc.is_in(data.column("problem_id"), ids)))
            if kept.num_rows != data.num_rows:
                _replace(path, kept)
    for path in home.jobs.glob("*/*.json"):
        path.unlink()  # specs and results: nobody reads them once a job has ended
    for path in (home.root / "rl").glob(f"*/{RL_RUN}"):
        if what.problem_ids & json.loads(path.read_text())["prompts"].keys():
            os.replace(path.parent, path.parent.with_name(f".{path.parent.name}.gone"))
    for path in (home.root / "rl").glob(".*.gone"):
        shutil.rmtree(path)


def _scratch(path: Path) -> Path:
    return path.with_name(f".{path.name}.erasing")


def _replace(path: Path, data: pa.Table) -> None:
    scratch = _scratch(path)
    pq.write_table(data, scratch, compression="snappy")
    os.replace(scratch, path)


def _write(path: Path, content: bytes) -> None:
    scratch = _scratch(path)
    scratch.write_bytes(content)
    os.replace(scratch, path)
