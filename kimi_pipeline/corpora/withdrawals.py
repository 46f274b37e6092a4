"""Withdrawals: sources and problems that may be used no more.

Belongs here: the log of withdrawals, and which sources are left. Does not belong here: what a set makes of it (a withdrawn
source is out of every run's scope, a withdrawn problem is a decision: `curation/people.py`), erasing texts
(`curation/erasure.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kimi_pipeline.lake import Lake
from kimi_pipeline.tables import WITHDRAWALS

Kind = Literal["source", "problem"]


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What was withdrawn, by whom and why. `name` is a source's name or a problem's id."""

    kind: Kind
    name: str
    reason: str
    by: str
    at: datetime | None = None


def withdrawals(lake: Lake, kind: Kind) -> list[Withdrawal]:
    """All withdrawals of a kind, the first of each name, ordered by name."""
    rows = lake.rows(
        "select * from withdrawals where kind = ? "
        "qualify row_number() over (partition by name order by created_at) = 1 order by name",
        [kind],
    )
    return [Withdrawal(kind, row["name"], row["reason"], row["decided_by"], row["created_at"]) for row in rows]


def withdrawn_sources(lake: Lake) -> set[str]:
    return {one.name for one in withdrawals(lake, "source")}


def withdraw(lake: Lake, one: Withdrawal, *, run_id: str) -> bool:
    """Withdraw; False where it is withdrawn already."""
    if any(known.name == one.name for known in withdrawals(lake, one.kind)):
        return False
    row = {"kind": one.kind, "name": one.name, "reason": one.reason, "decided_by": one.by}
    lake.append(WITHDRAWALS, [row], run_id=run_id, reason=f"{one.kind} {one.name} withdrawn")
    return True
