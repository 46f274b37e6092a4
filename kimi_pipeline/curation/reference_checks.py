"""Suspect references: problems whose given answer is probably not the right one go to a person.

Belongs here: the two grounds for suspicion, what is asked, the decisions. Does not belong here: what a person's answer
changes in samples (`corrections.py`), pass rates (`difficulty.py`).

The report is silent; the rules are ours. **Sources**: two rows of one problem give answers that the verifier holds apart.
**Samples**: a majority of a problem's answers agree with each other against the reference, and the model has shown in
that problem's group (same source, discipline and family) that where its answers agree they are the reference: without
that, a weak model's favourite mistakes would be taken for errors of the corpus. Such a problem is in no set until a
person has decided, and never counts as hopeless.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kimi_pipeline import tables
from kimi_pipeline.curation.asking import grouped
from kimi_pipeline.curation.corrections import QUESTION
from kimi_pipeline.curation.difficulty import DIFFICULTY, newest_sample
from kimi_pipeline.curation.people import ANSWER, settled, settled_digest
from kimi_pipeline.curation.review import Ask, ask, waiting, withdraw
from kimi_pipeline.curation.scope import UNIQUE, fit_problems, in_scope
from kimi_pipeline.digests import digest
from kimi_pipeline.intervals import wilson
from kimi_pipeline.ledger import KEEP, PERSON, REFUSE, Decision, record
from kimi_pipeline.problems import MANY_ANSWERS
from kimi_pipeline.reasons import Reason
from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.rewards.math_rules import as_number, canonical, same_answer
from kimi_pipeline.row_digests import content_digest
from kimi_pipeline.stages import Context, Outcome, Stage, require_outcome
from kimi_pipeline.tables.declare import as_json

RULE = "reference_checks@1"
STAGE = "reference_checks"
SHOWN_SAMPLES = 5  # sample ids kept as evidence
DECIDED = {"keep": Reason.REFERENCE_CONFIRMED, "refuse": Reason.REFERENCE_REFUSED}
ANSWERS = f"""
    select s.problem_id, s.sample_id, s.extracted_answer, s.status
    from samples s semi join asked using (problem_id)
    where purpose in ('difficulty', 'imported') and checkpoint = $checkpoint and template = $template
      and ($until is null or s.created_at <= cast($until as timestamptz))
      and status <> '{Status.INFRASTRUCTURE_ERROR}'
    order by s.problem_id, s.sample_index, s.sample_id
"""
OTHER_ANSWERS = f"""
    with scope as ({UNIQUE}),
         kept as (select problem_id, source, source_row, answer, answer_kind from scope)
    select k.problem_id, k.answer, k.source || ':' || k.source_row as at,
           r.answer as other, r.source || ':' || r.source_row as other_at
    from duplicates d
    join problems r on r.source = d.source and r.source_row = d.source_row
    join kept k on k.source = d.kept_source and k.source_row = d.kept_row
    where k.answer <> r.answer and k.answer_kind <> 'code' order by k.problem_id, other_at
"""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a problem's `n` answers agree on: the most frequent one in normal form, how often it and the next one came,
    whether it is the reference, and samples that gave it."""

    problem_id: str
    group: str
    n: int
    answer: str
    votes: int
    next_votes: int
    is_reference: bool
    sample_ids: tuple[str, ...]


def normal_form(answer: str) -> str:
    """The form in which answers are counted as one: the exact number where they are one, else the cleaned text."""
    value = as_number(answer)
    return canonical(answer) if value is None else str(value)


def agreement(problem_id: str, group: str, rows: Sequence[dict[str, Any]]) -> Agreement | None:
    """What the rows (sample_id, extracted_answer, status) agree on; None where no answer was given.

    Right answers are one answer, whatever their form; an answer that the rules can't hold against the reference agrees
    with nothing.
    """
    votes: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row["status"] == Status.CORRECT:
            votes[""].append(row["sample_id"])
        elif row["status"] == Status.WRONG and row["extracted_answer"]:
            votes[normal_form(row["extracted_answer"])].append(row["sample_id"])
    if not votes:
        return None
    first, *others = sorted(votes, key=lambda answer: (-len(votes[answer]), answer))
    return Agreement(
        problem_id,
        group,
        len(rows),
        first,
        len(votes[first]),
        len(votes[others[0]]) if others else 0,
        first == "",
        tuple(votes[first][:SHOWN_SAMPLES]),
    )


