"""Supervised fine-tuning of a trainer on tokenised examples [2.5.2]: the passes and the held-out loss.

Belongs here: learning rate over time, steps, loss per response token. Does not belong here: files, gates and checkpoints
(`sft.py`), tokens (`examples.py`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from kimi_pipeline.errors import UserError
from kimi_pipeline.training.engine import NotFinite, Trainer
from kimi_pipeline.training.examples import PHASES, Examples
from kimi_pipeline.training.packing import by_budget, collate, in_order

WARM_UP = 0.03  # share of the steps over which the rate rises; the report is silent
FINAL_RATE = 0.1  # of the peak: 2e-5 -> 2e-6 in the report
WINDOW = 2048  # examples within which lengths are grouped
EVALUATION_TOKENS = 4  # a batch without gradients may be this many times larger


@dataclass(frozen=True)
class Step:
    """What a step tells: `loss` in nats a response token, `tokens` of prompt and response without padding."""

    number: int
    of: int
    phase: str
    loss: float
    rate: float
    grad_norm: float
    tokens: int


def cosine(step: int, steps: int, peak: float) -> float:
    """The learning rate of step 0 .. steps - 1: a linear rise, then a cosine down to a tenth of the peak."""
    rise = min(1.0, (step + 1) / max(1.0, WARM_UP * steps))
    return rise * peak * (FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * (step + 1) / steps)))


def plan(examples: Examples, batch_tokens: int, epochs: int, seed: int) -> list[npt.NDArray[np.int64]]:
    """The batches of a training, as indices of examples: phase after phase, each `epochs` times."""
    lengths = examples.lengths
    found: list[npt.NDArray[np.int64]] = []
    for phase in PHASES:
        chosen = np.array([row for row, own in enumerate(examples.phases) if own == phase], dtype=np.int64)
        for epoch in range(epochs):
            passes = in_order(lengths[chosen], batch_tokens, WINDOW, seed + epoch)
            found.extend(chosen[group] for group in passes)
    return found


def fine_tune(
    trainer: Trainer,
    examples: Examples,
    *,
    batch_tokens: int,
    epochs: int,
    learning_rate: float,
    seed: int,
    pad_id: int,
    tell: Callable[[Step], None],
) -> float:
    """Train; returns tokens a second (prompt and response, no padding, all ranks).

    A step takes one batch a rank; its loss is the mean over the response tokens of all of them. Raises UserError where
    the loss is no finite number; the weights are then those before the step.
    """
    ranks = trainer.ranks
    batches = plan(examples, batch_tokens, epochs, seed)
    steps = -(-len(batches) // ranks.size)
    lengths = examples.lengths
    began, seen = time.monotonic(), 0
    for number in range(steps):
        place = number * ranks.size + ranks.rank
        # Where the last step has no batch for this rank, it repeats the first at weight zero: ZeRO needs every rank.
        rows, weight = (batches[place], 1.0) if place < len(batches) else (batches[0], 0.0)
        batch = collate([examples.prompts[i] for i in rows], [examples.responses[i] for i in rows], pad_id)
        (total,) = ranks.sum([weight * batch.tokens])
        rate = cosine(number, steps, learning_rate)
        loss = -trainer.scores(batch).log_probs.sum() * (weight / total)
        trainer.backward(loss)
        (mean, tokens) = ranks.sum([loss.item(), weight * float(lengths[rows].sum())])
        try:
            norm = trainer.step(rate)
        except NotFinite as error:
            where = f"at step {number + 1} of {steps}"
            raise UserError(f"sft: {error} {where}: lower sft.learning_rate ({learning_rate:g})") from error
        seen += int(tokens)
        tell(Step(number + 1, steps, examples.phases[int(rows[0])], mean, rate, norm, int(tokens)))
    return seen / (time.monotonic() - began)


def loss_of(trainer: Trainer, examples: Examples, *, batch_tokens: int, pad_id: int) -> float:
    """The mean loss in nats a response token, without training; NaN for no examples."""
    ranks = trainer.ranks
    total = tokens = 0.0
    for batch, own in _shared(examples, batch_tokens * EVALUATION_TOKENS, ranks.rank, ranks.size):
        rows = collate([examples.prompts[i] for i in batch], [examples.responses[i] for i in batch], pad_id)
        with torch.no_grad():
            scores = trainer.scores(rows).log_probs
        total -= own * float(scores.double().sum())
        tokens += own * rows.tokens
    total, tokens = ranks.sum([total, tokens])
    return total / tokens if tokens else math.nan


def _shared(examples: Examples, budget: int, rank: int, size: int) -> Iterator[tuple[npt.NDArray[np.int64], float]]:
    """This rank's batches and their weights: every rank gets equally many, the last ones at weight zero."""
    groups = by_budget(examples.lengths, budget) if len(examples) else []
    for start in range(0, len(groups), size):
        place = start + rank
        yield (groups[place], 1.0) if place < len(groups) else (groups[0], 0.0)
