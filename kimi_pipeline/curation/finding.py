"""Finding a problem by what a person has in hand: its id or the beginning, `source:row`, or a piece of its text.

Belongs here: the search and its refusals. Does not belong here: what is told of the problem (`audit/`).
"""

from __future__ import annotations

import difflib
import re

from kimi_pipeline.errors import UserError
from kimi_pipeline.lake import Readable

WHOLE_ID = re.compile("[0-9a-f]{32}")


def find(lake: Readable, query: str) -> str:
    """The id that `query` means: an id, the beginning of one, `source:row`, or a piece of the text. A problem whose row has
    gone is found by its id where a set once held it, or its text was erased.

    Raises UserError where nothing or more than one problem matches, naming the nearest.
    """
    if WHOLE_ID.fullmatch(query) and _is_known(lake, query):  # no need to look through every text
        return query
    rows = lake.rows(
        """
        select distinct problem_id, left(prompt, 60) as prompt from problems
        where problem_id = ? or starts_with(problem_id, ?) or source || ':' || source_row = ?
           or (length(?) >= 4 and contains(prompt, ?))
        union select problem_id, left(any_value(prompt), 60) from (
            select problem_id, prompt from prompt_set union all select problem_id, '(erased)' from erasures
        ) where starts_with(problem_id, ?) and length(?) >= 4 and problem_id not in (select problem_id from problems)
        group by 1
        order by problem_id limit 6
        """,
        [query] * 7,
    )
    if len(rows) == 1:
        return str(rows[0]["problem_id"])
    if rows:
        listed = "; ".join(f"{row['problem_id'][:12]} {row['prompt']!r}" for row in rows[:5])
        raise UserError(f"{query!r} matches several problems: {listed}. Give more of the id or the text")
    known = [row["problem_id"] for row in lake.rows("select distinct problem_id from problems")]
    if not known:
        raise UserError("there are no problems yet: run `kimi-pipeline run` first")
    near = difflib.get_close_matches(query, known[:20_000], n=3, cutoff=0.3)
    hint = f"; nearest: {', '.join(n[:12] for n in near)}" if near else ""
    raise UserError(f"no problem matches {query!r}{hint}")


def _is_known(lake: Readable, problem_id: str) -> bool:
    """Whether the corpus, a set or the list of erased problems holds this id."""
    return any(
        lake.rows(f"select 1 from {table} where problem_id = ? limit 1", [problem_id])
        for table in ("problems", "prompt_set", "erasures")
    )
