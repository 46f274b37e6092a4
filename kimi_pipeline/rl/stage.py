"""The RL stage: from a prompt set and the SFT checkpoint to the RL checkpoint.

Belongs here: what the job reads and what is registered. Does not belong here: the algorithm (`loop.py` and below).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from kimi_pipeline.checkpoints import find_checkpoint
from kimi_pipeline.curation.promotion import in_use
from kimi_pipeline.curation.selection import RL_PROMPT_SET
from kimi_pipeline.errors import UserError
from kimi_pipeline.plots import curves
from kimi_pipeline.profiles.training import Rl
from kimi_pipeline.reward_models.service import check_cot_folder
from kimi_pipeline.reward_models.stages import COT_REWARD_MODEL
from kimi_pipeline.rewards.code import CODE as PROGRAM_CODE
from kimi_pipeline.rewards.math_rules import CODE as MATH_CODE
from kimi_pipeline.rl.reward_watch import SIGNALS
from kimi_pipeline.stages import Context, Outcome, Stage, code_version, latest_outcome, require_outcome
from kimi_pipeline.training.stages import SFT_CHECKPOINT

JOB = "kimi_pipeline.rl.loop"
CODE = (
    "kimi_pipeline.inference.request",
    "kimi_pipeline.inference.templates",
    "kimi_pipeline.rl.asking",
    "kimi_pipeline.rl.course",
    "kimi_pipeline.rl.judging",
    "kimi_pipeline.rl.learning",
    "kimi_pipeline.rl.loop",
    "kimi_pipeline.rl.mirror_descent",
    "kimi_pipeline.rl.objectives",
    "kimi_pipeline.rl.prompt_sampling.curriculum",
    "kimi_pipeline.rl.prompt_sampling.prioritized",
    "kimi_pipeline.rl.prompt_sampling.prompts",
    "kimi_pipeline.rl.prompt_sampling.sampler",
    "kimi_pipeline.rl.prompt_sampling.success_rates",
    "kimi_pipeline.rl.prompt_sampling.uniform",
    "kimi_pipeline.rl.replay_buffer",
    "kimi_pipeline.rl.rollout",
    "kimi_pipeline.rl.segments",
    "kimi_pipeline.rl.trajectories",
    "kimi_pipeline.training.engine",
    "kimi_pipeline.training.examples",
    "kimi_pipeline.training.optimizers",
    "kimi_pipeline.training.packing",
    "kimi_pipeline.training.policy",
    "kimi_pipeline.rewards.by_kind",
    "kimi_pipeline.rewards.composite",
    "kimi_pipeline.rewards.length",
    "kimi_pipeline.rewards.random_reward",
    "kimi_pipeline.rewards.repetition",
    *MATH_CODE,
    *PROGRAM_CODE,
)
"""What a run's course depends on: where one of these does something else, a saved run is not gone on with. The engine
(`inference/vllm_carrier.py` and below) is left out: what it is asked is in these."""
BY_HEART = 5  # times that a run asks each problem of its set, on average
JUDGE_CODE = tuple(f"kimi_pipeline.reward_models.{name}" for name in ("cot", "service", "verdicts", "wording"))
"""What it depends on besides, where the reward asks the Chain-of-Thought RM."""


def _settings(context: Context) -> dict[str, Any]:
    profile = context.profile
    cut = latest_outcome(RL_PROMPT_SET, context)
    chosen = in_use(context.lake, cut.outputs) if cut else {}
    # The version that was cut last is named by its data version upstream.
    held_back = {"prompt_set": chosen["digest"]} if cut and chosen["version"] != cut.outputs["version"] else {}
    return (
        held_back
        | _judge(context)
        | {
            "rl": profile.rl.course(),
            "dtype": profile.model.dtype,
            "template": profile.curation.template,
            "seed": profile.seed,
        }
    )


def _judge(context: Context) -> dict[str, Any]:
    """The Chain-of-Thought RM that the reward asks, and how; nothing where it asks none."""
    profile = context.profile
    if profile.rl.reward != "composite":
        return {}
    made = latest_outcome(COT_REWARD_MODEL, context)
    asked = {name: getattr(profile.reward_models, name) for name in ("votes", "temperature", "max_tokens")}
    checkpoint = made.outputs["digest"] if made else None
    return {"judge": asked | {"checkpoint": checkpoint, "code": code_version(JUDGE_CODE)}}


def _judge_spec(context: Context) -> dict[str, Any] | None:
    """What the job is told of the judge. Raises UserError where the composite reward has none that writes verdicts."""
    return _cot_rm(context, "rl.reward = composite") if context.profile.rl.reward == "composite" else None


def _watch_judge_spec(context: Context) -> dict[str, Any] | None:
    """The same of the judge that the watch over the reward asks; a composite reward brings its own."""
    rl = context.profile.rl
    asks = rl.watch != "off" and rl.watch_judge == "cot_rm" and rl.reward == "rules"
    return _cot_rm(context, "rl.watch_judge = cot_rm") if asks else None


def _cot_rm(context: Context, who: str) -> dict[str, Any]:
    made = require_outcome(COT_REWARD_MODEL, context).outputs
    if made["folder"] is None:
        raise UserError(f"{who} asks a Chain-of-Thought RM: set reward_models.examples above 0")
    check_cot_folder(Path(made["folder"]))
    return {"digest": made["digest"], "folder": made["folder"]}


def run_job(context: Context) -> dict[str, Any]:
    """Run the RL job on the current version of the set; returns its result (see `loop.py`). What is already trained of it is
    not trained again."""
    policy = require_outcome(SFT_CHECKPOINT, context).outputs
    chosen = in_use(context.lake, require_outcome(RL_PROMPT_SET, context).outputs)
    if policy["folder"] is None:
        raise UserError("rl_checkpoint trains weights, and an endpoint has none: use a profile with carrier vllm")
    prompts = context.lake.sql(
        "select p.problem_id, prompt, answer, answer_kind, weight, p.pass_rate, d.n as samples, bucket, domain "
        "from prompt_set p left join (select problem_id, max(n) as n from difficulty where checkpoint = ? group by 1) d "
        "on d.problem_id = p.problem_id "
        "where prompt_set = ? and version = ? order by p.problem_id",
        [policy["digest"], chosen["prompt_set"], chosen["version"]],
    )
    if not prompts.num_rows:
        raise UserError(
            f"prompt set {chosen['prompt_set']}@{chosen['version']} is empty: loosen its recipe's thresholds"
        )
    if told := too_few(prompts.num_rows, context.profile.rl):
        context.say(f"  {told}")
    path = context.home.jobs / f"prompts-{chosen['prompt_set']}-{chosen['digest']}.parquet"
    pq.write_table(prompts, path)
    return context.launcher.run(
        JOB,
        {
            "home": str(context.home.root),
            "profile": context.profile.settings(),
            "run_id": context.run_id,
            "code": code_version((*CODE, *JUDGE_CODE) if context.profile.rl.reward == "composite" else CODE),
            "checkpoint": {"digest": policy["digest"], "folder": policy["folder"]},
            "judge": _judge_spec(context),
            "watch_judge": _watch_judge_spec(context),
            "prompts": str(path),
            "prompt_set": {"name": chosen["prompt_set"], "version": chosen["version"], "digest": chosen["digest"]},
        },
        ranks=context.profile.rl.ranks,
    )


def too_few(problems: int, rl: Rl) -> str | None:
    """What to say where a run asks a set of so many problems often enough to learn them by heart: its own pass rate rises
    then, and the held-out one need not (docs/experiments.md, the first real model)."""
    draws = rl.iterations * rl.prompts / problems
    if draws < BY_HEART:
        return None
    return (
        f"the set has {problems} problems, and each is asked about {draws:.0f} times: the policy may learn them by heart; "
        f"a larger corpus or fewer rl.iterations tells more"
    )


def train_rl(context: Context) -> Outcome:
    """The job's checkpoint with its curves."""
    made = run_job(context)
    checkpoint = find_checkpoint(context.home.checkpoints, made["digest"])
    history = made["curves"]
    return Outcome(
        data_version=checkpoint.digest,
        figures={name: round(value, 4) for name, value in checkpoint.metrics.items()},
        outputs={
            "digest": checkpoint.digest,
            "folder": str(checkpoint.folder),
            "note": checkpoint.note,
            "policy": made["policy"],
        },
        plots=_plots(history, Path(context.home.reports), context.prompt_set),
        preview=history[:: max(1, len(history) // 10)],
    )


def _plots(history: list[dict[str, float]], folder: Path, prompt_set: str) -> dict[str, str]:
    """The curves of a run, as files: reward, pass rates by label, length, phases, and what partial rollouts do."""
    names = sorted({name for point in history for name in point})
    labels = [name for name in names if name.startswith("pass_rate_")]
    parts = [name for name in names if name.startswith("reward_")]
    phases = [name for name in names if name.startswith("seconds_")]
    wanted = {
        "reward": ("Mean reward of an iteration and its parts", "reward", ["reward", *parts]),
        "pass_rate": ("Pass rate by domain and difficulty", "pass rate", ["pass_rate", *labels]),
        "tokens_mean": ("Mean length of a response", "tokens", ["tokens_mean"]),
        "phases": ("Where an iteration's time goes", "seconds", phases),
        "watch": ("Signals of reward hacking", "share of responses", [f"watch_{name}" for name in SIGNALS]),
        "staleness": ("Age of trained segments", "iterations", ["staleness"]),
    }
    plots = {}
    for name, (title, y, series) in wanted.items():
        # An iteration in which no group was complete has no reward: a gap in the curve.
        values = {one: [point.get(one, math.nan) for point in history] for one in series if one in names}
        if values:
            path = folder / f"rl-{prompt_set}-{name}.png"
            plots[name] = curves(values, path, title=title, x="iteration", y=y)
    return plots


RL_CHECKPOINT = Stage(
    name="rl_checkpoint",
    description="RL by online mirror descent on a prompt set",
    group="reinforcement",
    compute=train_rl,
    upstream=("sft_checkpoint", "rl_prompt_set", "decision_ledger"),
    after=("cot_reward_model", "suite_strength"),
    settings=_settings,
    code=CODE,
    kinds=("deepspeed", "vllm", "mlflow"),
    by_set=True,
)
