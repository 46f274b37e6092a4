"""The table of samples: every generation ever made."""

from __future__ import annotations

import pyarrow as pa

from kimi_pipeline.tables.declare import table

SAMPLES = table(
    "samples",
    "sample_id",
    [
        ("sample_id", pa.string()),
        ("problem_id", pa.string()),
        ("purpose", pa.string()),
        ("checkpoint", pa.string()),
        ("template", pa.string()),
        ("temperature", pa.float64()),
        ("max_tokens", pa.int64()),
        ("sample_index", pa.int64()),
        ("segment_index", pa.int64()),
        ("iteration", pa.int64()),
        ("seed", pa.int64()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        ("text", pa.string()),
        ("finish_reason", pa.string()),
        ("extracted_answer", pa.string()),
        ("status", pa.string()),
        ("status_reason", pa.string()),
        ("reward", pa.float64()),
        ("rule_version", pa.string()),
        ("carrier", pa.string()),
        ("cost", pa.float64()),
    ],
    partition_by=("purpose",),
)
"""Every generation ever made; append-only, a sample_id is committed once."""
