"""Reading the lake: Delta tables with DuckDB, as Arrow or as rows, now or at an earlier version.

Belongs here: versions and their files, tables opened as views, queries, digests of content. Does not belong here: commits
(`lake.py`), which tables there are (`tables/`), digests of rows (`row_digests.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import duckdb
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from kimi_pipeline import database
from kimi_pipeline.errors import UserError
from kimi_pipeline.row_digests import relation_digest
from kimi_pipeline.snapshots import Snapshot, Snapshots, schema_of
from kimi_pipeline.tables import TABLES, Table
from kimi_pipeline.tables.changes import columns_since

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 20_000  # of a streamed result
Parameters = Sequence[Any] | dict[str, Any]  # of a query: in the order of its `?`, or by the names after its `$`


class LakeReader:
    """Tables of one installation, to be read. Whoever writes them meanwhile: a query sees whole commits alone."""

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
    is cheaper than `LakeReader.rows` for each and never sees half of what another process writes."""

    def __init__(self, lake: LakeReader, db: duckdb.DuckDBPyConnection) -> None:
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
