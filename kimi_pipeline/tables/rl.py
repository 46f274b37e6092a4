"""Tables of RL [2.3, 2.6]: rollouts, their segments, success rates."""

from __future__ import annotations

import pyarrow as pa

from kimi_pipeline.tables.declare import STRINGS, table

ROLLOUTS = table(
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

SEGMENTS = table(
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

REWARD_WATCH = table(
    "reward_watch",
    "policy iteration signal",
    [
        ("policy", pa.string()),
        ("prompt_set", pa.string()),
        ("version", pa.int64()),
        ("iteration", pa.int64()),
        ("signal", pa.string()),
        ("judge", pa.string()),
        ("n", pa.int64()),
        ("hits", pa.int64()),
        ("share", pa.float64()),
        ("baseline", pa.float64()),
        ("threshold", pa.float64()),
        ("alarm", pa.bool_()),
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
        ("policy", pa.string()),
        ("problem_id", pa.string()),
        ("rate", pa.float64()),
        ("correct", pa.int64()),
        ("n", pa.int64()),
    ],
)
"""What a run's prompt sampling knew of each problem at its end: the estimate `rate`, and `correct` of `n` rollouts."""
