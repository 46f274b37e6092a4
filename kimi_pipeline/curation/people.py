"""People's decisions as the lineage honours them: a stage settles which are in force, and writes them into the ledger.

Belongs here: the table `people`, the ledger rows of keep, ban, relabel and withdrawal, reading what is settled. Does not
belong here: asking and deciding (`review.py`), withdrawing (`withdrawals.py`), what a stage makes of a decision.

Time counts here alone: a decision with an expiry is in force or not when the stage runs, and all stages after it (and
a rebuild, years later) see the table that it wrote.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.corpora.withdrawals import withdrawals
from kimi_pipeline.curation.review import (
    BAN,
    KEEP,
    LIFT,
    MEMBERSHIP,
    REFERENCE,
    TAG,
    Decided,
    decided_digest,
    decisions,
)
from kimi_pipeline.digests import digest
from kimi_pipeline.lake import Lake
from kimi_pipeline.ledger import IN_FORCE, PERSON, REFUSE, Decision, record
from kimi_pipeline.ledger import KEEP as KEPT
from kimi_pipeline.reasons import Reason
from kimi_pipeline.row_digests import content_digest
from kimi_pipeline.stages import Context, Outcome, Stage
from kimi_pipeline.tables.declare import as_json

STAGE = "people"
RULE = "people@1"
WITHDRAWN = "withdrawn"
ANSWER = "answer="
MEMBERS = f"(select problem_id, decision from people where question = '{MEMBERSHIP}')"
"""The settled decisions on membership: keep, ban or withdrawn."""
KEPT_BY_PEOPLE = f"(select problem_id from people where question = '{MEMBERSHIP}' and decision = '{KEEP}')"
SAYS = {
    KEEP: (KEPT, Reason.KEPT_BY_PERSON),
    BAN: (REFUSE, Reason.BANNED_BY_PERSON),
    WITHDRAWN: (REFUSE, Reason.WITHDRAWN),
}


def in_force(lake: Lake) -> list[Decided]:
    """The decisions of people in force now, ordered by problem and question. A withdrawal outranks all others."""
    found = {
        (one.problem_id, question): one
        for question in (MEMBERSHIP, TAG, REFERENCE)
        for one in decisions(lake, question).values()
        if one.decision != LIFT
    }
    for one in withdrawals(lake, "problem"):
        found[one.name, MEMBERSHIP] = Decided(one.name, MEMBERSHIP, WITHDRAWN, one.by, one.reason)
    return [found[key] for key in sorted(found)]


def settled(lake: Lake, question: str) -> dict[str, Decided]:
    """What the stage `people_decisions` found in force on a question, by problem id."""
    rows = lake.rows("select * from people where question = ?", [question])
    return {
        row["problem_id"]: Decided(
            row["problem_id"], question, row["decision"], row["decided_by"], row["reason"], until=row["until"]
        )
        for row in rows
    }


def settled_digest(lake: Lake, question: str) -> str:
    """`decided_digest` of what is settled on a question, for the settings of a stage that honours it."""
    return decided_digest(settled(lake, question).values())


def record_people(lake: Lake, *, run_id: str) -> int:
    """Write the decisions in force that the ledger does not hold yet, and those that have run out or were lifted.

    Returns how many rows that were. The ledger holds no text of a problem: a new answer or tag is told by its digest.
    """
    by_actor: dict[str, list[Decision]] = defaultdict(list)
    standing = set()
    for one in in_force(lake):
        decision = _decision(one)
        if decision:
            standing.add((decision.problem_id, decision.subject))
            by_actor[f"{PERSON}{one.by}"].append(decision)
    for row in lake.rows(
        f"select problem_id, subject from ({IN_FORCE}) where stage = ? and reason_code <> ? and subject <> 'source'",
        [STAGE, str(Reason.DECISION_ENDED)],
    ):
        if (row["problem_id"], row["subject"]) not in standing:
            ended = Decision(STAGE, row["problem_id"], KEPT, Reason.DECISION_ENDED, subject=row["subject"])
            by_actor[RULE].append(ended)
    return sum(
        record(lake, made, parameters={}, actor=actor, run_id=run_id) for actor, made in sorted(by_actor.items())
    )


def _decision(one: Decided) -> Decision | None:
    """The ledger's row of a decision; None where another stage writes it (a reference that is right, or refused)."""
    evidence: dict[str, Any] = {"reason": one.reason} | ({"until": one.until.isoformat()} if one.until else {})
    if one.question == MEMBERSHIP:
        verdict, reason = SAYS[one.decision]
        return Decision(STAGE, one.problem_id, verdict, reason, evidence)
    if one.question == TAG:
        evidence |= {"tag": one.decision}
        return Decision(STAGE, one.problem_id, KEPT, Reason.RELABELLED_TAG, evidence, subject=TAG)
    if one.decision.startswith(ANSWER):
        evidence |= {"answer_digest": digest(one.decision.removeprefix(ANSWER).strip())}
        return Decision(STAGE, one.problem_id, KEPT, Reason.RELABELLED_ANSWER, evidence, subject="answer")
    return None


def _row(one: Decided) -> dict[str, Any]:
    return {
        "problem_id": one.problem_id,
        "question": one.question,
        "decision": one.decision,
        "decided_by": one.by,
        "reason": one.reason,
        "until": one.until,
    }


def settle(context: Context) -> Outcome:
    """Write what is in force into `people`, and what changed into the ledger."""
    rows = [_row(one) for one in in_force(context.lake)]
    named = content_digest(tables.PEOPLE, rows)
    if named != context.lake.digest(tables.PEOPLE):
        context.lake.replace(tables.PEOPLE, rows, where=None, run_id=context.run_id, reason="decisions in force")
    record_people(context.lake, run_id=context.run_id)
    count: dict[str, int] = defaultdict(int)
    for row in rows:
        count[row["decision"] if row["question"] == MEMBERSHIP else f"{row['question']}_decisions"] += 1
    return Outcome(
        data_version=named,
        figures={"decisions": len(rows), **{name: count.get(name, 0) for name in (KEEP, BAN, WITHDRAWN)}, **count},
        preview=[{name: row[name] for name in ("problem_id", "question", "decision", "decided_by")} for row in rows],
    )


def _settings(context: Context) -> dict[str, Any]:
    return {"in_force": digest(as_json([_row(one) for one in in_force(context.lake)]))}


PEOPLE_DECISIONS = Stage(
    name="people_decisions",
    description="Settle which decisions of people are in force: keep, ban, relabel, withdrawn; they outrank rules",
    group="curation",
    compute=settle,
    upstream=("corpus",),
    settings=_settings,
    code=(__name__,),
    tables=(tables.PEOPLE, tables.LEDGER),
    kinds=("duckdb", "deltalake"),
    by_profile=False,
)
