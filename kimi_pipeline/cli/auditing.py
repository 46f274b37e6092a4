"""Commands that read the lake and answer at once: funnel, explain, sets, results, rollouts.

Belongs here: arguments and tables. Does not belong here: the queries (`audit/`).
"""

from __future__ import annotations

import sys
from typing import Any

import click

from kimi_pipeline.cli.door import NO, as_json, emit, main, open_lake, show
from kimi_pipeline.home import Home


def print_funnel(lake: Any, prompt_set: str | None) -> None:
    from kimi_pipeline.audit.funnel import funnel as read_funnel

    found = read_funnel(lake, prompt_set)
    click.echo()
    show(found["stages"], f"Funnel of {found['version']}")


def print_results(found: list[dict[str, Any]]) -> None:
    rows = [{k: v for k, v in row.items() if k != "note"} | {"checkpoint": row["checkpoint"][:12]} for row in found]
    show(rows, "Results on held-out problems")
    for stage, note in {(row["stage"], row["note"]): None for row in found if row["note"]}:
        click.echo(f"{stage}: {note}")


@main.command()
@click.argument("prompt_set", required=False)
@click.option("--planted", is_flag=True, help="Hold the planted rows of the built-in corpus against their labels")
@as_json
def funnel(prompt_set: str | None, planted: bool, as_json: bool) -> None:
    """How many problems enter and leave each stage of a set, and why the others were refused."""
    from kimi_pipeline.audit import funnel as audit

    lake = open_lake()
    if planted:
        report = audit.planted(lake, prompt_set)
        emit(report, as_json, lambda: show(report, "Planted rows"))
        sys.exit(0 if all(row["holds"] for row in report) else NO)
    emit(audit.funnel(lake, prompt_set), as_json, lambda: print_funnel(lake, prompt_set))


@main.command()
@click.argument("problem")
@as_json
def explain(problem: str, as_json: bool) -> None:
    """Why a problem is in a set or not. PROBLEM: its id (or the beginning), source:row, or a piece of its text."""
    from kimi_pipeline.audit.explain import explain as tell

    story = tell(open_lake(), problem)
    emit(story, as_json, lambda: _tell(story))


def _tell(story: dict[str, Any]) -> None:
    click.secho(f"{story['problem_id']}  answer {story['answer']} ({story['answer_kind']})", bold=True)
    click.echo(story["prompt"])
    click.echo(f"rows: {', '.join(row['row'] for row in story['rows'])}")
    click.echo(f"sets: {', '.join(story['sets']) or 'in none'}\n")
    show(
        [
            {
                "when": row["created_at"].strftime("%Y-%m-%d %H:%M"),
                "stage": row["stage"],
                "set": row["prompt_set"],
                "verdict": row["verdict"],
                "reason": f"{row['reason_code']}: {row['meaning']}",
                "evidence": row["evidence"],
            }
            for row in story["decisions"]
        ],
        "Decisions",
    )
    for title, rows in (
        ("Difficulty", story["difficulty"]),
        ("Answers", story["answers"]),
        ("RL", story["trained_in"]),
    ):
        if rows:
            click.echo()
            show([{k: v for k, v in row.items() if k != "checkpoint"} for row in rows], title)


@main.command()
@as_json
def sets(as_json: bool) -> None:
    """All versions of all prompt sets, oldest first."""
    from kimi_pipeline.audit.sets import versions

    rows = versions(open_lake())
    emit(rows, as_json, lambda: show(rows) if rows else click.echo("no prompt set yet: `kimi-pipeline run`"))


@main.command()
@as_json
def results(as_json: bool) -> None:
    """pass@1 and tokens of every evaluated checkpoint on the held-out split."""
    from kimi_pipeline.audit.results import results as read

    rows = read(open_lake())
    emit(rows, as_json, lambda: print_results(rows) if rows else click.echo("no results yet"))


@main.command()
@click.option("--iteration", type=click.IntRange(1), help="Groups that were complete and trained on in it")
@click.option("--problem", help="Its id (or the beginning), source:row, or a piece of its text")
@click.option("--policy", help="Beginning of an RL run's policy name (default: the newest run)")
@click.option("--limit", type=click.IntRange(1), help="Show at most so many responses")
@as_json
def rollouts(iteration: int | None, problem: str | None, policy: str | None, limit: int | None, as_json: bool) -> None:
    """What the policy answered in RL: responses, their segments, rewards and advantages."""
    from kimi_pipeline.audit.rollouts import rollouts as read

    found = read(open_lake(), iteration=iteration, problem=problem, policy=policy, limit=limit)
    emit(found, as_json, lambda: _print_rollouts(found))


def _print_rollouts(found: list[dict[str, Any]]) -> None:
    asked = None
    for row in found:
        if (row["iteration"], row["problem_id"]) != asked:
            asked = (row["iteration"], row["problem_id"])
            click.secho(f"\niteration {row['iteration']}, problem {row['problem_id']}", bold=True)
            click.echo(f"{row['prompt']}\n(answer {row['answer']})")
        reward = "-" if row["reward"] is None else f"{row['reward']:+.3f}"
        advantage = "-" if row["advantage"] is None else f"{row['advantage']:+.3f}"
        parts = "".join(f", {name} {value:+.3f}" for name, value in row["reward_parts"].items())
        segments = " + ".join(f"{one['tokens']} in {one['iteration']}" for one in row["segments"])
        click.secho(
            f"  #{row['sample_index']} {row['status']}, reward {reward}{parts}, advantage {advantage}, "
            f"{row['tokens']} tokens ({segments}), {row['ended']}",
            fg="green" if row["status"] == "correct" else None,
        )
        click.echo("      " + row["response"].replace("\n", "\n      "))


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
