"""The Classic RM's job: `python -m kimi_pipeline.reward_models.classic SPEC` (several ranks under DeepSpeed's launcher).

Belongs here: the spec, the loss, probabilities of held-out examples, the checkpoint. Does not belong here: the model
(`value_head.py`), the corpus, what the probabilities are worth (`figures.py`).

The spec: `{"home", "profile": settings, "run_id", "checkpoint": {"digest", "folder"}, "examples": PARQUET, "held_out":
PARQUET, "data_versions": {...}}`; the files have the columns `user_message` and `correct`. The result: `{"digest",
"checkpoint": manifest, "probabilities": [of the held-out file's rows], "metrics", "seconds"}`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from kimi_pipeline.checkpoints import save_checkpoint
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.jobs import Report, job_main
from kimi_pipeline.profiles import Profile
from kimi_pipeline.training.packing import Ids, by_budget, in_order
from kimi_pipeline.training.runtime import init_distributed, prepare_process

if TYPE_CHECKING:
    import torch

    from kimi_pipeline.training.engine import Trainer

STAGE = "classic_rm"


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Train the value model of `spec` and save it. Raises UserError for bad input."""
    began = time.monotonic()
    profile = Profile.model_validate(spec["profile"])
    prepare_process(profile.inference)
    ranks = init_distributed(profile.inference.device, profile.inference.threads)

    from transformers import AutoTokenizer

    from kimi_pipeline.reward_models.value_head import load_value_model
    from kimi_pipeline.training.engine import EngineSettings, Trainer
    from kimi_pipeline.training.supervised import EVALUATION_TOKENS, MAX_GRAD_NORM
    from kimi_pipeline.training.tracking import Tracker

    settings, base = profile.reward_models, Path(spec["checkpoint"]["folder"])
    engine = EngineSettings(
        profile.sft.zero_stage,
        profile.model.dtype,
        settings.classic_learning_rate,
        MAX_GRAD_NORM,
        optimizer=profile.sft.optimizer,
    )
    trainer = Trainer(base, engine, ranks, load=load_value_model)
    tokenizer = AutoTokenizer.from_pretrained(base)
    train, held_out = (read(Path(spec[name]), tokenizer, profile.model.window) for name in ("examples", "held_out"))
    home = Home(Path(spec["home"])).prepare()
    recipe = profile.settings()
    result: dict[str, Any] = {}
    with ExitStack() as stack:
        tracker = stack.enter_context(Tracker(home, STAGE, spec["run_id"], recipe)) if ranks.is_master else None
        loss = 0.0
        for number, of, loss in fit(trainer, train, profile):
            if ranks.is_master and tracker is not None:
                report.progress(number, of, f"loss {loss:.3f}")
                if number % max(1, of // 100) == 0 or number == of:
                    tracker.log(number, {"loss": loss})
        found = probabilities(trainer, held_out[0], profile.sft.batch_tokens * EVALUATION_TOKENS)
        right = float(np.mean((found > 0.5) == held_out[1]))
        weights = trainer.whole_weights()
        if tracker is not None and weights is not None:
            checkpoint = save_checkpoint(
                home.checkpoints,
                STAGE,
                lambda folder: trainer.write(folder, weights),
                parent=spec["checkpoint"]["digest"],
                recipe=recipe,
                data_versions=spec.get("data_versions", {}),
                metrics={"held_out_accuracy": right},
            )
            tracker.log(0, checkpoint.metrics)
            tracker.register(checkpoint)
            report.info(f"held-out accuracy {right:.3f}")
            result = {
                "digest": checkpoint.digest,
                "checkpoint": checkpoint.manifest(),
                "probabilities": found.tolist(),
                "metrics": checkpoint.metrics,
                "seconds": time.monotonic() - began,
            }
    ranks.barrier()
    return result


def read(path: Path, tokenizer: Any, window: int) -> tuple[list[Ids], npt.NDArray[np.bool_]]:
    """Messages as tokens, ready for an answer, and labels [n]. Raises UserError where one exceeds the window."""
    from kimi_pipeline.training.examples import prompt_ids

    rows = pq.read_table(path, columns=["user_message", "correct"]).to_pydict()
    found = prompt_ids(tokenizer, rows["user_message"])
    longest = max(map(len, found), default=0)
    if not found or longest > window:
        raise UserError(f"{path}: {len(found)} examples of at most {longest} tokens; model.window is {window}")
    return found, np.array(rows["correct"], dtype=bool)


def fit(
    trainer: Trainer, train: tuple[list[Ids], npt.NDArray[np.bool_]], profile: Profile
) -> Iterator[tuple[int, int, float]]:
    """Train, with the binary cross-entropy of the scalar as logit; yields (step, steps, mean loss of the step).

    A step takes one batch a rank; its loss is the mean over the examples of all of them. Raises UserError where the gradient
    is no finite number; the weights are then those before the step.
    """
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    from kimi_pipeline.training.supervised import WINDOW, cosine, dealt, stepped

    messages, labels = train
    settings, ranks, peak = profile.reward_models, trainer.ranks, profile.reward_models.classic_learning_rate
    lengths = np.array([len(one) for one in messages], dtype=np.int64)
    batches = [
        group
        for epoch in range(settings.epochs)
        for group in in_order(lengths, profile.sft.batch_tokens, WINDOW, profile.seed + epoch)
    ]
    own = dealt(batches, ranks)
    steps = len(own)
    for number, (rows, weight) in enumerate(own):
        values = forward(trainer, [messages[row] for row in rows])
        (total,) = ranks.sum([weight * len(rows)])
        wanted = torch.from_numpy(labels[rows]).to(values)
        loss = binary_cross_entropy_with_logits(values, wanted, reduction="sum") * (weight / total)
        trainer.backward(loss)
        (mean,) = ranks.sum([loss.item()])
        rate = cosine(number, steps, peak)
        stepped(trainer, number, steps, rate, "classic_rm", "reward_models.classic_learning_rate", peak)
        yield number + 1, steps, mean


def forward(trainer: Trainer, messages: list[Ids]) -> torch.Tensor:
    """[rows]: the scalar of each sequence."""
    import torch

    width = max(map(len, messages))
    ids = np.zeros(
        (len(messages), width), dtype=np.int64
    )  # causal attention: what follows a row's last token is not seen
    for row, message in zip(ids, messages, strict=True):
        row[: len(message)] = message
    last = np.array([number * width + len(message) - 1 for number, message in enumerate(messages)], dtype=np.int64)
    device = trainer.ranks.device
    values: torch.Tensor = trainer.engine(torch.from_numpy(ids).to(device), torch.from_numpy(last).to(device))
    return values


def probabilities(trainer: Trainer, messages: list[Ids], budget: int) -> npt.NDArray[np.float64]:
    """[n]: the probability that each response is correct. Every rank computes all: ZeRO needs their passes."""
    import torch

    found = np.zeros(len(messages))
    lengths = np.array([len(one) for one in messages], dtype=np.int64)
    for rows in by_budget(lengths, budget):
        with torch.no_grad():
            values = forward(trainer, [messages[row] for row in rows])
        found[rows] = torch.sigmoid(values).double().cpu().numpy()
    return found


if __name__ == "__main__":
    job_main(run)
