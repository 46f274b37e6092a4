"""Commands by which people overrule rules: decide keep, ban, relabel, lift; withdraw.

Belongs here: arguments. Does not belong here: what a decision does (`curation/people.py`), what withdrawing and erasing do
(`corpora/withdrawals.py`, `curation/erasure.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import click

from kimi_pipeline.cli.door import as_json, emit, main, open_lake
from kimi_pipeline.cli.tracing import PERSON, WHY
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home

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


@main.command()
@click.option("--source", help="A source's name: all its problems that no other source holds")
@click.option("--problem", metavar="ID", help="One problem")
@click.option("--erase", is_flag=True, help="Erase its text from all tables and their old versions, for good")
@WHY
@PERSON
@as_json
def withdraw(source: str | None, problem: str | None, erase: bool, reason: str, by: str, as_json: bool) -> None:
    """Use a source or a problem no more: it is gone from the next version of every set. Ids, digests and reasons stay."""
    from kimi_pipeline.curation.withdrawing import withdraw_one

    if (source is None) == (problem is None):
        raise UserError("withdraw: give either --source NAME or --problem ID")
    home = Home.from_env().prepare()
    kind: Literal["source", "problem"] = "source" if source else "problem"
    found = withdraw_one(open_lake(), home, kind, str(source or problem), reason=reason, by=by, erased=erase)

    def tell() -> None:
        again = "" if found["changed"] else " (withdrawn before)"
        click.echo(f"{kind} {found['name']} is withdrawn{again}: {found['problems']} problems leave at the next run")
        if erase:
            click.echo(f"erased {found['erased']} problems: {sum(found['files'].values())} files rewritten")
            click.echo(
                "not reached: the source's own file, exports of yours, Dagster's event store, checkpoints that trained on it"
            )

    emit(found, as_json, tell)


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
