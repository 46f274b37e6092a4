"""The table of samples: every generation ever made."""

from __future__ import annotations

from kimi_pipeline.tables.declare import FLOAT64, INT64, TEXT, table

SAMPLES = table(
    "samples",
    "sample_id",
    [
        ("sample_id", TEXT),
        ("problem_id", TEXT),
        ("purpose", TEXT),
        ("checkpoint", TEXT),
        ("template", TEXT),
        ("temperature", FLOAT64),
        ("max_tokens", INT64),
        ("sample_index", INT64),
        ("segment_index", INT64),
        ("iteration", INT64),
        ("seed", INT64),
        ("prompt_tokens", INT64),
        ("completion_tokens", INT64),
        ("text", TEXT),
        ("finish_reason", TEXT),
        ("extracted_answer", TEXT),
        ("status", TEXT),
        ("status_reason", TEXT),
        ("reward", FLOAT64),
        ("rule_version", TEXT),
        ("carrier", TEXT),
        ("cost", FLOAT64),
    ],
    partition_by=("purpose",),
)
"""Every generation ever made; append-only, a sample_id is committed once."""
