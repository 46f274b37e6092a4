"""Commands about corpora before they enter: sources check.

Belongs here: arguments and tables. Does not belong here: the check (`corpora/check.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kimi_pipeline.cli.door import as_json, emit, main, show
from kimi_pipeline.errors import UserError


@main.group()
def sources() -> None:
    """Corpora: look at a file before it enters the lake."""


@sources.command()
@click.argument("file")
@click.option(
    "--write",
    "output",
    type=click.Path(path_type=Path),
    help="Write the source entry to this file, or into this folder (else it is printed)",
)
@click.option("--licence", help="The corpus' licence, for the entry")
@click.option("--limit", type=click.IntRange(1), help="Look at the first rows alone")
@click.option("--profile", help="The profile whose bounds count (default: laptop)")
@as_json
def check(
    file: str,
    output: Path | None,
    licence: str | None,
    limit: int | None,
    profile: str | None,
    as_json: bool,
) -> None:
    """Guess the mapping of FILE (a data file or URL; or a .toml source file as it is), show five rows and what would be
    quarantined and why, and the source entry. Nothing enters the lake, and nothing is written but under --write."""
    from kimi_pipeline.corpora.check import check as look
    from kimi_pipeline.corpora.check import entry_text, sources_to_check, write_entry
    from kimi_pipeline.corpora.formats import Bounds
    from kimi_pipeline.profiles import load_profile

    corpora = load_profile(profile).corpora
    bounds = Bounds(corpora.max_text_bytes, corpora.max_row_bytes, corpora.max_expansion)
    found, guessed = sources_to_check(file, bounds)
    if output and not guessed:
        raise UserError(f"{file} is a source file already: --write is for data files")
    if licence:
        found = [source.model_copy(update={"licence": licence}) for source in found]
    reports = [look(source, bounds, limit) for source in found]
    if guessed:
        reports[0]["entry"] = entry_text(found[0])
    if output:
        reports[0]["written"] = str(write_entry(found[0], output))
    emit(reports[0] if guessed else reports, as_json, lambda: _print(reports))


def _print(reports: list[dict[str, Any]]) -> None:
    for report in reports:
        _print_one(report)


def _print_one(report: dict[str, Any]) -> None:
    click.secho(f"{report['name']}: {report['kind']} {report['path'] or ''}", bold=True)
    mapping = [{"field": field, "column": column} for field, column in report["mapping"].items() if column]
    show(mapping, "Mapping")
    columns = ("row", "prompt", "answer", "answer_kind", "language")
    show([{name: row[name] for name in columns} for row in report["rows"]], "First problems")
    quarantined = sum(report["quarantined"].values())
    click.echo(f"\n{report['read']:,} rows read: {report['problems']:,} problems, {quarantined:,} for quarantine")
    first = {row["reason_code"]: row for row in report["refused"]}
    if report["quarantined"]:
        rows = [
            {
                "reason": reason,
                "rows": count,
                "first": first[reason]["row"] if reason in first else "",
                "detail": first[reason]["detail"] if reason in first else "an earlier row has the same id",
            }
            for reason, count in report["quarantined"].items()
        ]
        show(rows, "Quarantine")
    for name in ("answer_kinds", "languages"):
        shares = ", ".join(f"{kind} {count:,}" for kind, count in report[name].items())
        click.echo(f"{name.replace('_', ' ')}: {shares}")
    for note in report["notes"]:
        click.secho(f"note: {note}", fg="yellow")
    if "written" in report:
        click.echo(f"entry: {report['written']} (`kimi-pipeline run --source {report['written']}`)")
    elif "entry" in report:
        click.echo(f"\nentry (--write PATH keeps it as a file for --source):\n\n{report['entry']}", nl=False)
