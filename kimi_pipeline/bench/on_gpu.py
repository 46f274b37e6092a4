"""What a GPU makes of an RL job: tokens a second, MFU, memory by phase.

Belongs here: these figures, from lists with an entry an iteration, and what they are held against. Does not belong here:
running a job and its rivals (`rl.py`).

MFU is the training phase's share of what the GPU reaches in a matrix product of its own: 6 operations a weight and trained
token, 2 a scored one; attention is not counted. Memory is what is in use on the whole device at a phase's end, where torch
still holds what the phase took at its peak.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

MATRIX = 8192  # side of the bfloat16 product that tells what a GPU can reach
Lists = Mapping[str, Sequence[float]]  # of one arm in one round: lists with an entry an iteration


def gpu_figures(rounds: Sequence[Lists], weights: int, reached: float, left_out: int) -> dict[str, Any]:
    """Of our arm on a GPU: medians over all iterations of all rounds. `reached`: operations a second of the matrix product.

    Decoded tokens a second of the rollout phase, trained tokens a second of the training phase (prompts included), TFLOP/s and
    MFU of training, and memory in use at the end of each phase, in GiB, the most over all iterations.
    """

    def median(value: Callable[[Lists, int], float]) -> float:
        return statistics.median(value(one, at) for one in rounds for at in range(left_out, len(one["seconds"])))

    def operations(one: Lists, at: int) -> float:
        return weights * (6 * one["tokens_trained"][at] + 2 * one["tokens_scored"][at]) / one["train"][at]

    speed = median(operations)
    memory = {name: [value for one in rounds for value in one[name]] for name in rounds[0] if name.startswith("memory")}
    return {
        "parameters": weights,
        "decoded_tokens_per_second": round(median(lambda one, at: one["decoded"][at] / one["rollout"][at])),
        "trained_tokens_per_second": round(median(lambda one, at: one["tokens_trained"][at] / one["train"][at])),
        "train_tflops": round(speed / 1e12, 2),
        "matrix_product_tflops": round(reached / 1e12, 1),
        "mfu": round(speed / reached, 4),
        **{name: round(max(values), 2) for name, values in memory.items()},
    }


def matrix_product() -> tuple[str, float]:
    """The GPU's name, and operations a second of its bfloat16 product of random square matrices, median of 20."""
    import torch

    a, b = (torch.randn(MATRIX, MATRIX, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(23):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        torch.mm(a, b)
        end.record()
        torch.cuda.synchronize()
        seconds.append(start.elapsed_time(end) / 1e3)
    return torch.cuda.get_device_name(), 2 * MATRIX**3 / statistics.median(seconds[3:])
