"""Commands that follow problems, sets and checkpoints through the lineage: sql, diff, rebuild, cost, blame,
impact, promote and rollback.

Belongs here: arguments and tables. Does not belong here: the queries (`audit/`).
"""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

import click

from kimi_pipeline.cli.door import NO, as_json, emit, main, open_lake, show
from kimi_pipeline.home import Home


@main.command()
@click.argument("text", required=False)
@click.option("--schema", is_flag=True, help="The views and their columns")
@as_json
def sql(text: str | None, schema: bool, as_json: bool) -> None:
    """A reading query over problems, samples, difficulty, ledger and prompt_set: kimi-pipeline sql "select ..."."""
    from kimi_pipeline.audit.views import VIEWS, query

    if schema or text is None:
        told = {name: {"about": view.about, "columns": view.columns} for name, view in VIEWS.items()}
        rows = [{"view": n, "column": c, "meaning": m} for n, view in VIEWS.items() for c, m in view.columns.items()]
        emit(told, as_json, lambda: show(rows))
        return
    columns, found = query(open_lake(), text)
    records = [dict(zip(columns, row, strict=True)) for row in found]
    emit(records, as_json, lambda: show(records) if records else click.echo("no rows"))


@main.command()
@click.argument("before", metavar="SET@VERSION")
@click.argument("after", metavar="SET@VERSION")
@click.option("--limit", type=click.IntRange(1), default=40, show_default=True, help="Show at most so many problems")
@as_json
def diff(before: str, after: str, limit: int, as_json: bool) -> None:
    """What changed between two versions of a set, each problem with the primary cause of its change."""
    from kimi_pipeline.audit.diff import CAUSES
    from kimi_pipeline.audit.diff import diff as compare

    found = compare(open_lake(), before, after)

    def tell() -> None:
        if not found["changes"]:
            click.echo(f"{found['a']} and {found['b']} hold the same problems with the same buckets and weights")
            return
        summary = [row | {"meaning": CAUSES[row["cause"]]} for row in found["summary"]]
        show(summary, f"From {found['a']} to {found['b']}")
        click.echo()
        show([row | {"problem_id": row["problem_id"][:12]} for row in found["changes"][:limit]], "Problems")
        if len(found["changes"]) > limit:
            click.echo(f"and {len(found['changes']) - limit} more: --limit, or --json for all")

    emit(found, as_json, tell)


@main.command()
@click.argument("version", metavar="SET@VERSION")
@as_json
def rebuild(version: str, as_json: bool) -> None:
    """Recompute a version from its manifest in a scratch place, and compare; exit code 1 where something differs."""
    from kimi_pipeline.audit.rebuild import rebuild as build_again

    found = build_again(open_lake(), version, say=lambda text: click.echo(f"  {text}", err=True))

    def tell() -> None:
        rows = [
            row | {"equal": "yes" if row["equal"] else "NO", "digest": row["digest"][:12]} for row in found["tables"]
        ]
        show(rows, f"{found['version']} rebuilt: {'equal' if found['equal'] else 'NOT equal'}")
        for problem in found["erased"]:
            click.echo(f"not compared, its text was erased: {problem}")

    emit(found, as_json, tell)
    sys.exit(0 if found["equal"] else NO)


@main.command()
@click.argument("version", metavar="SET@VERSION")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder (default: $KIMI_HOME/reports)")
@as_json
def report(version: str, output: Path | None, as_json: bool) -> None:
    """Write a version's report: one HTML page that needs nothing else."""
    from kimi_pipeline.audit.report_page import write_report

    path = write_report(open_lake(), version, output or Home.from_env().reports)
    emit({"version": version, "report": str(path)}, as_json, lambda: click.echo(str(path)))


@main.command()
@click.argument("prompt_set", required=False)
@as_json
def cost(prompt_set: str | None, as_json: bool) -> None:
    """Samples, tokens, seconds and money behind a set, a stage and a kept prompt."""
    from kimi_pipeline.audit.cost import cost as add_up

    found = add_up(open_lake(), prompt_set)
    rows = [*found["stages"], {"stage": "total"} | found["total"], {"stage": "a kept prompt"} | found["a_kept_prompt"]]
    emit(found, as_json, lambda: show(rows, f"Cost of {found['version']} ({found['size']} prompts)"))


@main.command()
@click.argument("checkpoint")
@as_json
def blame(checkpoint: str, as_json: bool) -> None:
    """Data, sets, settings and code behind a checkpoint. CHECKPOINT: beginning of its digest, or its stage (rl)."""
    from kimi_pipeline.audit.provenance import blame as trace

    found = trace(open_lake(), Home.from_env().checkpoints, checkpoint)

    def tell() -> None:
        chosen = found["prompt_set"]
        click.secho(f"{found['stage']} {found['checkpoint']}", bold=True)
        click.echo("from " + " from ".join(f"{one['stage']} {one['checkpoint'][:12]}" for one in found["parents"]))
        if chosen:
            click.echo(f"trained on {chosen['name']}@{chosen['version']} ({chosen['digest'][:12]})")
        short = ("data_version", "code", "settings", "run_id")
        show([row | {name: row[name][:12] for name in short} for row in found["stages"]], "Stages, nearest first")
        for source in found["sources"]:
            click.echo(f"source: {source}")

    emit(found, as_json, tell)


@main.command()
@click.argument("query", metavar="ID|SOURCE|RULE")
@as_json
def impact(query: str, as_json: bool) -> None:
    """Which sets and checkpoints hold a problem, a source's problems, or what a rule (evaluability@1) decided on."""
    from kimi_pipeline.audit.impact import impact as follow

    found = follow(open_lake(), Home.from_env().checkpoints, query)

    def tell() -> None:
        click.echo(f"{found['kind']} {query}: {found['problems']} problems")
        for title, rows in (("Sets", found["sets"]), ("Checkpoints", found["checkpoints"])):
            show(rows, title) if rows else click.echo(f"in no {title.lower()[:-1]}")

    emit(found, as_json, tell)


PERSON = click.option("--by", default=getpass.getuser, help="Who decides (default: the user's name)")
WHY = click.option("--reason", required=True, help="Why; it stays in the log")


@main.command()
@click.argument("version", metavar="SET@VERSION")
@WHY
@PERSON
def promote(version: str, reason: str, by: str) -> None:
    """Make a version the current one of its set."""
    from kimi_pipeline.audit.sets import manifest
    from kimi_pipeline.curation.promotion import promote as make_current
    from kimi_pipeline.ledger import PERSON as PREFIX
    from kimi_pipeline.stages import new_run_id

    lake = open_lake()
    found = manifest(lake, version)
    changed = make_current(lake, found["set"], found["version"], actor=PREFIX + by, reason=reason, run_id=new_run_id())
    click.echo(f"{found['set']}@{found['version']} is {'now current' if changed else 'current already'}")


@main.command()
@click.argument("prompt_set")
@WHY
@PERSON
def rollback(prompt_set: str, reason: str, by: str) -> None:
    """Make the version current again that was so before."""
    from kimi_pipeline.curation.promotion import roll_back
    from kimi_pipeline.ledger import PERSON as PREFIX
    from kimi_pipeline.stages import new_run_id

    version = roll_back(open_lake(), prompt_set, actor=PREFIX + by, reason=reason, run_id=new_run_id())
    click.echo(f"{prompt_set}@{version} is now current")
