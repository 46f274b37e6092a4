"""Partial rollouts: what a token budget an iteration saves where response lengths have a long tail [2.6.2].

Belongs here: the two arms, evaluating what they trained, the figures. Does not belong here: partial rollouts themselves
(`rl/rollout.py`, `rl/replay_buffer.py`).

Both arms are real RL jobs from the same SFT checkpoint, with the same number of trajectories in flight. `partial` cuts
every response at `rl.segment_tokens` an iteration; `whole` samples each to its end. The partial arm runs first; the other
then takes as many iterations as come nearest to the same number of trained groups. An arm that is finished is kept.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from kimi_pipeline.bench import toy
from kimi_pipeline.bench.cells import Cell, Once, Study
from kimi_pipeline.digests import digest
from kimi_pipeline.home import Home
from kimi_pipeline.intervals import wilson
from kimi_pipeline.jobs import LocalLauncher
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles import Profile, load_profile
from kimi_pipeline.profiles.profile import as_overrides
from kimi_pipeline.rl.stage import CODE, JOB
from kimi_pipeline.stages import code_version, new_run_id

NAME = "partial"
PARTIAL, WHOLE = "partial", "whole"
SETTINGS = {
    "model.layers": 2,
    "model.width": 64,
    "model.heads": 4,
    "model.window": 512,
    "sft.clean_examples": 6000,
    "sft.max_held_out_loss": 2.0,
    "rl.prompts": 32,
    "rl.samples": 8,
    "rl.max_tokens": 480,
    "rl.iterations": 32,
    "rl.mini_steps": 4,
    "rl.learning_rate": 4e-4,
    "rl.warm_up": 2,
}
SEGMENT_TOKENS = 48
EVALUATED = 14  # answers a prompt at temperature 1, of each arm's final checkpoint


def measure(home: Home, seeds: Sequence[int], changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Figures over seeds. `changes` are settings beside `SETTINGS`. Raises UserError where an arm's job refuses."""
    own = Home(home.root / "bench" / NAME).prepare()
    study = Study(own.root / "arms", say=lambda text: print(f"bench partial: {text}", file=sys.stderr, flush=True))
    pairs = []
    for seed in seeds:
        pair = _cells(own, study, load_profile("laptop", SETTINGS | {"seed": seed} | dict(changes or {})))
        study.run(pair, stop_at_failure=True)
        pairs.append([study.look(cell).result or {} for cell in pair])
    told = figures(pairs)
    return {
        "name": NAME,
        "figures": {"seeds": list(seeds)} | told,
        "peer": "the same loop, each response sampled to its end",
        "ratio": told["model_time_ratio"]["mean"],
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench {NAME} --seeds {','.join(map(str, seeds))}{as_overrides(changes or {})}",
    }


