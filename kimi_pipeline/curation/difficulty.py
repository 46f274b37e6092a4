"""Difficulty [2.1]: a model answers each prompt several times at a relatively high temperature; the pass rate is the proxy.

Belongs here: which answers are wanted, and the pass rate with its interval. Does not belong here: drawing them
(`inference/`), when a problem needs no more (`stopping.py`), thresholds (they are a set's: `decide.py`).
A pass rate is relative to a checkpoint and is stored with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from kimi_pipeline import tables
from kimi_pipeline.curation.asking import CODE, UPSTREAM, VERDICTS, Asked, ask
from kimi_pipeline.curation.corrections import QUESTION, corrected_statuses
from kimi_pipeline.curation.people import settled_digest
from kimi_pipeline.curation.stopping import stopping_rule
from kimi_pipeline.intervals import wilson
from kimi_pipeline.lake import Lake
from kimi_pipeline.plots import histogram
from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.row_digests import content_digest
from kimi_pipeline.stages import Context, Outcome, Stage

PURPOSES = ("difficulty", "imported")
PASS_RATES = f"""
    with counted as (
        select s.problem_id, s.purpose, s.finish_reason, coalesce(c.corrected_status, s.status) as status
        from samples s join asked a using (problem_id) left join corrected c using (sample_id)
        where purpose in {PURPOSES} and checkpoint = $checkpoint and template = $template
          and temperature = $temperature and max_tokens = $max_tokens
          and ($until is null or s.created_at <= cast($until as timestamptz))
          and if(purpose = 'imported', a.first_sample = 0, sample_index >= a.first_sample and sample_index < a.past_sample)
    )
    select problem_id,
           count(*) filter (status in {tuple(str(v) for v in VERDICTS)}) n,
           count(*) filter (status = '{Status.CORRECT}') correct,
           count(*) filter (finish_reason = 'length') cut,
           count(*) filter (status = '{Status.INFRASTRUCTURE_ERROR}') excluded,
           count(*) filter (purpose = 'imported') imported
    from counted group by problem_id order by problem_id
"""


def _settings(context: Context) -> dict[str, Any]:
    curation = context.profile.curation
    settings = {
        "samples": curation.samples,
        "temperature": curation.temperature,
        "max_tokens": curation.max_tokens,
        "template": curation.template,
        "seed": context.profile.seed,
        "carrier": context.profile.inference.carrier,
        "imported": imported_digest(context.lake),
        "corrections": settled_digest(context.lake, QUESTION),
    }
    rule = stopping_rule(context)
    return settings | ({"stopping": rule.as_spec()} if rule else {})


def imported_digest(lake: Lake) -> str:
    """The name of all imported samples: new ones are counted at the next run."""
    found = lake.rows(
        "select md5(string_agg(sample_id, '' order by sample_id)) as name from samples where purpose = 'imported'"
    )
    return found[0]["name"] or ""


def newest_sample(lake: Lake) -> str | None:
    """The time of the newest sample: what a stage counted now, a rebuild finds again by it among all that came later."""
    made = lake.rows("select max(created_at) as made from samples")[0]["made"]
    return made.isoformat() if made else None


def pass_rates(
    lake: Lake, problems: pa.Table, key: dict[str, Any], *, until: str | None = None
) -> list[dict[str, Any]]:
    """Rows of the difficulty table for the problems (column problem_id) that have samples under `key`: checkpoint,
    template, temperature, max_tokens, and `samples`, the number of own samples that count at most. `until`: the time of
    the newest one that counts (ISO; None: all do).

    Columns `first_sample` and `past_sample` of the problems say otherwise which of the own samples count; imported ones
    do where the first one does.
    """
    bounds = {"first_sample": 0, "past_sample": key["samples"]}
    asked = problems.select(["problem_id", *(name for name in bounds if name in problems.column_names)])
    for name, value in bounds.items():
        if name not in asked.column_names:
            asked = asked.append_column(name, pa.repeat(value, asked.num_rows))
    named = {name: key[name] for name in ("checkpoint", "template", "temperature", "max_tokens")}
    counted = lake.rows(PASS_RATES, named | {"until": until}, asked=asked, corrected=corrected_statuses(lake, PURPOSES))
    return [
        row
        | {
            "checkpoint": key["checkpoint"],
            "template": key["template"],
            "pass_rate": row["correct"] / row["n"] if row["n"] else None,
            "low": wilson(row["correct"], row["n"])[0],
            "high": wilson(row["correct"], row["n"])[1],
        }
        for row in counted
    ]


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
        stopping=stopping_rule(context),
    )
    until = newest_sample(context.lake)
    rows = pass_rates(context.lake, asked.problems, asked.key, until=until)
    context.lake.upsert(tables.DIFFICULTY, rows, run_id=context.run_id, reason=f"pass rates of {asked.checkpoint}")
    rates = [row["pass_rate"] for row in rows if row["pass_rate"] is not None]
    plot = histogram(
        rates,
        Path(context.home.reports) / f"difficulty-{context.profile.name}.png",
        title=f"Pass rate of {len(rates)} problems, {_samples_each(rows)} answers each",
        x="pass rate (lower is harder)",
    )
    return Outcome(
        data_version=content_digest(tables.DIFFICULTY, rows),
        figures={
            "problems": len(rows),
            "mean_pass_rate": round(sum(rates) / len(rates), 4) if rates else None,
            "always_right": sum(rate == 1 for rate in rates),
            "never_right": sum(rate == 0 for rate in rates),
            "cut_samples": sum(row["cut"] for row in rows),
            **_spared(asked, curation.samples),
            **asked.figures(),
        },
        outputs={"checkpoint": asked.checkpoint, "template": asked.template, "until": until},
        plots={"pass_rates": plot},
        preview=rows[:5],
    )


def _samples_each(rows: list[dict[str, Any]]) -> str:
    counts = sorted({row["n"] for row in rows} or {0})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _spared(asked: Asked, samples: int) -> dict[str, Any]:
    """The share of samples that the stopping rule made needless, where there is one."""
    wanted = samples * asked.problems.num_rows
    return {"spared_share": round(asked.drawn.not_needed / wanted, 4)} if asked.adaptive and wanted else {}


DIFFICULTY = Stage(
    name="difficulty",
    description="Answer each problem several times at a high temperature; the pass rate is its difficulty",
    group="difficulty",
    compute=estimate_difficulty,
    upstream=UPSTREAM,
    settings=_settings,
    code=(__name__, "kimi_pipeline.inference.adaptive", *CODE),
    tables=(tables.DIFFICULTY, tables.SAMPLES),
    kinds=("vllm", "deltalake"),
)
