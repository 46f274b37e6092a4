"""Doubts: tags that nothing is sure of become questions to a person.

Belongs here: which tags are asked about, and taking a question back. Does not belong here: what a person's decision
changes (`stage.py`), the table of questions (`review.py`).
"""

from __future__ import annotations

from kimi_pipeline.curation.review import Ask, ask, decisions, waiting, withdraw
from kimi_pipeline.curation.scope import UNIQUE, in_scope
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context

STAGE = "problem_tags"


def ask_about_doubts(context: Context) -> int:
    """Ask about the least sure tags, at most `curation.review_questions` of them, and withdraw what is asked no more.

    Returns how many wait. Unsure is a confidence below `curation.tag_min_confidence`. Problems that are not in this run
    keep their questions.
    """
    curation = context.profile.curation
    decided = set(decisions(context.lake, "tag"))
    doubtful = [
        row
        for row in context.lake.rows(
            f"select problem_id, domain, discipline, confidence, origin from tags t "
            f"semi join (select problem_id from ({UNIQUE})) using (problem_id) "
            "where confidence < $least order by confidence, problem_id limit $most",
            in_scope(context)
            | {"least": curation.tag_min_confidence, "most": curation.review_questions + len(decided)},
        )
        if row["problem_id"] not in decided
    ][: curation.review_questions]
    asked = {row["problem_id"] for row in doubtful}
    ours = {
        row["problem_id"]
        for row in context.lake.rows(
            f"select problem_id from tags semi join (select problem_id from ({UNIQUE})) using (problem_id) "
            "where problem_id in (select unnest($ids))",
            in_scope(context) | {"ids": [row["problem_id"] for row in waiting(context.lake, "tag")]},
        )
    }
    withdraw(context.lake, "tag", ours - asked, run_id=context.run_id)
    ask(
        context.lake,
        [
            Ask(
                row["problem_id"],
                "tag",
                STAGE,
                Reason.LOW_CONFIDENCE,
                f"{row['domain']}/{row['discipline']}",
                {"confidence": round(row["confidence"], 3), "origin": row["origin"]},
            )
            for row in doubtful
        ],
        run_id=context.run_id,
    )
    return len(asked)
