"""Migration: tables of an older release get the columns that they lack.

Belongs here: going through the tables and rewriting one. Does not belong here: what changed (`tables/changes.py`).
"""

from __future__ import annotations

from typing import Any

from deltalake import DeltaTable, write_deltalake

from kimi_pipeline.commits import commit_options, layout, room
from kimi_pipeline.lake import Lake
from kimi_pipeline.snapshots import SCHEMA_VERSION
from kimi_pipeline.tables import TABLES, Table
from kimi_pipeline.tables.changes import columns_since


def migrate(lake: Lake, *, run_id: str) -> list[dict[str, Any]]:
    """Bring every table to this release's schema: `[{"table", "from", "to", "rows"}]`, of those that were older.

    Each table in commits of its own: cut off in between, the next call goes on. Old versions that manifests name stay as
    they are and are read with the same columns filled in. Raises UserError for a table that no rule brings up to date.
    """
    told = []
    for table in TABLES.values():
        if lake.exists(table) and (older := lake.schema_version(table)) != table.version:
            rows = _rewrite(lake, table, older, run_id)
            told.append({"table": table.name, "from": older, "to": table.version, "rows": rows})
    return told


def _rewrite(lake: Lake, table: Table, older: int, run_id: str) -> int:
    """Rewrite a table of an older schema version under this release's; returns how many rows it has.

    Raises UserError where no rule says how. Cut off in between, it is done again as a whole.
    """
    if columns_since(table, older) is None:
        lake.delta(table)  # raises: this release can't
    options = commit_options(table, run_id, f"schema version {older} -> {table.version}")
    path = lake.path(table)
    rows = lake.read(table, version=DeltaTable(path).version()).cast(table.schema)
    with room(table, lake.root):
        delta = DeltaTable(path)
        delta.alter.set_table_properties({"delta.appendOnly": "false"}, **options)
        write_deltalake(
            path, rows, mode="overwrite", schema_mode="overwrite", partition_by=list(table.partition_by) or None,
            writer_properties=layout(table, rows.num_rows), **options,
        )  # fmt: skip
        delta = DeltaTable(path)
        if table.append_only:
            delta.alter.set_table_properties({"delta.appendOnly": "true"}, **options)
        delta.alter.set_table_description(SCHEMA_VERSION.format(table.version), **options)
    return int(rows.num_rows)
