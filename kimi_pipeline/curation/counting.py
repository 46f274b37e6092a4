"""The funnel's counts at a cut: where each source row and problem of a set's sources left it.

Belongs here: counting, so that in = out + refused at every stage. Does not belong here: deciding (`selection.py`),
reading stored funnels (`audit/funnel.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from kimi_pipeline.curation.decide import KEPT
from kimi_pipeline.curation.people import KEPT_BY_PEOPLE
from kimi_pipeline.curation.scope import SUITED, UNIQUE
from kimi_pipeline.lake import Lake
from kimi_pipeline.ledger import FUNNEL, IN_FORCE, REFUSE, TEST_SUITES
from kimi_pipeline.reasons import Reason

FIRST_REFUSALS = f"""
    with alone as (select problem_id from ({UNIQUE})),
         kept as {KEPT_BY_PEOPLE},
         refused as (
             select l.problem_id, l.stage, l.reason_code from ({IN_FORCE}) l semi join alone using (problem_id)
             left join kept k on k.problem_id = l.problem_id
             where l.verdict = '{REFUSE}' and l.prompt_set = '' and l.subject = ''
               and l.stage in ('people', 'evaluability', 'contamination', 'rich_reasoning', 'reference_checks')
               and (k.problem_id is null or l.reason_code = '{Reason.EVALUATION_COPY}')
             union all
             select u.problem_id, '{TEST_SUITES}', coalesce(l.reason_code, '{Reason.NO_SUITE}')
             from (select problem_id from ({UNIQUE}) where not {SUITED}) u
             left join (select * from ({IN_FORCE}) where stage = '{TEST_SUITES}') l using (problem_id)
         ),
         first as (
             select stage, reason_code from refused
             qualify row_number() over (partition by problem_id order by list_position($order, stage)) = 1
         )
    select stage, reason_code, count(*) as n from first group by all
    union all
    select 'duplicates', '{Reason.EXACT_DUPLICATE}', count(*) from duplicates where source in (select unnest($sources))
    union all
    select 'ingest', reason_code, count(*) from quarantine where source in (select unnest($sources)) group by all
"""
"""Refusals before the set's own rules, each problem at the first stage that refuses it: `$sources`, `$order` of stages."""

SET_REFUSALS = """
    select 'difficulty' as stage, rated as reason_code, count(*) as n from judged where not passed group by 2
    union all select 'guessability', guessed, count(*) from judged
        where passed and guessed not in (select unnest($kept)) group by 2
    union all select 'selection', reason, count(*) from chosen where reason not in (select unnest($kept)) group by 2
"""


def funnel_counts(lake: Lake, sources: Sequence[str], made: Mapping[str, pa.Table]) -> list[dict[str, Any]]:
    """`[{"stage", "in", "out", "refused": {reason: n}}]`: the first two stages count source rows, the others problems.

    `made` holds the tables judged and chosen of the cut.
    """
    (kept,) = lake.rows("select count(*) as n from problems where source in (select unnest(?))", [list(sources)])
    refused: dict[str, Counter[str]] = {stage: Counter() for stage in FUNNEL}
    codes = sorted(map(str, KEPT))
    found = lake.rows(FIRST_REFUSALS, {"sources": list(sources), "order": list(FUNNEL)})
    for row in [*found, *lake.rows(SET_REFUSALS, {"kept": codes}, **made)]:
        if row["n"]:
            refused[row["stage"]][row["reason_code"]] += row["n"]
    funnel = []
    entering = kept["n"] + refused["ingest"].total()
    for stage in FUNNEL:
        out = entering - refused[stage].total()
        funnel.append({"stage": stage, "in": entering, "out": out, "refused": dict(refused[stage].most_common())})
        entering = out
    return funnel
