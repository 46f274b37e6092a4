"""Rollouts: what the policy answered in an iteration, and what RL made of it.

Belongs here: reading rollouts with their segments, rewards and advantages. Does not belong here: sampling or training
(`rl/`).
"""

from __future__ import annotations

from typing import Any

from kimi_pipeline.curation.finding import find
from kimi_pipeline.errors import UserError
from kimi_pipeline.lake import Lake


def rollouts(
    lake: Lake,
    *,
    iteration: int | None = None,
    problem: str | None = None,
    policy: str | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Rollouts of one RL run (the beginning of its policy's name; the newest run by default), in the order of their groups.

    `iteration` is the one in which a group was complete and trained on; `problem` is anything that `explain` understands.
    Each holds prompt, response, how it ended, tokens, its segments (iteration, tokens, status), status, reward with its
    parts, advantage, and whether it was in the loss. Raises UserError where there are none, naming what there is.
    """
    chosen = _policy(lake, policy)
    problem_id = find(lake, problem) if problem else None
    rows = lake.rows(
        """
        select r.*, s.text, s.status, s.extracted_answer, p.prompt, p.answer
        from rollouts r
        join samples s on s.sample_id = r.sample_id and s.purpose = 'rollout' and s.checkpoint = r.policy
        left join (select problem_id, any_value(prompt) as prompt, any_value(answer) as answer from problems group by all) p
          on p.problem_id = r.problem_id
        where r.policy = ? and (? is null or r.iteration = ?) and (? is null or r.problem_id = ?)
        order by r.iteration, r.began, r.place, r.sample_index
        """
        + ("limit ?" if limit else ""),
        [chosen, iteration, iteration, problem_id, problem_id, *([limit] if limit else [])],
    )
    if not rows:
        raise UserError(_none(lake, chosen, iteration, problem_id))
    segments = _segments(lake, chosen, rows)
    return [
        {
            "policy": row["policy"],
            "iteration": row["iteration"],
            "problem_id": row["problem_id"],
            "prompt": row["prompt"],
            "answer": row["answer"],
            "sample_index": row["sample_index"],
            "response": row["text"],
            "ended": row["ended"],
            "tokens": row["tokens"],
            "segments": segments[row["began"], row["place"], row["sample_index"]],
            "status": row["status"],
            "extracted_answer": row["extracted_answer"],
            "reward": row["reward"],
            "reward_parts": dict(row["reward_parts"] or {}),
            "advantage": row["advantage"],
            "trained": row["trained"],
        }
        for row in rows
    ]


def _policy(lake: Lake, beginning: str | None) -> str:
    known = lake.rows("select policy, max(created_at) as newest from rollouts group by all order by newest desc")
    if not known:
        raise UserError("there are no rollouts yet: materialise rl_checkpoint (`kimi-pipeline run`)")
    found = [row["policy"] for row in known if row["policy"].startswith(beginning or "")]
    if not found or (beginning and len(found) > 1):
        raise UserError(
            f"policy {beginning!r} is none or several of {', '.join(row['policy'][:12] for row in known[:9])}"
        )
    return str(found[0])


def _none(lake: Lake, policy: str, iteration: int | None, problem_id: str | None) -> str:
    ((first, last),) = [
        (row["first"], row["last"])
        for row in lake.rows(
            "select min(iteration) as first, max(iteration) as last from rollouts where policy = ?", [policy]
        )
    ]
    if problem_id is None:
        return f"no group was complete in iteration {iteration}: this run has iterations {first} to {last}"
    rows = lake.rows(
        "select distinct iteration from rollouts where policy = ? and problem_id = ? order by 1", [policy, problem_id]
    )
    trained = ", ".join(str(row["iteration"]) for row in rows)
    return f"problem {problem_id[:12]} " + (f"was trained on in iterations {trained}" if rows else "was never drawn")


def _segments(lake: Lake, policy: str, rows: list[dict[str, Any]]) -> dict[tuple[int, int, int], list[dict[str, Any]]]:
    groups = {(row["began"], row["place"]) for row in rows}
    found: dict[tuple[int, int, int], list[dict[str, Any]]] = {}
    for row in lake.rows(
        "select began, place, sample_index, segment_index, iteration, len(response_ids) as tokens, status from segments "
        "where policy = ? and began between ? and ? order by began, place, sample_index, segment_index",
        [policy, min(began for began, _ in groups), max(began for began, _ in groups)],
    ):
        if (row["began"], row["place"]) in groups:
            key = (row["began"], row["place"], row["sample_index"])
            found.setdefault(key, []).append({name: row[name] for name in ("iteration", "tokens", "status")})
    return found
