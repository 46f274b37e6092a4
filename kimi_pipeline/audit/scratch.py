"""A lake for recomputing: it reads what another lake held at given versions, and writes beside it.

Belongs here: that lake. Does not belong here: what is recomputed (`rebuild.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from kimi_pipeline.lake import Lake
from kimi_pipeline.tables import Table


class ScratchLake(Lake):
    """A table that was written here is read from here; one with a version in `pinned` as `origin` held it; others are
    empty. Nothing is ever written to `origin`."""

    def __init__(self, root: Path, origin: Lake, pinned: Mapping[str, int | None]) -> None:
        super().__init__(root)
        self.origin, self.pinned = origin, pinned

    def _open(
        self, db: duckdb.DuckDBPyConnection, table: Table, version: int | None = None, *, temporary: bool = True
    ) -> None:
        held = self.pinned.get(table.name)
        if held is None or self.exists(table):
            super()._open(db, table, version, temporary=temporary)
        else:
            self.origin._open(db, table, held, temporary=temporary)
