"""Tables of the lineage itself: decisions, prompt sets and their versions, results, finished stages."""

from __future__ import annotations

import pyarrow as pa

from kimi_pipeline.tables.declare import table

LEDGER = table(
    "ledger",
    "prompt_set stage problem_id subject",
    [
        ("prompt_set", pa.string()),
        ("stage", pa.string()),
        ("problem_id", pa.string()),
        ("subject", pa.string()),
        ("verdict", pa.string()),
        ("reason_code", pa.string()),
        ("evidence", pa.string()),
        ("checkpoint", pa.string()),
        ("parameters", pa.string()),
        ("actor", pa.string()),
    ],
    partition_by=("stage",),
    append_only=True,
)
"""Append-only decisions. `prompt_set` is empty for decisions that hold for every set; `subject` is the source row
(`source:row`) where a row and not a problem is decided on. The newest row of a key is in force."""

PROMPT_SET = table(
    "prompt_set",
    "prompt_set version problem_id",
    [
        ("prompt_set", pa.string()),
        ("version", pa.int64()),
        ("problem_id", pa.string()),
        ("prompt", pa.string()),
        ("answer", pa.string()),
        ("answer_kind", pa.string()),
        ("domain", pa.string()),
        ("bucket", pa.string()),
        ("pass_rate", pa.float64()),
        ("weight", pa.float64()),
        ("reason", pa.string()),
    ],
    partition_by=("prompt_set",),
)

PROMPT_SET_VERSIONS = table(
    "prompt_set_versions",
    "prompt_set version",
    [
        ("prompt_set", pa.string()),
        ("version", pa.int64()),
        ("size", pa.int64()),
        ("digest", pa.string()),
        ("manifest", pa.string()),
    ],
    append_only=True,
)
"""A row a version of a named set; `manifest` holds recipe, parameters, input versions, code and funnel."""

PROMOTIONS = table(
    "promotions",
    "prompt_set version",
    [
        ("prompt_set", pa.string()),
        ("version", pa.int64()),
        ("actor", pa.string()),
        ("reason", pa.string()),
    ],
    append_only=True,
)
"""A log of which version of a set became current, by whom and why; the newest row of a set is in force."""

RESULTS = table(
    "results",
    "checkpoint split temperature seed",
    [
        ("checkpoint", pa.string()),
        ("stage", pa.string()),
        ("split", pa.string()),
        ("pass_at_1", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("tokens_mean", pa.float64()),
        ("n", pa.int64()),
        ("temperature", pa.float64()),
        ("seed", pa.int64()),
        ("manifest_note", pa.string()),
    ],
)

STAGES = table(
    "stages",
    "stage partition fingerprint",
    [
        ("stage", pa.string()),
        ("partition", pa.string()),
        ("fingerprint", pa.string()),
        ("data_version", pa.string()),
        ("inputs", pa.string()),
        ("outputs", pa.string()),
        ("metadata", pa.string()),
    ],
)
"""One row a finished computation of a stage: what went in (settings, code, upstream versions) and what came out."""
