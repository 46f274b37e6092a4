"""The table of spot checks: judgements of responses that a person is asked about [2.3.5]."""

from __future__ import annotations

import pyarrow as pa

from kimi_pipeline.tables.declare import table

SPOT_CHECKS = table(
    "spot_checks",
    "spot_check_id",
    [
        ("spot_check_id", pa.string()),
        ("judge", pa.string()),
        ("judge_version", pa.string()),
        ("problem_id", pa.string()),
        ("sample_id", pa.string()),
        ("answer_kind", pa.string()),
        ("reference", pa.string()),
        ("response", pa.string()),
        ("judged_correct", pa.bool_()),
        ("made_correct", pa.bool_()),
        ("seed", pa.int64()),
    ],
)
"""A judgement drawn for a spot check: what the judge said of a response, and whether the response was made to be correct
(`made_correct`; null for a sampled one, of which nothing but a person knows). `sample_id` is null for one that was made."""
