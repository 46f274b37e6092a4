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
    partition_by=("source",),
    version=2,
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
    partition_by=("source",),
    version=2,
)
"""Every source row that could not become a problem, with the reason; nothing is dropped silently."""

SOURCE_READS = table(
    "source_reads",
    "source",
    [
        ("source", pa.string()),
        ("state", pa.string()),
        ("fingerprint", pa.string()),
        ("data_version", pa.string()),
        ("rows", pa.int64()),
        ("problems", pa.int64()),
        ("quarantined", pa.int64()),
    ],
)
"""What the tables hold of each source: under which settings, bytes and code it was read. `state` is `writing` while its
rows are being replaced, so that a run that died there is no reading; then `read`."""

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
