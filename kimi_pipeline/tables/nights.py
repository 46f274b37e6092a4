"""Tables of the nights: which estimates replaced a stage's, what each night did, how new versions were judged."""

from __future__ import annotations

import pyarrow as pa

from kimi_pipeline.tables.declare import table

ESTIMATES = table(
    "estimates",
    "profile kind problem_id",
    [
        ("profile", pa.string()),
        ("kind", pa.string()),
        ("problem_id", pa.string()),
        ("base", pa.string()),
        ("checkpoint", pa.string()),
        ("template", pa.string()),
        ("first_sample", pa.int64()),
        ("cause", pa.string()),
    ],
    partition_by=("profile", "kind"),
)
"""Which estimate of a problem is in force where it was made again since the stage: the row of `difficulty` or
`guessability` (`kind`) of that checkpoint and template, counted from sample `first_sample` on. `base` names the stage's own
estimates that it stands in for; once the stage makes others, the row is void. `cause` is why it was made again."""

NIGHTS = table(
    "nights",
    "run_id",
    [
        ("profile", pa.string()),
        ("checkpoint", pa.string()),
        ("template", pa.string()),
        ("started_at", pa.string()),
        ("until", pa.string()),
        ("stopped_by", pa.string()),
        ("stale", pa.int64()),
        ("sampled", pa.int64()),
        ("left", pa.int64()),
        ("tokens", pa.int64()),
        ("seconds", pa.float64()),
        ("report", pa.string()),
    ],
)
"""One row a re-estimation that sampled or a night that ended: prompts that were stale, those sampled anew and those left,
and the whole report as JSON. `stopped_by` is empty where nothing cut it short."""

VERSION_CHECKS = table(
    "version_checks",
    "prompt_set version",
    [
        ("prompt_set", pa.string()),
        ("version", pa.int64()),
        ("against", pa.int64()),
        ("verdict", pa.string()),
        ("reason_code", pa.string()),
        ("detail", pa.string()),
        ("figures", pa.string()),
    ],
)
"""How a night's new version compares with the one that was current (null: there was none): promoted or blocked, and why."""
