"""The numbers of an iteration's rollouts: rewards, lengths, what was dropped.

Belongs here: counting on each rank and adding up on the master. Does not belong here: figures of the training phase
(`learning.py`), plots (`plots.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.rl.rollout import Group
from kimi_pipeline.rl.segments import SegmentStatus


def counts_of(groups: Sequence[Group]) -> Counter[str]:
    """What one rank's groups add up to."""
    counts: Counter[str] = Counter()
    for group in groups:
        counts["groups"] += 1
        counts["dropped"] += not group.is_trained_on
        for member in group.members:
            counts["responses"] += 1
            counts[f"status_{member.verdict.status}"] += 1
            if member.segment is not None:
                counts["tokens"] += member.segment.tokens
                counts["answered"] += 1
                counts["cut"] += member.segment.status is SegmentStatus.CUT_BY_LIMIT
            if member.reward is not None:
                counts["judged"] += 1
                counts["reward"] += member.reward  # type: ignore[assignment]
    return counts


def rollout_figures(counts: Iterable[Counter[str]]) -> dict[str, float]:
    """Figures over all ranks. `reward` and `pass_rate` are means over responses with a verdict, `tokens_mean` over
    answered ones; `cut` is the share cut by the length limit; `excluded` counts responses without a verdict."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    judged, answered = max(1, total["judged"]), max(1, total["answered"])
    return {
        "reward": total["reward"] / judged,
        "pass_rate": total[f"status_{Status.CORRECT}"] / judged,
        "tokens_mean": total["tokens"] / answered,
        "tokens": float(total["tokens"]),
        "cut": total["cut"] / answered,
        "groups": float(total["groups"]),
        "dropped": float(total["dropped"]),
        "excluded": float(total["responses"] - total["judged"]),
        "unverifiable": float(total[f"status_{Status.UNVERIFIABLE}"]),
        "no_answer": float(total[f"status_{Status.NO_ANSWER}"]),
    }
