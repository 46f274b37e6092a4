"""Tables of curation [2.1]: a verdict a problem and rule, pass rates, guesses."""

from __future__ import annotations

from kimi_pipeline.tables.declare import FLOAT64, INT64, TEXT, TIME, table

VERDICT = [
    ("problem_id", TEXT),
    ("verdict", TEXT),
    ("reason_code", TEXT),
    ("evidence", TEXT),
    ("rule_version", TEXT),
]
"""Columns of a verdict on a problem."""

DUPLICATES = table(
    "duplicates",
    "source source_row",
    [
        ("source", TEXT),
        ("source_row", TEXT),
        ("problem_id", TEXT),
        ("kind", TEXT),
        ("kept_source", TEXT),
        ("kept_row", TEXT),
        ("rule_version", TEXT),
    ],
)
"""Rows that repeat another row, and which row stands for the problem."""

TAGS = table(
    "tags",
    "problem_id",
    [
        ("problem_id", TEXT),
        ("domain", TEXT),
        ("discipline", TEXT),
        ("grade", TEXT),
        ("language", TEXT),
        ("confidence", FLOAT64),
        ("origin", TEXT),
        ("rule_version", TEXT),
    ],
    version=2,
)
"""One tag a problem. `origin`: person, source, classifier (calibrated `confidence`), rules (a share of hits) or model (a share
of votes)."""

EVALUABILITY = table("evaluability", "problem_id", VERDICT)

CONTAMINATION = table("contamination", "problem_id", VERDICT)

RICH_REASONING = table("rich_reasoning", "problem_id", VERDICT)
"""Whether a problem needs enough steps of reasoning; empty while that filter was never on."""

MODEL_LABELS = table(
    "model_labels",
    "sample_id",
    [
        ("sample_id", TEXT),
        ("problem_id", TEXT),
        ("form", TEXT),
        ("checkpoint", TEXT),
        ("sample_index", INT64),
        ("text", TEXT),
        ("error", TEXT),
        ("prompt_tokens", INT64),
        ("completion_tokens", INT64),
        ("carrier", TEXT),
        ("cost", FLOAT64),
    ],
    append_only=True,
)
"""What a model answered when it was held to a form, as text; `error` says why there is none for good. Append-only."""

DIFFICULTY = table(
    "difficulty",
    "problem_id checkpoint template",
    [
        ("problem_id", TEXT),
        ("checkpoint", TEXT),
        ("template", TEXT),
        ("n", INT64),
        ("correct", INT64),
        ("cut", INT64),
        ("excluded", INT64),
        ("imported", INT64),
        ("pass_rate", FLOAT64),
        ("low", FLOAT64),
        ("high", FLOAT64),
    ],
    version=2,
)
"""Pass rate of a problem under a checkpoint, with its Wilson interval. Of the `n` samples with a verdict, `cut` ones ended
at max_tokens and `imported` ones were made elsewhere; `excluded` samples have no verdict and are not among them."""

REFERENCE_CHECKS = table(
    "reference_checks",
    "problem_id checkpoint template",
    [*VERDICT[:1], ("checkpoint", TEXT), ("template", TEXT), *VERDICT[1:]],
)
"""Whether samples of a checkpoint, or another source, speak against a problem's answer; `evidence` is JSON."""

GUESSABILITY = table(
    "guessability",
    "problem_id checkpoint template",
    [
        ("problem_id", TEXT),
        ("checkpoint", TEXT),
        ("template", TEXT),
        ("attempts", INT64),
        ("excluded", INT64),
        ("hit_at", INT64),
        ("hit_sample_id", TEXT),
        ("by_chance", FLOAT64),
    ],
)
"""`hit_at` is the 1-based attempt that was right (null: none); `by_chance` what the answers' distribution alone gives."""

REVIEW = table(
    "review",
    "problem_id question",
    [
        ("problem_id", TEXT),
        ("question", TEXT),
        ("state", TEXT),
        ("stage", TEXT),
        ("reason_code", TEXT),
        ("proposed", TEXT),
        ("evidence", TEXT),
        ("decision", TEXT),
        ("decided_by", TEXT),
        ("reason", TEXT),
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
        ("problem_id", TEXT),
        ("question", TEXT),
        ("decision", TEXT),
        ("decided_by", TEXT),
        ("reason", TEXT),
        ("until", TIME),
    ],
)
"""The decisions of people that are in force, as the stages honour them: what `review` and `withdrawals` held when
`people_decisions` ran."""

WITHDRAWALS = table(
    "withdrawals",
    "kind name",
    [
        ("kind", TEXT),
        ("name", TEXT),
        ("reason", TEXT),
        ("decided_by", TEXT),
    ],
    append_only=True,
)
"""What may be used no more: sources and problems (`kind`), each with who withdrew it and why. Append-only."""

ERASURES = table(
    "erasures",
    "problem_id",
    [
        ("problem_id", TEXT),
        ("content_digest", TEXT),
        ("source", TEXT),
        ("reason", TEXT),
        ("decided_by", TEXT),
    ],
    append_only=True,
)
"""What stays of a problem whose text was erased: its id, the digest that its rows had, and why. `source` is the withdrawn
source (empty where the problem itself was withdrawn). Append-only."""
