"""`kimi-pipeline watch`: whether a policy hacks its reward.

Belongs here: arguments and the table. Does not belong here: the signals (`rl/reward_watch.py`).
"""

from __future__ import annotations

from typing import Any

import click

from kimi_pipeline.cli.door import as_json, emit, main, open_lake


@main.command()
@click.option("--policy", help="Beginning of an RL run's policy name (default: the newest run)")
@click.option("--all", "everything", is_flag=True, help="All looks, not the alarms alone")
@as_json
def watch(policy: str | None, everything: bool, as_json: bool) -> None:
    """What the watch over the reward found in an RL run: its alarms, with responses that it suspects."""
    from kimi_pipeline.audit.reward_watch import watched

    rows = watched(open_lake(), policy=policy, everything=everything)
    emit(rows, as_json, lambda: _print(rows))


def _print(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("no alarm; --all shows every look")
    for row in rows:
        before = "" if row["baseline"] is None else f", {row['baseline']:.0%} at the beginning"
        click.secho(
            f"iteration {row['iteration']}, {row['signal']}: {row['hits']} of {row['n']} {row['means']} "
            f"({row['share']:.0%}{before}, alarms above {row['threshold']:.0%})"
            + (f", judge {row['judge']}" if row["judge"] else ""),
            fg="red" if row["alarm"] else None,
        )
        for one in row["responses"] if row["alarm"] else ():
            click.echo(
                f"  {one['sample_id'][:12]} on {one['problem_id'][:12]}: {one['status']}, reward {one['reward']:g}, "
                f"reference {one['answer']}"
            )
            click.echo("      " + (one["text"] or "").replace("\n", "\n      "))
