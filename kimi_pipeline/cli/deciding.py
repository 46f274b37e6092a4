"""Commands by which people overrule rules: decide keep, ban, relabel, lift; withdraw.

Belongs here: arguments. Does not belong here: what a decision does (`curation/people.py`), what withdrawing and erasing do
(`corpora/withdrawals.py`, `curation/erasure.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from kimi_pipeline.cli.door import as_json, emit, main, open_lake
from kimi_pipeline.cli.tracing import PERSON, WHY
from kimi_pipeline.errors import UserError

UNTIL = click.option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), help="The last day on which it holds, UTC (default: for good)"
)


@main.group()
def decide() -> None:
    """People's decisions on problems; they outrank rules and hold over re-runs, from the next run on."""


def _decide(
    problem: str, question: str, decision: str, reason: str, by: str, until: datetime | None, as_json: bool
) -> None:
    from kimi_pipeline.curation.deciding import decide_one

    ends = until.replace(tzinfo=UTC) + timedelta(days=1) if until else None  # the end of that day
    told = decide_one(open_lake(), problem, question, decision, reason=reason, by=by, until=ends)
    line = f"{decision} {told['problem_id']}" + (f" until {until:%Y-%m-%d}" if until else "")
    again = "" if told["changed"] else " (decided so already)"
    emit(told, as_json, lambda: click.echo(f"{line}{again}: in force from the next run on"))


@decide.command()
@click.argument("problem", metavar="ID")
@WHY
@UNTIL
@PERSON
@as_json
def keep(problem: str, reason: str, until: datetime | None, by: str, as_json: bool) -> None:
    """In every set that draws from its source, whatever rules say (but for a copy of an evaluation problem)."""
    _decide(problem, "membership", "keep", reason, by, until, as_json)


@decide.command()
@click.argument("problem", metavar="ID")
@WHY
@UNTIL
@PERSON
@as_json
def ban(problem: str, reason: str, until: datetime | None, by: str, as_json: bool) -> None:
    """Out of every set, whatever rules say."""
    _decide(problem, "membership", "ban", reason, by, until, as_json)


@decide.command()
@click.argument("problem", metavar="ID")
@WHY
@PERSON
@as_json
def lift(problem: str, reason: str, by: str, as_json: bool) -> None:
    """Take back a keep or a ban: the rules decide again."""
    _decide(problem, "membership", "lift", reason, by, None, as_json)


@decide.command()
@click.argument("problem", metavar="ID")
@click.option("--answer", help="The right answer, which takes the source's place")
@click.option("--tag", help="The right tag: domain/discipline, as in mathematics/geometry")
@WHY
@UNTIL
@PERSON
@as_json
def relabel(
    problem: str, answer: str | None, tag: str | None, reason: str, until: datetime | None, by: str, as_json: bool
) -> None:
    """Another answer or another tag; stored samples are judged anew, none is drawn again."""
    if (answer is None) == (tag is None):
        raise UserError("decide relabel: give either --answer or --tag")
    if answer is not None:
        _decide(problem, "suspect_reference", f"answer={answer}", reason, by, until, as_json)
    else:
        _decide(problem, "tag", str(tag), reason, by, until, as_json)
