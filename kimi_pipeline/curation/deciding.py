"""Deciding on one problem by hand: find it, check the decision, store it, and say so in the ledger.

Belongs here: that one step, all of it or nothing. Does not belong here: decisions by file (`review_csv.py`), what a stage
makes of one (`people.py` and the stages).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kimi_pipeline.clock import now
from kimi_pipeline.curation.finding import find
from kimi_pipeline.curation.people import record_people
from kimi_pipeline.curation.review import KEEP, QUESTIONS, Decided, decide
from kimi_pipeline.errors import UserError
from kimi_pipeline.lake import Lake
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import new_run_id


def decide_one(
    lake: Lake, problem: str, question: str, decision: str, *, reason: str, by: str, until: datetime | None = None
) -> dict[str, Any]:
    """`{"problem_id", "question", "decision", "by", "reason", "until", "changed"}`; `problem` is anything `explain` finds.

    Raises UserError for an unknown problem (naming the nearest), a decision that is not well formed, an expiry in the
    past, an empty reason, and for keeping a copy of an evaluation problem.
    """
    problem_id = find(lake, problem)
    if wrong := QUESTIONS[question](decision):
        raise UserError(f"{decision!r} {wrong}")
    if not reason.strip():
        raise UserError("--reason is empty: say why, it stays in the ledger")
    if until is not None and until <= now():
        raise UserError(f"--until {until:%Y-%m-%d} is over: give a day to come, or leave it out")
    if decision == KEEP and _is_copy(lake, problem_id):
        raise UserError(f"{problem_id[:12]} is a copy of an evaluation problem: no decision lets it into a prompt set")
    run_id = new_run_id()
    changed = decide(lake, [Decided(problem_id, question, decision, by, reason, until=until)], run_id=run_id)
    record_people(lake, run_id=run_id)
    return {
        "problem_id": problem_id,
        "question": question,
        "decision": decision,
        "by": by,
        "reason": reason,
        "until": until.isoformat() if until else None,
        "changed": bool(changed),
    }


def _is_copy(lake: Lake, problem_id: str) -> bool:
    query = "select 1 from contamination where problem_id = ? and reason_code = ?"
    return bool(lake.rows(query, [problem_id, str(Reason.EVALUATION_COPY)]))
