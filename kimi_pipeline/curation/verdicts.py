"""Verdict stages: a rule that keeps or refuses each problem, mapped over shards of the problems it has not judged yet.

Belongs here: what evaluability and contamination share (missing work, commits, decisions, figures). Does not belong
here: the rules.
"""

from __future__ import annotations

from kimi_pipeline.curation.scope import UNIQUE, in_scope, problem_shards
from kimi_pipeline.ledger import KEEP, record_query
from kimi_pipeline.shards import MapFunction
from kimi_pipeline.stages import Context, Outcome
from kimi_pipeline.tables import Table


def judge(context: Context, stage: str, table: Table, rule: str, columns: str, function: MapFunction) -> Outcome:
    """Judge the problems of the run (`judge_missing`) and record the decisions."""
    judge_missing(context, stage, table, rule, columns, function)
    return conclude(context, stage, table, rule)


def judge_missing(context: Context, stage: str, table: Table, rule: str, columns: str, function: MapFunction) -> None:
    """Judge the problems of the run that have no verdict under `rule` yet; each shard is committed as it ends.

    `function` maps rows with `columns` to rows of `table` (problem_id, verdict, reason_code, evidence, rule_version).
    """
    missing = f"anti join (select problem_id from {table.name} where rule_version = '{rule}') using (problem_id)"
    context.shards.map(
        function,
        problem_shards(context, columns, missing),
        lambda rows: context.lake.upsert(table, rows, run_id=context.run_id, reason=f"{stage} under {rule}"),
    )


def conclude(context: Context, stage: str, table: Table, rule: str) -> Outcome:
    """Record the decisions in force for the run's problems and count them."""
    scope = f"{table.name} v semi join (select problem_id from ({UNIQUE})) using (problem_id)"
    record_query(
        context.lake,
        f"""
        select '' as prompt_set, '{stage}' as stage, problem_id, '' as subject, verdict, reason_code,
               '{{"' || case when evidence = '' then '' else 'at": ' || to_json(evidence)::varchar || ', "' end
               || 'rule": ' || to_json('{rule}')::varchar || '}}' as evidence,
               '' as checkpoint
        from {scope}
        """,
        in_scope(context),
        stages=[stage],
        parameters={"rule": rule},
        actor=rule,
        run_id=context.run_id,
    )
    counts = context.lake.rows(
        f"select verdict, reason_code, count(*) n from {scope} group by all order by n desc, reason_code",
        in_scope(context),
    )
    named = context.lake.query_digest(
        f"select problem_id, verdict, reason_code, evidence, rule_version from {scope}", in_scope(context)
    )
    problems = sum(row["n"] for row in counts)
    refused = {row["reason_code"]: row["n"] for row in counts if row["verdict"] != KEEP}
    return Outcome(
        data_version=named,
        figures={"problems": problems, "kept": problems - sum(refused.values()), **refused},
        preview=context.lake.rows(
            f"select problem_id, verdict, reason_code, evidence, rule_version from {scope} "
            f"where verdict <> '{KEEP}' order by problem_id limit 5",
            in_scope(context),
        ),
    )
