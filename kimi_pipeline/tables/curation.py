"""Tables of curation [2.1]: a verdict a problem and rule, pass rates, guesses."""

from __future__ import annotations

import pyarrow as pa

from kimi_pipeline.tables.declare import TIME, table

VERDICT = [
    ("problem_id", pa.string()),
    ("verdict", pa.string()),
    ("reason_code", pa.string()),
    ("evidence", pa.string()),
    ("rule_version", pa.string()),
]
"""Columns of a verdict on a problem."""

DUPLICATES = table(
    "duplicates",
    "source source_row",
    [
        ("source", pa.string()),
        ("source_row", pa.string()),
        ("problem_id", pa.string()),
        ("kind", pa.string()),
        ("kept_source", pa.string()),
        ("kept_row", pa.string()),
        ("rule_version", pa.string()),
    ],
)
"""Rows that repeat another row, and which row stands for the problem."""

TAGS = table(
    "tags",
    "problem_id",
    [
        ("problem_id", pa.string()),
        ("domain", pa.string()),
        ("discipline", pa.string()),
        ("grade", pa.string()),
        ("language", pa.string()),
        ("confidence", pa.float64()),
        ("origin", pa.string()),
        ("rule_version", pa.string()),
    ],
    version=2,
)
"""One tag a problem. `origin`: person, source, classifier (calibrated `confidence`) or rules (a share of hits)."""

EVALUABILITY = table("evaluability", "problem_id", VERDICT)

CONTAMINATION = table("contamination", "problem_id", VERDICT)

RICH_REASONING = table("rich_reasoning", "problem_id", VERDICT)
"""Whether a problem needs enough steps of reasoning; empty while that filter was never on."""

MODEL_LABELS = table(
    "model_labels",
    "sample_id",
    [
        ("sample_id", pa.string()),
        ("problem_id", pa.string()),
        ("form", pa.string()),
        ("checkpoint", pa.string()),
        ("sample_index", pa.int64()),
        ("text", pa.string()),
        ("error", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        ("carrier", pa.string()),
        ("cost", pa.float64()),
    ],
    append_only=True,
)
"""What a model answered when it was held to a form, as text; `error` says why there is none for good. Append-only."""

DIFFICULTY = table(
    "difficulty",
    "problem_id checkpoint template",
    [
        ("problem_id", pa.string()),
        ("checkpoint", pa.string()),
        ("template", pa.string()),
        ("n", pa.int64()),
        ("correct", pa.int64()),
        ("cut", pa.int64()),
        ("excluded", pa.int64()),
        ("imported", pa.int64()),
        ("pass_rate", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
    ],
    version=2,
)
"""Pass rate of a problem under a checkpoint, with its Wilson interval. Of the `n` samples with a verdict, `cut` ones ended
at max_tokens and `imported` ones were made elsewhere; `excluded` samples have no verdict and are not among them."""

REFERENCE_CHECKS = table(
    "reference_checks",
    "problem_id checkpoint template",
    [*VERDICT[:1], ("checkpoint", pa.string()), ("template", pa.string()), *VERDICT[1:]],
)
"""Whether samples of a checkpoint, or another source, speak against a problem's answer; `evidence` is JSON."""

GUESSABILITY = table(
    "guessability",
    "problem_id checkpoint template",
    [
        ("problem_id", pa.string()),
        ("checkpoint", pa.string()),
        ("template", pa.string()),
        ("attempts", pa.int64()),
        ("excluded", pa.int64()),
        ("hit_at", pa.int64()),
        ("hit_sample_id", pa.string()),
        ("by_chance", pa.float64()),
    ],
)
"""`hit_at` is the 1-based attempt that was right (null: none); `by_chance` what the answers' distribution alone gives."""

REVIEW = table(
    "review",
    "problem_id question",
    [
        ("problem_id", pa.string()),
        ("question", pa.string()),
        ("state", pa.string()),
        ("stage", pa.string()),
        ("reason_code", pa.string()),
        ("proposed", pa.string()),
        ("evidence", pa.string()),
        ("decision", pa.string()),
        ("decided_by", pa.string()),
        ("reason", pa.string()),
        ("until", TIME),
    ],
    version=2,
    append_only=True,
)
"""What waits for a person and what persons decided; append-only. `state` is waiting, withdrawn or decided. A decision
outranks what is asked later, up to `until` (null: for good); among equals the newest row of a key is in force, and its
`created_at` says when."""

PEOPLE = table(
    "people",
    "problem_id question",
    [
        ("problem_id", pa.string()),
        ("question", pa.string()),
        ("decision", pa.string()),
        ("decided_by", pa.string()),
        ("reason", pa.string()),
        ("until", TIME),
    ],
)
"""The decisions of people that are in force, as the stages honour them: what `review` and `withdrawals` held when
`people_decisions` ran."""

WITHDRAWALS = table(
    "withdrawals",
    "kind name",
    [
        ("kind", pa.string()),
        ("name", pa.string()),
        ("reason", pa.string()),
        ("decided_by", pa.string()),
    ],
    append_only=True,
)
"""What may be used no more: sources and problems (`kind`), each with who withdrew it and why. Append-only."""

ERASURES = table(
    "erasures",
    "problem_id",
    [
        ("problem_id", pa.string()),
        ("content_digest", pa.string()),
        ("source", pa.string()),
        ("reason", pa.string()),
        ("decided_by", pa.string()),
    ],
    append_only=True,
)
"""What stays of a problem whose text was erased: its id, the digest that its rows had, and why. `source` is the withdrawn
source (empty where the problem itself was withdrawn). Append-only."""
