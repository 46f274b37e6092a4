"""Adaptive sampling against all samples: how many are spared, and how many problems are then decided otherwise.

Belongs here: streams (what was recorded, or drawn from made-up spreads of pass rates), playing them through real plans,
the figures. Does not belong here: the stopping rule (`inference/adaptive.py`) and its tables (`curation/stopping.py`).

A stream is what a problem's samples were, in order. The adaptive plan takes a beginning of it; the whole of it is what
all samples say. Recorded samples of a problem are exchangeable: a seed is an order of them.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kimi_pipeline.curation.recipe import load_recipe
from kimi_pipeline.curation.stopping import rule_of
from kimi_pipeline.home import Home
from kimi_pipeline.inference.adaptive import StoppingRule
from kimi_pipeline.inference.plans import Ask, AskedProblem, Plan
from kimi_pipeline.inference.request import Sampling
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles import load_profile
from kimi_pipeline.rewards.contract import Reference, Status

NAME = "adaptive"
LEAST_SPARED, LEAST_DECISIONS, LEAST_BUCKETS = 0.35, 0.97, 0.90
RECIPES = ("laptop", "hard")  # thresholds that leave much open at the easy end, and in the middle as well
PROBLEMS = 2000  # of a made-up spread
SPREADS: dict[str, Callable[[random.Random], float]] = {
    "weak model": lambda rng: rng.betavariate(0.3, 3),
    "u-shaped": lambda rng: rng.betavariate(0.35, 0.35),
    "uniform": lambda rng: rng.random(),
}
RECORDED = f"""
    with drawn as (
        select checkpoint, template, temperature, max_tokens, problem_id,
               list(status = '{Status.CORRECT}' order by sample_index) as stream
        from samples where purpose = $purpose and status <> '{Status.INFRASTRUCTURE_ERROR}'
          and sample_index < $samples
        group by all having count(*) = $samples
    ),
    chosen as (
        select checkpoint, template, temperature, max_tokens from drawn group by all order by count(*) desc, checkpoint limit 1
    ),
    grouped as (
        select problem_id, min(concat_ws('/', source, discipline, labels['family'])) as grp from problems group by all
    )
    select problem_id, coalesce(grp, '') as grp, stream from drawn semi join chosen
    using (checkpoint, template, temperature, max_tokens) left join grouped using (problem_id) order by problem_id
"""


@dataclass(frozen=True)
class Streams:
    """Each problem's group, and whether each of its samples was right, in order."""

    groups: Mapping[str, str]
    right: Mapping[str, Sequence[bool]]


def recorded(lake: Lake, samples: int, seed: int) -> Streams:
    """The problems that have all samples under one checkpoint (the one with the most), each in an order by `seed`."""
    rows = lake.rows(RECORDED, {"samples": samples, "purpose": "difficulty"})
    rng = random.Random(seed)
    return Streams(
        {row["problem_id"]: row["grp"] for row in rows},
        {row["problem_id"]: rng.sample(row["stream"], samples) for row in rows},
    )


def made_up(spread: Callable[[random.Random], float], samples: int, seed: int, problems: int = PROBLEMS) -> Streams:
    """Problems of one group whose pass rates are drawn from a spread."""
    rng = random.Random(seed)
    rates = {f"p{number}": spread(rng) for number in range(problems)}
    return Streams(
        dict.fromkeys(rates, ""), {name: [rng.random() < rate for _ in range(samples)] for name, rate in rates.items()}
    )


def play(streams: Streams, rule: StoppingRule) -> dict[str, float]:
    """Shares: samples spared, and problems with the decision, and the bucket, that all of their samples lead to."""
    ask = Ask("difficulty", "", "tiny", "reasoning", Sampling(1.0, 1), rule.total, 0, stopping=rule)
    problems = [AskedProblem(name, "", Reference(name, "", "text"), group) for name, group in streams.groups.items()]
    plan = Plan(ask, problems, {})
    taken: dict[str, list[bool]] = defaultdict(list)
    while requests := list(plan.next_round()):
        for request in requests:
            is_right = streams.right[request.problem_id][request.sample_index]
            taken[request.problem_id].append(is_right)
            plan.record(request, Status.CORRECT if is_right else Status.WRONG)
    same_decision = same_bucket = 0
    for name, whole in streams.right.items():
        n, right, in_all = len(taken[name]), sum(taken[name]), sum(whole)
        same_decision += rule.decisions[n][right] == rule.decisions[rule.total][in_all]
        same_bucket += rule.buckets[n][right] == rule.buckets[rule.total][in_all]
    count = len(problems)
    return {
        "spared": 1 - sum(map(len, taken.values())) / (rule.total * count),
        "decision_agreement": same_decision / count,
        "bucket_agreement": same_bucket / count,
    }


def measure(home: Home, profile_name: str, seeds: Sequence[int]) -> dict[str, Any]:
    """Figures of each kind of streams and thresholds, a value a seed; `holds`: the bounds hold in every seed."""
    profile = load_profile(profile_name, {})
    samples = profile.curation.samples
    kinds: dict[str, Callable[[int], Streams]] = {
        name: lambda seed, spread=spread: made_up(spread, samples, seed)  # type: ignore[misc]
        for name, spread in SPREADS.items()
    }
    lake = Lake(home.lake)
    asked = len(recorded(lake, samples, 0).groups)
    if asked:
        kinds = {"recorded": lambda seed: recorded(lake, samples, seed)} | kinds
    recipes = [load_recipe(home, name).in_force(profile) for name in RECIPES]
    thresholds = {"laptop": recipes[:1], "laptop and hard": recipes}
    rows = []
    for kind, streams in kinds.items():
        for name, in_force in thresholds.items():
            rule = rule_of(in_force, profile.curation)
            runs = [play(streams(seed), rule) for seed in seeds]
            rows.append({"streams": kind, "sets": name} | _over_seeds(runs))
    first = rows[0]
    return {
        "name": NAME,
        "figures": {
            "samples_spared": first["spared"],
            "decision_agreement": first["decision_agreement"],
            "bucket_agreement": first["bucket_agreement"],
            "holds": first["holds"],
            "streams": first["streams"],
            "recorded_problems": asked,
            "seeds": list(seeds),
            "all": rows,
        },
        "peer": None,
        "ratio": None,
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench {NAME} --profile {profile_name} --seeds {','.join(map(str, seeds))} --json",
    }


def _over_seeds(runs: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    held = all(
        run["spared"] >= LEAST_SPARED
        and run["decision_agreement"] >= LEAST_DECISIONS
        and run["bucket_agreement"] >= LEAST_BUCKETS
        for run in runs
    )
    return {name: [round(run[name], 4) for run in runs] for name in runs[0]} | {"holds": held}
