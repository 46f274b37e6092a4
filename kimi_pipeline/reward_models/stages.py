"""The stages of the reward models: Classic RM, Chain-of-Thought RM, both on held-out problems.

Belongs here: what each reads, runs and registers. Does not belong here: the jobs (`classic.py`, `training/sft.py`,
`judging_job.py`), the corpus (`corpus.py`).

Both models begin with the same policy, the SFT checkpoint, and learn from the same examples. With no examples
(`reward_models.examples = 0`) the stages say so and make nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kimi_pipeline import tables
from kimi_pipeline.checkpoints import find_checkpoint
from kimi_pipeline.errors import UserError
from kimi_pipeline.plots import paired_bars, reliability_plot
from kimi_pipeline.profiles import Profile
from kimi_pipeline.reward_models.corpus import HELD_OUT, REWARD_MODEL_CORPUS, TRAIN, as_example
from kimi_pipeline.reward_models.figures import Judged, accuracy, by_category, compared, reliability
from kimi_pipeline.stages import Context, Outcome, Stage, require_outcome
from kimi_pipeline.training.stages import SFT_CHECKPOINT

CLASSIC_JOB = "kimi_pipeline.reward_models.classic"
COT_JOB = "kimi_pipeline.training.sft"
JUDGING_JOB = "kimi_pipeline.reward_models.judging_job"
CLASSIC, COT = "classic", "cot"
ANY_LOSS = 100.0  # nats a token: what a Chain-of-Thought RM is worth is measured by its verdicts, not by its loss
NONE_TRAINED = "none"
EXAMPLES = pa.schema(
    [
        ("user_message", pa.string()),
        ("response", pa.string()),
        ("format", pa.string()),
        ("phase", pa.string()),
        ("correct", pa.bool_()),
    ]
)
TRAINING_CODE = (
    "kimi_pipeline.training.engine",
    "kimi_pipeline.training.examples",
    "kimi_pipeline.training.optimizers",
    "kimi_pipeline.training.packing",
    "kimi_pipeline.training.supervised",
    "kimi_pipeline.reward_models.verdicts",
    "kimi_pipeline.reward_models.wording",
)


def example_rows(rows: Sequence[Mapping[str, Any]], profile: Profile, phase: str) -> pa.Table:
    """Rows of the corpus as both jobs read them."""
    examples = [as_example(row, profile) for row in rows]
    made = [
        {"user_message": asked, "response": said, "format": "reasoning", "phase": phase, "correct": row["correct"]}
        for row, (asked, said) in zip(rows, examples, strict=True)
    ]
    return pa.Table.from_pylist(made, schema=EXAMPLES)


def corpus_rows(context: Context, split: str) -> list[dict[str, Any]]:
    return context.lake.rows(
        "select * from reward_model_corpus where profile = ? and split = ? order by example_id",
        [context.profile.name, split],
    )


def _spec(context: Context, profile: Profile) -> dict[str, Any]:
    """What both training jobs are given; writes their files."""
    policy = require_outcome(SFT_CHECKPOINT, context).outputs
    if policy["folder"] is None:
        raise UserError(
            "reward models are trained weights, and an endpoint has none: set reward_models.examples=0, or use vllm"
        )
    folder = context.home.root / "reward_models" / context.profile.name
    folder.mkdir(parents=True, exist_ok=True)
    paths = {"examples": folder / "examples.parquet", "held_out": folder / "held_out.parquet"}
    for (name, path), split in zip(paths.items(), (TRAIN, HELD_OUT), strict=True):
        phase = "clean" if name == "examples" else HELD_OUT
        pq.write_table(example_rows(corpus_rows(context, split), profile, phase), path)
    return {
        "home": str(context.home.root),
        "profile": profile.settings(),
        "run_id": context.run_id,
        "checkpoint": {"digest": policy["digest"], "folder": policy["folder"]},
        "data_versions": {"reward_model_corpus": require_outcome(REWARD_MODEL_CORPUS, context).data_version},
        **{name: str(path) for name, path in paths.items()},
    }


def _nothing() -> Outcome:
    note = "reward_models.examples = 0: none is trained"
    return Outcome(NONE_TRAINED, figures={"note": note}, outputs={"digest": None, "folder": None})


def _made(context: Context, digest: str, **figures: Any) -> Outcome:
    checkpoint = find_checkpoint(context.home.checkpoints, digest)
    metrics = {name: round(value, 4) for name, value in checkpoint.metrics.items()}
    outputs = {"digest": checkpoint.digest, "folder": str(checkpoint.folder), "note": checkpoint.note}
    return Outcome(checkpoint.digest, figures=metrics | figures, outputs=outputs)


def train_classic(context: Context) -> Outcome:
    """Train the value head; its probabilities of the held-out examples go to the lake."""
    if not context.profile.reward_models.examples:
        return _nothing()
    made = context.launcher.run(CLASSIC_JOB, _spec(context, context.profile))
    rows = [
        _judgement(context, CLASSIC, made["digest"], 1, row)
        | {"judged_correct": probability > 0.5, "probability": probability}
        for row, probability in zip(corpus_rows(context, HELD_OUT), made["probabilities"], strict=True)
    ]
    _store(context, CLASSIC, rows)
    return _made(context, made["digest"], seconds=round(made["seconds"], 1))


def cot_profile(profile: Profile) -> Profile:
    """The settings under which the SFT job trains a Chain-of-Thought RM."""
    settings = profile.reward_models
    return profile.with_changes(
        {
            "sft.learning_rate": settings.learning_rate,
            "sft.epochs": settings.epochs,
            "sft.max_held_out_loss": ANY_LOSS,
        }
    )


def train_cot(context: Context) -> Outcome:
    """Fine-tune the policy on the labelled reasoning."""
    if not context.profile.reward_models.examples:
        return _nothing()
    spec = _spec(context, cot_profile(context.profile)) | {"stage": "cot_rm"}
    made = context.launcher.run(COT_JOB, spec)
    return _made(context, made["digest"], seconds=round(made["seconds"], 1))


def evaluate(context: Context) -> Outcome:
    """Have the Chain-of-Thought RM judge the held-out examples, with one vote and with several, beside the Classic RM."""
    if not context.profile.reward_models.examples:
        return _nothing()
    cot = require_outcome(COT_REWARD_MODEL, context).outputs
    classic = require_outcome(CLASSIC_REWARD_MODEL, context).outputs
    held_out = corpus_rows(context, HELD_OUT)
    path = context.home.root / "reward_models" / context.profile.name / "questions.parquet"
    columns = ("question", "reference", "response")
    pq.write_table(pa.Table.from_pylist([{name: row[name] for name in columns} for row in held_out]), path)
    spec = {
        "home": str(context.home.root),
        "profile": context.profile.settings(),
        "run_id": context.run_id,
        "checkpoint": {"digest": cot["digest"], "folder": cot["folder"]},
        "questions": str(path),
        "votes": sorted({1, context.profile.reward_models.votes}),
    }
    made = context.launcher.run(JUDGING_JOB, spec)
    rows = [
        _judgement(context, COT, cot["digest"], int(votes), row)
        | {
            "judged_correct": opinion["correct"],
            "reason": opinion["reason"],
            "probability": opinion["share"],
            "tokens": opinion["tokens"],
            "evidence": json.dumps(opinion["evidence"], ensure_ascii=False),
        }
        for votes, opinions in made["opinions"].items()
        for row, opinion in zip(held_out, opinions, strict=True)
    ]
    _store(context, COT, rows)
    return _compared(context, classic["digest"], cot["digest"], made["seconds"])


def _judgement(context: Context, model: str, digest: str, votes: int, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "profile": context.profile.name,
        "model": model,
        "checkpoint": digest,
        "votes": votes,
        **{name: row[name] for name in ("example_id", "problem_id", "category", "correct")},
        "reason": None,
        "tokens": 0,
        "evidence": "[]",
    }


def _store(context: Context, model: str, rows: list[dict[str, Any]]) -> None:
    context.lake.replace(
        tables.REWARD_MODEL_JUDGEMENTS,
        rows,
        where=f"profile = '{context.profile.name}' and model = '{model}'",
        run_id=context.run_id,
        reason=f"judgements of the {model} reward model",
    )


def judgements(context: Context, model: str, digest: str) -> dict[int, list[Judged]]:
    """The stored judgements of a model by number of votes, in the order of the examples."""
    rows = context.lake.rows(
        "select * from reward_model_judgements where profile = ? and model = ? and checkpoint = ? order by example_id",
        [context.profile.name, model, digest],
    )
    found: dict[int, list[Judged]] = {}
    for row in rows:
        judged = Judged(row["category"], row["correct"], row["judged_correct"], row["probability"])
        found.setdefault(row["votes"], []).append(judged)
    return found


def _compared(context: Context, classic: str, cot: str, seconds: float) -> Outcome:
    one = judgements(context, CLASSIC, classic)[1]
    others = judgements(context, COT, cot)
    most = others[max(others)]
    categories = {name: (by_category(one)[name], value) for name, value in by_category(most).items()}
    folder = Path(context.home.reports)
    names = ("Classic RM", "Chain-of-Thought RM")
    plots = {
        "calibration": reliability_plot(
            {
                name: [(each.probability, each.correct) for each in reliability(judged)]
                for name, judged in zip(names, (one, most), strict=True)
            },
            folder / f"reward-models-{context.profile.name}-calibration.png",
            title="Calibration on held-out problems",
        ),
        "by_category": paired_bars(
            categories,
            names,
            folder / f"reward-models-{context.profile.name}-categories.png",
            title="Accuracy by category, held-out problems",
            y="accuracy",
        ),
    }
    details = {f"cot_{name}": round(value, 4) for name, value in accuracy(most).items() if name != "accuracy"}
    by_name = {name: {"classic": round(a, 4), "cot": round(b, 4)} for name, (a, b) in categories.items()}
    return Outcome(
        data_version=context.lake.query_digest(
            "select * from reward_model_judgements where profile = ?", [context.profile.name]
        ),
        figures=compared(one, others) | details | {"by_category": by_name, "judging_seconds": round(seconds, 1)},
        outputs={"digest": cot},
        plots=plots,
        preview=[{"category": name, "classic": round(a, 4), "cot": round(b, 4)} for name, (a, b) in categories.items()],
    )


def _settings(context: Context) -> dict[str, Any]:
    profile = context.profile
    own = profile.reward_models
    return {
        "optimizer": profile.sft.optimizer,
        "zero_stage": profile.sft.zero_stage,
        "batch_tokens": profile.sft.batch_tokens,
        "epochs": own.epochs,
        "dtype": profile.model.dtype,
        "template": profile.curation.template,
        "window": profile.model.window,
        "seed": profile.seed,
    }


CLASSIC_REWARD_MODEL = Stage(
    name="classic_reward_model",
    description="The Classic RM: a value head on the SFT policy, one scalar a response",
    group="rewards",
    compute=train_classic,
    upstream=("sft_checkpoint", "reward_model_corpus"),
    settings=lambda context: _settings(context) | {"rate": context.profile.reward_models.classic_learning_rate},
    code=("kimi_pipeline.reward_models.classic", "kimi_pipeline.reward_models.value_head", *TRAINING_CODE),
    kinds=("deepspeed", "mlflow"),
)

COT_REWARD_MODEL = Stage(
    name="cot_reward_model",
    description="The Chain-of-Thought RM: the SFT policy, taught to compare step by step before a verdict in JSON",
    group="rewards",
    compute=train_cot,
    upstream=("sft_checkpoint", "reward_model_corpus"),
    settings=lambda context: _settings(context) | {"rate": context.profile.reward_models.learning_rate},
    code=("kimi_pipeline.training.sft", "kimi_pipeline.training.policy", *TRAINING_CODE),
    kinds=("deepspeed", "mlflow"),
)

REWARD_MODEL_EVALUATION = Stage(
    name="reward_model_evaluation",
    description="Both reward models on held-out problems: accuracy by category, calibration, majority voting",
    group="rewards",
    compute=evaluate,
    upstream=("reward_model_corpus", "classic_reward_model", "cot_reward_model"),
    settings=lambda context: (
        _settings(context)
        | {name: getattr(context.profile.reward_models, name) for name in ("votes", "temperature", "max_tokens")}
    ),
    code=(
        "kimi_pipeline.reward_models.cot",
        "kimi_pipeline.reward_models.figures",
        "kimi_pipeline.reward_models.judging_job",
        *TRAINING_CODE,
    ),
    tables=(tables.REWARD_MODEL_JUDGEMENTS,),
    kinds=("vllm",),
)
