"""Rich reasoning [2.1]: automatic filters select questions that require it; those that need too few steps are refused.

Belongs here: the stage and its verdict. Does not belong here: how steps are estimated (`steps.py`, `model_labels.py`).

The report does not say how it filters. Ours is off by default (`curation.min_steps` 0): an estimate from the text is a guess, and
where a model answers every problem ten times, its pass rate finds the trivial ones itself. It pays where samples are dear.
"""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import Any

import pyarrow as pa

from kimi_pipeline import tables
from kimi_pipeline.curation.model_labels import STEPS, ask_model, model_settings
from kimi_pipeline.curation.scope import problem_shards
from kimi_pipeline.curation.steps import RULE as STEPS_RULE
from kimi_pipeline.curation.steps import steps_by_rules
from kimi_pipeline.curation.verdicts import conclude, judge_missing
from kimi_pipeline.digests import digest
from kimi_pipeline.ledger import KEEP, REFUSE
from kimi_pipeline.profiles import Profile
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context, Outcome, Stage

NAME = "rich_reasoning"
RULE = "rich_reasoning@1"


def judge_shard(rows: pa.Table, rule: str, least: float, by_model: dict[str, float]) -> pa.Table:
    """Verdict rows of a shard with problem_id and prompt. `by_model`: the model's estimates; the rules estimate the rest."""
    ids, prompts = (rows.column(name).to_pylist() for name in ("problem_id", "prompt"))
    steps = [
        by_model.get(problem_id, steps_by_rules(prompt or "")) for problem_id, prompt in zip(ids, prompts, strict=True)
    ]
    enough = [round(found, 2) >= least for found in steps]
    reasons = [Reason.RICH_REASONING if kept else Reason.TOO_FEW_STEPS for kept in enough]
    return pa.table(
        {
            "problem_id": pa.array(ids, pa.string()),
            "verdict": pa.array([KEEP if kept else REFUSE for kept in enough], pa.string()),
            "reason_code": pa.array(list(map(str, reasons)), pa.string()),
            "evidence": pa.array([f"steps {found:.2f}" for found in steps], pa.string()),
            "rule_version": pa.array([rule] * len(ids), pa.string()),
        }
    )


def judge_richness(context: Context) -> Outcome:
    """Refuse what needs fewer than `curation.min_steps` steps. Where that is 0 and never was more, nothing is stored."""
    least = context.profile.curation.min_steps
    if not least and not context.lake.rows(f"select 1 from {NAME} limit 1"):
        return Outcome("off", figures={"filter": "off (curation.min_steps is 0)"})
    rule = f"{RULE}+{digest(_settings(context))[:8]}"
    by_model = _by_model(context) if _asks_model(context.profile) else {}
    function = partial(judge_shard, rule=rule, least=least, by_model=by_model)
    judge_missing(context, NAME, tables.RICH_REASONING, rule, "problem_id, prompt", function)
    outcome = conclude(context, NAME, tables.RICH_REASONING, rule)
    outcome.figures["estimated_by_model"] = len(by_model)
    return outcome


def _by_model(context: Context) -> dict[str, float]:
    """The median of a model's answers on each problem that it answered in form."""
    shards = list(problem_shards(context, "problem_id, prompt"))
    found = ask_model(context, STEPS, pa.concat_tables(shards)) if shards else {}
    counted = {problem_id: [int(one) for one in given if one is not None] for problem_id, given in found.items()}
    return {problem_id: float(median(given)) for problem_id, given in counted.items() if given}


def _asks_model(profile: Profile) -> bool:
    return bool(profile.curation.min_steps) and profile.curation.steps_by == "model"


def _settings(context: Context) -> dict[str, Any]:
    curation = context.profile.curation
    asked = model_settings(context, STEPS) if _asks_model(context.profile) else None
    return {"min_steps": curation.min_steps, "rule": STEPS_RULE, "model": asked}


RICH_REASONING = Stage(
    name=NAME,
    description="Refuse problems that need fewer steps of reasoning than curation.min_steps (off by default)",
    group="curation",
    compute=judge_richness,
    upstream=("corpus", "duplicates"),
    settings=_settings,
    code=(__name__, "kimi_pipeline.curation.steps", "kimi_pipeline.curation.model_labels"),
    tables=(tables.RICH_REASONING,),
    kinds=("python", "deltalake"),
    asks_model=_asks_model,
    by_profile=False,  # the table holds the verdicts of the threshold in force, whichever profile set it last
)
