"""Tables of the nights: which estimates replaced a stage's, what each night did, how new versions were judged."""

from __future__ import annotations

from kimi_pipeline.tables.declare import FLOAT64, INT64, TEXT, table

ESTIMATES = table(
    "estimates",
    "profile kind problem_id",
    [
        ("profile", TEXT),
        ("kind", TEXT),
        ("problem_id", TEXT),
        ("base", TEXT),
        ("checkpoint", TEXT),
        ("template", TEXT),
        ("first_sample", INT64),
        ("cause", TEXT),
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
        ("profile", TEXT),
        ("checkpoint", TEXT),
        ("template", TEXT),
        ("started_at", TEXT),
        ("until", TEXT),
        ("stopped_by", TEXT),
        ("stale", INT64),
        ("sampled", INT64),
        ("left", INT64),
        ("tokens", INT64),
        ("seconds", FLOAT64),
        ("report", TEXT),
    ],
)
"""One row a re-estimation that sampled or a night that ended: prompts that were stale, those sampled anew and those left,
and the whole report as JSON. `stopped_by` is empty where nothing cut it short."""

VERSION_CHECKS = table(
    "version_checks",
    "prompt_set version",
    [
        ("prompt_set", TEXT),
        ("version", INT64),
        ("against", INT64),
        ("verdict", TEXT),
        ("reason_code", TEXT),
        ("detail", TEXT),
        ("figures", TEXT),
    ],
)
"""How a night's new version compares with the one that was current (null: there was none): promoted or blocked, and why."""
