"""Tables of rewards [2.3.5]: the reward models' corpus, their judgements of held-out examples, the parts of a reward."""

from __future__ import annotations

import pyarrow as pa

from kimi_pipeline.tables.declare import table

REWARD_MODEL_CORPUS = table(
    "reward_model_corpus",
    "profile example_id",
    [
        ("profile", pa.string()),
        ("example_id", pa.string()),
        ("problem_id", pa.string()),
        ("sample_id", pa.string()),
        ("split", pa.string()),
        ("category", pa.string()),
        ("form", pa.string()),
        ("question", pa.string()),
        ("reference", pa.string()),
        ("response", pa.string()),
        ("correct", pa.bool_()),
        ("labelled_by", pa.string()),
        ("verifier_status", pa.string()),
        ("verifier_reason", pa.string()),
        ("reasoning", pa.string()),
    ],
)
"""Questions, references, responses and labels that reward models learn from (`split` train) and are measured on
(`held_out`); a problem is on one side with all its examples. `labelled_by`: `verifier` where it decides, else `construction`.
`sample_id` is null where the response was made. `reasoning`: the steps that the Chain-of-Thought RM learns to write."""

REWARD_MODEL_JUDGEMENTS = table(
    "reward_model_judgements",
    "profile model checkpoint votes example_id",
    [
        ("profile", pa.string()),
        ("model", pa.string()),
        ("checkpoint", pa.string()),
        ("votes", pa.int64()),
        ("example_id", pa.string()),
        ("problem_id", pa.string()),
        ("category", pa.string()),
        ("correct", pa.bool_()),
        ("judged_correct", pa.bool_()),
        ("reason", pa.string()),
        ("probability", pa.float64()),
        ("tokens", pa.int64()),
        ("evidence", pa.string()),
    ],
)
"""What a reward model (`classic` or `cot`) says of each held-out example. `probability` that the response is correct: of the
Classic RM its scalar, of the Chain-of-Thought RM the share of its votes; `judged_correct` is null where there is no verdict,
`reason` says why. `evidence`: what the votes wrote, a JSON list."""

REWARD_PARTS = table(
    "reward_parts",
    "sample_id part",
    [
        ("checkpoint", pa.string()),
        ("problem_id", pa.string()),
        ("sample_id", pa.string()),
        ("part", pa.string()),
        ("judge", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("value", pa.float64()),
        ("seconds", pa.float64()),
        ("tokens", pa.int64()),
        ("evidence", pa.string()),
    ],
    partition_by=("checkpoint",),
)
"""How the reward of a sample came about, part by part: who judged (rule version or checkpoint), what it said, what it cost,
and what it rests on (a JSON value). `checkpoint` is the sample's. The part that decided is the last one."""
