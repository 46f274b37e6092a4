"""Commands that start something: run, ui, doctor, settings, sandbox.

Belongs here: arguments, and starting Dagster as a process of its own. Does not belong here: what a run does (`assets/`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kimi_pipeline.cli.auditing import print_funnel, print_results
from kimi_pipeline.cli.door import NO, as_json, emit, main, open_lake, reading_context, show
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import CHECKOUT, Home

if TYPE_CHECKING:
    from kimi_pipeline.profiles import Profile


SET_OPTION = click.option(
    "--set", "overrides", multiple=True, metavar="FIELD=VALUE", help="Override a setting: --set rl.iterations=40"
)
LINEAGE_OPTIONS = (
    click.option("--profile", help="smoke, laptop (default), code, smol, real, gpu or cluster"),
    SET_OPTION,
    click.option(
        "--source",
        "sources",
        multiple=True,
        help="A corpus: a file or a URL (https://, s3://, any that fsspec opens) of .jsonl, .ndjson, .json, .csv, .tsv or "
        ".parquet, also compressed (.gz, .bz2, .zst); a .toml source file (hub datasets, mappings); builtin or coding. It takes "
        "the place of the profile's corpus, built-in coding problems included. Give it several times",
    ),
    click.option(
        "--evaluation-set",
        "evaluation_sets",
        multiple=True,
        help="A set that no prompt set may hold, given like a --source",
    ),
    click.option("--model", help="A Hugging Face model folder"),
    click.option(
        "--endpoint", help="Base URL of an OpenAI-compatible endpoint that samples instead of vLLM in-process"
    ),
    click.option("--endpoint-model", help="The model's name at that endpoint"),
    click.option("--limit", type=click.IntRange(1), help="Read at most this many rows"),
    click.option("--prompt-set", help="Recipe of the prompt set (default: the profile's)"),
)
"""What says which lineage is meant: `run`, `plan` and `reestimate` take the same."""
SELECT_OPTION = click.option(
    "--select", default="", help="Stop after these assets, comma-separated (with all that they need)"
)


def lineage_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(LINEAGE_OPTIONS):
        command = option(command)
    return command


def settings_of(
    profile: str | None,
    overrides: tuple[str, ...],
    sources: tuple[str, ...],
    evaluation_sets: tuple[str, ...],
    model: str | None,
    endpoint: str | None,
    endpoint_model: str | None,
    limit: int | None,
    prompt_set: str | None,
) -> tuple[Profile, dict[str, Any]]:
    """The settings that the options mean, and the changes that they are on top of the profile's own.

    Raises UserError for a wrong name or value, before anything starts.
    """
    from kimi_pipeline.corpora.sources import GENERATED, absolute
    from kimi_pipeline.profiles.profile import environment_changes, load_profile, parse_overrides

    changes = environment_changes() | parse_overrides(overrides)
    if sources:
        changes["corpora.sources"] = [absolute(source) for source in sources]
        if not set(sources) & set(GENERATED):  # a corpus of one's own: suites of built-in problems would be for nothing
            changes.setdefault("testcases.problems", [])
    if evaluation_sets:
        changes["corpora.evaluation_sets"] = [absolute(entry) for entry in evaluation_sets]
    if model:
        changes |= {"model.kind": "folder", "model.path": str(Path(model).expanduser().resolve())}
    if endpoint:
        changes |= {"inference.carrier": "endpoint", "inference.endpoint_url": endpoint}
    if endpoint_model:
        changes["inference.endpoint_model"] = endpoint_model
    if limit:
        changes["corpora.limit"] = limit
    if prompt_set:
        changes["curation.prompt_set"] = prompt_set
    settings = load_profile(profile, changes)
    if model:
        from kimi_pipeline.checkpoints import check_model_folder

        check_model_folder(Path(changes["model.path"]))
    return settings, changes


@main.command()
@lineage_options
@SELECT_OPTION
@click.option("--verbose", is_flag=True, help="Show Dagster's own log as well")
@click.option("--yes", is_flag=True, help="Go on beyond limits.ask_above_tokens and limits.ask_above_money")
def run(select: str, verbose: bool, yes: bool, **meant: Any) -> None:
    """Materialise the lineage (or a part of it); what is up to date is not computed again."""
    settings, changes = settings_of(**meant)
    if not yes:
        _ask(settings, select)
    home = Home.from_env().prepare()
    arguments = (["--select", select] if select else []) + (["--verbose"] if verbose else [])
    code = _dagster("assets.launch", arguments, settings.name, changes, home)
    if code == 0:
        _summary(settings.curation.prompt_set, home)
    sys.exit(code)


def _ask(settings: Profile, select: str) -> None:
    """Raises UserError where the run would take more than the settings let it take unasked."""
    from kimi_pipeline.audit.plan import plan as look_ahead

    limits = settings.limits
    most = {"tokens": limits.ask_above_tokens, "money": limits.ask_above_money}
    if set(most.values()) == {None}:
        return
    rows = look_ahead(reading_context(settings), select)
    for what, limit in most.items():
        expected = sum(row[what] for row in rows)
        if limit is not None and expected > limit:
            raise UserError(
                f"this run would take about {expected:,} {what}, more than limits.ask_above_{what} ({limit:,}): "
                "look with `kimi-pipeline plan`, then add --yes"
            )


@main.command()
@lineage_options
@SELECT_OPTION
@as_json
def plan(select: str, as_json: bool, **meant: Any) -> None:
    """What `run` with the same options would compute and why, with samples, tokens, time and price; does nothing."""
    from kimi_pipeline.audit.plan import plan as look_ahead

    settings, _ = settings_of(**meant)
    rows = look_ahead(reading_context(settings), select)
    emit(rows, as_json, lambda: show(rows, f"Profile {settings.name}, prompt set {settings.curation.prompt_set}"))


def _dagster(module: str, arguments: list[str], profile: str, changes: dict[str, Any], home: Home) -> int:
    """Run Dagster as a process of its own, which ends with this one; Ctrl-C reaches it as well."""
    from kimi_pipeline.jobs import die_with_parent

    if not (CHECKOUT / "assets").is_dir():
        raise UserError("this needs the checkout (assets/ and resources/): start it there, installed with make install")
    command = [sys.executable, "-m", module, *arguments]
    environment = os.environ | {
        "KIMI_PROFILE": profile,
        "KIMI_SET": json.dumps(changes),
        "KIMI_HOME": str(home.root),
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, preexec_fn=die_with_parent)  # noqa: PLW1509
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the child has had the signal too; its end is ours


def _summary(prompt_set: str, home: Home) -> None:
    from kimi_pipeline.audit.results import results as read_results
    from kimi_pipeline.audit.sets import versions

    lake = open_lake()
    if any(row["set"] == prompt_set for row in versions(lake)):
        print_funnel(lake, prompt_set)
    found = read_results(lake)
    if found:
        click.echo()
        print_results(found)
    click.echo(
        f"\nState is under {home.root}. Look further: `make ui`, `kimi-pipeline sets`, `kimi-pipeline explain ID`."
    )


@main.command()
@click.option("--profile", help="The profile whose settings the UI's runs start from")
@SET_OPTION
@click.option("--port", type=int, default=3000, show_default=True)
def ui(profile: str | None, overrides: tuple[str, ...], port: int) -> None:
    """The Dagster UI on loopback, with its daemon (schedules, sensors, queued runs); nights, maintenance and notifications
    go by the settings that it was started with."""
    from kimi_pipeline.profiles.profile import environment_changes, load_profile, parse_overrides

    changes = environment_changes() | parse_overrides(overrides)
    settings = load_profile(profile, changes)
    sys.exit(_dagster("assets.ui", ["--port", str(port)], settings.name, changes, Home.from_env().prepare()))


@main.command()
@click.option("--profile", help="The profile to check for")
@as_json
def doctor(profile: str | None, as_json: bool) -> None:
    """What this machine can run, and what to install for the rest."""
    from dataclasses import asdict

    from kimi_pipeline.doctor import examine
    from kimi_pipeline.profiles import load_profile

    findings = examine(load_profile(profile), Home.from_env())
    rows = [
        {"ok": {True: "yes", False: "NO", None: "-"}[f.ok], "what": f.what, "detail": f.detail, "fix": f.fix}
        for f in findings
    ]
    emit([asdict(f) for f in findings], as_json, lambda: show(rows))
    sys.exit(NO if any(f.ok is False for f in findings) else 0)


@main.command()
@click.argument("profile", required=False)
@as_json
def settings(profile: str | None, as_json: bool) -> None:
    """Every setting of a profile with its value and meaning."""
    from kimi_pipeline.profiles import load_profile
    from kimi_pipeline.profiles.profile import describe_settings

    values = load_profile(profile).settings()
    rows = []
    for line in describe_settings():
        field, _, meaning = line.partition(" (")
        value = reduce(lambda section, name: section[name], field.split("."), values)
        rows.append({"field": field, "value": value, "meaning": meaning.split("): ", 1)[1]})
    emit(values, as_json, lambda: show(rows, f"profile {values['name']}: {values['description']}"))


@main.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sandbox(arguments: tuple[str, ...]) -> None:
    """Untrusted programs: doctor, run, abuse, bench (`sandbox COMMAND --help`)."""
    from kimi_pipeline.sandbox_door import command

    sys.exit(command(list(arguments)))