def suspects(found: Iterable[Agreement], *, majority: float, margin: float, ability: float) -> list[Agreement]:
    """Those that agree against their reference, in groups that are to be believed.

    An agreement counts from `majority` of the answers on, with a lead of `margin` of them. A group is believed where the
    lower end of the 95 % Wilson interval of "an agreement is the reference" is at least `ability`.
    """
    clear = [
        one
        for one in found
        if one.votes >= majority * one.n and one.votes - one.next_votes >= margin * one.n and one.n > 1
    ]
    right: dict[str, Counter[bool]] = defaultdict(Counter)
    for one in clear:
        right[one.group][one.is_reference] += 1
    believed = {group for group, counts in right.items() if wilson(counts[True], counts.total())[0] >= ability}
    return [one for one in clear if not one.is_reference and one.group in believed]


def conflicting_sources(context: Context) -> dict[str, dict[str, Any]]:
    """Evidence for each problem of whose rows one gives another answer: the rows, the answer in normal form."""
    found: dict[str, dict[str, Any]] = {}
    for row in context.lake.rows(OTHER_ANSWERS, in_scope(context)):
        if same_answer(row["answer"], row["other"]) is False:
            entry = found.setdefault(row["problem_id"], {"rows": [row["at"]], "answer": normal_form(row["other"])})
            entry["rows"].append(row["other_at"])
    return found


def _settings(context: Context) -> dict[str, Any]:
    curation = context.profile.curation
    return {
        "majority": curation.suspect_majority,
        "margin": curation.suspect_margin,
        "ability": curation.suspect_ability,
        "decisions": settled_digest(context.lake, QUESTION),
    }


def check_references(context: Context) -> Outcome:
    """Suspect, ask persons, and record the decision on each problem that models are asked."""
    rated = require_outcome(DIFFICULTY, context).outputs | {"until": newest_sample(context.lake)}
    rows, by_samples, by_sources = checked(context, rated)
    suspected = by_samples | by_sources
    decided = settled(context.lake, QUESTION)
    _ask(context, suspected)
    context.lake.upsert(tables.REFERENCE_CHECKS, rows, run_id=context.run_id, reason=f"references by {RULE}")
    _record(context, rows, {problem_id: one.by for problem_id, one in decided.items()})
    counts = Counter(row["reason_code"] for row in rows)
    return Outcome(
        data_version=content_digest(tables.REFERENCE_CHECKS, rows),
        figures={
            "problems": len(rows),
            "suspect": counts[Reason.SUSPECT_REFERENCE],
            "by_samples": len(by_samples),
            "by_sources": len(by_sources),
            "decided_by_people": sum(row["problem_id"] in decided for row in rows),
        },
        outputs=rated,
        preview=[row for row in rows if row["reason_code"] != Reason.UNDISPUTED][:5],
    )


Suspected = dict[str, dict[str, Any]]


def checked(context: Context, rated: dict[str, Any]) -> tuple[list[dict[str, Any]], Suspected, Suspected]:
    """Rows of the table for the problems that models are asked, and the evidence against suspects, by problem: of
    samples, of other sources. `rated`: the checkpoint and template of the answers, and `until`, the time of the newest one
    that counts (None: all do)."""
    curation = context.profile.curation
    problems = grouped(fit_problems(context))
    by_samples = {
        one.problem_id: {
            "ground": "samples",
            "answer": one.answer,
            "votes": one.votes,
            "n": one.n,
            "sample_ids": list(one.sample_ids),
        }
        for one in suspects(
            _agreements(context, problems, rated),
            majority=curation.suspect_majority,
            margin=curation.suspect_margin,
            ability=curation.suspect_ability,
        )
    }
    fit = set(problems.column("problem_id").to_pylist())
    by_sources = {
        problem_id: {"ground": "sources"} | evidence
        for problem_id, evidence in conflicting_sources(context).items()
        if problem_id in fit
    }
    suspected = by_samples | by_sources
    decided = settled(context.lake, QUESTION)
    rows = []
    for problem_id in sorted(fit):
        reason = Reason.SUSPECT_REFERENCE if problem_id in suspected else Reason.UNDISPUTED
        evidence = suspected.get(problem_id, {})
        if problem_id in decided:
            decision = decided[problem_id].decision
            reason = Reason.REFERENCE_CORRECTED if decision.startswith(ANSWER) else DECIDED[decision]
            evidence = evidence | {"decided_by": decided[problem_id].by}
        refused = reason in (Reason.SUSPECT_REFERENCE, Reason.REFERENCE_REFUSED)
        rows.append(
            {
                "problem_id": problem_id,
                "checkpoint": rated["checkpoint"],
                "template": rated["template"],
                "verdict": REFUSE if refused else KEEP,
                "reason_code": str(reason),
                "evidence": as_json(evidence) if evidence else "{}",
                "rule_version": RULE,
            }
        )
    return rows, by_samples, by_sources


