"""The scope of a run: which problems its profile's sources hold, and which have survived so far.

Belongs here: the queries that every judging stage starts from. Does not belong here: any verdict.
"""

from __future__ import annotations

import pyarrow as pa

from kimi_pipeline.corpora.ingest import source_names
from kimi_pipeline.stages import Context

UNIQUE = """
    select p.* from problems p anti join duplicates d on p.source = d.source and p.source_row = d.source_row
    where p.source in (select unnest(?))
"""
"""One row a problem: the rows that are no duplicate of another."""


def unique_problems(context: Context, columns: str = "*") -> pa.Table:
    """One row for each problem of the run's sources, ordered by id. Needs the duplicates stage."""
    return context.lake.sql(f"select {columns} from ({UNIQUE}) order by problem_id", [source_names(context)])


def fit_problems(context: Context) -> pa.Table:
    """Problems that are unique, evaluable and in no evaluation set: the ones that models are asked.

    Columns problem_id, prompt, answer, answer_kind, source, discipline, family.
    """
    return context.lake.sql(
        f"""
        select problem_id, prompt, answer, answer_kind, source, discipline, labels['family'] as family
        from ({UNIQUE})
        semi join (select * from evaluability where verdict = 'keep') using (problem_id)
        semi join (select * from contamination where verdict = 'keep') using (problem_id)
        order by problem_id
        """,
        [source_names(context)],
    )
