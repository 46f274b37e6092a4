"""Withdrawing: a source or a problem leaves the next version of every set; on request its text is erased.

Belongs here: that step, from the name a person gives to the ledger's rows. Does not belong here: the log
(`corpora/withdrawals.py`), rewriting files (`erasure.py`).
"""

from __future__ import annotations

import difflib
from typing import Any

from kimi_pipeline.corpora.withdrawals import Kind, Withdrawal, withdraw
from kimi_pipeline.curation.erasure import Erased, erase, ever_held, remember
from kimi_pipeline.curation.finding import find
from kimi_pipeline.curation.people import STAGE, record_people
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.ledger import PERSON, REFUSE, record_query
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import new_run_id

OF_SOURCE = f"""
    select distinct '' as prompt_set, '{STAGE}' as stage, problem_id, 'source' as subject, '{REFUSE}' as verdict,
           '{Reason.WITHDRAWN}' as reason_code, to_json({{source: $source, reason: $reason}})::varchar as evidence,
           '' as checkpoint
    from problems where source = $source
"""


def withdraw_one(
    lake: Lake, home: Home, kind: Kind, query: str, *, reason: str, by: str, erased: bool = False
) -> dict[str, Any]:
    """`{"kind", "name", "changed", "problems", "erased", "files": {table: n}}`: `problems` that leave every set with it.

    A problem that another source holds as well stays. Raises UserError for an unknown source or problem, naming the
    nearest, and for an empty reason.
    """
    if not reason.strip():
        raise UserError("--reason is empty: say why, it stays in the ledger")
    run_id = new_run_id()
    name = _source(lake, query) if kind == "source" else find(lake, query)
    ids = _alone(lake, name) if kind == "source" else [name]
    changed = withdraw(lake, Withdrawal(kind, name, reason, by), run_id=run_id)
    if kind == "source":
        record_query(
            lake,
            OF_SOURCE,
            {"source": name, "reason": reason},
            stages=[STAGE],
            parameters={},
            actor=f"{PERSON}{by}",
            run_id=run_id,
        )
    record_people(lake, run_id=run_id)
    told: dict[str, Any] = {
        "kind": kind,
        "name": name,
        "changed": changed,
        "problems": len(ids),
        "erased": 0,
        "files": {},
    }
    if erased:
        gone = {*_erased_before(lake, name), *ever_held(lake, name)} if kind == "source" else set()
        what = Erased(frozenset([*ids, *gone]), frozenset([name] if kind == "source" else []), own=kind == "problem")
        remember(lake, what, reason=reason, by=by, run_id=run_id)
        told |= {"erased": len(what.problem_ids), "files": erase(lake, home, what, run_id=run_id)}
    return told


def _source(lake: Lake, name: str) -> str:
    known = lake.rows(
        "select distinct source as name from problems union select source from source_reads "
        "union select name from withdrawals where kind = 'source' order by 1"
    )
    names = [row["name"] for row in known]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3) or names
        raise UserError(f"no source {name!r} in this lake: there is {', '.join(near[:5]) or 'none yet'}")
    return name


def _alone(lake: Lake, source: str) -> list[str]:
    """The problems that this source alone holds, or that are left in withdrawn ones alone."""
    rows = lake.rows(
        "select problem_id from problems group by 1 having bool_or(source = $source) and bool_and(source = $source "
        "or source in (select name from withdrawals where kind = 'source')) order by 1",
        {"source": source},
    )
    return [row["problem_id"] for row in rows]


def _erased_before(lake: Lake, source: str) -> list[str]:
    """Problems that an erasure which was cut off had begun with."""
    return [row["problem_id"] for row in lake.rows("select problem_id from erasures where source = ?", [source])]
