"""The SFT job: `python -m kimi_pipeline.training.sft SPEC` (several ranks under DeepSpeed's launcher).

Belongs here: the spec, the gate on the held-out loss, the checkpoint. Does not belong here: the training loop
(`supervised.py`), making examples (`corpora/`).

The spec: `{"home", "profile": settings, "run_id", "checkpoint": {"digest", "folder"}, "examples": PARQUET, "held_out":
PARQUET, "data_versions": {...}}`; the files have the columns of `examples.COLUMNS`. `"stage"` (default `sft`) names what
is trained where it is no policy. The result: `{"digest", "checkpoint": manifest, "metrics", "curve": [{"step", "phase",
"loss", "rate"}], "tokens_per_second", "seconds"}`.
"""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kimi_pipeline.checkpoints import Checkpoint, save_checkpoint
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.jobs import Report, job_main
from kimi_pipeline.profiles import Profile
from kimi_pipeline.training.runtime import init_distributed, prepare_process

if TYPE_CHECKING:
    from kimi_pipeline.training.engine import Trainer
    from kimi_pipeline.training.examples import Examples
    from kimi_pipeline.training.supervised import Step

CURVE_POINTS = 100  # of the loss curve that the result carries


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Train the base of `spec` and save the checkpoint. Raises UserError for bad input and where the gate refuses."""
    began = time.monotonic()
    profile = Profile.model_validate(spec["profile"])
    prepare_process(profile.inference)
    ranks = init_distributed(profile.inference.device, profile.inference.threads)

    from transformers import AutoTokenizer

    from kimi_pipeline.training.engine import EngineSettings, Trainer
    from kimi_pipeline.training.examples import HELD_OUT, read_examples
    from kimi_pipeline.training.supervised import MAX_GRAD_NORM, fine_tune
    from kimi_pipeline.training.tracking import Tracker

    settings, base = profile.sft, Path(spec["checkpoint"]["folder"])
    stage = spec.get("stage", "sft")
    engine = EngineSettings(
        settings.zero_stage,
        profile.model.dtype,
        settings.learning_rate,
        MAX_GRAD_NORM,
        optimizer=settings.optimizer,
    )
    trainer = Trainer(base, engine, ranks)
    tokenizer = AutoTokenizer.from_pretrained(base)
    examples = read_examples(Path(spec["examples"]), tokenizer, profile.model.window)
    held_out = read_examples(Path(spec["held_out"]), tokenizer, profile.model.window, HELD_OUT)
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    home = Home(Path(spec["home"])).prepare()
    recipe = profile.settings()
    with ExitStack() as stack:
        tracker = stack.enter_context(Tracker(home, stage, spec["run_id"], recipe)) if ranks.is_master else None
        curve = _Curve(report if ranks.is_master else None, tracker)
        speed = fine_tune(
            trainer,
            examples,
            batch_tokens=settings.batch_tokens,
            epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            seed=profile.seed,
            pad_id=pad_id,
            tell=curve.tell,
        )
        metrics = held_out_metrics(trainer, held_out, settings.batch_tokens, pad_id)
        if tracker:
            tracker.log(curve.last_step, metrics)
        _gate(metrics["held_out_loss"], settings.max_held_out_loss)
        weights = trainer.whole_weights()
        result: dict[str, Any] = {}
        if tracker and weights is not None:
            checkpoint = save_checkpoint(
                home.checkpoints,
                stage,
                lambda folder: trainer.write(folder, weights),
                parent=spec["checkpoint"]["digest"],
                recipe=recipe,
                data_versions=spec.get("data_versions", {}),
                metrics=metrics,
            )
            tracker.register(checkpoint)
            report.info(f"held-out loss {metrics['held_out_loss']:.3f} nats a token, {speed:,.0f} tokens/s")
            result = _result(checkpoint, metrics, curve, speed, time.monotonic() - began)
    ranks.barrier()
    return result


def held_out_metrics(trainer: Trainer, held_out: Examples, batch_tokens: int, pad_id: int) -> dict[str, float]:
    """Losses in nats a response token. `held_out_loss` is that of reasoning: a guess can't be learned, by design, so
    its loss says nothing about whether the model has learned; it stands beside it."""
    from kimi_pipeline.training.supervised import loss_of

    metrics: dict[str, float] = {}
    for format, name in (("reasoning", "held_out_loss"), ("guess", "held_out_loss_guess")):
        chosen = held_out.where([row for row, own in enumerate(held_out.formats) if own == format])
        loss = loss_of(trainer, chosen, batch_tokens=batch_tokens, pad_id=pad_id)
        if not math.isnan(loss):
            metrics[name] = loss
    if "held_out_loss" not in metrics:
        raise UserError(
            "the held-out examples hold none in the reasoning format: the base can't be judged without them"
        )
    return metrics


def _gate(loss: float, limit: float) -> None:
    if not loss <= limit:
        raise UserError(
            f"the base has not learned: held-out loss {loss:.3f} nats a token, sft.max_held_out_loss is {limit:g}; "
            f"raise sft.clean_examples (or sft.epochs)"
        )


class _Curve:
    """Keeps the loss over time and tells it: every step to the terminal's progress, averages to MLflow and the result."""

    def __init__(self, report: Report | None, tracker: Any) -> None:
        self._report = report
        self._tracker = tracker
        self._losses: list[float] = []
        self.points: list[dict[str, Any]] = []
        self.last_step = 0

    def tell(self, step: Step) -> None:
        self._losses.append(step.loss)
        self.last_step = step.number
        if step.number % max(1, step.of // CURVE_POINTS) == 0 or step.number == step.of:
            loss = sum(self._losses) / len(self._losses)
            self._losses.clear()
            self.points.append({"step": step.number, "phase": step.phase, "loss": loss, "rate": step.rate})
            if self._tracker is not None:
                values = {"loss": loss, "learning_rate": step.rate, "grad_norm": step.grad_norm}
                self._tracker.log(step.number, values)
        if self._report is not None:
            loss = self.points[-1]["loss"] if self.points else step.loss
            self._report.progress(step.number, step.of, f"{step.phase}, loss {loss:.3f}")


def _result(
    checkpoint: Checkpoint, metrics: dict[str, float], curve: _Curve, speed: float, seconds: float
) -> dict[str, Any]:
    return {
        "digest": checkpoint.digest,
        "checkpoint": checkpoint.manifest(),
        "metrics": metrics,
        "curve": curve.points,
        "tokens_per_second": speed,
        "seconds": seconds,
    }


if __name__ == "__main__":
    job_main(run)
