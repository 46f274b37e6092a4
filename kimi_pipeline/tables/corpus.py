"""Tables of the corpora: what came in, what could not, and what checkpoints are measured on."""

from __future__ import annotations

import pyarrow as pa

from kimi_pipeline.tables.declare import IMAGES, LABELS, STRINGS, SUBMISSIONS, table

PROBLEMS = table(
    "problems",
    "source source_row",
    [
        ("problem_id", pa.string()),
        ("source", pa.string()),
        ("source_row", pa.string()),
        ("prompt", pa.string()),
        ("answer", pa.string()),
        ("answer_kind", pa.string()),
        ("domain", pa.string()),
        ("discipline", pa.string()),
        ("language", pa.string()),
        ("licence", pa.string()),
        ("options", STRINGS),
        ("images", IMAGES),
        ("submissions", SUBMISSIONS),
        ("labels", LABELS),
        ("planted", pa.string()),
    ],
)
"""One row a source row that could be normalised; rows that share a problem_id are exact duplicates."""

QUARANTINE = table(
    "quarantine",
    "source source_row",
    [
        ("source", pa.string()),
        ("source_row", pa.string()),
        ("reason_code", pa.string()),
        ("detail", pa.string()),
        ("raw", pa.binary()),
        ("planted", pa.string()),
    ],
)
"""Every source row that could not become a problem, with the reason; nothing is dropped silently."""

EVALUATION_PROBLEMS = table(
    "evaluation_problems",
    "evaluation_set problem_id",
    [
        ("evaluation_set", pa.string()),
        ("problem_id", pa.string()),
        ("prompt", pa.string()),
        ("answer", pa.string()),
        ("answer_kind", pa.string()),
        ("domain", pa.string()),
        ("labels", LABELS),
    ],
)
"""Problems that checkpoints are measured on; none of them may enter a prompt set."""
