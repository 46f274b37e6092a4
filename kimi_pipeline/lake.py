"""The lake: Delta tables under one folder, written atomically.

Belongs here: commits (with run id, reason and schema version), upserts. Does not belong here: reading (`lake_reader.py`),
which tables there are (`tables/`) and what their rows mean; how Delta writes (`commits.py`), stamps (`clock.py`); rewriting
files without changing content (`maintenance/`).
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from deltalake import write_deltalake
from deltalake.exceptions import CommitFailedError

from kimi_pipeline import database, locks
from kimi_pipeline.clock import stamp
from kimi_pipeline.commits import commit_options, layout, room
from kimi_pipeline.lake_reader import LakeReader, Parameters
from kimi_pipeline.snapshots import SCHEMA_VERSION
from kimi_pipeline.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa

TURN = ".turn"  # how the names of its locks end, which lie beside the tables and stay
APPEND_TRIES = 20  # appends to one table never conflict in Delta; the tries cover a racing creation of it


class Lake(LakeReader):
    """Tables of one installation. Writers may be several processes: every commit is atomic and optimistic."""

    @contextlib.contextmanager
    def in_turn(self, what: str) -> Iterator[None]:
        """One at a time, of all processes that share the lake, for `what` (the name of a table or a set); waits for its turn."""
        self.root.mkdir(parents=True, exist_ok=True)
        with locks.in_turn(self.root / f".{what}{TURN}"):
            yield

    def append(
        self, table: Table, rows: pa.Table | Iterable[dict[str, Any]], *, run_id: str, reason: str
    ) -> int | None:
        """Commit rows; returns the new version (None: there was nothing to commit)."""
        data = self.arrow(table, rows, run_id)
        if not data.num_rows:
            return None
        self._write(table, data, mode="append", run_id=run_id, reason=reason)
        return self.version(table)

    def upsert(self, table: Table, rows: pa.Table | Iterable[dict[str, Any]], *, run_id: str, reason: str) -> int:
        """Insert new keys and replace rows whose content changed; returns how many rows that were.

        Rows equal to what is stored (volatile columns aside) are not written; where nothing changed, nothing is committed.
        """
        table.refuse_changes()
        data = self.arrow(table, rows, run_id)
        if not data.num_rows:
            return 0
        # Appends never conflict in Delta: of two upserts that find a key new, both would insert it. (A merge would conflict, but
        # takes two to three times as long where most keys are new.)
        with room(table, self.root), self.in_turn(table.name):
            return self._upsert(table, data, run_id, reason)

    def _upsert(self, table: Table, data: pa.Table, run_id: str, reason: str) -> int:
        if not self.exists(table):
            self._write(table, data, mode="append", run_id=run_id, reason=reason)
            return data.num_rows
        content = [name for name in table.schema.names if name not in table.volatile]
        listed = ", ".join(f'"{name}"' for name in content)
        keys = ", ".join(f'"{name}"' for name in table.key)
        same = " and ".join(f'n."{name}" is not distinct from o."{name}"' for name in content)
        with database.connection() as db:
            self._open(db, table)
            db.register("new_rows", data)
            # Only the rows with a key of ours are taken out of the table, which may be far larger than what comes in.
            stored = db.sql(f"select {listed} from {table.name} semi join new_rows using ({keys})").to_arrow_table()
            if not stored.num_rows:
                self._write(table, data, mode="append", run_id=run_id, reason=reason)
                return data.num_rows
            db.register("old_rows", stored)
            changed = db.sql(
                f"select n.* from new_rows n where not exists (select 1 from old_rows o where {same})"
            ).to_arrow_table()
        if not changed.num_rows:
            return 0
        changed = changed.cast(table.schema)
        condition = " and ".join(f'target."{name}" = source."{name}"' for name in table.key)
        with room(table, self.root):
            (
                self.delta(table)
                .merge(
                    changed,
                    predicate=condition,
                    source_alias="source",
                    target_alias="target",
                    writer_properties=layout(table, None),
                    **commit_options(table, run_id, reason),
                )
                .when_matched_update_all()
                .when_not_matched_insert_all()
                .execute()
            )
        return changed.num_rows

    def replace(
        self, table: Table, rows: pa.Table | Iterable[dict[str, Any]], *, where: str | None, run_id: str, reason: str
    ) -> None:
        """Overwrite the rows that match `where` (a Delta predicate; None: the whole table) in one commit."""
        table.refuse_changes()
        data = self.arrow(table, rows, run_id)
        if not self.exists(table):
            where = None
        self._write(table, data, mode="overwrite", predicate=where, run_id=run_id, reason=reason)

    def append_query(
        self, table: Table, query: str, parameters: Parameters = (), *, run_id: str, reason: str, **extra: pa.Table
    ) -> int:
        """Commit the rows that a query gives, batch by batch: memory does not grow with them. Returns how many."""
        batches = self.stream(query, parameters, **extra)
        first = next(batches, None)
        if first is None:
            return 0
        return self._commit(table, itertools.chain([first], batches), run_id, reason, mode="append")

    def replace_query(
        self,
        table: Table,
        query: str,
        parameters: Parameters = (),
        *,
        where: str | None,
        run_id: str,
        reason: str,
        **extra: pa.Table,
    ) -> int:
        """Overwrite the rows that match `where`, as `replace` does, with those that a query gives. Returns how many."""
        table.refuse_changes()
        batches = self.stream(query, parameters, **extra)
        first = list(itertools.islice(batches, 1))  # the query opens its tables here: inside the commit it can't
        options = {"mode": "overwrite", "predicate": where if self.exists(table) else None}
        return self._commit(table, itertools.chain(first, batches), run_id, reason, **options)

    def _commit(self, table: Table, batches: Iterable[pa.Table], run_id: str, reason: str, **options: Any) -> int:
        import pyarrow as pa

        written = 0

        def stamped() -> Iterator[pa.RecordBatch]:
            nonlocal written
            for batch in batches:
                written += batch.num_rows
                yield from self.arrow(table, batch, run_id).to_batches()

        reader = pa.RecordBatchReader.from_batches(table.schema, stamped())
        self._write(table, reader, run_id=run_id, reason=reason, **options)
        return written

    def _write(
        self, table: Table, data: pa.Table | pa.RecordBatchReader, *, run_id: str, reason: str, **options: Any
    ) -> None:
        import pyarrow as pa

        self.root.mkdir(parents=True, exist_ok=True)
        tries = APPEND_TRIES if isinstance(data, pa.Table) else 1  # a stream is read once
        for attempt in range(tries):
            try:
                with room(table, self.root):
                    write_deltalake(
                        self.path(table),
                        data,
                        partition_by=list(table.partition_by) or None,
                        name=table.name,
                        description=SCHEMA_VERSION.format(table.version),
                        configuration={"delta.appendOnly": "true"} if table.append_only else None,
                        writer_properties=layout(table, data.num_rows if isinstance(data, pa.Table) else None),
                        **commit_options(table, run_id, reason),
                        **options,
                    )
                return
            except CommitFailedError:
                if attempt == tries - 1:
                    raise

    def arrow(self, table: Table, rows: pa.Table | Iterable[dict[str, Any]], run_id: str) -> pa.Table:
        """Rows in the table's schema; `run_id` and `created_at` are filled in where they are missing."""
        import pyarrow as pa  # here and below: reading alone does not need it, and importing it takes longer than most queries

        if isinstance(rows, pa.Table):
            if "run_id" not in rows.column_names:
                rows = rows.append_column("run_id", pa.repeat(run_id, rows.num_rows))
            if "created_at" not in rows.column_names:
                when = pa.scalar(self._stamp_of(table), table.schema.field("created_at").type)
                rows = rows.append_column("created_at", pa.repeat(when, rows.num_rows))
            return rows.select(table.names).cast(table.schema)
        rows = list(rows)
        if not rows:
            return table.schema.empty_table()
        stamped = {"run_id": run_id, "created_at": self._stamp_of(table)}
        return pa.Table.from_pylist([stamped | row for row in rows], schema=table.schema)

    def _stamp_of(self, table: Table) -> datetime:
        with room(table, self.root):
            return stamp(self.root)
