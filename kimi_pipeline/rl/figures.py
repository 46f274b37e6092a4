"""The numbers of an iteration's rollouts: rewards, lengths, staleness, what was dropped.

Belongs here: counting. Does not belong here: figures of the training phase (`learning.py`), plots (`plots.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.rl.segments import SegmentStatus
from kimi_pipeline.rl.trajectories import Group


def rollout_figures(complete: Sequence[Group], growing: Sequence[Group], iteration: int) -> dict[str, float]:
    """Figures over the groups that are complete, and what goes on.

    `reward`, `pass_rate` and `reward_<part>` are means over responses with a verdict, `tokens_mean` over ended ones (the
    whole response's length); they are missing where no group is complete. `cut` and `repetition` are shares of ended
    ones; `excluded` counts responses without a verdict; `tokens` counts those decoded in this iteration; `staleness` is
    the mean age of the segments of complete groups, in iterations.
    """
    members = [one for group in complete for one in group.trajectories]
    ended = [one for one in members if one.status is not SegmentStatus.ABORTED]
    judged = [one for group in complete for one in group.judged]
    statuses = Counter(one.verdict.status for one in members if one.verdict is not None)
    segments = [one for group in [*complete, *growing] for t in group.trajectories for one in t.segments]
    ages = [iteration - one.iteration for member in ended for one in member.segments]
    figures = {
        "groups": float(len(complete)),
        "dropped": float(sum(not group.is_trained_on for group in complete)),
        "excluded": float(len(members) - len(judged)),
        "unverifiable": float(statuses[Status.UNVERIFIABLE]),
        "no_answer": float(statuses[Status.NO_ANSWER]),
        "tokens": float(sum(one.tokens for one in segments if one.iteration == iteration)),
        "buffered": float(sum(one.is_open for group in growing for one in group.trajectories)),
    }
    if judged:
        figures["reward"] = sum(one.reward or 0.0 for one in judged) / len(judged)
        figures["pass_rate"] = statuses[Status.CORRECT] / len(judged)
        for part in sorted({name for one in judged if one.verdict for name in one.verdict.parts}):
            figures[f"reward_{part}"] = sum(one.verdict.parts.get(part, 0.0) for one in judged if one.verdict) / len(
                judged
            )
    if ended:
        figures["tokens_mean"] = sum(one.tokens for one in ended) / len(ended)
        figures["cut"] = sum(one.status is SegmentStatus.CUT_BY_LIMIT for one in ended) / len(ended)
        figures["repetition"] = sum(one.status is SegmentStatus.REPETITION for one in ended) / len(ended)
        figures["staleness"] = sum(ages) / len(ages)
    return figures


def by_label(complete: Sequence[Group], labels: Mapping[str, str]) -> dict[str, float]:
    """Pass rate of an iteration by a label of the problems (domain, difficulty bucket)."""
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for group in complete:
        label = labels.get(group.prompt.problem_id)
        if label is None:
            continue
        for one in group.judged:
            total[label] += 1
            right[label] += one.verdict is not None and one.verdict.status is Status.CORRECT
    return {f"pass_rate_{label}": right[label] / count for label, count in sorted(total.items())}
