"""What people see of an outcome in the UI: figures, rows, a preview, plots, links; and of a table: its columns.

Belongs here: metadata. Does not belong here: the figures themselves (a stage chooses them, most useful first).
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from kimi_pipeline.lake import Lake
from kimi_pipeline.stages import Context, Outcome, Stage
from kimi_pipeline.tables import Table

MOST_FIGURES = 20
PREVIEW_ROWS = 10
PREVIEW_WIDTH = 80
MOST_PLOT_BYTES = 300_000  # a plot is kept in the event log, which is never pruned by itself


def outcome_metadata(stage: Stage, context: Context, outcome: Outcome) -> dict[str, Any]:
    """The metadata of one materialisation."""
    rows = row_counts(stage, context)
    room = MOST_FIGURES - len(rows)
    shown: dict[str, Any] = {name: _figure(value) for name, value in list(outcome.figures.items())[:room]}
    shown |= rows
    for name, path in outcome.plots.items():
        shown[name] = _plot(name, Path(path))
    if outcome.preview:
        shown["preview"] = dg.MetadataValue.md(markdown_table(outcome.preview))
    for name, value in outcome.outputs.items():
        shown.setdefault(name, _output(value))
    profile = context.profile
    shown["profile"] = f"{profile.name} ({profile.digest[:12]})"
    shown["computed"] = "no: nothing it depends on has changed" if outcome.cached else "yes"
    return shown


def definition_metadata(stage: Stage) -> dict[str, Any]:
    """What an asset shows before it was ever materialised: the columns of its table."""
    if not stage.tables:
        return {}
    first, *others = stage.tables
    metadata: dict[str, Any] = {"dagster/table_name": first.name, "dagster/column_schema": column_schema(first)}
    return metadata | {f"columns of {table.name}": column_schema(table) for table in others}


def column_schema(table: Table) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(field.name, str(field.type), description="key" if field.name in table.key else None)
            for field in table.schema
        ]
    )


def row_counts(stage: Stage, context: Context) -> dict[str, int]:
    """Rows of the stage's tables; of tables that several sets share, this set's."""
    counts: dict[str, int] = {}
    for table in stage.tables:
        name = f"rows in {table.name}" if counts else "dagster/row_count"
        counts[name] = _rows(context.lake, table, context.prompt_set if stage.by_set else None)
    return counts


def _rows(lake: Lake, table: Table, prompt_set: str | None) -> int:
    if not lake.exists(table):
        return 0
    if prompt_set is None or "prompt_set" not in table.schema.names:
        return lake.delta(table).count()
    return int(lake.rows(f"select count(*) as n from {table.name} where prompt_set = ?", [prompt_set])[0]["n"])


def markdown_table(rows: list[dict[str, Any]]) -> str:
    """The first rows as a Markdown table; long cells are cut."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([_cell(row.get(name)) for name in names] for row in rows[:PREVIEW_ROWS])]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    text = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    text = " ".join(text.split()).replace("|", "\\|")
    return text if len(text) <= PREVIEW_WIDTH else text[: PREVIEW_WIDTH - 1] + "…"


def _figure(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON, and so the UI, has no infinity
    if isinstance(value, Mapping | list | tuple):
        return dg.MetadataValue.json(value if isinstance(value, Mapping) else list(value))
    return value if isinstance(value, bool | int | float | str) else str(value)


def _plot(name: str, path: Path) -> dg.MetadataValue:
    if not path.is_file() or path.stat().st_size > MOST_PLOT_BYTES:
        return dg.MetadataValue.path(str(path))
    encoded = base64.b64encode(path.read_bytes()).decode()
    return dg.MetadataValue.md(f"![{name}](data:image/png;base64,{encoded})")


def _output(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("/"):
        return dg.MetadataValue.path(value)
    return _figure(value)
