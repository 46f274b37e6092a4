"""Review: questions that wait for a person, and what persons decided. Their decisions outrank rules.

Belongs here: which questions there are and what may answer them, asking, withdrawing, deciding. Does not belong here:
what a stage makes of a decision (the stage), CSV files (`review_csv.py`).

The table is a log: a question is asked, perhaps withdrawn, and decided, each a row of its own; nothing is overwritten, so
two writers can't lose each other's rows and every change of mind stays readable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from kimi_pipeline.clock import now
from kimi_pipeline.curation.taxonomy import taxonomy
from kimi_pipeline.digests import digest
from kimi_pipeline.lake import Lake
from kimi_pipeline.reasons import Reason
from kimi_pipeline.tables import REVIEW
from kimi_pipeline.tables.declare import as_json

WAITING, WITHDRAWN, DECIDED = "waiting", "withdrawn", "decided"

MEMBERSHIP, TAG, REFERENCE = "membership", "tag", "suspect_reference"
JUDGEMENT = "judgement"
KEEP, BAN, LIFT = "keep", "ban", "lift"
"""Decisions on membership: in whatever rules say, out whatever they say, and the rules' again."""

CORRECT, WRONG, UNCLEAR = "correct", "wrong", "unclear"
"""Decisions on a judgement: what the person says of the response that is shown."""

NEWEST = f"""
    with last as (
        select * from review
        qualify row_number() over (partition by problem_id, question, state = '{DECIDED}' order by created_at desc) = 1
    )
    select * from last
    qualify row_number() over (
        partition by problem_id, question
        order by (state = '{DECIDED}' and coalesce(until > {{at}}, true)) desc, created_at desc
    ) = 1
"""
"""The row in force of each question at `at`: the newest decision unless it has run out, else the newest row."""


def newest(at: datetime | None = None) -> str:
    """`NEWEST` at a moment (now)."""
    moment = (at or now()).astimezone(UTC).isoformat()
    return NEWEST.format(at=f"timestamptz '{moment}'")


def _tag(decision: str) -> str | None:
    if taxonomy().parse(decision):
        return None
    return "is no tag of the taxonomy: write domain/discipline, as in mathematics/geometry"


def _reference(decision: str) -> str | None:
    if decision in ("keep", "refuse") or (decision.startswith("answer=") and decision.removeprefix("answer=").strip()):
        return None
    return "must be keep (the reference is right), refuse (drop the problem) or answer=THE RIGHT ANSWER"


def _membership(decision: str) -> str | None:
    if decision in (KEEP, BAN, LIFT):
        return None
    return "must be keep (in, whatever rules say), ban (out) or lift (the rules decide again)"


def _judgement(decision: str) -> str | None:
    if decision in (CORRECT, WRONG, UNCLEAR):
        return None
    return "must be correct (the response gives the reference's answer), wrong or unclear"


QUESTIONS: dict[str, Callable[[str], str | None]] = {
    TAG: _tag,
    MEMBERSHIP: _membership,
    REFERENCE: _reference,
    JUDGEMENT: _judgement,
}
"""Each question with the check of a decision: None where it is well formed, else what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question about a problem. `proposed` is what the rule or model would say; `evidence` holds references and
    numbers, never a text."""

    problem_id: str
    question: str
    stage: str
    reason: Reason
    proposed: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.question not in QUESTIONS:
            raise ValueError(f"unknown question {self.question!r}: one of {sorted(QUESTIONS)}")


@dataclass(frozen=True, slots=True)
class Decided:
    """What a person decided on a question, and why. It holds up to `until` (None: for good)."""

    problem_id: str
    question: str
    decision: str
    by: str
    reason: str = ""
    at: datetime | None = None
    until: datetime | None = None


def ask(lake: Lake, rows: Iterable[Ask], *, run_id: str) -> int:
    """Ask; returns how many rows were new. A question that waits already with the same content, or that a person has
    decided, is not asked again."""
    asked = [_row(one) for one in rows]
    if not asked:
        return 0
    known = {(row["problem_id"], row["question"]): row for row in lake.rows(newest())}
    new = [row for row in asked if _is_new(row, known.get((row["problem_id"], row["question"])))]
    lake.append(REVIEW, new, run_id=run_id, reason=f"{len(new)} questions to a person")
    return len(new)


