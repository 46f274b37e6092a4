"""Accounts: the ledger held against a set. Every source row has its decisions, every member passed every stage.

Belongs here: that audit as a stage. Does not belong here: cutting a set (`selection.py`), reading for people (`audit/`).
"""

from __future__ import annotations

from kimi_pipeline import tables
from kimi_pipeline.curation.people import KEPT_BY_PEOPLE
from kimi_pipeline.curation.selection import RL_PROMPT_SET, read_manifest
from kimi_pipeline.errors import UserError
from kimi_pipeline.ledger import IN_FORCE, REFUSE
from kimi_pipeline.stages import Context, Outcome, Stage, require_outcome


def audit_ledger(context: Context) -> Outcome:
    """Hold the ledger against the set: every source row has its decisions, every member passed every stage.

    Raises UserError where a row is unaccounted for.
    """
    prompt_set = require_outcome(RL_PROMPT_SET, context)
    version = prompt_set.outputs["version"]
    manifest = read_manifest(context, version)
    funnel, sources = manifest["funnel"], manifest["sources"]
    lost = [s["stage"] for s in funnel if s["in"] != s["out"] + sum(s["refused"].values())]
    counts = context.lake.rows(
        f"""
        with in_force as ({IN_FORCE}),
             members as (select problem_id from prompt_set where prompt_set = ? and version = ?),
             rows as (select distinct problem_id from problems where source in (select unnest(?)))
        select (select count(*) from in_force) decisions,
               (select count(*) from rows anti join in_force using (problem_id)) unexplained,
               (select count(*) from members semi join (
                    select problem_id from in_force
                    where verdict = '{REFUSE}' and subject = '' and prompt_set in ('', ?)) using (problem_id)
                anti join {KEPT_BY_PEOPLE} using (problem_id)) refused_members
        """,
        [context.prompt_set, version, sources, context.prompt_set],
    )[0]
    if lost or counts["unexplained"] or counts["refused_members"] or funnel[-1]["out"] != prompt_set.figures["size"]:
        raise UserError(
            f"the ledger of {context.prompt_set}@{version} does not add up: {counts}, stages {lost}, funnel {funnel}"
        )
    return Outcome(
        data_version=context.lake.digest(tables.LEDGER),
        figures={"decisions_in_force": counts["decisions"], "unexplained_problems": 0, "refused_members": 0},
        preview=context.lake.rows(
            f"select stage, verdict, reason_code, count(*) problems from ({IN_FORCE}) where prompt_set in ('', ?) "
            "group by all order by 1, 4 desc",
            [context.prompt_set],
        ),
    )


DECISION_LEDGER = Stage(
    name="decision_ledger",
    description="Every decision with its reason, held against the set: nothing lost, no refused member",
    group="prompt_sets",
    compute=audit_ledger,
    upstream=("rl_prompt_set",),
    code=(__name__,),
    tables=(tables.LEDGER,),
    kinds=("duckdb", "deltalake"),
    by_set=True,
)
