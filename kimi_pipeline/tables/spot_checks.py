"""The table of spot checks: judgements of responses that a person is asked about [2.3.5]."""

from __future__ import annotations

from kimi_pipeline.tables.declare import BOOL, INT64, TEXT, table

SPOT_CHECKS = table(
    "spot_checks",
    "spot_check_id",
    [
        ("spot_check_id", TEXT),
        ("judge", TEXT),
        ("judge_version", TEXT),
        ("problem_id", TEXT),
        ("sample_id", TEXT),
        ("answer_kind", TEXT),
        ("reference", TEXT),
        ("response", TEXT),
        ("judged_correct", BOOL),
        ("made_correct", BOOL),
        ("seed", INT64),
    ],
)
"""A judgement drawn for a spot check: what the judge said of a response, and whether the response was made to be correct
(`made_correct`; null for a sampled one, of which nothing but a person knows). `sample_id` is null for one that was made."""
