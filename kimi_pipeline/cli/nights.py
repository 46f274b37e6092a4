"""Commands about nights: reestimate, nights, drift.

Belongs here: arguments and tables. Does not belong here: the work (`nights/`), schedules (`assets/`).
"""

from __future__ import annotations

import sys
from typing import Any

import click

from kimi_pipeline.cli.door import NO, as_json, emit, main, open_lake, reading_context, show
from kimi_pipeline.cli.running import lineage_options, settings_of


@main.command()
@lineage_options
@click.option("--checkpoint", help="Who is asked: newest, or the beginning of a digest (default: nights.checkpoint)")
@click.option("--budget", type=click.IntRange(1), help="Output tokens at most (default: nights.token_budget)")
@click.option("--until", metavar="HH:MM", help="Begin nothing after this time (default: nights.until; '' for none)")
@click.option("--plan", "only_plan", is_flag=True, help="Say what is stale and what it would take; do nothing")
@as_json
def reestimate(
    checkpoint: str | None,
    budget: int | None,
    until: str | None,
    only_plan: bool,
    as_json: bool,
    **meant: Any,
) -> None:
    """Ask stale prompts again (new checkpoint or template, near a threshold, sampled long ago), the most
    decision-changing first, within a token budget and a deadline. No version is cut: the next run does that. Refused while
    a night is going on. Exit code 1: a job died; what it had drawn stays, and the same command goes on."""
    from kimi_pipeline.clock import now
    from kimi_pipeline.inference.budget import Bounds
    from kimi_pipeline.nights import reestimation
    from kimi_pipeline.nights.hours import deadline
    from kimi_pipeline.nights.shift import only_night
    from kimi_pipeline.nights.target import choose_target

    settings, _ = settings_of(**meant)
    if until is not None:
        settings = settings.with_changes({"nights.until": until or None})
    context = reading_context(settings)
    started, nights = now(), settings.nights
    bounds = Bounds(budget or nights.token_budget, deadline(started, started, nights.until, nights.timezone))
    target = choose_target(context, checkpoint)
    if only_plan:
        found = reestimation.plan(context, reestimation.look(context, target, started), bounds)
        emit(found, as_json, lambda: _show_plan(found))
        return
    with only_night(context.home):
        stale = reestimation.look(context, target, started)
        try:
            found = reestimation.reestimate(context, stale, bounds)
        except RuntimeError as error:  # the job's process died; what it had committed stays
            click.echo(f"failed: {error}", err=True)
            sys.exit(NO)
        if found["samples"] or found["sampled"]:
            reestimation.keep(
                context.lake, settings.name, found, started=started, until=bounds.until, run_id=context.run_id
            )
    emit(found, as_json, lambda: _show_done(found))


def _show_stale(found: dict[str, Any]) -> None:
    from kimi_pipeline.reasons import MEANINGS, Reason

    click.echo(f"asked: {found['stage']} {found['checkpoint'][:12]} with {found['template']}")
    done = found.get("sampled_by_cause")
    rows = [
        {"cause": cause, "stale": n}
        | ({} if done is None else {"sampled": done.get(cause, 0)})
        | {"meaning": MEANINGS[Reason(cause)]}
        for cause, n in found["stale"].items()
    ]
    show(rows, f"{found['prompts']} prompts, {found['fresh']} of them fresh")


def _show_plan(found: dict[str, Any]) -> None:
    _show_stale(found)
    expected = found["expected"]
    budget = "no budget" if found["budget"] is None else f"a budget of {found['budget']:,}"
    click.echo(
        f"at most {expected['samples']:,} samples, about {expected['tokens']:,} tokens; "
        f"{expected['within_budget']:,} prompts within {budget}"
    )


def _show_done(found: dict[str, Any]) -> None:
    _show_stale(found)
    stopped = f", stopped by the {found['stopped_by']}" if found["stopped_by"] else ""
    click.echo(
        f"sampled {found['sampled']:,} prompts ({found['samples']:,} samples, {found['tokens']:,} tokens), "
        f"left {found['left']:,}{stopped}"
    )
    _show_drift(found["drift"])


def _show_drift(drift: dict[str, Any]) -> None:
    if drift["mean_shift"] is None:
        return
    interval = "" if drift["low"] is None else f" (95 %: {drift['low']:+.3f} to {drift['high']:+.3f})"
    click.echo(
        f"pass rates shifted by {drift['mean_shift']:+.3f}{interval} over {drift['prompts']:,} prompts; "
        f"{drift['moved']:,} moved to another bucket ({drift['moved_share']:.0%}; luck alone: {drift['moved_by_luck']:.0%})"
    )
    for move, n in drift["buckets"].items():
        click.echo(f"  {move}: {n}")


@main.command()
@as_json
def nights(as_json: bool) -> None:
    """Nights and re-estimations so far: what was stale, sampled and left, what they took and what stopped them."""
    rows = open_lake().rows(
        'select started_at, profile, checkpoint, stale, sampled, "left", tokens, seconds, until, stopped_by, report '
        "from nights order by created_at"
    )
    shown = [{k: v for k, v in row.items() if k != "report"} | {"checkpoint": row["checkpoint"][:12]} for row in rows]
    emit(rows, as_json, lambda: show(shown, "Nights") if rows else click.echo("no night yet: see README, Nights"))


@main.command()
@click.argument("before", metavar="SET@VERSION")
@click.argument("after", metavar="SET@VERSION")
@click.option("--profile", help="The profile whose limits count (default: laptop)")
@as_json
def drift(before: str, after: str, profile: str | None, as_json: bool) -> None:
    """How pass rates and buckets moved between two versions of a set, against the limits of the nights."""
    from kimi_pipeline.audit.sets import manifest
    from kimi_pipeline.errors import UserError
    from kimi_pipeline.nights.drift import compare
    from kimi_pipeline.profiles import load_profile

    lake = open_lake()
    a, b = manifest(lake, before), manifest(lake, after)
    if a["set"] != b["set"]:
        raise UserError(f"{before} and {after} are versions of two sets: name two versions of one")
    found = compare(lake, a["set"], a["version"], b["version"], load_profile(profile).nights)

    def tell() -> None:
        click.echo(
            f"{found['a']} ({found['size_a']}) -> {found['b']} ({found['size_b']}): "
            f"{found['added']} added, {found['removed']} removed"
        )
        _show_drift(found["drift"])
        click.echo(f"beyond the limits: {found['detail']}" if found["beyond"] else "within the limits")

    emit(found, as_json, tell)
