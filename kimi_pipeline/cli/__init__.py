"""The terminal's door: `kimi-pipeline COMMAND`.

Belongs here: arguments, tables for people, `--json` for machines, exit codes (0 done, 1 the answer is no, 2 bad usage
or input, with one line that says what to do). Does not belong here: what a command does.

    door.py           the group, exit codes, tables and JSON
    running.py        run, plan, ui, doctor, settings, sandbox
    auditing.py       funnel, coverage, explain, sets, results, rollouts, reasons
    tracing.py        sql, diff, rebuild, report, cost, blame, impact, promote, rollback
    deciding.py       decide, withdraw           reviewing.py    review
    nights.py         reestimate, nights, drift  maintaining.py  storage, maintain, migrate
    sources.py        sources check              samples.py      samples import
    watching.py       watch                      spot_checking.py  spot-check
    measuring.py      ablations, real, acceptance
    benches.py        bench NAME                 shaking.py      bench chaos

Modules are imported inside commands: `explain` and `funnel` must answer at once, and load neither Dagster nor torch.
"""

from __future__ import annotations

from kimi_pipeline.cli import (  # each adds its commands to the door
    auditing,
    benches,
    deciding,
    maintaining,
    measuring,
    nights,
    reviewing,
    running,
    samples,
    shaking,
    sources,
    spot_checking,
    tracing,
    watching,
)
from kimi_pipeline.cli.door import main

__all__ = [
    "auditing",
    "benches",
    "deciding",
    "main",
    "maintaining",
    "measuring",
    "nights",
    "reviewing",
    "running",
    "samples",
    "shaking",
    "sources",
    "spot_checking",
    "tracing",
    "watching",
]
