"""What changed in a table's columns since its first schema version, so that older lakes can still be read.

Belongs here: columns that came, with what stands in older rows. Does not belong here: rewriting (`maintenance/migration.py`).
"""

from __future__ import annotations

from kimi_pipeline.tables.declare import Table

CAME: dict[tuple[str, int], dict[str, str]] = {
    ("tags", 2): {"grade": "null"},
    ("difficulty", 2): {"cut": "0", "imported": "0"},
    ("review", 2): {"until": "null"},
    ("coding_problems", 2): {"checker": "null"},
    ("validated_suites", 2): {"checker_id": "null"},
}
"""By table and the schema version that brought them: columns, and the SQL value that older rows have in them."""


def columns_since(table: Table, older: int) -> dict[str, str] | None:
    """The columns that rows of schema version `older` lack, with their value; None where it can't be brought up to date
    (a newer release's, or one of which no rule is known)."""
    steps = [CAME.get((table.name, version)) for version in range(older + 1, table.version + 1)]
    if older > table.version or None in steps:
        return None
    return {name: value for step in steps for name, value in (step or {}).items()}
