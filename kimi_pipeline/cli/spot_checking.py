"""`kimi-pipeline spot-check`: how often judges are right, by what a person says of a sample.

Belongs here: arguments and the table. Does not belong here: the sample and the figures (`audit/spot_check.py`).
"""

from __future__ import annotations

from typing import Any

import click

from kimi_pipeline.cli.door import as_json, emit, main, open_lake, show


@main.group(name="spot-check")
def spot_check() -> None:
    """How often verifier and reward models are right: draw, `review export`, `review import`, report."""


@spot_check.command()
@click.option(
    "--size", default=100, show_default=True, type=click.IntRange(1), help="Judgements of each judge and source"
)
@click.option("--seed", default=0, show_default=True, help="Another seed draws others, of other problems")
@as_json
def draw(size: int, seed: int, as_json: bool) -> None:
    """Draw judgements, stratified by judge and answer kind, and put them on the review list."""
    from kimi_pipeline.audit.spot_check import put_to_people
    from kimi_pipeline.stages import new_run_id

    done = put_to_people(open_lake(), size, seed, run_id=new_run_id())
    line = (
        f"{done['drawn']} judgements drawn, {done['asked']} new questions: "
        "`kimi-pipeline review export FILE --question judgement`, fill in decision, `review import FILE`"
    )
    emit(done, as_json, lambda: click.echo(line))


@spot_check.command()
@as_json
def report(as_json: bool) -> None:
    """Accuracy of each judge with its 95 % interval, by people where they decided, else by construction."""
    from kimi_pipeline.audit.spot_check import report as read

    rows = read(open_lake())
    emit(rows, as_json, lambda: _print(rows))


def _print(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("no judgement has a truth yet: `kimi-pipeline spot-check draw`, and a person's file")
        return
    shown = [
        {
            "judge": row["judge"],
            "truth by": row["truth"],
            "right": f"{row['right']}/{row['n']}",
            "accuracy": row["accuracy"],
            "95 %": (row["low"], row["high"]),
            "the report's": row["reported"],
            "waiting": row["waiting"],
            "unclear": row["unclear"],
            "by answer kind": row["by_kind"],
        }
        for row in rows
    ]
    show(shown, "Spot check")
    click.echo(
        "The report's figures are of its models on its data. Truth by construction: responses made to be right or wrong."
    )
