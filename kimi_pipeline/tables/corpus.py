"""Tables of the corpora: what came in, what could not, and what checkpoints are measured on."""

from __future__ import annotations

from kimi_pipeline.tables.declare import BYTES, IMAGES, INT64, LABELS, STRINGS, SUBMISSIONS, TEXT, table

PROBLEMS = table(
    "problems",
    "source source_row",
    [
        ("problem_id", TEXT),
        ("source", TEXT),
        ("source_row", TEXT),
        ("prompt", TEXT),
        ("answer", TEXT),
        ("answer_kind", TEXT),
        ("domain", TEXT),
        ("discipline", TEXT),
        ("language", TEXT),
        ("licence", TEXT),
        ("options", STRINGS),
        ("images", IMAGES),
        ("submissions", SUBMISSIONS),
        ("labels", LABELS),
        ("planted", TEXT),
    ],
    partition_by=("source",),
    version=2,
)
"""One row a source row that could be normalised; rows that share a problem_id are exact duplicates."""

QUARANTINE = table(
    "quarantine",
    "source source_row",
    [
        ("source", TEXT),
        ("source_row", TEXT),
        ("reason_code", TEXT),
        ("detail", TEXT),
        ("raw", BYTES),
        ("planted", TEXT),
    ],
    partition_by=("source",),
    version=2,
)
"""Every source row that could not become a problem, with the reason; nothing is dropped silently."""

SOURCE_READS = table(
    "source_reads",
    "source",
    [
        ("source", TEXT),
        ("state", TEXT),
        ("fingerprint", TEXT),
        ("data_version", TEXT),
        ("rows", INT64),
        ("problems", INT64),
        ("quarantined", INT64),
    ],
)
"""What the tables hold of each source: under which settings, bytes and code it was read. `state` is `writing` while its
rows are being replaced, so that a run that died there is no reading; then `read`."""

EVALUATION_PROBLEMS = table(
    "evaluation_problems",
    "evaluation_set problem_id",
    [
        ("evaluation_set", TEXT),
        ("problem_id", TEXT),
        ("prompt", TEXT),
        ("answer", TEXT),
        ("answer_kind", TEXT),
        ("domain", TEXT),
        ("labels", LABELS),
    ],
)
"""Problems that checkpoints are measured on; none of them may enter a prompt set."""
