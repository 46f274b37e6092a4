"""Tables of RL [2.3, 2.6]: rollouts, their segments, success rates."""

from __future__ import annotations

from kimi_pipeline.tables.declare import BOOL, FLOAT32, FLOAT64, INT32, INT64, STRINGS, TEXT, list_of, map_of, table

ROLLOUTS = table(
    "rollouts",
    "sample_id",
    [
        ("sample_id", TEXT),
        ("policy", TEXT),
        ("problem_id", TEXT),
        ("began", INT64),
        ("place", INT64),
        ("sample_index", INT64),
        ("iteration", INT64),
        ("ended", TEXT),
        ("tokens", INT64),
        ("segments", INT64),
        ("reward", FLOAT64),
        ("reward_parts", map_of(TEXT, FLOAT64)),
        ("advantage", FLOAT64),
        ("trained", BOOL),
    ],
    partition_by=("policy",),
)
"""What RL made of a sample: `iteration` is when its group was complete, `trained` whether any of it was in the loss."""

SEGMENTS = table(
    "segments",
    "policy began place sample_index segment_index",
    [
        ("policy", TEXT),
        ("problem_id", TEXT),
        ("began", INT64),
        ("place", INT64),
        ("sample_index", INT64),
        ("segment_index", INT64),
        ("iteration", INT64),
        ("weight_version", INT64),
        ("status", TEXT),
        ("prompt_ids", list_of(INT32)),
        ("response_ids", list_of(INT32)),
        ("behaviour_log_probs", list_of(FLOAT32)),
        ("reference_log_probs", list_of(FLOAT32)),
    ],
    partition_by=("policy",),
)
"""Rollout segments: tokens, the sampler's log-probs (behaviour) and the trainer's under the sampling weights (reference).
`prompt_ids` stand with a trajectory's first segment alone."""

REWARD_WATCH = table(
    "reward_watch",
    "policy iteration signal",
    [
        ("policy", TEXT),
        ("prompt_set", TEXT),
        ("version", INT64),
        ("iteration", INT64),
        ("signal", TEXT),
        ("judge", TEXT),
        ("n", INT64),
        ("hits", INT64),
        ("share", FLOAT64),
        ("baseline", FLOAT64),
        ("threshold", FLOAT64),
        ("alarm", BOOL),
        ("sample_ids", STRINGS),
    ],
    partition_by=("policy",),
)
"""Signals of reward hacking in an iteration: `hits` of `n` responses, against the share at the run's beginning. `sample_ids`
name some of the hits; `judge` who was asked, empty for signals that need none."""

SUCCESS_RATES = table(
    "success_rates",
    "policy problem_id",
    [
        ("policy", TEXT),
        ("problem_id", TEXT),
        ("rate", FLOAT64),
        ("correct", INT64),
        ("n", INT64),
    ],
)
"""What a run's prompt sampling knew of each problem at its end: the estimate `rate`, and `correct` of `n` rollouts."""