def _record(context: Context, rows: list[dict[str, Any]], deciders: dict[str, str]) -> None:
    """Write the decisions down: each under the rule, or under the person who decided."""
    by_actor: dict[str, list[Decision]] = defaultdict(list)
    for row in rows:
        actor = f"{PERSON}{deciders[row['problem_id']]}" if row["problem_id"] in deciders else RULE
        evidence, reason = _without_text(json.loads(row["evidence"])), Reason(row["reason_code"])
        one = Decision(STAGE, row["problem_id"], row["verdict"], reason, evidence, checkpoint=row["checkpoint"])
        by_actor[actor].append(one)
    for actor, made in sorted(by_actor.items()):
        record(context.lake, made, parameters=_settings(context), actor=actor, run_id=context.run_id)


def _without_text(evidence: dict[str, Any]) -> dict[str, Any]:
    """Evidence for a table that an erasure does not reach: the answer that was agreed on is told by its digest."""
    told = {name: value for name, value in evidence.items() if name != "answer"}
    return told | ({"answer_digest": digest(evidence["answer"])} if "answer" in evidence else {})


def _agreements(context: Context, problems: pa.Table, rated: dict[str, Any]) -> list[Agreement]:
    groups = dict(zip(*(problems.column(name).to_pylist() for name in ("problem_id", "group")), strict=True))
    answers: dict[str, list[dict[str, Any]]] = defaultdict(list)
    one_answer = pc.invert(pc.is_in(problems["answer_kind"], pa.array(MANY_ANSWERS)))
    asked = problems.filter(one_answer).select(["problem_id"])
    key = {name: rated[name] for name in ("checkpoint", "template", "until")}
    for row in context.lake.rows(ANSWERS, key, asked=asked):
        answers[row["problem_id"]].append(row)
    found = [agreement(problem_id, groups[problem_id], rows) for problem_id, rows in answers.items()]
    return [one for one in found if one is not None]


def _ask(context: Context, suspected: dict[str, dict[str, Any]]) -> None:
    """Ask about new suspects, and take back questions whose ground has gone."""
    ask(
        context.lake,
        [
            Ask(
                problem_id,
                QUESTION,
                STAGE,
                Reason.SUSPECT_REFERENCE,
                f"{ANSWER}{evidence['answer']}",
                _without_text(evidence),
            )
            for problem_id, evidence in sorted(suspected.items())
        ],
        run_id=context.run_id,
    )
    scope = set(
        context.lake.sql(f"select problem_id from ({UNIQUE})", in_scope(context)).column("problem_id").to_pylist()
    )
    over = {row["problem_id"] for row in waiting(context.lake, QUESTION)} & scope - suspected.keys()
    withdraw(context.lake, QUESTION, over, run_id=context.run_id)


REFERENCE_CHECKS = Stage(
    name=STAGE,
    description="Suspect answers that samples or other sources agree against, and ask a person",
    group="difficulty",
    compute=check_references,
    upstream=(
        "corpus",
        "duplicates",
        "people_decisions",
        "evaluability",
        "contamination",
        "rich_reasoning",
        "difficulty",
    ),
    settings=_settings,
    code=(__name__, "kimi_pipeline.curation.corrections", "kimi_pipeline.rewards.math_rules"),
    tables=(tables.REFERENCE_CHECKS, tables.REVIEW, tables.LEDGER),
    kinds=("duckdb", "deltalake"),
)
