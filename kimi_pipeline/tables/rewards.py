"""Tables of rewards [2.3.5]: the reward models' corpus, their judgements of held-out examples, the parts of a reward."""

from __future__ import annotations

from kimi_pipeline.tables.declare import BOOL, FLOAT64, INT64, TEXT, table

REWARD_MODEL_CORPUS = table(
    "reward_model_corpus",
    "profile example_id",
    [
        ("profile", TEXT),
        ("example_id", TEXT),
        ("problem_id", TEXT),
        ("sample_id", TEXT),
        ("split", TEXT),
        ("category", TEXT),
        ("form", TEXT),
        ("question", TEXT),
        ("reference", TEXT),
        ("response", TEXT),
        ("correct", BOOL),
        ("labelled_by", TEXT),
        ("verifier_status", TEXT),
        ("verifier_reason", TEXT),
        ("reasoning", TEXT),
    ],
)
"""Questions, references, responses and labels that reward models learn from (`split` train) and are measured on
(`held_out`); a problem is on one side with all its examples. `labelled_by`: `verifier` where it decides, else `construction`.
`sample_id` is null where the response was made. `reasoning`: the steps that the Chain-of-Thought RM learns to write."""

REWARD_MODEL_JUDGEMENTS = table(
    "reward_model_judgements",
    "profile model checkpoint votes example_id",
    [
        ("profile", TEXT),
        ("model", TEXT),
        ("checkpoint", TEXT),
        ("votes", INT64),
        ("example_id", TEXT),
        ("problem_id", TEXT),
        ("category", TEXT),
        ("correct", BOOL),
        ("judged_correct", BOOL),
        ("reason", TEXT),
        ("probability", FLOAT64),
        ("tokens", INT64),
        ("evidence", TEXT),
    ],
)
"""What a reward model (`classic` or `cot`) says of each held-out example. `probability` that the response is correct: of the
Classic RM its scalar, of the Chain-of-Thought RM the share of its votes; `judged_correct` is null where there is no verdict,
`reason` says why. `evidence`: what the votes wrote, a JSON list."""

REWARD_PARTS = table(
    "reward_parts",
    "sample_id part",
    [
        ("checkpoint", TEXT),
        ("problem_id", TEXT),
        ("sample_id", TEXT),
        ("part", TEXT),
        ("judge", TEXT),
        ("status", TEXT),
        ("reason", TEXT),
        ("value", FLOAT64),
        ("seconds", FLOAT64),
        ("tokens", INT64),
        ("evidence", TEXT),
    ],
    partition_by=("checkpoint",),
)
"""How the reward of a sample came about, part by part: who judged (rule version or checkpoint), what it said, what it cost,
and what it rests on (a JSON value). `checkpoint` is the sample's. The part that decided is the last one."""
