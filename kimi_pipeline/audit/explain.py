"""Explain: a problem's life, from its source rows through every decision to the RL iterations that trained on it.

Belongs here: telling its story. Does not belong here: finding it (`curation/finding.py`), making decisions.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from kimi_pipeline.curation.finding import find
from kimi_pipeline.lake import Lake
from kimi_pipeline.lake_reader import Reading
from kimi_pipeline.ledger import FUNNEL, IN_FORCE
from kimi_pipeline.reasons import Reason

SHOWN_ANSWERS = 3
TEXT = 400
ASKED = ("difficulty", "guess")  # purposes of samples whose answers are shown
GONE = {"prompt": "(erased)", "answer": "(erased)", "answer_kind": ""}


def explain(lake: Lake, query: str) -> dict[str, Any]:
    """The problem, its rows, tags, decisions in force (in the order of the stages), samples and training use."""
    with lake.reading() as state:
        return _explain(state, find(state, query))


def _explain(lake: Reading, problem_id: str) -> dict[str, Any]:
    asked = [problem_id]
    rows = lake.rows(
        "select * exclude (images) from problems where problem_id = ? order by created_at, source, source_row", asked
    )
    held = lake.rows(
        "select prompt_set, version from prompt_set where problem_id = ? order by created_at, version", asked
    )
    erased = lake.rows("select content_digest, reason, decided_by from erasures where problem_id = ?", asked)
    known = next(iter(rows or ([] if erased else _as_last_held(lake, problem_id, held))), GONE)
    samples = lake.rows(
        f"""
        select purpose, status, extracted_answer, left(text, {TEXT}) as text, sample_index, iteration
        from samples where problem_id = ? order by purpose, sample_index, created_at, sample_id
        """,
        asked,
    )
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
        "tags": lake.rows("select domain, discipline, confidence, origin from tags where problem_id = ?", asked),
        "decisions": _decisions(lake, problem_id),
        "difficulty": lake.rows(
            "select checkpoint, template, n, correct, pass_rate, low, high from difficulty where problem_id = ? "
            "order by created_at, checkpoint, template",
            asked,
        ),
        "answers": [one for purpose in ASKED for one in _shown([s for s in samples if s["purpose"] == purpose])],
        "sets": [f"{row['prompt_set']}@{row['version']}" for row in held],
        "trained_in": _trained([sample for sample in samples if sample["purpose"] == "rollout"]),
    }


def _as_last_held(lake: Reading, problem_id: str, held: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The problem as the last version that holds it has it. From that version alone: each has the text anew, and reading it
    out of a hundred takes longer than all else."""
    if not held:
        return []
    last = max(held, key=lambda row: int(row["version"]))
    return lake.rows(
        "select prompt, answer, answer_kind from prompt_set where prompt_set = ? and version = ? and problem_id = ?",
        [last["prompt_set"], last["version"], problem_id],
    )


def _decisions(lake: Reading, problem_id: str) -> list[dict[str, Any]]:
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
    return decisions


def _shown(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A few of one purpose's answers, right ones first chosen, in the order in which they were drawn."""
    chosen = sorted(samples, key=lambda row: row["status"] != "correct")[:SHOWN_ANSWERS]
    columns = ("purpose", "status", "extracted_answer", "text")
    return [{name: row[name] for name in columns} for row in sorted(chosen, key=lambda row: int(row["sample_index"]))]


def _trained(rollouts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many responses each RL iteration trained on, and how many of them were right."""
    iterations = Counter(row["iteration"] for row in rollouts)
    right = Counter(row["iteration"] for row in rollouts if row["status"] == "correct")
    return [{"iteration": one, "responses": n, "correct": right[one]} for one, n in sorted(iterations.items())]
