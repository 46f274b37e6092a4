"""The terminal's door: `kimi-pipeline COMMAND`.

Belongs here: arguments, tables for people, `--json` for machines, exit codes (0 done, 1 the answer is no, 2 bad usage
or input, with one line that says what to do). Does not belong here: what a command does.

Modules are imported inside commands: `explain` and `funnel` must answer at once, and load neither Dagster nor torch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from kimi_pipeline.errors import UserError
from kimi_pipeline.home import CHECKOUT, Home

NO, BAD_INPUT = 1, 2


class Door(click.Group):
    """Turns a UserError into its one line and exit code 2."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except UserError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(BAD_INPUT)


as_json = click.option("--json", "as_json", is_flag=True, help="Machine-readable output")


@click.group(cls=Door, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Data and training for reasoning models, after the Kimi k1.5 report: run the lineage, and ask it why."""


def show(rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """Rows as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=title or None, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False
    )
    columns = list(rows[0]) if rows else []
    for name in columns:
        numeric = all(isinstance(row[name], int | float) and not isinstance(row[name], bool) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*[_cell(row[name]) for name in columns])
    # A pipe has no width of its own; cutting what goes into one would lose it.
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list | tuple):
        return " – ".join(_cell(v) for v in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_cell(v)}" for k, v in value.items())
    return "" if value is None else str(value)


def emit(value: Any, as_json: bool, people: Callable[[], None]) -> None:
    if as_json:
        click.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))
    else:
        people()


def open_lake() -> Any:
    from kimi_pipeline.lake import Lake

    return Lake(Home.from_env().lake)


@main.command()
@click.option("--profile", help="smoke, laptop (default), smol, gpu or cluster")
@click.option(
    "--set", "overrides", multiple=True, metavar="FIELD=VALUE", help="Override a setting: --set rl.iterations=40"
)
@click.option("--source", "sources", multiple=True, help="A corpus: a .jsonl or .parquet file, or a .toml source file")
@click.option("--model", help="A Hugging Face model folder")
@click.option("--endpoint", help="Base URL of an OpenAI-compatible endpoint that samples instead of vLLM in-process")
@click.option("--endpoint-model", help="The model's name at that endpoint")
@click.option("--limit", type=click.IntRange(1), help="Read at most this many rows")
@click.option("--prompt-set", help="Recipe of the prompt set (default: the profile's)")
@click.option("--select", default="", help="Stop after these assets, comma-separated (with all that they need)")
@click.option("--verbose", is_flag=True, help="Show Dagster's own log as well")
def run(
    profile: str | None,
    overrides: tuple[str, ...],
    sources: tuple[str, ...],
    model: str | None,
    endpoint: str | None,
    endpoint_model: str | None,
    limit: int | None,
    prompt_set: str | None,
    select: str,
    verbose: bool,
) -> None:
    """Materialise the lineage (or a part of it); what is up to date is not computed again."""
    from kimi_pipeline.profiles.profile import load_profile, parse_override

    changes = json.loads(os.environ.get("KIMI_SET") or "{}")
    changes |= dict(parse_override(text) for text in overrides)
    if sources:
        changes["corpora.sources"] = [_absolute(source) for source in sources]
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
    settings = load_profile(profile, changes)  # refuses a wrong name or value before anything starts
    if model:
        from kimi_pipeline.checkpoints import check_model_folder

        check_model_folder(Path(changes["model.path"]))
    home = Home.from_env().prepare()
    arguments = (["--select", select] if select else []) + (["--verbose"] if verbose else [])
    code = _dagster("assets.launch", arguments, settings.name, changes, home)
    if code == 0:
        _summary(settings.curation.prompt_set, home)
    sys.exit(code)


def _absolute(source: str) -> str:
    return source if source == "builtin" else str(Path(source).expanduser().resolve())


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
        _print_funnel(lake, prompt_set)
    found = read_results(lake)
    if found:
        click.echo()
        _print_results(found)
    click.echo(
        f"\nState is under {home.root}. Look further: `make ui`, `kimi-pipeline sets`, `kimi-pipeline explain ID`."
    )


def _print_funnel(lake: Any, prompt_set: str | None) -> None:
    from kimi_pipeline.audit.funnel import funnel as read_funnel

    found = read_funnel(lake, prompt_set)
    click.echo()
    show(found["stages"], f"Funnel of {found['version']}")


def _print_results(found: list[dict[str, Any]]) -> None:
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
    emit(audit.funnel(lake, prompt_set), as_json, lambda: _print_funnel(lake, prompt_set))


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
    emit(rows, as_json, lambda: _print_results(rows) if rows else click.echo("no results yet"))


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
        section, leaf = field.split(".")
        rows.append({"field": field, "value": values[section][leaf], "meaning": meaning.split("): ", 1)[1]})
    emit(values, as_json, lambda: show(rows, f"profile {values['name']}: {values['description']}"))


