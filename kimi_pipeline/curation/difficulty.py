"""Difficulty [2.1]: a model answers each prompt several times at a relatively high temperature; the pass rate is the proxy.

Belongs here: which answers are wanted, and the pass rate with its interval. Does not belong here: drawing them
(`inference/`), thresholds (they are a set's: `decide.py`).
A pass rate is relative to a checkpoint and is stored with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.curation.asking import CODE, UPSTREAM, VERDICTS, ask
from kimi_pipeline.intervals import wilson
from kimi_pipeline.lake import content_digest
from kimi_pipeline.plots import histogram
from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.stages import Context, Outcome, Stage

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
    asked = ask(
        context,
        "difficulty",
        "reasoning",
        temperature=curation.temperature,
        max_tokens=curation.max_tokens,
        samples=curation.samples,
    )
    counted = context.lake.rows(PASS_RATES, asked.key, asked=asked.problems.select(["problem_id"]))
    rows = [
        {
            "problem_id": row["problem_id"],
            "checkpoint": asked.checkpoint,
            "template": asked.template,
            "n": row["n"],
            "correct": row["correct"],
            "excluded": row["excluded"],
            "pass_rate": row["correct"] / row["n"] if row["n"] else None,
            "low": wilson(row["correct"], row["n"])[0],
            "high": wilson(row["correct"], row["n"])[1],
        }
        for row in counted
    ]
    context.lake.upsert(tables.DIFFICULTY, rows, run_id=context.run_id, reason=f"pass rates of {asked.checkpoint}")
    rates = [row["pass_rate"] for row in rows if row["pass_rate"] is not None]
    plot = histogram(
        rates,
        Path(context.home.reports) / f"difficulty-{context.profile.name}.png",
        title=f"Pass rate of {len(rates)} problems, {curation.samples} answers each",
        x="pass rate (lower is harder)",
    )
    return Outcome(
        data_version=content_digest(tables.DIFFICULTY, rows),
        figures={
            "problems": len(rows),
            "mean_pass_rate": round(sum(rates) / len(rates), 4) if rates else None,
            "always_right": sum(rate == 1 for rate in rates),
            "never_right": sum(rate == 0 for rate in rates),
            **asked.figures(),
        },
        outputs={"checkpoint": asked.checkpoint, "template": asked.template},
        plots={"pass_rates": plot},
        preview=rows[:5],
    )


DIFFICULTY = Stage(
    name="difficulty",
    description="Answer each problem several times at a high temperature; the pass rate is its difficulty",
    group="difficulty",
    compute=estimate_difficulty,
    upstream=UPSTREAM,
    settings=_settings,
    code=(__name__, *CODE),
    tables=(tables.DIFFICULTY, tables.SAMPLES),
    kinds=("vllm", "deltalake"),
)
