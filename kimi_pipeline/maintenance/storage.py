"""Storage: the bytes of every table and folder of a home, and which of them tidying would free.

Belongs here: measuring. Does not belong here: removing anything (`tidying.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.maintenance.pins import pinned_versions
from kimi_pipeline.tables import TABLES, Table

LOG = "_delta_log"


def storage(lake: Lake, home: Home) -> dict[str, Any]:
    """`{"tables": [{"table", "rows", "files", "bytes", "pinned", "loose", "log", "versions", "pinned_versions"}],
    "folders": [{"folder", "bytes"}], "total", "loose"}`, bytes on the disk, largest first.

    Of a table: `bytes` of the files of its newest version; `pinned` those that only an older version holds which a
    manifest names; `loose` those that no such version holds, which tidying removes once they are old enough; `log` Delta's
    own record of the versions. A file that lies in no folder (`mlflow.db`) has a row among the folders.
    """
    pins = pinned_versions(lake)
    rows = [of_table(lake, table, pins.get(table.name, [])) for table in TABLES.values() if lake.exists(table)]
    rows.sort(key=lambda row: -(row["bytes"] + row["pinned"] + row["loose"] + row["log"]))
    folders: list[dict[str, Any]] = [
        {"folder": path.name, "bytes": _size([path, *path.rglob("*")])}
        for path in home.root.iterdir()
        if path != home.lake
    ]
    held = sum(row["bytes"] + row["pinned"] + row["loose"] + row["log"] for row in rows)
    return {
        "tables": rows,
        "folders": sorted(folders, key=lambda row: -row["bytes"]),
        "total": held + sum(row["bytes"] for row in folders),
        "loose": sum(row["loose"] for row in rows),
    }


def of_table(lake: Lake, table: Table, pins: Iterable[int]) -> dict[str, Any]:
    newest = lake.delta(table)
    live = lake.files(table)
    held = {file for version in pins for file in lake.files(table, version)} - set(live)
    root = Path(lake.path(table))
    there = {path for path in root.rglob("*.parquet") if LOG not in path.parts}
    loose = {path for path in there if str(path) not in held and str(path) not in live}
    return {
        "table": table.name,
        "rows": newest.count(),
        "files": len(live),
        "bytes": _size(map(Path, live)),
        "pinned": _size(map(Path, held)),
        "loose": _size(loose),
        "log": _size((root / LOG).rglob("*")),
        "versions": newest.version() + 1,
        "pinned_versions": len(set(pins)),
    }


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())
