"""Drift: what asking again moved, prompt by prompt, and how a new version of a set differs from the current one.

Belongs here: shifts with their interval, buckets moved beside what luck alone moves, the limits. Does not belong here:
which version is current (`curation/promotion.py`), why a single problem changed (`audit/diff.py`).

Two estimates of ten answers put the same problem into different buckets quite often. What moves is therefore held against
what would move if nothing but luck had changed: both estimates of a problem come from one rate, spread as all rates are.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from statistics import fmean, stdev
from typing import Any

from kimi_pipeline.curation.decide import bucket
from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.adaptive import GRID, chance, fit_prior, likelihood
from kimi_pipeline.intervals import Z_95, wilson
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles.sections import Nights
from kimi_pipeline.reasons import Reason


@dataclass(frozen=True, slots=True)
class Move:
    """A prompt's pass rate before and after, with its buckets; `right` of `n` answers are behind the one after."""

    problem_id: str
    before: float
    after: float
    n: int
    right: int

    @property
    def buckets(self) -> tuple[str, str]:
        return bucket(self.before), bucket(self.after)


def summary(moves: Sequence[Move]) -> dict[str, Any]:
    """`{"prompts", "moved", "moved_share", "moved_by_luck", "mean_shift", "low", "high", "buckets": {"a -> b": n}}`.

    `low` and `high` are the 95 % interval of the mean shift over prompts; null for fewer than two.
    """
    shifts = [one.after - one.before for one in moves]
    moved = Counter(" -> ".join(one.buckets) for one in moves if one.buckets[0] != one.buckets[1])
    half = Z_95 * stdev(shifts) / math.sqrt(len(shifts)) if len(shifts) > 1 else None
    mean = fmean(shifts) if shifts else None
    return {
        "prompts": len(moves),
        "moved": moved.total(),
        "moved_share": round(moved.total() / len(moves), 4) if moves else 0.0,
        "moved_by_luck": round(moved_by_luck(moves), 4),
        "mean_shift": None if mean is None else round(mean, 4),
        "low": None if mean is None or half is None else round(mean - half, 4),
        "high": None if mean is None or half is None else round(mean + half, 4),
        "buckets": dict(moved.most_common()),
    }


def moved_by_luck(moves: Sequence[Move]) -> float:
    """The share of prompts that two estimates of as many answers would put into different buckets, were the rate the same."""
    counted = [one for one in moves if one.n]
    if not counted:
        return 0.0
    prior = fit_prior(Counter((one.n, one.right) for one in counted), [1 / len(GRID)] * len(GRID))

    @cache
    def other(n: int, right: int) -> float:
        posterior = prior * likelihood(n, right)
        posterior = posterior / posterior.sum()
        here = bucket(right / n)
        return sum(float((posterior * chance(n, hits)).sum()) for hits in range(n + 1) if bucket(hits / n) != here)

    return fmean(other(one.n, one.right) for one in counted)


MEMBERS = """
    with a as (select * from prompt_set where prompt_set = $name and version = $a),
         b as (select * from prompt_set where prompt_set = $name and version = $b),
         cut as (select version, created_at from prompt_set_versions where prompt_set = $name),
         said as (
            select * from ledger
            where stage = 'difficulty' and prompt_set = $name
              and created_at <= (select created_at from cut where version = $b)
            qualify row_number() over (partition by problem_id order by created_at desc) = 1
         )
    select coalesce(a.problem_id, b.problem_id) as problem_id, a.pass_rate as before,
           a.problem_id is not null as was, b.problem_id is not null as stays,
           cast(s.evidence->>'$.n' as bigint) as n, cast(s.evidence->>'$.correct' as bigint) as correct,
           coalesce(s.created_at > (select created_at from cut where version = $a), false) as anew
    from a full join b on a.problem_id = b.problem_id
    left join said s on s.problem_id = coalesce(a.problem_id, b.problem_id)
    order by 1
"""


def compare(lake: Lake, prompt_set: str, before: int, after: int, limits: Nights) -> dict[str, Any]:
    """How version `after` differs from `before`: `{"set", "a", "b", "size_a", "size_b", "added", "removed", "drift":
    summary of the members of `before` that were estimated anew, "moves": [...], "beyond": [reason codes], "detail"}`.

    Raises UserError where a version does not exist.
    """
    sizes = {
        row["version"]: row["size"]
        for row in lake.rows("select version, size from prompt_set_versions where prompt_set = ?", [prompt_set])
    }
    for version in (before, after):
        if version not in sizes:
            raise UserError(f"no version {version} of prompt set {prompt_set!r}: `kimi-pipeline sets` lists them")
    rows = lake.rows(MEMBERS, {"name": prompt_set, "a": before, "b": after})
    moves = [
        Move(row["problem_id"], row["before"], row["correct"] / row["n"], row["n"], row["correct"])
        for row in rows
        if row["was"] and row["anew"] and row["n"]
    ]
    drift = summary(moves)
    beyond = list(_beyond(drift, sizes[before], sizes[after], limits))
    return {
        "set": prompt_set,
        "a": f"{prompt_set}@{before}",
        "b": f"{prompt_set}@{after}",
        "size_a": sizes[before],
        "size_b": sizes[after],
        "added": sum(not row["was"] for row in rows),
        "removed": sum(not row["stays"] for row in rows),
        "drift": drift,
        "moves": [asdict(one) | dict(zip(("from", "to"), one.buckets, strict=True)) for one in moves],
        "beyond": [str(reason) for reason, _ in beyond],
        "detail": "; ".join(text for _, text in beyond),
    }


def _beyond(drift: dict[str, Any], a: int, b: int, limits: Nights) -> Iterable[tuple[Reason, str]]:
    """The limits that a version breaks, each with a line that says by how much."""
    low, high, most = drift["low"], drift["high"], limits.max_mean_shift
    if low is not None and (low > most or high < -most):
        interval = f"{drift['mean_shift']:+.3f} ({low:+.3f} to {high:+.3f})"
        yield Reason.RATES_SHIFTED, f"pass rates of {drift['prompts']} members shifted by {interval}, limit {most}"
    least = wilson(drift["moved"], drift["prompts"])[0] if drift["prompts"] else 0.0
    if least - drift["moved_by_luck"] > limits.max_moved_share:
        shares = f"{drift['moved_share']:.0%} of {drift['prompts']} members, {drift['moved_by_luck']:.0%} by luck"
        yield Reason.BUCKETS_MOVED, f"{shares} moved to another bucket, limit {limits.max_moved_share:.0%} more"
    if a and abs(b - a) / a > limits.max_size_change:
        yield Reason.SIZE_CHANGED, f"size {a} -> {b}, limit {limits.max_size_change:.0%}"


def as_text(found: dict[str, Any]) -> str:
    """The summary of a comparison as JSON, for a table: without the single prompts."""
    return json.dumps({name: value for name, value in found.items() if name != "moves"}, sort_keys=True)
