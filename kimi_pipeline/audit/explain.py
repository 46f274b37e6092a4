"""Explain: a problem's life, from its source rows through every decision to the RL iterations that trained on it.

Belongs here: telling its story. Does not belong here: finding it (`curation/finding.py`), making decisions.
"""

from __future__ import annotations

import json
from typing import Any

from kimi_pipeline.curation.finding import find
from kimi_pipeline.lake import Lake
from kimi_pipeline.ledger import FUNNEL, IN_FORCE
from kimi_pipeline.reasons import Reason

SHOWN_ANSWERS = 3
TEXT = 400


def explain(lake: Lake, query: str) -> dict[str, Any]:
    """The problem, its rows, tags, decisions in force (in the order of the stages), samples and training use."""
    problem_id = find(lake, query)
    rows = lake.rows("select * exclude (images) from problems where problem_id = ? order by created_at", [problem_id])
    decisions = lake.rows(
        f"""
        select created_at, prompt_set, stage, subject, verdict, reason_code, evidence, checkpoint, actor, run_id
        from ({IN_FORCE}) where problem_id = ? order by prompt_set, list_position(?, stage), subject
        """,
        [problem_id, list(FUNNEL)],
    )
    for row in decisions:
        row["meaning"] = Reason(row["reason_code"]).meaning
        row["evidence"] = json.loads(row["evidence"])
    erased = lake.rows("select content_digest, reason, decided_by from erasures where problem_id = ?", [problem_id])
    last = "select prompt, answer, answer_kind from prompt_set where problem_id = ? order by version desc limit 1"
    gone = {"prompt": "(erased)", "answer": "(erased)", "answer_kind": ""}
    known = next(iter(rows or ([] if erased else lake.rows(last, [problem_id]))), gone)
    return {
        "problem_id": problem_id,
        "prompt": known["prompt"],
        "answer": known["answer"],
        "answer_kind": known["answer_kind"],
        "erased": erased[0] if erased else None,
        "rows": [
            {"row": f"{r['source']}:{r['source_row']}", "licence": r["licence"], "labels": dict(r["labels"] or [])}
            for r in rows
        ],
        "tags": lake.rows("select domain, discipline, confidence, origin from tags where problem_id = ?", [problem_id]),
        "decisions": decisions,
        "difficulty": lake.rows(
            "select checkpoint, template, n, correct, pass_rate, low, high from difficulty where problem_id = ? "
            "order by created_at",
            [problem_id],
        ),
        "answers": lake.rows(
            f"""
            select purpose, status, extracted_answer, left(text, {TEXT}) as text from samples
            where problem_id = ? and purpose in ('difficulty', 'guess')
            qualify row_number() over (partition by purpose order by status = 'correct' desc, sample_index) <= {SHOWN_ANSWERS}
            order by purpose, sample_index
            """,
            [problem_id],
        ),
        "sets": [
            f"{r['prompt_set']}@{r['version']}"
            for r in lake.rows(
                "select prompt_set, version from prompt_set where problem_id = ? order by created_at, version",
                [problem_id],
            )
        ],
        "trained_in": lake.rows(
            """
            select iteration, count(*) as responses, count(*) filter (status = 'correct') as correct
            from samples where problem_id = ? and purpose = 'rollout' group by 1 order by 1
            """,
            [problem_id],
        ),
    }
