"""Decontamination: no problem of an evaluation set may enter a prompt set.

Belongs here: the comparison with evaluation sets (equal normalised content). Does not belong here: duplicates within the corpus.
"""

from __future__ import annotations

from kimi_pipeline import tables
from kimi_pipeline.curation.scope import UNIQUE, in_scope
from kimi_pipeline.curation.verdicts import conclude
from kimi_pipeline.ledger import KEEP, REFUSE
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context, Outcome, Stage

RULE = "contamination@1"


def find_contamination(context: Context) -> Outcome:
    """Verdicts for all problems of the run: evaluation sets may have changed, and one join judges them all."""
    verdicts = context.lake.sql(
        f"""
        select p.problem_id,
               case when e.evaluation_set is null then '{KEEP}' else '{REFUSE}' end as verdict,
               case when e.evaluation_set is null then '{Reason.CLEAN}' else '{Reason.EVALUATION_COPY}' end as reason_code,
               coalesce(e.evaluation_set, '') as evidence, '{RULE}' as rule_version
        from ({UNIQUE}) p
        left join (select problem_id, min(evaluation_set) evaluation_set from evaluation_problems group by 1) e
        using (problem_id)
        """,
        in_scope(context),
    )
    context.lake.upsert(tables.CONTAMINATION, verdicts, run_id=context.run_id, reason=f"contamination under {RULE}")
    return conclude(context, "contamination", tables.CONTAMINATION, RULE)


CONTAMINATION = Stage(
    name="contamination",
    description="Refuse copies of evaluation problems",
    group="curation",
    compute=find_contamination,
    upstream=("corpus", "duplicates", "evaluation_problems"),
    code=(__name__,),
    tables=(tables.CONTAMINATION,),
    kinds=("duckdb", "deltalake"),
)
