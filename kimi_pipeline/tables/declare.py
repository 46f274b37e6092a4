"""What a table is: `Table`, the types that columns share, and `table`, which every declaration calls.

Belongs here: the type, DuckDB's names of its columns' types, the JSON that text columns hold. Does not belong here: any table.
A column in `volatile` says who and when; digests leave it out, so that equal content has an equal digest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

STRINGS = pa.list_(pa.string())
LABELS = pa.map_(pa.string(), pa.string())
IMAGES = pa.list_(pa.struct([("media_type", pa.string()), ("data", pa.binary())]))
SUBMISSIONS = pa.list_(pa.struct([("language", pa.string()), ("program", pa.string()), ("verdict", pa.string())]))
TIME = pa.timestamp("us", tz="UTC")
WHEN = [("run_id", pa.string()), ("created_at", TIME)]


@dataclass(frozen=True)
class Table:
    """A Delta table. `key` names the columns that identify a row; append-only tables may repeat theirs over time.

    Rows of an append-only table are never replaced or taken away: the lake refuses, and Delta itself does too.
    """

    name: str
    key: tuple[str, ...]
    schema: pa.Schema
    partition_by: tuple[str, ...] = ()
    version: int = 1
    volatile: tuple[str, ...] = ("run_id", "created_at")
    append_only: bool = False

    def refuse_changes(self) -> None:
        """Raises ValueError where rows may only be appended."""
        if self.append_only:
            raise ValueError(f"table {self.name} is append-only: write a row that says what changed")


def table(
    name: str,
    key: str,
    columns: list[tuple[str, pa.DataType]],
    partition_by: tuple[str, ...] = (),
    version: int = 1,
    append_only: bool = False,
) -> Table:
    schema = pa.schema([pa.field(n, t) for n, t in [*columns, *WHEN]])
    return Table(name, tuple(key.split()), schema, partition_by, version, append_only=append_only)


SQL_TYPES = {
    pa.string(): "varchar",
    pa.binary(): "blob",
    pa.bool_(): "boolean",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
}


def sql_type(kind: pa.DataType) -> str:
    """DuckDB's name of a column's type. (Registering an empty Arrow table instead would import pandas.)"""
    if pa.types.is_list(kind):
        return f"{sql_type(kind.value_type)}[]"
    if pa.types.is_map(kind):
        return f"map({sql_type(kind.key_type)}, {sql_type(kind.item_type)})"
    if pa.types.is_struct(kind):
        return "struct(" + ", ".join(f'"{field.name}" {sql_type(field.type)}' for field in kind) + ")"
    return "timestamptz" if pa.types.is_timestamp(kind) else SQL_TYPES[kind]


def as_json(value: Any) -> str:
    """JSON as evidence, parameter and manifest columns have it."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
