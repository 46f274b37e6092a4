"""Commands that look after the home: storage, maintain, migrate.

Belongs here: arguments and tables. Does not belong here: the work (`maintenance/`).
"""

from __future__ import annotations

from typing import Any

import click

from kimi_pipeline.cli.door import as_json, emit, main, open_lake, show
from kimi_pipeline.home import Home

UNITS = ("B", "kB", "MB", "GB", "TB")


def _size(count: float) -> str:
    unit = 0
    while count >= 1000 and unit < len(UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.0f} {UNITS[unit]}" if unit < 2 else f"{count:.1f} {UNITS[unit]}"


def _readable(rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [row | {name: _size(row[name]) for name in names} for row in rows]


@main.command()
@as_json
def storage(as_json: bool) -> None:
    """Bytes of every table and folder: in use, held by a set's manifest, and what `maintain` would free."""
    from kimi_pipeline.maintenance.storage import storage as measure

    found = measure(open_lake(), Home.from_env())

    def tell() -> None:
        if found["tables"]:
            show(_readable(found["tables"], "bytes", "pinned", "loose", "log"), "Tables")
        show(_readable(found["folders"], "bytes"), "Folders")
        click.echo(f"\n{_size(found['total'])} in all, {_size(found['loose'])} of it in no version that is in use")

    emit(found, as_json, tell)


@main.command()
@click.option("--profile", help="The profile whose maintenance.keep_hours holds")
@click.option(
    "--keep-hours", type=click.IntRange(0), help="Leave what was in use so recently (default: maintenance.keep_hours)"
)
@click.option("--dry-run", is_flag=True, help="Say what would go; change nothing")
@as_json
def maintain(profile: str | None, keep_hours: int | None, dry_run: bool, as_json: bool) -> None:
    """Merge small files and remove those that no version in use names; versions of manifests stay whole.

    The job `maintenance` in the UI does the same and prunes Dagster's runs as well."""
    from kimi_pipeline.maintenance.tidying import tidy
    from kimi_pipeline.profiles import load_profile
    from kimi_pipeline.stages import new_run_id

    if keep_hours is None:
        keep_hours = load_profile(profile).maintenance.keep_hours
    rows = tidy(open_lake(), run_id=new_run_id(), keep_hours=keep_hours, only_look=dry_run)
    emit(rows, as_json, lambda: show(_readable(rows, "freed")) if rows else click.echo("nothing to do"))


@main.command()
@as_json
def migrate(as_json: bool) -> None:
    """Bring tables that an older release wrote to this release's columns."""
    from kimi_pipeline.maintenance.migration import migrate as bring_up_to_date
    from kimi_pipeline.stages import new_run_id

    rows = bring_up_to_date(open_lake(), run_id=new_run_id())
    emit(rows, as_json, lambda: show(rows) if rows else click.echo("every table is up to date"))
