"""`kimi-pipeline bench chaos`: arguments, and a table of the rounds.

Belongs here: what people type and read. Does not belong here: the rounds (`bench/chaos.py`).
"""

from __future__ import annotations

import sys

import click

from kimi_pipeline.cli.benches import bench, tell
from kimi_pipeline.cli.door import NO, as_json, show
from kimi_pipeline.home import Home

SHOWN = (
    "round",
    "kind",
    "moment",
    "stage",
    "hit",
    "first_exit_code",
    "first_last_line",
    "runs_needed",
    "right",
    "wrong",
)


@bench.command()
@click.option("--rounds", default=20, show_default=True, type=click.IntRange(1), help="Finished ones count")
@click.option("--seed", default=0, show_default=True, help="Says what happens in which round, and when")
@as_json
def chaos(rounds: int, seed: int, as_json: bool) -> None:
    """Kills, full disks, clock jumps, dead engines, slow storage: does each run end right after the same command again?"""
    from kimi_pipeline.bench.chaos import measure

    found = measure(Home.from_env().prepare(), rounds, seed)
    if not as_json:
        show([{name: row[name] for name in SHOWN} for row in found["rounds"]])
    tell(found, as_json)
    if found["figures"]["right"] < found["figures"]["rounds"]:
        sys.exit(NO)