@main.command()
@click.option("--profile", help="The profile whose settings the UI's runs start from")
@click.option("--port", type=int, default=3000, show_default=True)
def ui(profile: str | None, port: int) -> None:
    """The Dagster UI on loopback, with its daemon (schedules, sensors, queued runs)."""
    from kimi_pipeline.profiles import load_profile

    changes = json.loads(os.environ.get("KIMI_SET") or "{}")
    settings = load_profile(profile, changes)
    sys.exit(_dagster("assets.ui", ["--port", str(port)], settings.name, changes, Home.from_env().prepare()))


@main.command()
@click.argument("name", type=click.Choice(["learning", "partial", "rl", "sandbox"]))
@click.option("--profile", default="laptop", show_default=True)
@click.option("--seeds", default="0,1,2", show_default=True, help="Comma-separated")
@as_json
def bench(name: str, profile: str, seeds: str, as_json: bool) -> None:
    """Long measurements; a part that is finished is not measured again."""
    if name == "sandbox":
        from kimi_pipeline.sandbox_door import command

        sys.exit(command(["bench", *(["--json"] if as_json else [])]))
    from kimi_pipeline.bench import learning, partial, rl

    home = Home.from_env().prepare()
    numbers = [int(seed) for seed in seeds.split(",")]
    if name == "rl":
        found = rl.measure(home)
    elif name == "partial":
        found = partial.measure(home, numbers)
    else:
        found = learning.measure(home, profile, numbers)
    (home.reports / f"bench-{name}.json").write_text(json.dumps(found, indent=2))
    rows = [{"figure": key, "value": value} for key, value in found["figures"].items()]
    emit(found, as_json, lambda: show(rows, f"{name}: {found['command']}"))


@main.command()
@click.option("--profile", default="laptop", show_default=True)
@click.option("--seeds", default="0,1,2", show_default=True, help="Comma-separated")
@click.option("--only", multiple=True, help="One of the ablations by name; again for more (default: all)")
@click.option("--set", "overrides", multiple=True, metavar="FIELD=VALUE", help="Override a setting for all arms")
@click.option("--look", is_flag=True, help="Report on the cells that are there; run nothing")
@as_json
def ablations(
    profile: str, seeds: str, only: tuple[str, ...], overrides: tuple[str, ...], look: bool, as_json: bool
) -> None:
    """The report's ablations over seeds; a cell that is finished is not run again unless what it depends on changed."""
    from kimi_pipeline.bench.ablations import Ablations, rows
    from kimi_pipeline.profiles.profile import parse_override

    chosen = dict(parse_override(text) for text in overrides)
    if not all(seed.isdecimal() for seed in seeds.split(",")):
        raise UserError(f"--seeds {seeds!r}: write whole numbers with commas, as in 0,1,2")
    numbers = [int(seed) for seed in seeds.split(",")]
    study = Ablations(
        Home.from_env().prepare(), profile, chosen, numbers, only, say=lambda text: click.echo(text, err=True)
    )
    found = study.look() if look else study.run()
    arms, answers = rows(found)

    def tell() -> None:
        show(arms, "Arms, means over seeds, held-out problems")
        click.echo()
        show(answers, "Questions")
        for cell in found["cells"]:
            if cell["state"] != "current":
                why = cell.get("error") or ", ".join(cell.get("changed", ())) or "not run yet"
                click.echo(f"{cell['cell']} is {cell['state']}: {why}")

    emit(found, as_json, tell)
    sys.exit(NO if any("error" in cell for cell in found["cells"]) else 0)


@main.command()
@click.option("--model", required=True, help="A Hugging Face model folder, such as SmolLM2-135M-Instruct")
@click.option("--set", "overrides", multiple=True, metavar="FIELD=VALUE", help="Override a setting of profile real")
@as_json
def real(model: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Does a real model learn? The whole lineage on it, beside a control that is rewarded by a coin; resumable."""
    from kimi_pipeline.bench.real import Real, rows
    from kimi_pipeline.profiles.profile import parse_override

    chosen = dict(parse_override(text) for text in overrides)
    home = Home.from_env().prepare()
    found = Real(home, Path(model).expanduser(), chosen, say=lambda text: click.echo(text, err=True)).run()

    def tell() -> None:
        show(rows(found), f"Held-out problems ({found['figures']['problems']})")
        click.echo(found["figures"]["verdict"])

    emit(found, as_json, tell)


@main.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sandbox(arguments: tuple[str, ...]) -> None:
    """Untrusted programs: doctor, run, abuse, bench (`sandbox COMMAND --help`)."""
    from kimi_pipeline.sandbox_door import command

    sys.exit(command(list(arguments)))


if __name__ == "__main__":
    main()
