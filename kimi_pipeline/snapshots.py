"""The newest version of each Delta table, remembered: reading a table's log takes longer than most queries over it.

Belongs here: noticing that a table has moved on, by whoever wrote it. Does not belong here: older versions, which are read
from the log (`lake.py`), and whether a schema is ours.
"""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from deltalake import DeltaTable

SCHEMA_VERSION = "schema version {}"  # kept as the table's description
SCHEMA_OF = re.compile(r"schema version (\d+)")


@dataclass(frozen=True)
class Snapshot:
    """A version of a table: the schema version it was written under and the paths of its data files."""

    version: int
    schema_version: int
    files: tuple[str, ...]

    @classmethod
    def of(cls, delta: DeltaTable) -> Snapshot:
        return cls(delta.version(), schema_of(delta), tuple(delta.file_uris()))


class Snapshots:
    """The newest versions under one folder. Safe among threads; a commit of any process is seen by the next `newest`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[DeltaTable, Snapshot, tuple[int, int]]] = {}

    def newest(self, path: str) -> Snapshot | None:
        """The newest version of the table in a folder, or None where there is no table."""
        with self._lock:
            known = self._known.get(path)
            if known and known[2] == _commit(path, known[1].version):
                delta = known[0]
                if _commit(path, known[1].version + 1) is None:
                    return known[1]
                delta.update_incremental()
            elif DeltaTable.is_deltatable(path):
                delta = DeltaTable(path)
            else:
                return None
            found = Snapshot.of(delta)
            if commit := _commit(path, found.version):
                self._known[path] = (delta, found, commit)
            return found


def schema_of(delta: DeltaTable) -> int:
    """The schema version in a table's description; 0 where it has none of ours."""
    found = SCHEMA_OF.fullmatch(delta.metadata().description or "")
    return int(found[1]) if found else 0


def _commit(path: str, version: int) -> tuple[int, int] | None:
    """What tells the log entry of a version from one of the same number in a table made anew; None where there is none."""
    try:
        found = os.stat(Path(path) / "_delta_log" / f"{version:020}.json")
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
