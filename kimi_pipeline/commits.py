"""How the lake's tables are written: what every commit says, how files are laid out, what a full disk looks like.

Belongs here: what `lake.py` and `maintenance/` give to Delta alike. Does not belong here: commits themselves.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from deltalake import (
    BloomFilterProperties,
    ColumnProperties,
    CommitProperties,
    PostCommitHookProperties,
    WriterProperties,
)
from deltalake.exceptions import DeltaError

from kimi_pipeline.errors import UserError, says
from kimi_pipeline.tables import Table

Compression = Literal["SNAPPY", "ZSTD"]
GROUP_ROWS = 32_768  # of a row group: what is read at least where one problem is asked for
FALSE_HITS = 0.05  # of the Bloom filters; 30 KB a row group
LOOKED_UP = "problem_id"  # the column by which one problem is found among millions of rows
KEEP_LOG = PostCommitHookProperties(cleanup_expired_logs=False)


def commit_options(table: Table, run_id: str, reason: str) -> dict[str, Any]:
    """What every commit is given: who made it and why, and that the log of older versions stays (Delta would forget those
    of more than a month ago; manifests name them for good)."""
    said = {"run_id": run_id, "reason": reason, "schema_version": str(table.version)}
    return {"commit_properties": CommitProperties(custom_metadata=said), "post_commithook_properties": KEEP_LOG}


def layout(table: Table, rows: int | None, compression: Compression = "SNAPPY") -> WriterProperties:
    """How files of a table are written: in row groups each with a filter of the problems in it, so that asking for one
    problem reads a few groups whatever their order. A few rows (None: nobody knows how many) need no filter."""
    filtered = LOOKED_UP in table.schema.names and (rows is None or rows >= GROUP_ROWS)
    bloom = BloomFilterProperties(True, FALSE_HITS, GROUP_ROWS)
    return WriterProperties(
        max_row_group_size=GROUP_ROWS,
        compression=compression,
        column_properties={LOOKED_UP: ColumnProperties(bloom_filter_properties=bloom)} if filtered else None,
    )


@contextlib.contextmanager
def room(table: Table, folder: Path) -> Iterator[None]:
    """A full or read-only disk under the lake's `folder` as one line. Nothing was committed: files that no log names are no
    part of a table."""
    try:
        yield
    except (DeltaError, OSError) as error:
        if says(error, (errno.EROFS, errno.EACCES, errno.EPERM)):
            raise UserError(
                f"cannot write table {table.name}: {folder} is read-only or not yours: set KIMI_HOME to a writable folder"
            ) from error
        if not says(error, (errno.ENOSPC,)):
            raise
        raise UserError(f"no disk space for table {table.name} in {folder}: free some and run again") from error
