"""Finding a problem by what a person has in hand: its id or the beginning, `source:row`, or a piece of its text.

Belongs here: the search and its refusals. Does not belong here: what is told of the problem (`audit/`).
"""

from __future__ import annotations

import difflib
import re
from operator import itemgetter
from typing import Any

from kimi_pipeline.errors import UserError
from kimi_pipeline.lake_reader import Readable

FIRST = 6  # problems that are looked for: more are not listed
BEGINNING = 60  # letters of a text that are shown
FEW_LETTERS = 4  # of a beginning or a text, from which on it may mean something
WHOLE_ID = re.compile("[0-9a-f]{32}")


def find(lake: Readable, query: str) -> str:
    """The id that `query` means: an id, the beginning of one, `source:row`, or a piece of the text. A problem whose row has
    gone is found by its id where a set once held it, or its text was erased.

    Raises UserError where nothing or more than one problem matches, naming the nearest.
    """
    if WHOLE_ID.fullmatch(query) and _is_known(lake, query):  # no need to look through every text
        return query
    rows = _in_the_corpus(lake, query)
    if len(query) >= FEW_LETTERS:
        rows = sorted([*rows, *_gone(lake, query)], key=itemgetter("problem_id"))
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


def _in_the_corpus(lake: Readable, query: str) -> list[dict[str, Any]]:
    """`{"problem_id", "prompt"}` of the problems that may be meant, the beginnings of their texts; the first of many."""
    return lake.rows(
        f"""
        select distinct problem_id, left(prompt, {BEGINNING}) as prompt from problems
        where problem_id = ? or starts_with(problem_id, ?) or source || ':' || source_row = ?
           or (length(?) >= {FEW_LETTERS} and contains(prompt, ?))
        order by problem_id limit {FIRST}
        """,
        [query] * 5,
    )


def _gone(lake: Readable, beginning: str) -> list[dict[str, Any]]:
    """The same of problems that only a set or the list of erased ones holds, by the beginning of their ids. Their texts are
    read once it is known that there are any: every version of a set has them anew."""
    ids = lake.rows(
        f"""
        select problem_id from (select problem_id from prompt_set union all select problem_id from erasures)
        where starts_with(problem_id, ?) and problem_id not in (select problem_id from problems)
        group by 1 order by 1 limit {FIRST}
        """,
        [beginning],
    )
    if not ids:
        return []
    return lake.rows(
        f"""
        select problem_id, left(any_value(prompt), {BEGINNING}) as prompt from (
            select problem_id, prompt from prompt_set union all select problem_id, '(erased)' from erasures
        ) where list_contains(?, problem_id) group by 1 order by 1
        """,
        [[row["problem_id"] for row in ids]],
    )


def _is_known(lake: Readable, problem_id: str) -> bool:
    """Whether the corpus, a set or the list of erased problems holds this id."""
    return any(
        lake.rows(f"select 1 from {table} where problem_id = ? limit 1", [problem_id])
        for table in ("problems", "prompt_set", "erasures")
    )
