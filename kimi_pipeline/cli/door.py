"""The door itself: the command group, exit codes, tables for people and JSON for machines.

Belongs here: what every command uses. Does not belong here: any command.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home

if TYPE_CHECKING:
    from kimi_pipeline.profiles import Profile
    from kimi_pipeline.stages import Context

NO, BAD_INPUT = 1, 2
FEW_COLLECTIONS = 50_000  # new objects between two: commands build many small rows and hardly a circle


class Door(click.Group):
    """Turns a UserError into its one line and exit code 2."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        gc.set_threshold(FEW_COLLECTIONS)
        try:
            return super().main(*args, **kwargs)
        except UserError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(BAD_INPUT)


as_json = click.option("--json", "as_json", is_flag=True, help="Machine-readable output")


@click.group(cls=Door, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Data and training for reasoning models, after the Kimi k1.5 report: run the lineage, and ask it why."""


def show(rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """Rows as a table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title or None, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False
    )
    columns = list(rows[0]) if rows else []
    for name in columns:
        numeric = all(isinstance(row[name], int | float) and not isinstance(row[name], bool) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*[Text(_cell(row[name])) for name in columns])  # Text: no cell is markup, not even \[x]
    # A pipe has no width of its own; cutting what goes into one would lose it.
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list | tuple):
        return " – ".join(_cell(v) for v in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_cell(v)}" for k, v in value.items())
    return "" if value is None else str(value)


def emit(value: Any, as_json: bool, people: Callable[[], None]) -> None:
    """One value as JSON (indented for a person's eyes, which is slow for long lists), or as people read it."""
    if as_json:
        indent = 2 if sys.stdout.isatty() else None
        click.echo(json.dumps(value, indent=indent, default=str, ensure_ascii=False))
    else:
        people()


def open_lake() -> Any:
    from kimi_pipeline.lake import Lake

    return Lake(Home.from_env().lake)


def reading_context(settings: Profile) -> Context:
    """A context of stages for commands that look at the lineage and run nothing of it."""
    from kimi_pipeline.jobs import LocalLauncher
    from kimi_pipeline.stages import Context, new_run_id

    home = Home.from_env()
    return Context(
        home, open_lake(), settings, LocalLauncher(home.jobs), new_run_id(), settings.curation.prompt_set, click.echo
    )