def figures(pairs: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """What is told of pairs (partial, whole) of `arm_result`: ratios above 1 mean that partial rollouts took less.

    `decode_steps_ratio`: engine steps an iteration; `longest_rollout_ratio`: the longest rollout phase after the first;
    `model_time_ratio`: rollout and training together for a finished rollout, `rollout_time_ratio`: rollout alone;
    `accuracy_difference`: partial less whole, temperature 1, final checkpoints. Time is CPU seconds, since the arms run one
    after the other on a machine that others may use; `wall_...` is the same by the clock.
    """
    measured = {
        "decode_steps_ratio": "decode_steps",
        "longest_rollout_ratio": "cpu_longest_rollout",
        "model_time_ratio": "cpu_model_seconds",
        "rollout_time_ratio": "cpu_rollout_seconds",
        "wall_longest_rollout_ratio": "longest_rollout",
        "wall_model_time_ratio": "model_seconds",
    }
    told: dict[str, Any] = {
        name: _spread([whole[of] / partial[of] for partial, whole in pairs]) for name, of in measured.items()
    }
    told["accuracy_difference"] = _spread([p["accuracy"] - w["accuracy"] for p, w in pairs])
    for place, arm in enumerate((PARTIAL, WHOLE)):
        names = ("groups", "iterations", *measured.values(), "accuracy", "accuracy_before", "tokens_mean", "evaluated")
        told[arm] = {name: [round(pair[place][name], 4) for pair in pairs] for name in names}
    return told


def arm_result(curves: Sequence[Mapping[str, float]], samples: int) -> dict[str, float]:
    """The sums of an arm's curves; `samples` is the k of a group. Seconds are those of a finished rollout."""
    groups = sum(point["groups"] for point in curves)
    found = {
        "groups": groups,
        "iterations": float(len(curves)),
        "decode_steps": statistics.mean(point["decode_steps"] for point in curves),
    }
    for kind in ("", "cpu_"):
        rollout = [point[f"{kind}seconds_rollout"] for point in curves]
        train = [point[f"{kind}seconds_train"] for point in curves]
        found |= {
            f"{kind}longest_rollout": max(rollout[1:]),
            f"{kind}rollout_seconds": sum(rollout) / (groups * samples),
            f"{kind}model_seconds": (sum(rollout) + sum(train)) / (groups * samples),
        }
    return found


def _spread(values: Sequence[float]) -> dict[str, Any]:
    return {
        "mean": round(statistics.mean(values), 4),
        "sd": round(statistics.stdev(values), 4) if len(values) > 1 else None,
        "runs": [round(value, 4) for value in values],
    }


def _cells(own: Home, study: Study, profile: Profile) -> list[Cell]:
    """The arms of a seed, partial rollouts first: it says how many groups the other has to train."""

    def base() -> None:
        toy.policy(own, profile, toy.long_tailed, new_run_id())

    code = code_version((*CODE, "kimi_pipeline.bench.partial", "kimi_pipeline.bench.toy"))
    segments = profile.rl.segment_tokens or SEGMENT_TOKENS

    def whole_profile() -> Profile:
        known = study.look(partial).result
        assert known is not None, "the partial arm has run before"
        iterations = max(2, round(known["groups"] / profile.rl.prompts))
        return profile.with_changes({"rl.segment_tokens": None, "rl.iterations": iterations})

    def partial_profile() -> Profile:
        return profile.with_changes({"rl.segment_tokens": segments})

    once = Once(base)

    def cell(arm: str, settings: Any) -> Cell:
        return Cell(
            arm,
            profile.seed,
            inputs=lambda: {"settings": digest(settings().settings()), "code": code},
            work=lambda: _run(own, profile, settings()),
            prepare=once,
        )

    partial = cell(PARTIAL, partial_profile)
    return [partial, cell(WHOLE, whole_profile)]


def _run(own: Home, base: Profile, profile: Profile) -> dict[str, Any]:
    """One RL job and the evaluation of its checkpoint (and of the one it began with)."""
    policy = toy.policy(own, base, toy.long_tailed, new_run_id())
    launcher = LocalLauncher(own.jobs)
    prompts = toy.write_prompts(own.root / "prompts.parquet")
    found = launcher.run(
        JOB,
        {
            "home": str(own.root),
            "profile": profile.settings(),
            "run_id": new_run_id(),
            "code": code_version(CODE),
            "checkpoint": policy,
            "prompts": prompts,
            "prompt_set": {"name": "bench", "version": 1, "digest": "0" * 32},
        },
    )
    trained = {"digest": found["digest"], "folder": found["checkpoint"]["folder"]}
    scores = _evaluated(own, launcher, profile, prompts, [policy, trained])
    after, before = scores[trained["digest"]], scores[policy["digest"]]
    low, high = wilson(after["right"], after["n"])
    return arm_result(found["curves"], profile.rl.samples) | {
        "accuracy": after["right"] / after["n"],
        "interval": [low, high],
        "accuracy_before": before["right"] / before["n"],
        "tokens_mean": after["tokens"],
        "evaluated": after["n"],
    }


def _evaluated(
    own: Home, launcher: LocalLauncher, profile: Profile, prompts: str, checkpoints: Sequence[Mapping[str, str]]
) -> dict[str, dict[str, Any]]:
    """Answers at temperature 1 by checkpoint: `n`, how many are `right`, mean `tokens`."""
    passes = [
        {
            "purpose": "evaluation",
            "checkpoint": dict(one),
            "template": profile.curation.template,
            "format": "reasoning",
            "temperature": 1.0,
            "max_tokens": profile.rl.max_tokens,
            "samples": EVALUATED,
            "seed": profile.seed,
            "problems": prompts,
        }
        for one in checkpoints
    ]
    spec = {"home": str(own.root), "profile": profile.settings(), "run_id": new_run_id(), "passes": passes}
    launcher.run("kimi_pipeline.inference.sampling_job", spec)
    rows = Lake(own.lake).rows(
        "select checkpoint, count(*) n, count(*) filter (status = 'correct') as right_ones, avg(completion_tokens) tokens "
        "from samples where purpose = 'evaluation' and checkpoint in (select unnest(?)) group by checkpoint",
        [[one["digest"] for one in checkpoints]],
    )
    return {row["checkpoint"]: {"n": row["n"], "right": row["right_ones"], "tokens": row["tokens"]} for row in rows}