def withdraw(lake: Lake, question: str, problem_ids: Iterable[str], *, run_id: str) -> int:
    """Take back questions that wait and need no answer any more; decided ones stay. Returns how many."""
    gone = set(problem_ids)
    rows = [row | {"state": WITHDRAWN} for row in waiting(lake, question) if row["problem_id"] in gone]
    stored = [{name: row[name] for name in _COLUMNS} for row in rows]
    lake.append(REVIEW, stored, run_id=run_id, reason=f"{len(rows)} questions withdrawn")
    return len(rows)


def decide(lake: Lake, decisions: Sequence[Decided], *, run_id: str) -> int:
    """Store decisions in one commit; returns how many differ from those in force.

    Raises ValueError for one that is not well formed: check with `QUESTIONS` first.
    """
    known = {(row["problem_id"], row["question"]): row for row in lake.rows(newest())}
    rows = []
    for one in decisions:
        if wrong := QUESTIONS[one.question](one.decision):
            raise ValueError(f"{one.question} decision {one.decision!r} {wrong}")
        before = known.get((one.problem_id, one.question), {})
        row = _row(Ask(one.problem_id, one.question, "", Reason.UNASKED)) | {
            name: before[name] for name in ("stage", "reason_code", "proposed", "evidence") if name in before
        }
        row |= {"state": DECIDED, "decision": one.decision, "decided_by": one.by, "reason": one.reason}
        row["until"] = one.until
        if any(row[name] != before.get(name) for name in _COLUMNS):
            rows.append(row)
    lake.append(REVIEW, rows, run_id=run_id, reason=f"{len(rows)} decisions of people")
    return len(rows)


def decisions(lake: Lake, question: str, at: datetime | None = None) -> dict[str, Decided]:
    """What persons decided on a question and is in force, by problem id."""
    at = at or now()
    rows = lake.rows(
        f"select * from ({newest(at)}) where state = '{DECIDED}' and question = ? and coalesce(until > ?, true)",
        [question, at],
    )
    return {
        row["problem_id"]: Decided(
            row["problem_id"],
            question,
            row["decision"],
            row["decided_by"],
            row["reason"],
            row["created_at"],
            row["until"],
        )
        for row in rows
    }


def decided_digest(found: Iterable[Decided]) -> str:
    """The name of decisions, empty where there are none: a stage that uses them has it among its settings, and so runs
    again when a person decides."""
    named = sorted([one.problem_id, one.decision, one.by] for one in found)
    return digest(named) if named else ""


def waiting(lake: Lake, question: str | None = None) -> list[dict[str, Any]]:
    """Questions that wait, with prompt and answer of their problem (null where the problem has gone), oldest first, and
    the response that a question about a judgement is about."""
    return listed(lake, question, state=WAITING)


def listed(lake: Lake, question: str | None = None, state: str | None = None) -> list[dict[str, Any]]:
    """Questions in any state or in one, as `waiting` has them."""
    return lake.rows(
        f"""
        select r.*, p.prompt, p.answer, c.response from ({newest()}) r
        left join (select problem_id, any_value(prompt) prompt, any_value(answer) answer from problems group by 1) p
            using (problem_id)
        left join (select spot_check_id, any_value(response) response from spot_checks group by 1) c
            on r.question = '{JUDGEMENT}' and c.spot_check_id = json_extract_string(r.evidence, '$.spot_check_id')
        where (? is null or question = ?) and (? is null or state = ?)
        order by r.created_at, question, problem_id
        """,
        [question, question, state, state],
    )


_COLUMNS = [name for name in REVIEW.schema.names if name not in REVIEW.volatile]


def _row(one: Ask) -> dict[str, Any]:
    values = asdict(one)
    values |= {"reason_code": str(values.pop("reason")), "evidence": as_json(one.evidence), "state": WAITING}
    return values | {"decision": None, "decided_by": None, "reason": None, "until": None}


def _is_new(row: dict[str, Any], known: dict[str, Any] | None) -> bool:
    if known is None:
        return True
    if known["state"] == DECIDED:
        return known["until"] is not None and known["until"] <= now()  # it has run out: the question is open again
    return any(row[name] != known[name] for name in _COLUMNS)
