"""Staleness: which prompts' estimates are stale and why, and how likely asking again changes what is decided on each.

Belongs here: causes, chances, the order. Does not belong here: asking (`reestimation.py`), when a problem needs no more
answers (`inference/adaptive.py`, whose priors are used here).

The order is by the chance that fresh answers lead to another decision of a set, or to another bucket (at a quarter of the
weight: it moves a place in the mix, not the problem). Answers of another checkpoint, or of long ago, say less about the
next one's: they count as `nights.evidence_kept` of an answer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pyarrow as pa

from kimi_pipeline.curation.estimates import Base, in_force
from kimi_pipeline.curation.recipe import Recipe
from kimi_pipeline.curation.stopping import names_of
from kimi_pipeline.inference.adaptive import GRID, Rates, State, chance, fit_priors, likelihood
from kimi_pipeline.nights.target import Target
from kimi_pipeline.profiles import Profile
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context

CAUSES = (
    Reason.NEVER_SAMPLED,
    Reason.NEW_CHECKPOINT,
    Reason.NEW_TEMPLATE,
    Reason.NEAR_THRESHOLD,
    Reason.SAMPLED_LONG_AGO,
)
BUCKET_WEIGHT = 0.25

STATE = """
    with here as (
        select a.problem_id, a.group, coalesce(e.checkpoint, $rated_by) checkpoint,
               coalesce(e.template, $rated_in) template, coalesce(e.first_sample, 0) first_sample
        from asked a left join made_again e using (problem_id)
    ),
    rated as (
        select h.*, d.n, d.correct, h.first_sample + d.n + d.excluded - d.imported as past_sample
        from here h left join difficulty d using (problem_id, checkpoint, template)
    ),
    drawn as (
        select s.problem_id,
               max(s.created_at) filter (
                   if(s.purpose = 'imported', r.first_sample = 0,
                      s.sample_index >= r.first_sample and s.sample_index < r.past_sample)
               ) sampled_at,
               max(s.sample_index) filter (s.purpose = 'difficulty' and s.created_at < $since) old_index
        from samples s join rated r using (problem_id, checkpoint, template)
        where s.purpose in ('difficulty', 'imported') and s.temperature = $temperature and s.max_tokens = $max_tokens
        group by all
    )
    select r.* exclude (past_sample), d.sampled_at, greatest(r.past_sample, coalesce(d.old_index + 1, 0)) as next_sample
    from rated r left join drawn d using (problem_id) order by r.problem_id
"""
"""Each prompt's estimate in force: `sampled_at` is the time of the newest answer that it counts. From `next_sample` on there
are only answers that it does not count, none older than `$since`: those that a night left when it was cut short."""


@dataclass(frozen=True, slots=True)
class Stale:
    """A stale prompt: `right` of `n` answers in force, and that its answers `first` to `wanted - 1` are to count.

    `score` says how much asking again may change, `moves` the chance of another bucket if nothing but luck changed.
    """

    problem_id: str
    cause: Reason
    score: float
    n: int
    right: int
    moves: float
    first: int
    wanted: int


def stale_prompts(
    context: Context, target: Target, base: Base, problems: pa.Table, recipes: Sequence[Recipe], now: datetime
) -> list[Stale]:
    """The stale ones of the problems (columns problem_id, group), the most decision-changing first."""
    profile = context.profile
    made_again = in_force(context.lake, profile.name, base)
    conditions = {"temperature": profile.curation.temperature, "max_tokens": profile.curation.max_tokens}
    since = _oldest(profile, now)
    rows = context.lake.rows(
        STATE,
        {"rated_by": base.checkpoint, "rated_in": base.template, "since": since, **conditions},
        asked=problems.select(["problem_id", "group"]),
        made_again=made_again,
    )
    chances = Chances(rows, recipes, profile)
    found = [one for row in rows if (one := _judge(row, target, chances, profile, since)) is not None]
    return sorted(found, key=lambda one: (-one.score, one.problem_id))


def _judge(
    row: dict[str, Any], target: Target, chances: Chances, profile: Profile, since: datetime | None
) -> Stale | None:
    nights, samples = profile.nights, profile.curation.samples
    first, wanted = 0, samples
    n, right = row["n"] or 0, row["correct"] or 0
    if row["n"] is None:
        return Stale(row["problem_id"], Reason.NEVER_SAMPLED, 1.0, 0, 0, 0.0, first, wanted)
    kept = nights.evidence_kept
    if row["checkpoint"] != target.checkpoint:
        cause = Reason.NEW_CHECKPOINT
    elif row["template"] != target.template_id:
        cause = Reason.NEW_TEMPLATE
    elif since is not None and row["sampled_at"] is not None and row["sampled_at"] < since:
        # Answers of their own: the weights are the same, but an endpoint's may not be.
        cause, first = Reason.SAMPLED_LONG_AGO, row["next_sample"]
        wanted = first + samples
    else:
        more = nights.most_samples - n
        decision, bucket = chances.of(row["group"], n, right, more, adds=True) if more > 0 else (0.0, 0.0)
        if max(decision, bucket) < nights.near_threshold or more <= 0:
            return None
        cause, first, wanted, kept = Reason.NEAR_THRESHOLD, row["first_sample"], nights.most_samples, 1.0
        score = decision + BUCKET_WEIGHT * bucket
        return Stale(row["problem_id"], cause, score, n, right, bucket, first, first + wanted)
    decision, bucket = chances.of(row["group"], n, right, samples, kept=kept)
    moves = chances.of(row["group"], n, right, samples)[1]
    score = decision + BUCKET_WEIGHT * bucket
    return Stale(row["problem_id"], cause, score, n, right, moves, first, wanted)


def _oldest(profile: Profile, now: datetime) -> datetime | None:
    """The time from which on an answer is not from long ago; None where it never is."""
    days = profile.nights.older_than_days
    return None if days is None else now - timedelta(days=days)


class Chances:
    """How likely further answers give another decision or bucket, by how pass rates are spread in a problem's group."""

    def __init__(self, rows: Sequence[dict[str, Any]], recipes: Sequence[Recipe], profile: Profile) -> None:
        tallies: dict[str, Counter[State]] = defaultdict(Counter)
        for row in rows:
            tallies[row["group"]][row["n"] or 0, row["correct"] or 0] += 1
        self._priors = fit_priors(tallies)
        self._names = cache(lambda n, right: names_of(list(recipes), n, right))
        self.of = cache(self._of)

    def _of(
        self, group: str, n: int, right: int, more: int, kept: float = 1.0, adds: bool = False
    ) -> tuple[float, float]:
        """(another decision, another bucket) after `more` answers, which are added to the `right` of `n` that there are
        (`adds`) or take their place; these count as `kept` of an answer each."""
        posterior = self._priors[group] * _weighed(n, right, kept)
        posterior = posterior / posterior.sum()
        now = self._names(n, right)
        decision = bucket = 0.0
        for hits in range(more + 1):
            then = self._names(n + more, right + hits) if adds else self._names(more, hits)
            share = float((posterior * chance(more, hits)).sum())
            decision += share * (then[0] != now[0])
            bucket += share * (then[1] != now[1])
        return decision, bucket


def _weighed(n: int, right: int, kept: float) -> Rates:
    """The likelihood of `right` of `n` answers that count as `kept` of one each."""
    return likelihood(n, right) if kept == 1 else GRID ** (kept * right) * (1 - GRID) ** (kept * (n - right))
