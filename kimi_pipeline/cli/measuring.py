"""Commands that study training for hours: ablations, real.

Belongs here: arguments and tables. Does not belong here: the measurements (`bench/`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kimi_pipeline.cli.door import NO, as_json, emit, main, show
from kimi_pipeline.errors import UserError
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
