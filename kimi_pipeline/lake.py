"""The lake: Delta tables under one folder, written atomically, read with DuckDB or as Arrow.

Belongs here: commits (with run id, reason and schema version), reads at a version, upserts. Does not belong here: which
tables there are (`tables/`) and what their rows mean; how Delta writes (`commits.py`), stamps (`clock.py`), digests of rows
(`row_digests.py`); rewriting files without changing content (`maintenance/`).
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import duckdb
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from kimi_pipeline import database, locks
from kimi_pipeline.clock import stamp
from kimi_pipeline.commits import commit_options, layout, room
from kimi_pipeline.errors import UserError
from kimi_pipeline.row_digests import relation_digest
from kimi_pipeline.snapshots import SCHEMA_VERSION, Snapshot, Snapshots, schema_of
from kimi_pipeline.tables import TABLES, Table
from kimi_pipeline.tables.changes import columns_since

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 20_000  # of a streamed result
APPEND_TRIES = 20  # appends to one table never conflict in Delta; the tries cover a racing creation of it
Parameters = Sequence[Any] | dict[str, Any]  # of a query: in the order of its `?`, or by the names after its `$`


class Lake:
    """Tables of one installation. Writers may be several processes: every commit is atomic and optimistic."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._snapshots = Snapshots()

    def path(self, table: Table) -> str:
        return str(self.root / table.name)

    def exists(self, table: Table) -> bool:
        return DeltaTable.is_deltatable(self.path(table))

    def delta(self, table: Table, version: int | None = None) -> DeltaTable:
        """The Delta table. Raises UserError for an unknown version or a table written under another schema version (an old
        version of a table that has been migrated since is read as it is)."""
        try:
            delta = DeltaTable(self.path(table), version=version)
        except TableNotFoundError:
            raise
        except Exception as error:
            if version is None:
                raise
            raise UserError(f"table {table.name} has no version {version}") from error
        self._refuse_other_schemas(table, schema_of(delta), old=version is not None)
        return delta

    def _refuse_other_schemas(self, table: Table, found: int, *, old: bool) -> None:
        if found == table.version or (old and columns_since(table, found) is not None):
            return
        way = "the matching release or a new KIMI_HOME"
        if columns_since(table, found) is not None:
            way = "`kimi-pipeline migrate`, which brings it up to date"
        raise UserError(
            f"table {table.name} was written under schema version {found}, this release has {table.version}: use {way}"
        )

    def schema_version(self, table: Table) -> int:
        """The schema version that the table as it is now was written under."""
        return schema_of(DeltaTable(self.path(table)))

    def files(self, table: Table, version: int | None = None) -> list[str]:
        """The paths of the data files of a version (none where nothing was written yet)."""
        found = self._snapshot(table, version)
        return list(found.files) if found else []

    def version(self, table: Table) -> int | None:
        """The newest version, or None where nothing was written yet."""
        found = self._snapshot(table)
        return found.version if found else None

    def _snapshot(self, table: Table, version: int | None = None) -> Snapshot | None:
        """A version (or the newest), None where nothing was written yet; refuses what `delta` refuses."""
        found = self._snapshots.newest(self.path(table))
        if version is not None and (found is None or found.version != version):
            return Snapshot.of(self.delta(table, version)) if found else None
        if found is not None:
            self._refuse_other_schemas(table, found.schema_version, old=version is not None)
        return found

    # -- writing ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def in_turn(self, what: str) -> Iterator[None]:
        """One at a time, of all processes that share the lake, for `what` (the name of a table or a set); waits for its turn."""
        self.root.mkdir(parents=True, exist_ok=True)
        with locks.in_turn(self.root / f".{what}.turn"):
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

    # -- reading ------------------------------------------------------------------------------------------------

    def read(
        self,
        table: Table,
        *,
        columns: Sequence[str] | None = None,
        where: list[tuple[str, str, Any]] | None = None,
        version: int | None = None,
    ) -> pa.Table:
        """Rows as Arrow (none where nothing was written yet). `where`: (column, operator, value), all of which must hold;
        the operator is SQL's, `in` takes a list."""
        names = columns or table.names
        listed = ", ".join(f'"{name}"' for name in names)
        condition = " and ".join(f'"{name}" {operator} ?' for name, operator, _ in where or []) or "true"
        with database.connection() as db:
            self._open(db, table, version)
            query = f"select {listed} from {table.name} where {condition}"
            return db.sql(query, params=[value for _, _, value in where or []]).to_arrow_table()

    def _open(
        self, db: duckdb.DuckDBPyConnection, table: Table, version: int | None = None, *, temporary: bool = True
    ) -> None:
        """Make a table known to a connection under its name, as a view over the files of its version: to that connection
        alone, or to all of its database.

        DuckDB reads the Parquet files itself: its own delta extension would have to be downloaded, and the way through
        pyarrow's datasets imports pandas, which takes longer than most queries.
        """
        create = "create temp" if temporary else "create"
        found = self._snapshot(table, version)
        if found is None or not found.files:
            columns = ", ".join(f'"{name}" {kind.sql}' for name, kind in table.columns)
            db.execute(f"{create} table {table.name} ({columns})")
            return
        came = columns_since(table, found.schema_version) or {}
        listed = ", ".join(
            f'cast({came[name]} as {kind.sql}) as "{name}"' if name in came else f'"{name}"'
            for name, kind in table.columns
        )
        quoted = ", ".join("'" + file.replace("'", "''") + "'" for file in found.files)
        db.execute(
            f"{create} view {table.name} as select {listed} from "
            f"read_parquet([{quoted}], hive_partitioning = true, hive_types_autocast = false)"
        )

    @contextlib.contextmanager
    def opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that knows every table under its name in the schema `lake`."""
        with database.alone() as db:
            db.execute("create schema lake; set schema = 'lake'")
            for table in TABLES.values():
                self._open(db, table, temporary=False)
            db.execute("set schema = 'main'")
            yield db

    def sql(self, query: str, parameters: Parameters = (), **extra: pa.Table) -> pa.Table:
        """Run a query over the tables by their names (only those that the query names are opened) and `extra` tables."""
        with database.connection() as db:
            self._open_named(db, query, extra)
            return db.sql(query, params=parameters).to_arrow_table()

    def stream(
        self, query: str, parameters: Parameters = (), *, rows: int = BATCH_ROWS, **extra: pa.Table
    ) -> Iterator[pa.Table]:
        """The same in tables of at most `rows` rows (none is empty), as they are computed, in no promised order unless
        the query orders them."""
        import pyarrow as pa

        with database.alone() as db:  # the order of rows is a setting of the whole database
            if "order by" not in query.lower():
                db.execute("set preserve_insertion_order = false")
            self._open_named(db, query, extra)
            reader = db.sql(query, params=parameters).to_arrow_reader(rows)
            for batch in reader:
                if batch.num_rows:
                    yield pa.Table.from_batches([batch])

    def rows(self, query: str, parameters: Parameters = (), **extra: pa.Table) -> list[dict[str, Any]]:
        """The same as dictionaries (Arrow's own conversion of times would import pandas)."""
        with database.connection() as db:
            self._open_named(db, query, extra)
            return _dictionaries(db.sql(query, params=parameters))

    @contextlib.contextmanager
    def reading(self) -> Iterator[Reading]:
        """Several queries over one state of the lake."""
        with database.connection() as db:
            yield Reading(self, db)

    def rows_at(self, table: Table, version: int, query: str, parameters: Parameters = ()) -> list[dict[str, Any]]:
        """The rows that a query over one table at a version gives."""
        with database.connection() as db:
            self._open(db, table, version)
            return _dictionaries(db.sql(query, params=parameters))

    def _open_named(self, db: duckdb.DuckDBPyConnection, query: str, extra: dict[str, pa.Table]) -> None:
        for name, data in extra.items():
            db.register(name, data)
        for name, table in TABLES.items():
            if name in query and name not in extra:
                self._open(db, table)

    def digest(self, table: Table, where: list[tuple[str, str, Any]] | None = None, version: int | None = None) -> str:
        """The digest of a table's content: sorted rows, volatile columns left out, independent of files and order."""
        names = [name for name in table.names if name not in table.volatile]
        listed = ", ".join(f'"{name}"' for name in names)
        condition = " and ".join(f'"{name}" {operator} ?' for name, operator, _ in where or []) or "true"
        with database.connection() as db:
            self._open(db, table, version)
            content = db.sql(
                f"select {listed} from {table.name} where {condition}", params=[value for _, _, value in where or []]
            )
            return relation_digest(content)

    def query_digest(self, query: str, parameters: Parameters = (), **extra: pa.Table) -> str:
        """`table_digest` of what a query over the tables gives, without holding it."""
        with database.connection() as db:
            self._open_named(db, query, extra)
            return relation_digest(db.sql(query, params=parameters))


class Reading:
    """Queries over one state of the lake: a table is opened once, at the version that the first query over it finds, which
    is cheaper than `Lake.rows` for each and never sees half of what another process writes."""

    def __init__(self, lake: Lake, db: duckdb.DuckDBPyConnection) -> None:
        self._lake, self._db = lake, db
        self._opened: set[str] = set()

    def rows(self, query: str, parameters: Parameters = ()) -> list[dict[str, Any]]:
        return _dictionaries(self._found(query, parameters))

    def tuples(self, query: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """The same without names, for queries that give many rows."""
        return self._found(query, parameters).fetchall()

    def _found(self, query: str, parameters: Parameters) -> duckdb.DuckDBPyRelation:
        for name, table in TABLES.items():
            if name in query and name not in self._opened:
                self._lake._open(self._db, table)
                self._opened.add(name)
        return self._db.sql(query, params=parameters)


class Readable(Protocol):
    """What queries are asked of: a lake, or one state of it."""

    def rows(self, query: str, parameters: Parameters = ()) -> list[dict[str, Any]]: ...


def _dictionaries(found: duckdb.DuckDBPyRelation) -> list[dict[str, Any]]:
    names = found.columns
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
