"""Speed of RL: our loop beside TRL's GRPOTrainer and beside a loop written by hand.

Belongs here: the work that all three do, running them in turn, the figures. Does not belong here: the rivals themselves
(`benchmarks/plain_loop.py`, `benchmarks/trl_grpo.py`).

All start from one short SFT checkpoint and do the same work: the same prompts, k responses a prompt at temperature 1,
float32, the same optimizer steps a sample, the same threads. The task's responses have one length, which each arm
measures; the learning rate is low, so that it stays so. Ours is the job itself with all that it keeps: replay buffer,
iteration checkpoints, commits to the lake, MLflow, the canary; its seconds are whole iterations, checkpoint included.
Rounds alternate the arms, each in a process of its own; engine start and the first iterations are left out.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kimi_pipeline.bench import toy
from kimi_pipeline.bench.peers import BENCHMARKS, peer_python
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.inference.templates import TEMPLATES
from kimi_pipeline.jobs import LocalLauncher
from kimi_pipeline.profiles import Profile, load_profile
from kimi_pipeline.stages import new_run_id

NAME = "rl"
OURS, PLAIN, TRL = "ours", "plain", "trl"
SETTINGS = {
    "model.layers": 2,
    "model.width": 64,
    "model.heads": 4,
    "model.window": 128,
    "sft.clean_examples": 4000,
    "rl.prompts": 32,
    "rl.samples": 8,
    "rl.max_tokens": 64,
    "rl.mini_steps": 4,
    "rl.learning_rate": 1e-5,
    "rl.warm_up": 0,
}
PHASES = ("rollout", "reward", "train", "hand_over", "checkpoint")


@dataclass(frozen=True)
class Size:
    """How long is measured: `rounds` of all arms, each with `measured` iterations after `left_out` ones."""

    rounds: int = 5
    left_out: int = 2
    measured: int = 4


def measure(home: Home, size: Size | None = None, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Trained samples a second of the three arms, medians over rounds; ratios are medians of each round's own ratio.

    `changes` are settings beside `SETTINGS`. Raises UserError where TRL's venv can't be made, and where an arm fails.
    """
    size = size or Size()
    settings = SETTINGS | {"rl.iterations": size.left_out + size.measured} | dict(changes or {})
    profile = load_profile("laptop", settings)
    own = Home(home.root / "bench" / NAME).prepare()
    python = {PLAIN: Path(sys.executable), TRL: peer_python(home, "trl")}
    policy = toy.policy(own, profile, toy.fixed, new_run_id())
    work = _work(profile, policy)
    found: dict[str, list[dict[str, list[float]]]] = {OURS: [], PLAIN: [], TRL: []}
    for number in range(size.rounds):
        print(f"bench rl: round {number + 1} of {size.rounds}", file=sys.stderr, flush=True)
        found[OURS].append(_ours(own, profile, policy))
        found[PLAIN].append(_rival(own, python[PLAIN], "plain_loop.py", work))
        found[TRL].append(_rival(own, python[TRL], "trl_grpo.py", work))
    told = figures(found, profile.rl.prompts * profile.rl.samples, size.left_out)
    return {
        "name": NAME,
        "figures": told,
        "peer": "TRL GRPOTrainer, its own generation",
        "ratio": told["trl_ratio"],
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench {NAME}",
    }


def figures(
    found: Mapping[str, Sequence[Mapping[str, Sequence[float]]]], samples: int, left_out: int
) -> dict[str, Any]:
    """What is told of the arms' rounds. `samples`: those trained on in an iteration.

    `hand_over_share`: of our iteration; `phases`: seconds of ours by phase, `plain_phases` of the plain loop, medians over
    all iterations of all rounds.
    """
    told: dict[str, Any] = {}
    for arm, rounds in found.items():
        speeds = [samples / seconds for seconds in _seconds(rounds, left_out)]
        told[arm] = {
            "samples_per_second": round(statistics.median(speeds), 1),
            "rounds": [round(speed, 1) for speed in speeds],
            "tokens_a_response": round(_median(rounds, "tokens", left_out), 2),
            "reward": round(_median(rounds, "rewards", left_out), 3),
        }
    told["samples_per_second"] = told[OURS]["samples_per_second"]
    told["trl_ratio"] = round(_ratio(found, TRL, left_out), 3)
    told["plain_ratio"] = round(_ratio(found, PLAIN, left_out), 3)
    told["phases"] = _phases(found[OURS], left_out)
    told["plain_phases"] = _phases(found[PLAIN], left_out)
    told["hand_over_share"] = round(told["phases"]["hand_over"] / told["phases"]["seconds"], 4)
    return told


