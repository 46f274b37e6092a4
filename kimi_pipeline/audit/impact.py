"""Impact: which sets and checkpoints hold a problem, rows of a source, or what a rule decided.

Belongs here: following ids forward. Does not belong here: following a checkpoint back (`provenance.py`).
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pyarrow as pa

from kimi_pipeline.checkpoints import all_checkpoints
from kimi_pipeline.curation.finding import find
from kimi_pipeline.errors import UserError
from kimi_pipeline.lake import Lake


def impact(lake: Lake, root: Path, query: str) -> dict[str, Any]:
    """`{"kind", "query", "problems", "sets", "checkpoints"}` of a source's name, a rule (`evaluability@4`), or a problem.

    `sets` counts the problems held by each version, `checkpoints` those that RL trained on (of a rule's problems: those
    on which it has decided). Raises UserError where the query is nothing of the three.
    """
    kind, ids = _problems(lake, query)
    asked = pa.table({"problem_id": pa.array(ids, pa.string())})
    sets = lake.rows(
        """
        select prompt_set || '@' || version as version, count(*) problems, any_value(v.size) size
        from prompt_set m semi join asked using (problem_id)
        join prompt_set_versions v using (prompt_set, version) group by prompt_set, version order by prompt_set, version
        """,
        asked=asked,
    )
    trained = {
        row["policy"]: row["problems"]
        for row in lake.rows(
            "select policy, count(distinct problem_id) problems from rollouts semi join asked using (problem_id) "
            "where trained group by policy",
            asked=asked,
        )
    }
    checkpoints = [
        {"checkpoint": one.digest, "stage": one.stage, "trained_on": trained[one.recipe["policy"]]}
        for one in all_checkpoints(root)
        if one.recipe.get("policy") in trained
    ]
    return {"kind": kind, "query": query, "problems": len(ids), "sets": sets, "checkpoints": checkpoints}


def _problems(lake: Lake, query: str) -> tuple[str, list[str]]:
    sources = {row["source"] for row in lake.rows("select distinct source from problems")}
    if query in sources:
        rows = lake.rows("select distinct problem_id from problems where source = ? order by 1", [query])
        return "source", [row["problem_id"] for row in rows]
    rules = {row["actor"] for row in lake.rows("select distinct actor from ledger")}
    if query in rules:
        rows = lake.rows("select distinct problem_id from ledger where actor = ? and problem_id <> ''", [query])
        return "rule", sorted(row["problem_id"] for row in rows)
    try:
        return "problem", [find(lake, query)]
    except UserError:
        near = difflib.get_close_matches(query, sorted(sources | rules), n=3)
        if not near:
            raise
        raise UserError(f"{query!r} is no source, rule or problem; nearest: {', '.join(near)}") from None
