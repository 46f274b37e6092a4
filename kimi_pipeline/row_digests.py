"""Digests of rows as a set: what two tables share that say the same, whatever their files and the order of their rows.

Belongs here: the digest of Arrow rows, of a query's rows, of rows that are not written yet. Does not belong here: digests
of files and settings (`digests.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import duckdb

from kimi_pipeline import database
from kimi_pipeline.digests import digest
from kimi_pipeline.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa


def relation_digest(content: duckdb.DuckDBPyRelation) -> str:
    """The digest of a query's rows: the sum of their 128-bit hashes, which needs no sorting and no memory. Row order does
    not count, column order and names do.

    A sum is as good as sorting against chance, as digests are used here; it is no defence against one who forges rows.
    """
    names = list(content.columns)
    listed = ", ".join(f'"{name}" := "{name}"' for name in names)
    hashed = content.project(f"cast(struct_pack({listed}) as varchar) as row")
    found = hashed.aggregate(
        "sum(md5_number_lower(row)::hugeint)::varchar, sum(md5_number_upper(row)::hugeint)::varchar, count(*)"
    ).fetchall()
    return digest([names, *found[0]])


def table_digest(data: pa.Table) -> str:
    """The digest of Arrow rows."""
    with database.connection() as db:
        return relation_digest(db.from_arrow(data))


def content_digest(table: Table, rows: Iterable[dict[str, Any]]) -> str:
    """The digest that rows will have in their table: volatile columns left out."""
    import pyarrow as pa

    names = [name for name in table.names if name not in table.volatile]
    schema = pa.schema([table.schema.field(name) for name in names])
    return table_digest(pa.Table.from_pylist([{name: row[name] for name in names} for row in rows], schema=schema))
