"""Explain: a problem's life, from its source rows through every decision to the RL iterations that trained on it.

Belongs here: finding a problem and telling its story. Does not belong here: making decisions.
"""

from __future__ import annotations

import difflib
import json
from typing import Any

from kimi_pipeline.errors import UserError
from kimi_pipeline.lake import Lake
from kimi_pipeline.ledger import FUNNEL, IN_FORCE
from kimi_pipeline.reasons import Reason

SHOWN_ANSWERS = 3
TEXT = 400


def find(lake: Lake, query: str) -> str:
    """The id that `query` means: an id, the beginning of one, `source:row`, or a piece of the text.

    Raises UserError where nothing or more than one problem matches, naming the nearest.
    """
    rows = lake.rows(
        """
        select distinct problem_id, left(prompt, 60) as prompt from problems
        where problem_id = ? or starts_with(problem_id, ?) or source || ':' || source_row = ?
           or (length(?) >= 4 and contains(prompt, ?))
        order by problem_id limit 6
        """,
        [query] * 5,
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
    return {
        "problem_id": problem_id,
        "prompt": rows[0]["prompt"],
        "answer": rows[0]["answer"],
        "answer_kind": rows[0]["answer_kind"],
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
