"""Corrected references: a person's `answer=...` on a suspect reference stands in for the source's answer.

Belongs here: which answers those are, and judging stored samples anew against them. Does not belong here: suspecting
(`reference_checks.py`), asking persons (`review.py`).
Samples are append-only and keep the verdict of their day; what counts them takes the new one from here.
"""

from __future__ import annotations

import pyarrow as pa

from kimi_pipeline.curation.people import ANSWER, settled
from kimi_pipeline.curation.review import REFERENCE
from kimi_pipeline.lake import Lake
from kimi_pipeline.rewards.contract import Reference, Response, Status
from kimi_pipeline.rewards.math_rules import MathReward

QUESTION = REFERENCE
STATUSES = pa.schema([("sample_id", pa.string()), ("corrected_status", pa.string())])


def corrected_answers(lake: Lake) -> dict[str, str]:
    """The answers that persons put in the place of the sources', by problem id."""
    return {
        problem_id: one.decision.removeprefix(ANSWER).strip()
        for problem_id, one in settled(lake, QUESTION).items()
        if one.decision.startswith(ANSWER)
    }


def with_corrections(lake: Lake, problems: pa.Table) -> pa.Table:
    """The problems (columns problem_id, answer, ...) with corrected answers."""
    answers = corrected_answers(lake)
    if not answers:
        return problems
    ids, given = problems.column("problem_id").to_pylist(), problems.column("answer").to_pylist()
    changed = pa.array([answers.get(one, answer) for one, answer in zip(ids, given, strict=True)], pa.string())
    return problems.set_column(problems.column_names.index("answer"), "answer", changed)


def corrected_statuses(lake: Lake, purposes: tuple[str, ...]) -> pa.Table:
    """sample_id and corrected_status of the stored samples of corrected problems, judged against the new answer."""
    answers = corrected_answers(lake)
    if not answers:
        return STATUSES.empty_table()
    rows = lake.rows(
        "select sample_id, problem_id, text, coalesce(completion_tokens, 0) tokens, finish_reason from samples "
        "where purpose in (select unnest(?)) and problem_id in (select unnest(?)) and status <> ?",
        [list(purposes), sorted(answers), str(Status.INFRASTRUCTURE_ERROR)],
    )
    reward = MathReward()
    found = []
    for row in rows:
        reference = Reference(row["problem_id"], answers[row["problem_id"]], "")
        response = Response(row["text"], row["tokens"], row["finish_reason"] != "length")
        verdict = reward.score(reference, [response])[0]
        found.append({"sample_id": row["sample_id"], "corrected_status": str(verdict.status)})
    return pa.Table.from_pylist(found, schema=STATUSES)
