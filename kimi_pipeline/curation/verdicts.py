"""Verdict stages: a rule that keeps or refuses each problem, mapped over shards of the problems it has not judged yet.

Belongs here: what evaluability and contamination share (missing work, commits, decisions, figures). Does not belong
here: the rules.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa

from kimi_pipeline.curation.scope import unique_problems
from kimi_pipeline.lake import table_digest
from kimi_pipeline.ledger import KEEP, Decision, record
from kimi_pipeline.reasons import Reason
from kimi_pipeline.shards import MapFunction, split_rows
from kimi_pipeline.stages import Context, Outcome
from kimi_pipeline.tables import Table

SHARD_ROWS = 20_000


def judge(context: Context, stage: str, table: Table, rule: str, columns: str, function: MapFunction) -> Outcome:
    """Judge the problems of the run that have no verdict under `rule` yet; each shard is committed as it ends.

    `function` maps rows with `columns` to rows of `table` (problem_id, verdict, reason_code, evidence, rule_version).
    """
    todo = context.lake.sql(
        "select p.* from everything p anti join (select * from judged where rule_version = ?) j using (problem_id)",
        [rule],
        everything=unique_problems(context, columns),
        judged=context.lake.read(table, columns=["problem_id", "rule_version"]),
    )

    def commit(rows: pa.Table) -> None:
        context.lake.upsert(table, rows, run_id=context.run_id, reason=f"{stage} under {rule}")

    context.shards.map(function, split_rows(todo, SHARD_ROWS), commit)
    return conclude(context, stage, table, rule)


def conclude(context: Context, stage: str, table: Table, rule: str) -> Outcome:
    """Record the decisions in force for the run's problems and count them."""
    verdicts = context.lake.sql(
        "select v.problem_id, v.verdict, v.reason_code, v.evidence, v.rule_version from verdicts v "
        "semi join everything e using (problem_id) order by problem_id",
        verdicts=context.lake.read(table),
        everything=unique_problems(context, "problem_id"),
    )
    rows: list[dict[str, Any]] = verdicts.to_pylist()
    decisions = [
        Decision(
            stage,
            row["problem_id"],
            row["verdict"],
            Reason(row["reason_code"]),
            {"rule": rule} | ({"at": row["evidence"]} if row["evidence"] else {}),
        )
        for row in rows
    ]
    record(context.lake, decisions, parameters={"rule": rule}, actor=rule, run_id=context.run_id)
    refused = Counter(row["reason_code"] for row in rows if row["verdict"] != KEEP)
    return Outcome(
        data_version=table_digest(verdicts),
        figures={"problems": len(rows), "kept": len(rows) - refused.total(), **dict(refused.most_common())},
        preview=[row for row in rows if row["verdict"] != KEEP][:5],
    )
