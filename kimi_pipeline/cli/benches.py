"""`kimi-pipeline bench NAME`: measurements, one command each, in one format.

Belongs here: arguments and the table. Does not belong here: the measurements (`bench/`).

Each answers `{"name", "figures", "peer", "ratio", "machine", "command"}` and keeps it under `$KIMI_HOME/reports`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from kimi_pipeline.cli.door import as_json, emit, main, show
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home

PROFILE = click.option("--profile", default="laptop", show_default=True)
SEEDS = click.option("--seeds", default="0,1,2", show_default=True, help="Comma-separated")
SET = click.option("--set", "overrides", multiple=True, metavar="FIELD=VALUE", help="Override a setting for all arms")
DATA = click.option("--data", type=click.Path(path_type=Path), help="Folder of real corpora (math_train.jsonl, ...)")


@main.group()
def bench() -> None:
    """Measurements; a part that is finished is not measured again."""


def whole_numbers(text: str, option: str) -> list[int]:
    """`0,1,2` as numbers. Raises UserError naming the option."""
    if not all(part.strip().isdecimal() for part in text.split(",")):
        raise UserError(f"{option} {text!r}: write whole numbers with commas, as in 0,1,2")
    return [int(part) for part in text.split(",")]


def tell(found: dict[str, Any], as_json: bool) -> None:
    """Keep the answer and show it."""
    reports = Home.from_env().prepare().reports
    (reports / f"bench-{found['name']}.json").write_text(json.dumps(found, indent=2))
    rows = [{"figure": key, "value": value} for key, value in found["figures"].items()]
    if found["ratio"] is not None:
        rows.append({"figure": f"ratio to {found['peer']}", "value": found["ratio"]})
    emit(found, as_json, lambda: show(rows, f"{found['name']}: {found['command']}"))


@bench.command()
@PROFILE
@SEEDS
@as_json
def learning(profile: str, seeds: str, as_json: bool) -> None:
    """Does RL raise held-out pass@1? The whole lineage, a seed each."""
    from kimi_pipeline.bench.learning import measure

    tell(measure(Home.from_env().prepare(), profile, whole_numbers(seeds, "--seeds")), as_json)


@bench.command()
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Times that all arms run in turn")
@click.option(
    "--workload", "workloads", multiple=True, type=click.Choice(["long_tailed", "equal"]), help="Default: both"
)
@SET
@as_json
def rl(rounds: int, workloads: tuple[str, ...], overrides: tuple[str, ...], as_json: bool) -> None:
    """Trained samples a second, beside TRL and a plain loop."""
    from kimi_pipeline.bench.rl import WORKLOADS, Size, measure
    from kimi_pipeline.profiles.profile import parse_overrides

    home, changes = Home.from_env().prepare(), parse_overrides(overrides)
    tell(measure(home, Size(rounds=rounds), changes, workloads or tuple(WORKLOADS)), as_json)


@bench.command()
@SEEDS
@SET
@as_json
def partial(seeds: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Partial rollouts beside whole ones [2.6.2]."""
    from kimi_pipeline.bench.partial import measure
    from kimi_pipeline.profiles.profile import parse_overrides

    tell(measure(Home.from_env().prepare(), whole_numbers(seeds, "--seeds"), parse_overrides(overrides)), as_json)


@bench.command()
@as_json
def sandbox(as_json: bool) -> None:
    """The same as `kimi-pipeline sandbox bench`."""
    from kimi_pipeline.sandbox_door import command

    sys.exit(command(["bench", *(["--json"] if as_json else [])]))


@bench.command()
@DATA
@as_json
def tagger(data: Path | None, as_json: bool) -> None:
    """Accuracy and calibration of the tagger, held out."""
    from kimi_pipeline.bench.tagger import measure

    tell(measure(data), as_json)


@bench.command()
@DATA
@click.option("--labelled", type=click.Path(path_type=Path), help="Rows with prompt, answer and label")
@as_json
def evaluability(data: Path | None, labelled: Path | None, as_json: bool) -> None:
    """Precision and recall of evaluability's verdicts."""
    from kimi_pipeline.bench.evaluability import measure

    tell(measure(data, labelled), as_json)


@bench.command()
@DATA
@as_json
def steps(data: Path | None, as_json: bool) -> None:
    """The rule that estimates the steps a problem needs, beside what corpora say of their rows."""
    from kimi_pipeline.bench.steps import measure

    tell(measure(data), as_json)


@bench.command()
@DATA
@as_json
def agreement(data: Path | None, as_json: bool) -> None:
    """The verifier beside plain math-verify: do they agree?"""
    from kimi_pipeline.bench.agreement import measure

    tell(measure(data), as_json)


@bench.command()
@as_json
def poison(as_json: bool) -> None:
    """Ten thousand pairs with bombs among them: does every one end in time, and right?"""
    from kimi_pipeline.bench.poison import measure

    tell(measure(), as_json)


