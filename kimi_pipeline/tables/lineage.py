"""Tables of the lineage itself: decisions, prompt sets and their versions, results, finished stages."""

from __future__ import annotations

from kimi_pipeline.tables.declare import FLOAT64, INT64, TEXT, table

LEDGER = table(
    "ledger",
    "prompt_set stage problem_id subject",
    [
        ("prompt_set", TEXT),
        ("stage", TEXT),
        ("problem_id", TEXT),
        ("subject", TEXT),
        ("verdict", TEXT),
        ("reason_code", TEXT),
        ("evidence", TEXT),
        ("checkpoint", TEXT),
        ("parameters", TEXT),
        ("actor", TEXT),
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
        ("prompt_set", TEXT),
        ("version", INT64),
        ("problem_id", TEXT),
        ("prompt", TEXT),
        ("answer", TEXT),
        ("answer_kind", TEXT),
        ("domain", TEXT),
        ("bucket", TEXT),
        ("pass_rate", FLOAT64),
        ("weight", FLOAT64),
        ("reason", TEXT),
    ],
    partition_by=("prompt_set",),
)


def turn_of(prompt_set: str) -> str:
    """The turn (`Lake.in_turn`) that whoever writes rows of a set's versions takes."""
    return f"prompt_set-{prompt_set}"


PROMPT_SET_VERSIONS = table(
    "prompt_set_versions",
    "prompt_set version",
    [
        ("prompt_set", TEXT),
        ("version", INT64),
        ("size", INT64),
        ("digest", TEXT),
        ("manifest", TEXT),
    ],
    append_only=True,
)
"""A row a version of a named set; `manifest` holds recipe, parameters, input versions, code and funnel."""

PROMOTIONS = table(
    "promotions",
    "prompt_set version",
    [
        ("prompt_set", TEXT),
        ("version", INT64),
        ("actor", TEXT),
        ("reason", TEXT),
    ],
    append_only=True,
)
"""A log of which version of a set became current, by whom and why; the newest row of a set is in force."""

RESULTS = table(
    "results",
    "checkpoint split temperature seed",
    [
        ("checkpoint", TEXT),
        ("stage", TEXT),
        ("split", TEXT),
        ("pass_at_1", FLOAT64),
        ("low", FLOAT64),
        ("high", FLOAT64),
        ("tokens_mean", FLOAT64),
        ("n", INT64),
        ("temperature", FLOAT64),
        ("seed", INT64),
        ("manifest_note", TEXT),
    ],
)

STAGES = table(
    "stages",
    "stage partition fingerprint",
    [
        ("stage", TEXT),
        ("partition", TEXT),
        ("fingerprint", TEXT),
        ("data_version", TEXT),
        ("inputs", TEXT),
        ("outputs", TEXT),
        ("metadata", TEXT),
    ],
)
"""One row a finished computation of a stage: what went in (settings, code, upstream versions) and what came out."""
