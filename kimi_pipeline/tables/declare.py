"""What a table is: `Table`, the types of columns, and `table`, which every declaration calls.

Belongs here: the types, under the names that DuckDB and Arrow have for them; the JSON that text columns hold. Does not belong
here: any table. A column in `volatile` says who and when; digests leave it out, so that equal content has an equal digest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Kind:
    """A column's type: DuckDB's name of it, and the function of pyarrow that makes it with what that is given.

    Arrow makes it only where it is asked for: importing pyarrow takes longer than most commands that read tables.
    """

    sql: str
    maker: str
    given: tuple[Any, ...] = ()

    def arrow(self) -> pa.DataType:
        import pyarrow

        return getattr(pyarrow, self.maker)(*map(_made, self.given))


def _made(given: Any) -> Any:
    """What stands for types in a maker's arguments, as Arrow's types."""
    if isinstance(given, tuple):
        return tuple(map(_made, given))
    return given.arrow() if isinstance(given, Kind) else given


def list_of(item: Kind) -> Kind:
    return Kind(f"{item.sql}[]", "list_", (item,))


def map_of(key: Kind, value: Kind) -> Kind:
    return Kind(f"map({key.sql}, {value.sql})", "map_", (key, value))


def struct_of(**fields: Kind) -> Kind:
    listed = ", ".join(f'"{name}" {kind.sql}' for name, kind in fields.items())
    return Kind(f"struct({listed})", "struct", (tuple(fields.items()),))


TEXT = Kind("varchar", "string")
BYTES = Kind("blob", "binary")
BOOL = Kind("boolean", "bool_")
INT32 = Kind("integer", "int32")
INT64 = Kind("bigint", "int64")
FLOAT32 = Kind("float", "float32")
FLOAT64 = Kind("double", "float64")
TIME = Kind("timestamptz", "timestamp", ("us", "UTC"))
STRINGS = list_of(TEXT)
LABELS = map_of(TEXT, TEXT)
IMAGES = list_of(struct_of(media_type=TEXT, data=BYTES))
SUBMISSIONS = list_of(struct_of(language=TEXT, program=TEXT, verdict=TEXT))
WHEN = [("run_id", TEXT), ("created_at", TIME)]


@dataclass(frozen=True)
class Table:
    """A Delta table. `key` names the columns that identify a row; append-only tables may repeat theirs over time.

    Rows of an append-only table are never replaced or taken away: the lake refuses, and Delta itself does too.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[tuple[str, Kind], ...]
    partition_by: tuple[str, ...] = ()
    version: int = 1
    volatile: tuple[str, ...] = ("run_id", "created_at")
    append_only: bool = False

    @cached_property
    def names(self) -> list[str]:
        """Of the columns, in their order."""
        return [name for name, _ in self.columns]

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns as Arrow has them, for writing."""
        import pyarrow

        return pyarrow.schema([(name, kind.arrow()) for name, kind in self.columns])

    def refuse_changes(self) -> None:
        """Raises ValueError where rows may only be appended."""
        if self.append_only:
            raise ValueError(f"table {self.name} is append-only: write a row that says what changed")


def table(
    name: str,
    key: str,
    columns: list[tuple[str, Kind]],
    partition_by: tuple[str, ...] = (),
    version: int = 1,
    append_only: bool = False,
) -> Table:
    return Table(name, tuple(key.split()), (*columns, *WHEN), partition_by, version, append_only=append_only)


def as_json(value: Any) -> str:
    """JSON as evidence, parameter and manifest columns have it."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
