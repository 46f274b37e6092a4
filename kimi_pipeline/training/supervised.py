"""Supervised fine-tuning of a trainer on tokenised examples [2.5.2]: the passes and the held-out loss.

Belongs here: learning rate over time, steps, loss per response token. Does not belong here: files, gates and checkpoints
(`sft.py`), tokens (`examples.py`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from kimi_pipeline.errors import UserError
from kimi_pipeline.training.engine import NotFinite, Trainer
from kimi_pipeline.training.examples import PHASES, Examples
from kimi_pipeline.training.packing import by_budget, collate, in_order
from kimi_pipeline.training.runtime import Ranks

WARM_UP = 0.03  # share of the steps over which the rate rises; the report is silent
FINAL_RATE = 0.1  # of the peak: 2e-5 -> 2e-6 in the report
WINDOW = 2048  # examples within which lengths are grouped
EVALUATION_TOKENS = 4  # a batch without gradients may be this many times larger
MAX_GRAD_NORM = 1.0

Rows = npt.NDArray[np.int64]  # of a batch: indices of examples


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


def plan(examples: Examples, batch_tokens: int, epochs: int, seed: int) -> list[Rows]:
    """The batches of a training, as indices of examples: phase after phase, each `epochs` times."""
    lengths = examples.lengths
    found: list[Rows] = []
    for phase in PHASES:
        chosen = np.array([row for row, own in enumerate(examples.phases) if own == phase], dtype=np.int64)
        for epoch in range(epochs):
            passes = in_order(lengths[chosen], batch_tokens, WINDOW, seed + epoch)
            found.extend(chosen[group] for group in passes)
    return found


def dealt(batches: Sequence[Rows], ranks: Ranks) -> list[tuple[Rows, float]]:
    """This rank's batch of each step, with its weight. Where the last step has none for this rank, it repeats the first at
    weight zero: ZeRO needs every rank."""
    places = range(ranks.rank, ranks.size * -(-len(batches) // ranks.size), ranks.size)
    return [(batches[place], 1.0) if place < len(batches) else (batches[0], 0.0) for place in places]


def stepped(trainer: Trainer, number: int, steps: int, rate: float, who: str, setting: str, peak: float) -> float:
    """Take step `number` (0 .. steps - 1) at `rate`; returns the gradient's norm. Raises UserError in the name of `who` where
    it is no finite number, with the `setting` to lower from `peak`; the weights are then those before the step."""
    try:
        return trainer.step(rate)
    except NotFinite as error:
        raise UserError(f"{who}: {error} at step {number + 1} of {steps}: lower {setting} ({peak:g})") from error


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
    own = dealt(batches, ranks)
    steps, lengths = len(own), examples.lengths
    began, seen = time.monotonic(), 0
    for number, (rows, weight) in enumerate(own):
        batch = collate([examples.prompts[i] for i in rows], [examples.responses[i] for i in rows], pad_id)
        (total,) = ranks.sum([weight * batch.tokens])
        rate = cosine(number, steps, learning_rate)
        loss = -trainer.scores(batch).log_probs.sum() * (weight / total)
        trainer.backward(loss)
        (mean, tokens) = ranks.sum([loss.item(), weight * float(lengths[rows].sum())])
        norm = stepped(trainer, number, steps, rate, "sft", "sft.learning_rate", learning_rate)
        seen += int(tokens)
        tell(Step(number + 1, steps, examples.phases[int(rows[0])], mean, rate, norm, int(tokens)))
    return seen / (time.monotonic() - began)


def loss_of(trainer: Trainer, examples: Examples, *, batch_tokens: int, pad_id: int) -> float:
    """The mean loss in nats a response token, without training; NaN for no examples."""
    ranks = trainer.ranks
    total = tokens = 0.0
    groups = by_budget(examples.lengths, batch_tokens * EVALUATION_TOKENS) if len(examples) else []
    for batch, own in dealt(groups, ranks):
        rows = collate([examples.prompts[i] for i in batch], [examples.responses[i] for i in batch], pad_id)
        with torch.no_grad():
            scores = trainer.scores(rows).log_probs
        total -= own * float(scores.double().sum())
        tokens += own * rows.tokens
    total, tokens = ranks.sum([total, tokens])
    return total / tokens if tokens else math.nan
