"""What the watch over the reward found in RL runs, with the responses that it suspects.

Belongs here: reading. Does not belong here: the signals (`rl/reward_watch.py`).
"""

from __future__ import annotations

from typing import Any

from kimi_pipeline.errors import UserError
from kimi_pipeline.lake import Lake
from kimi_pipeline.rl.reward_watch import SHOWN, SIGNALS

NEWEST = "select policy from reward_watch group by policy order by max(created_at) desc limit 1"


def watched(lake: Lake, *, policy: str | None = None, everything: bool = False) -> list[dict[str, Any]]:
    """The alarms of one RL run (the beginning of its policy's name; the newest run by default), oldest first; with
    `everything` all looks. Each holds its numbers, what it `means` and `responses` that it speaks of, with their texts.

    Raises UserError where no run was watched, or none has that name.
    """
    if policy is None:
        found = [row["policy"] for row in lake.rows(NEWEST)]
    else:
        named = "select distinct policy from reward_watch where starts_with(policy, ?)"
        found = [row["policy"] for row in lake.rows(named, [policy])]
    if len(found) != 1:
        raise UserError(
            f"policy {policy!r} is none or several of those that were watched: give more of its name"
            if policy
            else "no RL run was watched yet: materialise rl_checkpoint (`kimi-pipeline run`)"
        )
    rows = lake.rows(
        "select * exclude (run_id, created_at) from reward_watch where policy = ? and (alarm or ?) "
        "order by iteration, signal",
        [found[0], everything],
    )
    return with_responses(lake, rows)


def alarms_of_version(lake: Lake, name: str, version: int) -> list[dict[str, Any]]:
    """The first alarm of each signal in each run on a version of a prompt set, with responses, and in how many looks it
    alarmed (`looks`)."""
    rows = lake.rows(
        """
        select * exclude (run_id, created_at), count(*) over (partition by policy, signal) as looks from reward_watch
        where prompt_set = ? and version = ? and alarm
        qualify row_number() over (partition by policy, signal order by iteration) = 1
        order by policy, iteration, signal
        """,
        [name, version],
    )
    return with_responses(lake, rows)


def with_responses(lake: Lake, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `reward_watch` with what their signal means and the texts of their first samples."""
    wanted = sorted({name for row in rows for name in row["sample_ids"][:SHOWN]})
    texts = {
        row["sample_id"]: row
        for row in lake.rows(
            """
            select s.sample_id, s.problem_id, s.status, s.reward, s.text, p.answer from samples s
            left join (select problem_id, any_value(answer) as answer from problems group by 1) p using (problem_id)
            where s.purpose = 'rollout' and s.sample_id in (select unnest(?))
            """,
            [wanted],
        )
    }
    return [
        row
        | {
            "means": SIGNALS[row["signal"]],
            "responses": [texts[name] for name in row["sample_ids"][:SHOWN] if name in texts],
        }
        for row in rows
    ]
