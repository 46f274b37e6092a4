"""Difficulty [2.1]: a model answers each prompt several times at a relatively high temperature; the pass rate is the proxy.

Belongs here: which answers are wanted, and the pass rate with its interval. Does not belong here: drawing them
(`inference/`), thresholds (they are a set's: `decide.py`).
A pass rate is relative to a checkpoint and is stored with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from kimi_pipeline import tables
from kimi_pipeline.curation.scope import fit_problems
from kimi_pipeline.inference.drawing import SamplingPass, draw
from kimi_pipeline.inference.templates import TEMPLATES
from kimi_pipeline.intervals import wilson
from kimi_pipeline.lake import table_digest
from kimi_pipeline.plots import histogram
from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.stages import Context, Outcome, Stage, require_outcome
from kimi_pipeline.training.stages import SFT_CHECKPOINT

VERDICTS = (Status.CORRECT, Status.WRONG, Status.NO_ANSWER, Status.UNVERIFIABLE)  # an infrastructure error has none

PASS_RATES = f"""
    select s.problem_id,
           count(*) filter (s.status in {tuple(str(v) for v in VERDICTS)}) n,
           count(*) filter (s.status = '{Status.CORRECT}') correct,
           count(*) filter (s.status = '{Status.INFRASTRUCTURE_ERROR}') excluded
    from samples s semi join asked using (problem_id)
    where purpose = 'difficulty' and checkpoint = ? and template = ? and temperature = ? and max_tokens = ?
      and sample_index < ?
    group by s.problem_id order by s.problem_id
"""


def _settings(context: Context) -> dict[str, Any]:
    curation = context.profile.curation
    return {
        "samples": curation.samples,
        "temperature": curation.temperature,
        "max_tokens": curation.max_tokens,
        "template": curation.template,
        "seed": context.profile.seed,
        "carrier": context.profile.inference.carrier,
    }


def estimate_difficulty(context: Context) -> Outcome:
    """Draw what is missing, then count. An answer that the rules can't decide or that gives none counts as not right."""
    curation = context.profile.curation
    checkpoint = require_outcome(SFT_CHECKPOINT, context).outputs
    problems = fit_problems(context)
    drawn = draw(
        context,
        [
            SamplingPass(
                purpose="difficulty",
                checkpoint=checkpoint["digest"],
                folder=checkpoint["folder"],
                problems=problems,
                template=curation.template,
                format="reasoning",
                temperature=curation.temperature,
                max_tokens=curation.max_tokens,
                samples=curation.samples,
            )
        ],
    )
    template = TEMPLATES[curation.template].id("reasoning")
    key = [checkpoint["digest"], template, curation.temperature, curation.max_tokens, curation.samples]
    counted = context.lake.rows(PASS_RATES, key, asked=problems.select(["problem_id"]))
    rows = [
        {
            "problem_id": row["problem_id"],
            "checkpoint": checkpoint["digest"],
            "template": template,
            "n": row["n"],
            "correct": row["correct"],
            "excluded": row["excluded"],
            "pass_rate": row["correct"] / row["n"] if row["n"] else None,
            "low": wilson(row["correct"], row["n"])[0],
            "high": wilson(row["correct"], row["n"])[1],
        }
        for row in counted
    ]
    context.lake.upsert(tables.DIFFICULTY, rows, run_id=context.run_id, reason=f"pass rates of {checkpoint['digest']}")
    rates = [row["pass_rate"] for row in rows if row["pass_rate"] is not None]
    plot = histogram(
        rates,
        Path(context.home.reports) / f"difficulty-{context.profile.name}.png",
        title=f"Pass rate of {len(rates)} problems, {curation.samples} answers each",
        x="pass rate (lower is harder)",
    )
    names = [name for name in tables.DIFFICULTY.schema.names if name not in tables.DIFFICULTY.volatile]
    schema = pa.schema([tables.DIFFICULTY.schema.field(name) for name in names])
    return Outcome(
        data_version=table_digest(pa.Table.from_pylist(rows, schema=schema)),
        figures={
            "problems": len(rows),
            "mean_pass_rate": round(sum(rates) / len(rates), 4) if rates else None,
            "always_right": sum(rate == 1 for rate in rates),
            "never_right": sum(rate == 0 for rate in rates),
            "samples_drawn": drawn.drawn,
            "samples_reused": drawn.reused,
            "seconds": round(drawn.seconds, 1),
        },
        outputs={"checkpoint": checkpoint["digest"], "template": template},
        plots={"pass_rates": plot},
        preview=rows[:5],
    )


DIFFICULTY = Stage(
    name="difficulty",
    description="Answer each problem several times at a high temperature; the pass rate is its difficulty",
    group="difficulty",
    compute=estimate_difficulty,
    upstream=("corpus", "duplicates", "evaluability", "contamination", "sft_checkpoint"),
    settings=_settings,
    code=(__name__, "kimi_pipeline.rewards.math_rules", "kimi_pipeline.inference.templates"),
    tables=(tables.DIFFICULTY, tables.SAMPLES),
    kinds=("vllm", "deltalake"),
)
