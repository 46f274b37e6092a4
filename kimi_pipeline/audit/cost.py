"""Cost: what a prompt set took, in samples, tokens, seconds and money, a stage and a kept prompt.

Belongs here: adding up what samples and finished stages recorded. Does not belong here: predicting a run (`plan.py`).
"""

from __future__ import annotations

import json
from typing import Any

from kimi_pipeline.audit.sets import manifest
from kimi_pipeline.lake import Lake
from kimi_pipeline.lake_reader import Readable

MEASURES = ("samples", "prompt_tokens", "completion_tokens", "model_seconds", "sandbox_seconds", "money")
PURPOSES = {"difficulty": "difficulty", "guessability": "guess"}
TOKENS = 1_000_000


def cost(lake: Lake, name: str | None = None) -> dict[str, Any]:
    """What the samples behind a version cost: `{"set", "version", "size", "stages": [...], "total", "a_kept_prompt"}`.

    A stage has `MEASURES`: `money` is what the endpoint charged, plus the profile's price a million tokens for samples
    that carry no price of their own. Samples are shared over sets: a second set that draws none still shows what the ones
    it rests on took. Seconds are those that stages recorded for drawing them.
    """
    with lake.reading() as state:
        return _cost(state, name)


def _cost(lake: Readable, name: str | None) -> dict[str, Any]:
    found = manifest(lake, name)
    price = found["profile"]["inference"]["price_per_million_tokens"]
    rows = lake.rows(
        """
        with drawn as (
            select problem_id, purpose, count(*) samples, coalesce(sum(prompt_tokens), 0) prompt_tokens,
                   coalesce(sum(completion_tokens), 0) completion_tokens, coalesce(sum(cost), 0) paid,
                   coalesce(sum(completion_tokens) filter (coalesce(cost, 0) = 0), 0) unpriced
            from samples where list_contains($checkpoints, checkpoint) and purpose in ('difficulty', 'guess') group by all
        )
        select purpose, sum(samples) samples, sum(prompt_tokens) prompt_tokens,
               sum(completion_tokens) completion_tokens, sum(paid) paid, sum(unpriced) unpriced
        from drawn semi join (select problem_id from problems where list_contains($sources, source)) using (problem_id)
        group by purpose
        """,
        {"sources": found["sources"], "checkpoints": _checkpoints(found)},
    )
    drawn = {row["purpose"]: row for row in rows}
    spent = seconds(lake, found["checkpoint"])
    stages = []
    for stage, purpose in PURPOSES.items():
        row = drawn.get(purpose, {})
        money = row.get("paid", 0) + int(row.get("unpriced", 0)) / TOKENS * price
        stages.append(
            {
                "stage": stage,
                "samples": int(row.get("samples", 0)),
                "prompt_tokens": int(row.get("prompt_tokens", 0)),
                "completion_tokens": int(row.get("completion_tokens", 0)),
                "model_seconds": round(spent.get(stage, 0.0), 1),
                "sandbox_seconds": 0.0,
                "money": round(money, 6),
            }
        )
    total = {measure: round(sum(stage[measure] for stage in stages), 6) for measure in MEASURES}
    size = _size(lake, found)
    return {
        "set": found["set"],
        "version": f"{found['set']}@{found['version']}",
        "size": size,
        "stages": stages,
        "total": total,
        "a_kept_prompt": {measure: round(total[measure] / size, 6) if size else None for measure in MEASURES},
    }


def _checkpoints(found: dict[str, Any]) -> list[str]:
    """All checkpoints that a version's problems rest on (one, where no night has asked a newer one)."""
    return sorted({found["checkpoint"], *(row["checkpoint"] for row in found.get("checkpoints", []))})


def seconds(lake: Readable, checkpoint: str) -> dict[str, float]:
    """Seconds that each stage spent on drawing samples of a checkpoint, over all its runs."""
    spent: dict[str, float] = {}
    for row in lake.rows(
        "select stage, metadata from stages where stage in ('difficulty', 'guessability') "
        "and outputs->>'$.checkpoint' = ?",
        [checkpoint],
    ):
        figures = json.loads(row["metadata"])["figures"]
        spent[row["stage"]] = spent.get(row["stage"], 0.0) + float(figures.get("seconds") or 0.0)
    return spent


def _size(lake: Readable, found: dict[str, Any]) -> int:
    rows = lake.rows(
        "select size from prompt_set_versions where prompt_set = ? and version = ?", [found["set"], found["version"]]
    )
    return int(rows[0]["size"])
