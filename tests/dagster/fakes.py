"""Small lineages with the real names, for tests of the Dagster layer: nothing is sampled or trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.errors import UserError
from kimi_pipeline.stages import Context, Outcome, Stage

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000 1f15c4890000000d49444154789c6360f8cf"
    "500f0003860180 5ad7c6e30000000049454e44ae426082".replace(" ", "")
)


def problem(number: int, prompt: str | None = "one and one") -> dict[str, Any]:
    return {"problem_id": f"p{number}", "source": "fake", "source_row": str(number), "prompt": prompt, "labels": []}


def corpus(context: Context) -> Outcome:
    limit = context.profile.corpora.limit or 3
    rows = [problem(number) for number in range(limit)]
    context.lake.replace(tables.PROBLEMS, rows, where=None, run_id=context.run_id, reason="fake")
    plot = context.home.reports / "one.png"
    plot.write_bytes(PNG)
    return Outcome(
        f"corpus-{limit}",
        figures={"problems": limit, "share": 0.25} | {f"figure {n}": n for n in range(30)},
        outputs={"folder": str(context.home.reports)},
        plots={"histogram": str(plot)},
        preview=[{"id": row["problem_id"], "prompt": row["prompt"] + "|" + "x" * 200} for row in rows],
    )


def evaluation_problems(context: Context) -> Outcome:
    row = {"evaluation_set": "held_out", "problem_id": "p99", "labels": []}
    context.lake.replace(tables.EVALUATION_PROBLEMS, [row], where=None, run_id=context.run_id, reason="fake")
    return Outcome("evaluation-1")


def difficulty(context: Context) -> Outcome:
    curation = context.profile.curation
    return Outcome(f"difficulty-{curation.samples}", figures={"samples": curation.samples})


def rl_prompt_set(context: Context, members: tuple[int, ...] = (0, 1)) -> Outcome:
    name = context.prompt_set
    rows = [{"prompt_set": name, "version": 1, "problem_id": f"p{n}", "pass_rate": 0.5} for n in members]
    stamp = {"run_id": context.run_id, "reason": "fake"}
    context.lake.replace(tables.PROMPT_SET, rows, where=f"prompt_set = '{name}'", **stamp)
    version = {"prompt_set": name, "version": 1, "size": len(rows), "digest": "d", "manifest": "{}"}
    if not context.lake.read(tables.PROMPT_SET_VERSIONS, where=[("prompt_set", "=", name)]).num_rows:
        context.lake.append(tables.PROMPT_SET_VERSIONS, [version], **stamp)
    samples = context.profile.curation.samples
    return Outcome(f"{name}-{len(rows)}", figures={"size": len(rows), "samples in force": samples})


def rl_checkpoint(context: Context) -> Outcome:
    return Outcome("checkpoint-1", figures={"ran": True})


LINEAGE: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("corpus", "Raw rows become problems", "corpora", corpus,
              settings=lambda c: c.profile.corpora.model_dump(), tables=(tables.PROBLEMS, tables.QUARANTINE)),
        Stage("evaluation_problems", "Problems kept apart", "corpora", evaluation_problems,
              tables=(tables.EVALUATION_PROBLEMS,)),
        Stage("difficulty", "Pass rates", "curation", difficulty, upstream=("corpus",),
              settings=lambda c: {"samples": c.profile.curation.samples}, kinds=("python", "vllm")),
        Stage("rl_prompt_set", "The set", "prompt_sets", rl_prompt_set, upstream=("evaluation_problems", "difficulty"),
              tables=(tables.PROMPT_SET,), by_set=True),
        Stage("rl_checkpoint", "Trained", "models", rl_checkpoint, upstream=("rl_prompt_set",),
              kinds=("deepspeed",), by_set=True),
    )
}  # fmt: skip


def with_compute(name: str, compute: Callable[[Context], Outcome]) -> dict[str, Stage]:
    """The lineage with another stage body."""
    return LINEAGE | {name: dataclasses.replace(LINEAGE[name], compute=compute)}


def refuses(context: Context) -> Outcome:
    raise UserError("source file words.jsonl does not exist: give the path of a file")


def breaks(context: Context) -> Outcome:
    raise ZeroDivisionError("a defect")


def runs_job(mode: str, mark: Path | None = None) -> Callable[[Context], Outcome]:
    """A stage whose work is `tests/dagster/fake_job.py` in one of its modes."""

    def compute(context: Context) -> Outcome:
        result = context.launcher.run("tests.dagster.fake_job", {"mode": mode, "mark": str(mark)})
        return Outcome("job-1", figures=result)

    return compute
