"""Duplicates: rows that say the same, word for word or in other words, of which one stands for the problem.

Belongs here: the stage, and which row is kept. Does not belong here: how rewordings are found (`near.py`), copies of
evaluation problems (`contamination.py`).
"""

from __future__ import annotations

import pyarrow as pa

from kimi_pipeline import tables
from kimi_pipeline.corpora.ingest import source_names
from kimi_pipeline.curation.near import clusters, signatures, whole_groups
from kimi_pipeline.curation.scope import SHARD_ROWS, in_scope
from kimi_pipeline.ledger import KEEP, REFUSE, record_query
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context, Outcome, Stage

RULE = "duplicates@4"

OF_SOURCES = "source in (select unnest($sources))"
# Problems about an image are compared with nothing: the same words under another image are another problem.
COMPARED = f"{OF_SOURCES} and coalesce(len(images), 0) = 0 and prompt is not null"  # null: erased
TEXT = "concat_ws(' ', prompt, array_to_string(options, ' '))"

RANKED = f"""
    with placed as (
        select p.problem_id, p.source, p.source_row, coalesce(c.cluster, p.problem_id) as cluster,
               answer <> '' as answered, licence <> 'unknown' as licensed, cardinality(labels) > 0 as labelled
        from problems p left join clustered c using (problem_id) where p.source in (select unnest($sources))
    ),
    several as (select cluster from placed group by all having count(*) > 1),
    ranked as (
        select problem_id, source, source_row, first_value(problem_id) over kept as kept_id,
               first_value(source) over kept as kept_source, first_value(source_row) over kept as kept_row
        from placed semi join several using (cluster)
        window kept as (
            partition by cluster
            order by answered desc, licensed desc, labelled desc, list_position($sources, source),
                     try_cast(source_row as bigint), source_row
            rows between unbounded preceding and unbounded following
        )
    )
    select source, source_row, problem_id,
           case when problem_id = kept_id then '{Reason.EXACT_DUPLICATE}' else '{Reason.NEAR_DUPLICATE}' end as kind,
           kept_source, kept_row, '{RULE}' as rule_version
    from ranked where (source, source_row) <> (kept_source, kept_row)
"""

EVIDENCE = "'{\"kept\": ' || to_json(kept_source || ':' || kept_row)::varchar || '}'"
DECISIONS = f"""
    with ids as (select distinct problem_id from problems where source in (select unnest($sources))),
         refused as (select * from duplicates where source in (select unnest($sources))),
         standing as (
             select distinct problem_id from problems p anti join refused r
             on p.source = r.source and p.source_row = r.source_row where p.source in (select unnest($sources))
         ),
         decided as (
             select problem_id, source || ':' || source_row as subject, '{REFUSE}' as verdict, kind as reason_code,
                    {EVIDENCE} as evidence
             from refused
             union all select problem_id, '', '{KEEP}', '{Reason.UNIQUE}', '{{}}' from standing
             union all select problem_id, '', '{REFUSE}', '{Reason.NEAR_DUPLICATE}', min({EVIDENCE})
             from refused anti join standing using (problem_id) group by problem_id
         )
    select '' as prompt_set, 'duplicates' as stage, *, '' as checkpoint from decided
"""
"""A refusal for each row that is not kept; for each problem, whether a row of its own stands for it."""


def find_duplicates(context: Context) -> Outcome:
    """The rows that repeat another, and the decisions that follow."""
    scope = in_scope(context)
    write_duplicates(context)
    record_query(
        context.lake,
        DECISIONS,
        scope,
        stages=["duplicates"],
        parameters={"rule": RULE},
        actor=RULE,
        run_id=context.run_id,
    )
    (rows,) = context.lake.rows(
        "select count(*) as n from problems where source in (select unnest($sources))", dict(scope)
    )
    repeats = context.lake.rows(
        "select kind, count(*) as n, count(distinct (kept_source, kept_row)) as clusters from duplicates "
        "where source in (select unnest($sources)) group by 1",
        dict(scope),
    )
    count = {row["kind"]: row["n"] for row in repeats}
    return Outcome(
        data_version=context.lake.digest(tables.DUPLICATES, where=[("source", "in", scope["sources"])]),
        figures={
            "rows": rows["n"],
            "unique": rows["n"] - sum(count.values()),
            "near_duplicates": count.get(Reason.NEAR_DUPLICATE, 0),
            "exact_duplicates": count.get(Reason.EXACT_DUPLICATE, 0),
            "near_clusters": sum(row["clusters"] for row in repeats if row["kind"] == Reason.NEAR_DUPLICATE),
        },
        preview=context.lake.rows(
            "select source, source_row, kind, kept_source, kept_row from duplicates "
            "where source in (select unnest($sources)) order by kind desc, source, source_row limit 5",
            dict(scope),
        ),
    )


def write_duplicates(context: Context) -> None:
    """Rule: of the rows that say the same, one with an answer is kept before one without, then one with a known
    licence, one with labels of its source, one of an earlier source of the profile, an earlier row."""
    scope = in_scope(context)
    near = _clustered(context) if context.profile.curation.near_duplicates else _nothing()
    listed = ", ".join(f"'{name}'" for name in scope["sources"])
    context.lake.replace_query(
        tables.DUPLICATES,
        RANKED,
        scope,
        where=f"source in ({listed})",
        run_id=context.run_id,
        reason=f"duplicates under {RULE}",
        clustered=near,
    )


def _nothing() -> pa.Table:
    return pa.schema({"problem_id": pa.string(), "cluster": pa.string()}).empty_table()


def _clustered(context: Context) -> pa.Table:
    """problem_id and cluster of the problems that have a near-duplicate."""
    scope = in_scope(context)
    signed: list[pa.Table] = []
    found = [_nothing()]
    texts = context.lake.stream(
        f"select problem_id, {TEXT} as text from problems where {COMPARED}", scope, rows=SHARD_ROWS
    )
    context.shards.map(signatures, texts, signed.append)
    if not signed:
        return _nothing()
    # Most problems share their numbers with no other: they are done, and only the others are read a second time.
    shared = context.lake.sql(
        "with once as (select distinct problem_id, signature from signed) "
        "select problem_id, signature from once "
        "semi join (select signature from once group by 1 having count(*) > 1) using (signature)",
        signed=pa.concat_tables(signed),
    )
    del signed
    rows = context.lake.stream(
        f"select problem_id, signature, {TEXT} as text, answer from problems join shared using (problem_id) "
        f"where {COMPARED} order by signature",
        scope,
        rows=SHARD_ROWS,
        shared=shared,
    )
    context.shards.map(clusters, whole_groups(rows, SHARD_ROWS), found.append)
    return pa.concat_tables(found)


DUPLICATES = Stage(
    name="duplicates",
    description="Find rows that repeat another row, word for word or reworded",
    group="curation",
    compute=find_duplicates,
    upstream=("corpus",),
    settings=lambda context: {
        "sources": source_names(context),
        "near_duplicates": context.profile.curation.near_duplicates,
    },
    code=(__name__, "kimi_pipeline.curation.near", "kimi_pipeline.curation.wording", "kimi_pipeline.curation.words"),
    tables=(tables.DUPLICATES,),
    kinds=("python", "duckdb", "deltalake"),
    by_profile=False,
)
