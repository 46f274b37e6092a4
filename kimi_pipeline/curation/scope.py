"""The scope of a run: which problems its profile's sources hold, and which have survived so far.

Belongs here: the queries that every judging stage starts from. Does not belong here: any verdict.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from kimi_pipeline.corpora.ingest import source_names
from kimi_pipeline.curation.people import MEMBERS
from kimi_pipeline.curation.review import KEEP
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context

SHARD_ROWS = 20_000
UNIQUE = """
    select p.* from problems p anti join duplicates d on p.source = d.source and p.source_row = d.source_row
    where p.source in (select unnest($sources))
"""
"""One row a problem: the rows that are no duplicate of another. `$sources`: the names of the sources."""

SUITED = f"""
    (answer_kind is distinct from 'code'
     or problem_id in (select problem_id from validated_suites where verdict = '{KEEP}'))
"""
"""A condition: programs for a coding problem can be judged, for it has a validated suite [2.3.5]."""

FIT = f"""
    (select * from ({UNIQUE}) where {SUITED})
    semi join (
        select e.problem_id
        from (select problem_id, verdict from evaluability) e
        join (select problem_id, verdict, reason_code from contamination) c on e.problem_id = c.problem_id
        left join {MEMBERS} m on e.problem_id = m.problem_id
        left join (select problem_id from rich_reasoning where verdict = 'refuse') s on e.problem_id = s.problem_id
        where (m.decision is null and e.verdict = 'keep' and c.verdict = 'keep' and s.problem_id is null)
           or (m.decision = '{KEEP}' and c.reason_code <> '{Reason.EVALUATION_COPY}')
    ) using (problem_id)
"""
"""Problems that are unique, evaluable, in no evaluation set and rich enough, as a from clause; a coding problem needs a suite.
A person's keep outranks the rules, but for a copy of an evaluation problem: what measures a checkpoint must not train it."""


def in_scope(context: Context) -> dict[str, list[str]]:
    """The parameters of a query that holds `UNIQUE`."""
    return {"sources": source_names(context)}


def problem_shards(context: Context, columns: str, without: str = "") -> Iterator[pa.Table]:
    """The run's problems, one row each, in tables of at most `SHARD_ROWS` rows: memory does not grow with the corpus.

    `without` is the end of a query that leaves some out, as in `anti join tags using (problem_id)`. In no promised
    order. Needs the duplicates stage.
    """
    return context.lake.stream(f"select {columns} from ({UNIQUE}) {without}", in_scope(context), rows=SHARD_ROWS)


def fit_problems(context: Context) -> pa.Table:
    """Problems that are unique, evaluable and in no evaluation set, or kept by a person: the ones that models are asked.

    Columns problem_id, prompt, answer, answer_kind, source, discipline, family.
    """
    return context.lake.sql(
        f"""
        select problem_id, prompt, answer, answer_kind, source, discipline, labels['family'] as family
        from {FIT} order by problem_id
        """,
        in_scope(context),
    )
