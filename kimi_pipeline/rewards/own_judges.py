"""Kinds of answer that the rules for mathematics can't judge, each with a judge of its own.

Belongs here: the registry, and what a judge needs from the lake. Does not belong here: a judge (a module each), code, whose
suites and sandbox are opened in `serving.py`. `docs/extending.md` adds a kind.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection

from kimi_pipeline.lake import Lake
from kimi_pipeline.rewards.contract import Reference, Reward
from kimi_pipeline.rewards.reasoning_gym import ReasoningGymReward

LABELS = "select problem_id, to_json(labels) as labels from problems where problem_id in (select unnest(?))"


def _by_task(lake: Lake, references: Collection[Reference]) -> Reward:
    """reasoning-gym's scorers: which entry a problem is stands in its labels."""
    rows = lake.rows(LABELS, [[one.problem_id for one in references]])
    return ReasoningGymReward({row["problem_id"]: json.loads(row["labels"]) for row in rows})


JUDGES: dict[str, Callable[[Lake, Collection[Reference]], Reward]] = {"scored": _by_task}
"""By answer kind; a judge is made for the problems of its kind."""


def own_judges(lake: Lake, references: Collection[Reference]) -> dict[str, Reward]:
    """The judges that these problems need, by answer kind."""
    wanted: dict[str, list[Reference]] = {}
    for one in references:
        if one.answer_kind in JUDGES:
            wanted.setdefault(one.answer_kind, []).append(one)
    return {kind: JUDGES[kind](lake, theirs) for kind, theirs in wanted.items()}
