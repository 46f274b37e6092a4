"""Results of trials with numbers chosen beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np

PROBLEMS = 400


def result(t1: float, *, greedy: float = 0.5, tokens: float = 40.0, sft: float = 0.2, seed: int = 0) -> dict[str, Any]:
    """As `Trial.run` gives it: the first problems right, so that two results are right on nested sets of problems."""

    def answers(share: float, length: float) -> dict[str, list[float | None]]:
        right: list[float | None] = [float(place < round(share * PROBLEMS)) for place in range(PROBLEMS)]
        return {"right": right, "tokens": list(length + np.random.default_rng(seed).normal(0, 1, PROBLEMS))}

    curve = [
        {
            "iteration": number,
            "pass_rate": sft + (t1 - sft) * number / 5,
            "tokens_mean": tokens,
            "log_ratio_max": 1.0 + number / 10,
            "tokens": 1000.0,
            "steps": 4.0,
            "decode_steps": 50.0,
            "groups": 8.0,
            "seconds": 2.0,
            "cpu_seconds_rollout": 1.0,
            "cpu_seconds_train": 0.5,
        }
        for number in range(1, 6)
    ]
    del curve[0]["pass_rate"]  # with partial rollouts the first iterations may complete no group
    return {
        "checkpoint": "c" * 32,
        "policy": "p" * 32,
        "note": "",
        "curves": curve,
        "answers": {
            "sft": {"1.0": answers(sft, 50.0), "0.0": answers(sft, 50.0)},
            "rl": {"1.0": answers(t1, tokens), "0.0": answers(greedy, tokens)},
        },
    }
