"""Commands that read the lake and answer at once: funnel, coverage, explain, sets, results, rollouts, reasons.

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
@click.argument("prompt_set", default="laptop")
@as_json
def coverage(prompt_set: str, as_json: bool) -> None:
    """Subjects of the problems that passed the rules, against the target mix of PROMPT_SET's recipe; gaps named."""
    from kimi_pipeline.audit.coverage import coverage as cover
    from kimi_pipeline.curation.recipe import load_recipe

    recipe = load_recipe(Home.from_env(), prompt_set)
    found = cover(open_lake(), recipe.mix, recipe.max_size, recipe.sources)
    emit(found, as_json, lambda: _cover(found, prompt_set))


def _cover(found: dict[str, Any], prompt_set: str) -> None:
    show(found["domains"], f"Domains of {found['problems']} problems, against the mix of {prompt_set}")
    show(found["tags"], "Tags")
    if found["largest"] is not None:
        click.echo(f"largest set that has the mix exactly: {found['largest']}")
    if found["absent"]:
        click.echo(f"no problem at all: {', '.join(found['absent'])}")


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
    """pass@1 and tokens on the held-out split, of each stage the newest checkpoint evaluated."""
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
@as_json
def reasons(as_json: bool) -> None:
    """Every reason code with its meaning."""
    from kimi_pipeline.reasons import table

    rows = table()
    emit(rows, as_json, lambda: show(rows))