def _phases(rounds: Sequence[Mapping[str, Sequence[float]]], left_out: int) -> dict[str, float]:
    names = [name for name in (*PHASES, "seconds") if name in rounds[0]]
    return {name: round(_median(rounds, name, left_out), 4) for name in names}


def _seconds(rounds: Sequence[Mapping[str, Sequence[float]]], left_out: int) -> list[float]:
    """Seconds of an iteration, the mean of each round."""
    return [statistics.mean(one["seconds"][left_out:]) for one in rounds]


def _ratio(found: Mapping[str, Sequence[Mapping[str, Sequence[float]]]], rival: str, left_out: int) -> float:
    pairs = zip(_seconds(found[OURS], left_out), _seconds(found[rival], left_out), strict=True)
    return statistics.median(theirs / ours for ours, theirs in pairs)


def _median(rounds: Sequence[Mapping[str, Sequence[float]]], name: str, left_out: int) -> float:
    return statistics.median(value for one in rounds for value in one[name][left_out:])


def _work(profile: Profile, policy: Mapping[str, str]) -> dict[str, Any]:
    """What the rivals are given: the spec that `benchmarks/plain_loop.py` describes."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(policy["folder"])
    template, rl = TEMPLATES[profile.curation.template], profile.rl
    prompts = []
    for row in toy.prompts():
        message = [{"role": "user", "content": template.user_message(row["prompt"], "reasoning")}]
        text = tokenizer.apply_chat_template(message, add_generation_prompt=True, tokenize=False)
        prompts.append({"text": text, "answer": row["answer"]})
    return {
        "model": policy["folder"],
        "prompts": prompts,
        "groups": rl.prompts,
        "samples": rl.samples,
        "max_tokens": rl.max_tokens,
        "mini_steps": rl.mini_steps,
        "tau": rl.tau,
        "learning_rate": rl.learning_rate,
        "iterations": rl.iterations,
        "window": profile.model.window,
        "threads": profile.inference.threads,
        "seed": profile.seed,
    }


def _ours(own: Home, profile: Profile, policy: Mapping[str, str]) -> dict[str, list[float]]:
    """The RL job in a home of its own, anew; lists with an entry an iteration."""
    root = own.root / "round"
    shutil.rmtree(root, ignore_errors=True)
    home = Home(root).prepare()
    result = LocalLauncher(home.jobs).run(
        "kimi_pipeline.rl.loop",
        {
            "home": str(home.root),
            "profile": profile.settings(),
            "run_id": new_run_id(),
            "checkpoint": dict(policy),
            "prompts": toy.write_prompts(root / "prompts.parquet"),
            "prompt_set": {"name": "bench", "version": 1, "digest": "0" * 32},
        },
    )
    curves = result["curves"]
    if any(point["steps"] != profile.rl.mini_steps for point in curves):
        raise UserError("bench rl: ours took fewer optimizer steps than the rivals: raise rl.prompts")
    named = {"rewards": "reward", "tokens": "tokens_mean", "seconds": "seconds"} | {
        name: f"seconds_{name}" for name in PHASES
    }
    return {name: [point[column] for point in curves] for name, column in named.items()}


def _rival(own: Home, python: Path, script: str, work: Mapping[str, Any]) -> dict[str, list[float]]:
    """A rival in a process of its own."""
    spec, result = own.root / "work.json", own.root / "rival.json"
    spec.write_text(json.dumps(work))
    result.unlink(missing_ok=True)
    done = subprocess.run(
        [python, BENCHMARKS / script, spec, result], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    if done.returncode or not result.is_file():
        sys.stderr.write(done.stderr.decode(errors="replace")[-4000:])
        raise UserError(f"bench rl: benchmarks/{script} failed: its output is above")
    return json.loads(result.read_text())
