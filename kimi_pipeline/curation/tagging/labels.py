"""Labels of sources as tags: what a row's own columns say of its domain, discipline and grade.

Belongs here: reading those columns, in batches. Does not belong here: the mapping itself (`taxonomy.py`).
"""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa

from kimi_pipeline.curation.taxonomy import Tag, taxonomy


def _column(label: str) -> str:
    return f"label_{label}"


NAMES = tuple(dict.fromkeys((*taxonomy().subject_labels, *taxonomy().grade_labels)))
COLUMNS = ", ".join(["problem_id", "prompt", "domain", "discipline", "language"]) + "".join(
    f", labels['{name}'] as {_column(name)}" for name in NAMES
)
"""What a query over `problems` must select for the functions here."""


def source_tags(rows: pa.Table) -> list[Tag | None]:
    """The tag that each row's source gives it, by domain and discipline, else by its labels; None where there is none."""
    columns = [rows.column(name).to_pylist() for name in ("domain", "discipline", *map(_column, NAMES))]
    return [_tag(*values) for values in zip(*columns, strict=True)]


def grades(rows: pa.Table) -> list[str | None]:
    """The grade of each row, where a label gives one."""
    columns = [rows.column(_column(name)).to_pylist() for name in NAMES]
    return [_grade(*values) for values in zip(*columns, strict=True)]


@lru_cache(maxsize=65_536)
def _tag(domain: str | None, discipline: str | None, *labels: str | None) -> Tag | None:
    return taxonomy().place(domain, discipline) or taxonomy().subject(_given(labels))


@lru_cache(maxsize=65_536)
def _grade(*labels: str | None) -> str | None:
    return taxonomy().grade(_given(labels))


def _given(labels: tuple[str | None, ...]) -> dict[str, str]:
    return {name: value for name, value in zip(NAMES, labels, strict=True) if value is not None}
