"""The stages that make the models before RL: base, SFT corpus, SFT.

Belongs here: what each of them reads, runs and registers. Does not belong here: training itself (`sft.py`, a job),
architectures (`models/`).

With a model that is given (`model.kind = "folder"`, no SFT examples) or an endpoint, these stages only register it:
the manifest then says so, and whatever follows works alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kimi_pipeline.checkpoints import Checkpoint, find_checkpoint, register_folder
from kimi_pipeline.corpora.families.base import WorkedExample
from kimi_pipeline.corpora.families.drawing import worked_examples
from kimi_pipeline.corpora.families.registry import MODULES as FAMILY_MODULES
from kimi_pipeline.corpora.families.registry import WEIGHTS, chosen
from kimi_pipeline.digests import digest, file_digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.files import whole_file
from kimi_pipeline.inference.drawing import endpoint_checkpoint
from kimi_pipeline.models.tokenizer import WORDS
from kimi_pipeline.stages import Context, Outcome, Stage, require_outcome

HELD_OUT_EXAMPLES = 400  # for the gate's loss; a fraction of a percent of noise in it
HELD_OUT_SEED = 1  # apart from every training stream by the split, and from the evaluation set by format and draw
NOISE = 0.12  # probability of a slip a step in the noisy phase
TAKEN_AS_GIVEN = "taken as given, not trained here"


def _outcome(checkpoint: Checkpoint, **figures: Any) -> Outcome:
    return Outcome(
        data_version=checkpoint.digest,
        figures=figures | {name: round(value, 4) for name, value in checkpoint.metrics.items()},
        outputs={"digest": checkpoint.digest, "folder": str(checkpoint.folder), "note": checkpoint.note},
    )


def _endpoint(context: Context) -> Outcome:
    """An endpoint as a checkpoint: a name without a folder, enough for all that needs no weights."""
    inference = context.profile.inference
    name = endpoint_checkpoint(inference)
    outputs = {"digest": name, "folder": None, "note": f"served as {inference.endpoint_model}"}
    return Outcome(name, figures={"endpoint_model": inference.endpoint_model}, outputs=outputs)


def _model_settings(context: Context) -> dict[str, Any]:
    inference = context.profile.inference
    if inference.carrier == "endpoint":
        return {"endpoint_model": inference.endpoint_model}
    model = context.profile.model
    words = {} if model.kind == "folder" else {"words": file_digest(WORDS)}  # the tokenizer that is built is these
    return model.model_dump() | words | {"seed": context.profile.seed}


def make_base(context: Context) -> Outcome:
    """The base model: built here with seeded weights, or the given folder."""
    if context.profile.inference.carrier == "endpoint":
        return _endpoint(context)
    model = context.profile.model
    if model.kind == "folder":
        if not model.path:
            raise UserError("model.path is empty: give --model FOLDER (a Hugging Face model folder)")
        return _outcome(register_folder(context.home.checkpoints, "base", Path(model.path), note=TAKEN_AS_GIVEN))
    spec = {"home": str(context.home.root), "profile": context.profile.settings(), "run_id": context.run_id}
    made = context.launcher.run("kimi_pipeline.training.base", spec)
    return _outcome(find_checkpoint(context.home.checkpoints, made["digest"]), parameters=made["parameters"])


def _corpus_settings(context: Context) -> dict[str, Any]:
    sft = context.profile.sft
    return {
        "clean": sft.clean_examples,
        "noisy": sft.noisy_examples,
        "guess_share": sft.guess_share,
        "held_out_share": context.profile.corpora.held_out_share,
        "template": context.profile.curation.template,
        "seed": context.profile.seed,
        "families": context.profile.corpora.families,
    }


def write_sft_corpus(context: Context) -> Outcome:
    """Worked examples of the built-in families in training order: clean solutions first, then ones with slips.

    With slips from the first step on the facts are never learned. Every example is of the training side of the split.
    """
    sft, share, seed = context.profile.sft, context.profile.corpora.held_out_share, context.profile.seed
    template = context.profile.curation.template
    weights = {name: WEIGHTS[name] for name in chosen(context.profile.corpora.families)}

    def drawn_rows(phase: str, n: int, noise: float, seed: int, held_out: bool = False) -> list[dict[str, str]]:
        drawn = worked_examples(
            seed, n, noise, sft.guess_share, share, weights=weights, template=template, held_out=held_out
        )
        return [_example_row(example, phase) for example in drawn]

    clean = drawn_rows("clean", sft.clean_examples, 0.0, seed)
    noisy = drawn_rows("noisy", sft.noisy_examples, NOISE, seed)
    held_out = drawn_rows("held_out", HELD_OUT_EXAMPLES if clean or noisy else 0, 0.0, HELD_OUT_SEED, held_out=True)
    # Named by its content: what another run was told of is never another corpus now.
    folder = context.home.root / "sft_corpus" / digest([clean + noisy, held_out])
    folder.mkdir(parents=True, exist_ok=True)
    paths = {"examples": folder / "examples.parquet", "held_out": folder / "held_out.parquet"}
    for name, rows in (("examples", clean + noisy), ("held_out", held_out)):
        with whole_file(paths[name]) as scratch:
            pq.write_table(pa.Table.from_pylist(rows, schema=EXAMPLE), scratch)
    trained = {row["problem_id"] for row in clean + noisy}
    return Outcome(
        data_version=file_digest(paths["examples"]) + file_digest(paths["held_out"]),
        figures={
            "examples": len(clean) + len(noisy),
            "clean": len(clean),
            "noisy": len(noisy),
            "answer_only": sum(row["format"] == "guess" for row in clean + noisy),
            "distinct_problems": len(trained),
            "overlap_with_held_out": len(trained & {row["problem_id"] for row in held_out}),
        },
        outputs={"folder": str(folder), **{name: str(path) for name, path in paths.items()}},
        preview=(clean[:3] + noisy[:3]),
    )


EXAMPLE = pa.schema([(n, pa.string()) for n in ("problem_id", "family", "phase", "format", "user_message", "response")])


def _example_row(example: WorkedExample, phase: str) -> dict[str, str]:
    return {
        "problem_id": example.problem_id,
        "family": example.family,
        "phase": phase,
        "format": example.format,
        "user_message": example.user_message,
        "response": example.response,
    }


def train_sft(context: Context) -> Outcome:
    """Fine-tune the base on the corpus; a model that has not learned (held-out loss) stops the lineage."""
    if context.profile.inference.carrier == "endpoint":
        return _endpoint(context)
    base = require_outcome(BASE_CHECKPOINT, context).outputs
    corpus = require_outcome(SFT_CORPUS, context)
    sft = context.profile.sft
    if sft.clean_examples + sft.noisy_examples == 0:
        return _outcome(
            register_folder(
                context.home.checkpoints, "sft", Path(base["folder"]), parent=base["digest"], note=TAKEN_AS_GIVEN
            )
        )
    spec = {
        "home": str(context.home.root),
        "profile": context.profile.settings(),
        "run_id": context.run_id,
        "checkpoint": {"digest": base["digest"], "folder": base["folder"]},
        "examples": corpus.outputs["examples"],
        "held_out": corpus.outputs["held_out"],
        "data_versions": {"sft_corpus": corpus.data_version},
    }
    made = context.launcher.run("kimi_pipeline.training.sft", spec)
    return _outcome(find_checkpoint(context.home.checkpoints, made["digest"]), seconds=made.get("seconds"))


BASE_CHECKPOINT = Stage(
    name="base_checkpoint",
    description="The base model: built from scratch, or the given folder",
    group="warm_up",
    compute=make_base,
    settings=_model_settings,
    code=("kimi_pipeline.models.tiny", "kimi_pipeline.models.tokenizer"),
    kinds=("torch",),
)

SFT_CORPUS = Stage(
    name="sft_corpus",
    description="Worked examples for SFT: clean ones first, then ones with slips; answer-only ones among both",
    group="warm_up",
    compute=write_sft_corpus,
    settings=_corpus_settings,
    code=(*FAMILY_MODULES, "kimi_pipeline.inference.templates"),
    kinds=("python", "parquet"),
)

SFT_CHECKPOINT = Stage(
    name="sft_checkpoint",
    description="Supervised fine-tuning of the base, gated on its held-out loss",
    group="warm_up",
    compute=train_sft,
    upstream=("base_checkpoint", "sft_corpus"),
    settings=lambda context: _model_settings(context) | {"sft": context.profile.sft.model_dump()},
    code=(
        "kimi_pipeline.training.sft",
        "kimi_pipeline.training.supervised",
        "kimi_pipeline.training.examples",
        "kimi_pipeline.training.engine",
        "kimi_pipeline.training.optimizers",
        "kimi_pipeline.training.packing",
        "kimi_pipeline.training.policy",
    ),
    kinds=("deepspeed", "mlflow"),
)
