"""DuckDB in memory: connections for queries.

Belongs here: how a database is opened and what it may do. Does not belong here: any table (`lake.py`).

A database takes some ten milliseconds to open, longer than most queries. So one is kept a process, and each query has a
connection of its own in it: temporary views and registered tables are seen by their connection alone.
"""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path

import duckdb

MEMORY = "1000MB"  # of a database; what does not fit goes to temporary files


def connection() -> duckdb.DuckDBPyConnection:
    """A connection in the process's database, for temporary views and registered tables only: nothing that others would
    see may be created or set."""
    return _of_process(os.getpid()).cursor()


def alone() -> duckdb.DuckDBPyConnection:
    """A database of its own, which may be set as its user likes."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",  # nothing is installed, nor loaded from the network
        "TimeZone": "UTC",
        "memory_limit": MEMORY,
        # DuckDB 2.0.0 gives rows of another file where it takes the first row of each group of what a subquery or a join
        # chooses from several Parquet files. Without this rewriting the same queries take as long.
        "disabled_optimizers": "top_n_window_elimination",
        "temp_directory": str(Path(tempfile.gettempdir()) / "kimi-pipeline-duckdb"),
    }
    return duckdb.connect(":memory:", config=config)


@functools.lru_cache(maxsize=1)
def _of_process(pid: int) -> duckdb.DuckDBPyConnection:
    """Keyed by process: a database does not survive a fork."""
    return alone()
