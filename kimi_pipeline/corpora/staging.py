"""Staging: a source's normalised rows in files beside the lake, until the source was read to its end.

Belongs here: those files, their counts and digest, and clearing away what a killed run left. Does not belong here: what
is written into them (`ingest.py`), commits (`lake.py`).
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kimi_pipeline import locks
from kimi_pipeline.corpora.batches import PROBLEM_COLUMNS, QUARANTINE_COLUMNS, Normalised
from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError

LOCK = "lock"  # of a run's folder


class Staged:
    """One source's rows: `problems` and `refused` are Parquet files with the columns of their tables."""

    def __init__(self, folder: Path, source: str, fingerprint: str) -> None:
        self.source, self.fingerprint = source, fingerprint
        self.problems, self.refused = folder / f"{source}.kept.parquet", folder / f"{source}.refused.parquet"
        self._writers = (
            pq.ParquetWriter(self.problems, PROBLEM_COLUMNS, compression="lz4"),
            pq.ParquetWriter(self.refused, QUARANTINE_COLUMNS, compression="lz4"),
        )
        self._kept = self._refused = 0
        self._digest = digest([source])

    @property
    def rows(self) -> int:
        return self._kept + self._refused

    def write(self, made: Normalised) -> None:
        try:
            for writer, rows in zip(self._writers, (made.problems, made.refused), strict=True):
                if rows.num_rows:
                    writer.write_table(rows)
        except (OSError, pa.ArrowException) as error:
            if getattr(error, "errno", None) != errno.ENOSPC and "No space left" not in str(error):
                raise
            folder = self.problems.parent
            raise UserError(f"no disk space to stage {self.source} in {folder}: free some and run again") from error
        self._kept += made.problems.num_rows
        self._refused += made.refused.num_rows
        self._digest = digest([self._digest, made.digest])

    def close(self) -> None:
        for writer in self._writers:
            writer.close()

    def counts(self) -> dict[str, Any]:
        """What `source_reads` says of the source."""
        return {
            "data_version": self._digest,
            "rows": self.rows,
            "problems": self._kept,
            "quarantined": self._refused,
        }


class Staging:
    """A folder of this run alone below `root`, gone at the end; a lock tells it from what a killed run left there."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / uuid.uuid4().hex
        self._lock = contextlib.ExitStack()

    def __enter__(self) -> Staging:
        self._folder.mkdir(parents=True)
        self._lock.enter_context(locks.in_turn(self._folder / LOCK))
        for other in self._root.iterdir():
            if other != self._folder and locks.is_free(other / LOCK):
                shutil.rmtree(other, ignore_errors=True)
        return self

    def begin(self, source: str, fingerprint: str) -> Staged:
        return Staged(self._folder, source, fingerprint)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.close()