@bench.command()
@DATA
@click.option("--model", type=click.Path(path_type=Path), help="A Hugging Face folder of a small chat model")
@click.option(
    "--problems", default=100, show_default=True, type=click.IntRange(1), help="Of each set, eight responses each"
)
@as_json
def verifier(data: Path | None, model: Path | None, problems: int, as_json: bool) -> None:
    """Verdicts a second on a model's responses, beside sequential math-verify."""
    from kimi_pipeline.bench.verifying import measure

    tell(measure(Home.from_env().prepare(), data, model, problems), as_json)


@bench.command()
@click.option("--rows", default="10000,100000,1000000", show_default=True, help="Sizes, comma-separated")
@as_json
def curation(rows: str, as_json: bool) -> None:
    """Problems a second through curation, and near-duplicates beside datatrove and datasketch."""
    from kimi_pipeline.bench.curation import measure

    tell(measure(Home.from_env().prepare(), whole_numbers(rows, "--rows")), as_json)


@bench.command()
@PROFILE
@SEEDS
@as_json
def adaptive(profile: str, seeds: str, as_json: bool) -> None:
    """Samples that adaptive difficulty saves, and how often it decides as all ten would."""
    from kimi_pipeline.bench.adaptive import measure

    tell(measure(Home.from_env().prepare(), profile, whole_numbers(seeds, "--seeds")), as_json)


@bench.command()
@as_json
def testcases(as_json: bool) -> None:
    """Runs a second of test-case validation, beside a container a run."""
    from kimi_pipeline.bench.testcases import measure

    tell(measure(Home.from_env().prepare()), as_json)


@bench.command()
@click.option("--model", type=click.Path(path_type=Path), required=True, help="A Hugging Face model folder")
@click.option("--problems", default="", help="Built-in problems by name, comma-separated; empty: all sound ones")
@as_json
def writing(model: Path, problems: str, as_json: bool) -> None:
    """How far a model gets that writes generators for coding problems, and where its attempts end."""
    from kimi_pipeline.bench.writing import measure

    tell(measure(Home.from_env().prepare(), model, [name for name in problems.split(",") if name]), as_json)


@bench.command()
@click.option("--rows", default=2000, show_default=True, type=click.IntRange(min=100), help="Texts to plant into")
@DATA
@as_json
def planted(rows: int, data: Path | None, as_json: bool) -> None:
    """Recall of planted near-duplicates and contamination by kind of edit, in drawn or real texts."""
    from kimi_pipeline.bench.planted_curation import measure

    tell(measure(data, rows), as_json)


@bench.command()
@click.option("--problems", default="10000,100000,1000000", show_default=True, help="Sizes, comma-separated")
@as_json
def audit(problems: str, as_json: bool) -> None:
    """Seconds of explain, diff, funnel, cost and rebuild over generated lakes, whole processes."""
    from kimi_pipeline.bench.audit import measure

    tell(measure(Home.from_env().prepare(), whole_numbers(problems, "--problems")), as_json)


@bench.command()
@click.option("--count", default=25, show_default=True, type=click.IntRange(min=1), help="Mutants a module")
@as_json
def mutation(count: int, as_json: bool) -> None:
    """Wrong changes to the methods' own modules: what share do the tests notice?"""
    from kimi_pipeline.bench.mutation import measure

    tell(measure(Home.from_env().prepare(), count), as_json)


@bench.command()
@as_json
def lines(as_json: bool) -> None:
    """All tests under coverage.py: what share of the lines of the methods' packages do they run?"""
    from kimi_pipeline.bench.lines import measure

    tell(measure(Home.from_env().prepare()), as_json)


@bench.command()
@SEEDS
@as_json
def rewardmodels(seeds: str, as_json: bool) -> None:
    """The Chain-of-Thought RM beside the Classic RM on held-out problems: accuracy, calibration, majority voting."""
    from kimi_pipeline.bench.reward_models import measure

    tell(measure(Home.from_env().prepare(), whole_numbers(seeds, "--seeds")), as_json)


@bench.command()
@click.option("--seeds", default="0", show_default=True, help="Comma-separated")
@as_json
def freeform(seeds: str, as_json: bool) -> None:
    """RL on answers in words: rewarded by the Chain-of-Thought RM where rules abstain, beside an oracle."""
    from kimi_pipeline.bench.free_form import measure

    tell(measure(Home.from_env().prepare(), whole_numbers(seeds, "--seeds")), as_json)


@bench.command()
@click.option("--problems", default=130_000, show_default=True, type=click.IntRange(min=200), help="Source rows")
@click.option(
    "--nights", default=180, show_default=True, type=click.IntRange(min=2), help="Nights; finished ones count"
)
@as_json
def nights(problems: int, nights: int, as_json: bool) -> None:
    """Growth of lake and event store over simulated nights, and seconds of explain and the UI before and after."""
    from kimi_pipeline.bench.nights import measure

    tell(measure(Home.from_env().prepare(), problems, nights), as_json)
