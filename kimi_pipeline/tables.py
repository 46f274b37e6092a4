"""The data model: every table of the lake, its columns, its key and its schema version.

Belongs here: declarations. Does not belong here: reading and writing (`lake.py`), who fills a table (its stage).
A column in `volatile` says who and when; digests leave it out, so that equal content has an equal digest.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

STRINGS = pa.list_(pa.string())
LABELS = pa.map_(pa.string(), pa.string())
IMAGES = pa.list_(pa.struct([("media_type", pa.string()), ("data", pa.binary())]))
SUBMISSIONS = pa.list_(pa.struct([("language", pa.string()), ("program", pa.string()), ("verdict", pa.string())]))
TIME = pa.timestamp("us", tz="UTC")
WHEN = [("run_id", pa.string()), ("created_at", TIME)]


@dataclass(frozen=True)
class Table:
    """A Delta table. `key` names the columns that identify a row; append-only tables may repeat theirs over time."""

    name: str
    key: tuple[str, ...]
    schema: pa.Schema
    partition_by: tuple[str, ...] = ()
    version: int = 1
    volatile: tuple[str, ...] = ("run_id", "created_at")


def _table(name: str, key: str, columns: list[tuple[str, pa.DataType]], partition_by: tuple[str, ...] = ()) -> Table:
    return Table(name, tuple(key.split()), pa.schema([pa.field(n, t) for n, t in [*columns, *WHEN]]), partition_by)


PROBLEMS = _table(
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

QUARANTINE = _table(
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

EVALUATION_PROBLEMS = _table(
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

DUPLICATES = _table(
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

TAGS = _table(
    "tags",
    "problem_id",
    [
        ("problem_id", pa.string()),
        ("domain", pa.string()),
        ("discipline", pa.string()),
        ("language", pa.string()),
        ("confidence", pa.float64()),
        ("origin", pa.string()),
        ("rule_version", pa.string()),
    ],
)

VERDICT = [
    ("problem_id", pa.string()),
    ("verdict", pa.string()),
    ("reason_code", pa.string()),
    ("evidence", pa.string()),
    ("rule_version", pa.string()),
]
EVALUABILITY = _table("evaluability", "problem_id", VERDICT)
CONTAMINATION = _table("contamination", "problem_id", VERDICT)

SAMPLES = _table(
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

ROLLOUTS = _table(
    "rollouts",
    "sample_id",
    [
        ("sample_id", pa.string()),
        ("policy", pa.string()),
        ("problem_id", pa.string()),
        ("began", pa.int64()),
        ("place", pa.int64()),
        ("sample_index", pa.int64()),
        ("iteration", pa.int64()),
        ("ended", pa.string()),
        ("tokens", pa.int64()),
        ("segments", pa.int64()),
        ("reward", pa.float64()),
        ("reward_parts", pa.map_(pa.string(), pa.float64())),
        ("advantage", pa.float64()),
        ("trained", pa.bool_()),
    ],
    partition_by=("policy",),
)
"""What RL made of a sample: `iteration` is when its group was complete, `trained` whether any of it was in the loss."""

SEGMENTS = _table(
    "segments",
    "policy began place sample_index segment_index",
    [
        ("policy", pa.string()),
        ("problem_id", pa.string()),
        ("began", pa.int64()),
        ("place", pa.int64()),
        ("sample_index", pa.int64()),
        ("segment_index", pa.int64()),
        ("iteration", pa.int64()),
        ("weight_version", pa.int64()),
        ("status", pa.string()),
        ("prompt_ids", pa.list_(pa.int32())),
        ("response_ids", pa.list_(pa.int32())),
        ("behaviour_log_probs", pa.list_(pa.float32())),
        ("reference_log_probs", pa.list_(pa.float32())),
    ],
    partition_by=("policy",),
)
"""Rollout segments: tokens, the sampler's log-probs (behaviour) and the trainer's under the sampling weights (reference).
`prompt_ids` stand with a trajectory's first segment alone."""

SUCCESS_RATES = _table(
    "success_rates",
    "policy problem_id",
    [
        ("policy", pa.string()),
        ("problem_id", pa.string()),
        ("rate", pa.float64()),
        ("correct", pa.int64()),
        ("n", pa.int64()),
    ],
)
"""What a run's prompt sampling knew of each problem at its end: the estimate `rate`, and `correct` of `n` rollouts."""

DIFFICULTY = _table(
    "difficulty",
    "problem_id checkpoint template",
    [
        ("problem_id", pa.string()),
        ("checkpoint", pa.string()),
        ("template", pa.string()),
        ("n", pa.int64()),
        ("correct", pa.int64()),
        ("excluded", pa.int64()),
        ("pass_rate", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
    ],
)
"""Pass rate of a problem under a checkpoint, with its Wilson interval; `excluded` samples have no verdict."""

GUESSABILITY = _table(
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

LEDGER = _table(
    "ledger",
    "prompt_set stage problem_id subject",
    [
        ("prompt_set", pa.string()),
        ("stage", pa.string()),
        ("problem_id", pa.string()),
        ("subject", pa.string()),
        ("verdict", pa.string()),
        ("reason_code", pa.string()),
        ("evidence", pa.string()),
        ("checkpoint", pa.string()),
        ("parameters", pa.string()),
        ("actor", pa.string()),
    ],
    partition_by=("stage",),
)
"""Append-only decisions. `prompt_set` is empty for decisions that hold for every set; `subject` is the source row
(`source:row`) where a row and not a problem is decided on. The newest row of a key is in force."""

PROMPT_SET = _table(
    "prompt_set",
    "prompt_set version problem_id",
    [
        ("prompt_set", pa.string()),
        ("version", pa.int64()),
        ("problem_id", pa.string()),
        ("prompt", pa.string()),
        ("answer", pa.string()),
        ("answer_kind", pa.string()),
        ("domain", pa.string()),
        ("bucket", pa.string()),
        ("pass_rate", pa.float64()),
        ("weight", pa.float64()),
        ("reason", pa.string()),
    ],
    partition_by=("prompt_set",),
)

PROMPT_SET_VERSIONS = _table(
    "prompt_set_versions",
    "prompt_set version",
    [
        ("prompt_set", pa.string()),
        ("version", pa.int64()),
        ("size", pa.int64()),
        ("digest", pa.string()),
        ("manifest", pa.string()),
    ],
)
"""A row a version of a named set; `manifest` holds recipe, parameters, input versions, code and funnel."""

RESULTS = _table(
    "results",
    "checkpoint split temperature seed",
    [
        ("checkpoint", pa.string()),
        ("stage", pa.string()),
        ("split", pa.string()),
        ("pass_at_1", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("tokens_mean", pa.float64()),
        ("n", pa.int64()),
        ("temperature", pa.float64()),
        ("seed", pa.int64()),
        ("manifest_note", pa.string()),
    ],
)

STAGES = _table(
    "stages",
    "stage partition fingerprint",
    [
        ("stage", pa.string()),
        ("partition", pa.string()),
        ("fingerprint", pa.string()),
        ("data_version", pa.string()),
        ("inputs", pa.string()),
        ("outputs", pa.string()),
        ("metadata", pa.string()),
    ],
)
"""One row a finished computation of a stage: what went in (settings, code, upstream versions) and what came out."""

TABLES: dict[str, Table] = {value.name: value for value in list(globals().values()) if isinstance(value, Table)}
