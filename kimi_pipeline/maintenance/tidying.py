"""Tidying: small files become large ones, long logs short to read; files that no version in use names are removed.

Belongs here: when a table is worth compacting, how that is done, and what must stay. Does not belong here: how versions of
prompt sets are merged (`merging.py`), erasing texts on request (`curation/erasure.py`), Dagster's store
(`resources/pruning.py`).

What stays: the newest version of every table, and each older one that a prompt set's manifest names (`pins.py`). A file
that is compacted away while a manifest names its version is still there, so small files are merged only once there are
many: each row is then copied a few times in its life and not once a night.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kimi_pipeline.commits import KEEP_LOG, commit_options, layout, room
from kimi_pipeline.errors import UserError
from kimi_pipeline.lake import Lake
from kimi_pipeline.maintenance import merging
from kimi_pipeline.maintenance.pins import pinned_versions
from kimi_pipeline.maintenance.storage import LOG, of_table
from kimi_pipeline.tables import PROMPT_SET, TABLES, Table

COMPACTED_BYTES = 16 * 2**20  # of a file that compaction makes, about
MANY = 24  # small files in one partition, or files of a set with a few versions each, from which on they are merged
LONG_LOG = 20  # commits that a reader of the log goes through one by one, from which on it is summed up
SMALL = COMPACTED_BYTES // 2
DAY_HOURS = 24


def tidy(lake: Lake, *, run_id: str, keep_hours: int = 7 * DAY_HOURS, only_look: bool = False) -> list[dict[str, Any]]:
    """Compact and vacuum every table: `[{"table", "small_files", "compacted", "removed_files", "freed"}]`, of the tables
    where there is something to do. `freed` in bytes.

    A file is removed when no version in use has named it for `keep_hours`, so that whoever reads an older version now can
    go on. `only_look` changes nothing and says what would go now. Raises UserError for a negative time.
    """
    if keep_hours < 0:
        raise UserError(f"--keep-hours {keep_hours} is negative")
    pins = pinned_versions(lake)
    told = []
    for table in TABLES.values():
        if lake.exists(table):
            row = _tidy(lake, table, pins.get(table.name, []), run_id, keep_hours, only_look)
            if row["compacted"] or row["removed_files"] or row["small_files"] >= MANY:
                told.append(row)
    return told


def _tidy(lake: Lake, table: Table, pins: list[int], run_id: str, keep_hours: int, only_look: bool) -> dict[str, Any]:
    spans: list[merging.Span] = []
    if table is PROMPT_SET:
        small, spans = _worth_merging(lake)
    else:
        small = small_files(lake, table)
    compacted = 0
    if small >= MANY and not only_look:
        compacted = merging.merge(lake, spans, run_id=run_id) if spans else compact(lake, table, run_id=run_id)
    before = of_table(lake, table, pins)["loose"]
    removed = vacuum(lake, table, keep=pins, hours=keep_hours, only_look=only_look)
    after = before if only_look else of_table(lake, table, pins)["loose"]
    if not only_look:
        _sum_up(lake, table)
    return {
        "table": table.name,
        "small_files": small,
        "compacted": compacted,
        "removed_files": removed,
        "freed": before - after,
    }


def _worth_merging(lake: Lake) -> tuple[int, list[merging.Span]]:
    """The most files of one set that merging would take, and what to merge: all of each set that has many."""
    by_set = {name: (sum(span.files for span in spans), spans) for name, spans in merging.spans(lake).items()}
    most = max((files for files, _ in by_set.values()), default=0)
    return most, [span for files, spans in by_set.values() if files >= MANY for span in spans]


def _sum_up(lake: Lake, table: Table) -> None:
    """Put the state that a long log leads to into one file, as Delta does by itself at every hundredth commit only: until
    then whoever opens the table reads each commit, which takes longer than most queries. The log stays."""
    delta = lake.delta(table)
    last = Path(lake.path(table)) / LOG / "_last_checkpoint"
    since = delta.version() - (json.loads(last.read_text())["version"] if last.is_file() else 0)
    if since >= LONG_LOG:
        with room(table, lake.root):
            delta.create_checkpoint()


def small_files(lake: Lake, table: Table) -> int:
    """The most files of one partition that are far below the size of a compacted one."""
    actions = lake.delta(table).get_add_actions(flatten=True)
    names = [name for name in actions.schema.names if name.startswith("partition.")]
    columns = [actions.column(name).to_pylist() for name in names]
    counts: dict[tuple[Any, ...], int] = {}
    for at, size in enumerate(actions.column("size_bytes").to_pylist()):
        if size < SMALL:
            key = tuple(column[at] for column in columns)
            counts[key] = counts.get(key, 0) + 1
    return max(counts.values(), default=0)


def compact(lake: Lake, table: Table, *, run_id: str) -> int:
    """Merge a table's small files; returns how many were merged. Content, digests and older versions stay as they are."""
    with room(table, lake.root):
        done = lake.delta(table).optimize.compact(
            target_size=COMPACTED_BYTES,
            writer_properties=layout(table, None, compression="ZSTD"),
            **commit_options(table, run_id, "compaction"),
        )
    return int(done["numFilesRemoved"])


def vacuum(lake: Lake, table: Table, *, keep: Sequence[int], hours: int, only_look: bool = False) -> int:
    """Remove the files that neither the newest version nor those to `keep` name, and no version of the last `hours`;
    returns how many."""
    options: dict[str, Any] = {
        "retention_hours": hours,
        "enforce_retention_duration": False,  # the caller's hours count, not Delta's default of a week
        "full": True,  # also what a writer that died had begun
        "keep_versions": list(keep) or None,
    }
    delta = lake.delta(table)
    # Delta names files as long as their removal stands in its log, also those that are gone by now.
    gone = [name for name in delta.vacuum(dry_run=True, **options) if (Path(lake.path(table)) / name).is_file()]
    if gone and not only_look:
        with room(table, lake.root):
            delta.vacuum(dry_run=False, post_commithook_properties=KEEP_LOG, **options)
    return len(gone)
