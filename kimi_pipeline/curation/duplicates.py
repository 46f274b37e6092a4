"""Duplicates: rows with the same normalised content, of which the first in source order stands for the problem.

Belongs here: exact duplicates. Does not belong here: copies of evaluation problems (`contamination.py`).
"""

from __future__ import annotations

from kimi_pipeline import tables
from kimi_pipeline.corpora.ingest import source_names
from kimi_pipeline.ledger import KEEP, REFUSE, Decision, record
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context, Outcome, Stage

RULE = "duplicates@1"

RANKED = """
    select problem_id, source, source_row,
           first_value(source) over kept as kept_source, first_value(source_row) over kept as kept_row
    from problems where source in (select unnest(?))
    window kept as (
        partition by problem_id
        order by list_position(?, source), cast(source_row as bigint)
        rows between unbounded preceding and unbounded following
    )
"""


def find_duplicates(context: Context) -> Outcome:
    """Rule: the row of the earliest source, and in it the earliest row, is kept; the others repeat it."""
    names = source_names(context)
    ranked = context.lake.rows(RANKED, [names, names])
    repeats = [
        {
            "source": row["source"],
            "source_row": row["source_row"],
            "problem_id": row["problem_id"],
            "kind": "exact",
            "kept_source": row["kept_source"],
            "kept_row": row["kept_row"],
            "rule_version": RULE,
        }
        for row in ranked
        if (row["source"], row["source_row"]) != (row["kept_source"], row["kept_row"])
    ]
    listed = ", ".join(f"'{name}'" for name in names)
    context.lake.replace(
        tables.DUPLICATES, repeats, where=f"source in ({listed})", run_id=context.run_id, reason="exact duplicates"
    )
    decisions = [
        Decision(
            "duplicates",
            row["problem_id"],
            REFUSE,
            Reason.EXACT_DUPLICATE,
            {"kept": f"{row['kept_source']}:{row['kept_row']}"},
            subject=f"{row['source']}:{row['source_row']}",
        )
        for row in repeats
    ]
    decisions += [
        Decision("duplicates", name, KEEP, Reason.UNIQUE) for name in sorted({r["problem_id"] for r in ranked})
    ]
    record(context.lake, decisions, parameters={"rule": RULE}, actor=RULE, run_id=context.run_id)
    return Outcome(
        data_version=context.lake.digest(tables.DUPLICATES, where=[("source", "in", names)]),
        figures={"rows": len(ranked), "unique": len(ranked) - len(repeats), "exact_duplicates": len(repeats)},
        preview=repeats[:5],
    )


DUPLICATES = Stage(
    name="duplicates",
    description="Find rows that repeat another row",
    group="curation",
    compute=find_duplicates,
    upstream=("corpus",),
    code=(__name__,),
    tables=(tables.DUPLICATES,),
    kinds=("duckdb", "deltalake"),
)
