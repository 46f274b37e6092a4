"""The evaluation stage: every checkpoint of the lineage on the held-out problems, at temperature 1 and greedy.

Belongs here: which answers are wanted and what is computed from them. Does not belong here: drawing (`inference/`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from kimi_pipeline import tables
from kimi_pipeline.corpora.builtin import EVALUATION_SET
from kimi_pipeline.curation.asking import VERDICTS
from kimi_pipeline.digests import request_seed
from kimi_pipeline.inference.drawing import SamplingPass, draw
from kimi_pipeline.inference.templates import TEMPLATES
from kimi_pipeline.intervals import wilson
from kimi_pipeline.plots import bars
from kimi_pipeline.rewards.code import CODE as PROGRAM_CODE
from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.rewards.math_rules import CODE as MATH_CODE
from kimi_pipeline.rl.stage import RL_CHECKPOINT
from kimi_pipeline.row_digests import content_digest
from kimi_pipeline.stages import Context, Outcome, Stage, require_outcome
from kimi_pipeline.training.stages import BASE_CHECKPOINT, SFT_CHECKPOINT

EVALUATED = {"base": BASE_CHECKPOINT, "sft": SFT_CHECKPOINT, "rl": RL_CHECKPOINT}
TEMPERATURES = (1.0, 0.0)
PURPOSE = "evaluation"

SCORES = f"""
    select checkpoint, temperature,
           count(*) filter (status in {tuple(str(v) for v in VERDICTS)}) n,
           count(*) filter (status = '{Status.CORRECT}') correct,
           avg(completion_tokens) tokens_mean
    from samples semi join asked using (problem_id, checkpoint, sample_index, seed)
    where purpose = '{PURPOSE}' and template = ? and max_tokens = ?
    group by all
"""


def evaluate(context: Context) -> Outcome:
    """Score base, SFT and RL. pass@1 is the share of right answers; the interval is Wilson's over answers."""
    profile = context.profile
    problems = context.lake.sql(
        "select problem_id, prompt, answer, answer_kind from evaluation_problems where evaluation_set = ? order by problem_id",
        [EVALUATION_SET],
    )
    found = {name: require_outcome(stage, context).outputs for name, stage in EVALUATED.items()}
    template = profile.curation.template
    passes = [
        SamplingPass(
            purpose=PURPOSE,
            checkpoint=checkpoint["digest"],
            folder=checkpoint["folder"],
            problems=problems,
            template=template,
            format="reasoning",
            temperature=temperature,
            max_tokens=profile.evaluation.max_tokens,
            samples=profile.evaluation.samples if temperature else 1,
        )
        for checkpoint in {entry["digest"]: entry for entry in found.values()}.values()
        for temperature in TEMPERATURES
    ]
    drawn = draw(context, passes)
    asked = _asked(
        problems["problem_id"].to_pylist(),
        sorted({entry["digest"] for entry in found.values()}),
        profile.evaluation.samples,
        profile.seed,
    )
    key = [TEMPLATES[template].id("reasoning"), profile.evaluation.max_tokens]
    scores = {(row["checkpoint"], row["temperature"]): row for row in context.lake.rows(SCORES, key, asked=asked)}
    rows: list[dict[str, Any]] = []
    for stage, entry in found.items():
        for temperature in TEMPERATURES:
            score = scores[entry["digest"], temperature]
            low, high = wilson(score["correct"], score["n"])
            rows.append(
                {
                    "checkpoint": entry["digest"],
                    "stage": stage,
                    "split": EVALUATION_SET,
                    "pass_at_1": score["correct"] / score["n"],
                    "low": low,
                    "high": high,
                    "tokens_mean": score["tokens_mean"],
                    "n": score["n"],
                    "temperature": temperature,
                    "seed": profile.seed,
                    "manifest_note": entry.get("note") or "",
                }
            )
    context.lake.upsert(tables.RESULTS, rows, run_id=context.run_id, reason=f"evaluation for {context.prompt_set}")
    sampled = {row["stage"]: row for row in rows if row["temperature"] == 1.0}
    plot = bars(
        {name: row["pass_at_1"] for name, row in sampled.items()},
        Path(context.home.reports) / f"evaluation-{context.prompt_set}.png",
        title=f"Held-out pass@1 at temperature 1 ({len(problems)} problems)",
        y="pass@1",
        intervals={name: (row["low"], row["high"]) for name, row in sampled.items()},
    )
    figures: dict[str, Any] = {}
    for row in rows:
        kind = "greedy" if row["temperature"] == 0 else "pass_at_1"
        figures[f"{row['stage']}_{kind}"] = round(row["pass_at_1"], 4)
        if row["temperature"]:
            figures[f"{row['stage']}_tokens"] = round(row["tokens_mean"], 1)
    return Outcome(
        data_version=content_digest(tables.RESULTS, rows),
        figures=figures | {"problems": len(problems), "seconds": round(drawn.seconds, 1)},
        plots={"pass_at_1": plot},
        preview=rows,
    )


def _asked(problems: Sequence[str], checkpoints: Sequence[str], samples: int, run_seed: int) -> pa.Table:
    """What tells the samples of this run's seed from those that runs of other seeds drew: a row a problem, checkpoint and
    sample, with the seed of its request."""
    rows = [
        {
            "problem_id": problem,
            "checkpoint": checkpoint,
            "sample_index": index,
            "seed": request_seed(run_seed, PURPOSE, checkpoint, problem, index),
        }
        for checkpoint in checkpoints
        for problem in problems
        for index in range(samples)
    ]
    return pa.Table.from_pylist(rows)


EVALUATION = Stage(
    name="evaluation",
    description="Base, SFT and RL on the held-out problems, at temperature 1 and greedy",
    group="evaluation",
    compute=evaluate,
    upstream=("evaluation_problems", "base_checkpoint", "sft_checkpoint", "rl_checkpoint", "validated_test_suites"),
    settings=lambda context: (
        context.profile.evaluation.model_dump()
        | {"template": context.profile.curation.template, "seed": context.profile.seed}
    ),
    code=(__name__, "kimi_pipeline.inference.templates", *MATH_CODE, *PROGRAM_CODE),
    tables=(tables.RESULTS, tables.SAMPLES),
    kinds=("vllm", "deltalake"),
    by_set=True,
)
