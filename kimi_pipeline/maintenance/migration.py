"""Migration: tables of an older release get the columns that they lack.

Belongs here: going through the tables. Does not belong here: what changed (`tables/changes.py`), how a table is rewritten
(`lake.py`).
"""

from __future__ import annotations

from typing import Any

from kimi_pipeline.lake import Lake
from kimi_pipeline.tables import TABLES


def migrate(lake: Lake, *, run_id: str) -> list[dict[str, Any]]:
    """Bring every table to this release's schema: `[{"table", "from", "to", "rows"}]`, of those that were older.

    Each table in commits of its own: cut off in between, the next call goes on. Old versions that manifests name stay as
    they are and are read with the same columns filled in. Raises UserError for a table that no rule brings up to date.
    """
    told = []
    for table in TABLES.values():
        if lake.exists(table) and (older := lake.schema_version(table)) != table.version:
            rows = lake.migrate(table, run_id=run_id)
            told.append({"table": table.name, "from": older, "to": table.version, "rows": rows})
    return told
