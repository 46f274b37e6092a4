"""Commands that study training for hours (ablations, real), and acceptance, which measures every promise.

Belongs here: arguments and tables. Does not belong here: the measurements (`bench/`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kimi_pipeline.cli.benches import whole_numbers
from kimi_pipeline.cli.door import NO, as_json, emit, main, show
from kimi_pipeline.home import Home


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
    from kimi_pipeline.profiles.profile import parse_overrides

    chosen = parse_overrides(overrides)
    numbers = whole_numbers(seeds, "--seeds")
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
    from kimi_pipeline.profiles.profile import parse_overrides

    chosen = parse_overrides(overrides)
    home = Home.from_env().prepare()
    found = Real(home, Path(model).expanduser(), chosen, say=lambda text: click.echo(text, err=True)).run()

    def tell() -> None:
        show(rows(found), f"Held-out problems ({found['figures']['problems']})")
        click.echo(found["figures"]["verdict"])

    emit(found, as_json, tell)


@main.command()
@click.option("--tier", type=click.Choice(["standard", "full"]), default="standard", show_default=True)
@click.option("--only", multiple=True, help="One check or command by name; again for more")
@click.option("--data", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Folder of real corpora")
@click.option("--model", type=click.Path(path_type=Path, exists=True, file_okay=False), help="A Hugging Face folder")
@click.option("--again", is_flag=True, help="Measure also what is measured already")
@click.option("--look", is_flag=True, help="Show what is measured; run and write nothing")
@as_json
def acceptance(
    tier: str, only: tuple[str, ...], data: Path | None, model: Path | None, again: bool, look: bool, as_json: bool
) -> None:
    """Every promise beside its bound; a whole tier writes docs/acceptance.md. What is measured on this code is not measured
    again."""
    from kimi_pipeline.bench import acceptance_page as pages
    from kimi_pipeline.bench.acceptance import Acceptance, chosen, promises
    from kimi_pipeline.home import CHECKOUT

    commands = promises()
    wanted = chosen(commands, tier, only)
    whole = Acceptance(
        Home.from_env().prepare(),
        data and data.resolve(),
        model and model.resolve(),
        say=lambda text: click.echo(text, err=True),
    )
    if not look:
        whole.run(wanted, again=again)
    found = whole.judge(wanted)
    if not only and not look:  # one check on changed code would turn every other line of the page into "not run"
        pages.write(whole.judge(commands), CHECKOUT / "docs")

    def tell() -> None:
        rows = [
            {"check": each.check.name, "bound": each.check.bound, "figure": pages.shown(each.figure)}
            | {"verdict": each.verdict, "why": each.why}
            for each in found
        ]
        show(rows, "Acceptance")

    emit(pages.as_rows(found), as_json, tell)
    sys.exit(NO if any(each.verdict in ("falls short", "failed") for each in found) else 0)
