"""Speed of RL: our loop beside TRL's GRPOTrainer and beside a loop written by hand.

Belongs here: the work that all three do, running them in turn, the figures. Does not belong here: the rivals themselves
(`benchmarks/plain_loop.py`, `benchmarks/trl_grpo.py`).

All start from one short SFT checkpoint and do the same work: the same prompts, k responses a prompt at temperature 1,
float32, the same optimizer steps a sample, the same threads. The learning rate is low, so that response lengths stay what
SFT made them; each arm reports its own. Ours is the job itself with all that it keeps: replay buffer, iteration
checkpoints, commits to the lake, MLflow, the canary; its seconds are whole iterations, checkpoint included.

There are two workloads. `long_tailed` is the one that the ratios are about, the task of the bench of partial rollouts:
responses to a problem vary in length, and a few problems take ten times as long as most, as in reasoning. In `equal` every
response has the same few tokens, so that nobody ever waits or pads: the easiest case for a padded batch.

On a GPU (`--set inference.device=cuda --set model.dtype=bfloat16`, and a size of the model) the rivals keep float32 weights
under autocast, as TRL's default has it, and `on_gpu.py` adds figures of ours.

A round is all arms of all workloads in turn, each in a process of its own; engine start and the first iterations are left
out. Each round begins with another arm, since a machine may be slower for a while after one that was hard on it. A round's
arm that is finished is kept.
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
from kimi_pipeline.bench.cells import Cell, Study
from kimi_pipeline.bench.on_gpu import Lists, gpu_figures, matrix_product
from kimi_pipeline.bench.peers import BENCHMARKS, REQUIREMENTS, peer_python
from kimi_pipeline.checkpoints import count_parameters
from kimi_pipeline.digests import digest, file_digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.inference.templates import TEMPLATES
from kimi_pipeline.jobs import LocalLauncher
from kimi_pipeline.profiles import Profile, load_profile
from kimi_pipeline.profiles.profile import as_overrides
from kimi_pipeline.rl.stage import CODE, JOB
from kimi_pipeline.stages import code_version, new_run_id

NAME = "rl"
OURS, PLAIN, TRL = "ours", "plain", "trl"
ARMS = (OURS, PLAIN, TRL)
SCRIPTS = {PLAIN: "plain_loop.py", TRL: "trl_grpo.py"}
SETTINGS = {
    "model.layers": 2,
    "model.width": 64,
    "model.heads": 4,
    "rl.prompts": 32,
    "rl.samples": 8,
    "rl.mini_steps": 4,
    "rl.learning_rate": 1e-5,
    "rl.warm_up": 0,
    "rl.zero_stage": 0,  # one rank has nobody to share its optimizer with; the rivals' is torch's as well
}
LONG_TAILED, EQUAL = "long_tailed", "equal"
PHASES = ("rollout", "reward", "train", "hand_over", "checkpoint", "idle")
# Tokens; for the plain loop the fastest of 2048, 4096 and 8192 on two cores and long-tailed lengths.
CPU_MICRO_BATCH = 2048
MEASURED_CODE = (
    *CODE,
    "kimi_pipeline.bench.rl",
    "kimi_pipeline.bench.toy",
    "kimi_pipeline.inference.vllm_carrier",
    "kimi_pipeline.inference.vllm_engine",
    "kimi_pipeline.rl.handover",
    "kimi_pipeline.rl.master",
    "kimi_pipeline.rl.records",
    "kimi_pipeline.rl.recovery",
)


@dataclass(frozen=True)
class Workload:
    """A task and the settings that its lengths need."""

    steps: toy.Steps
    settings: Mapping[str, Any]


WORKLOADS = {
    LONG_TAILED: Workload(
        toy.long_tailed,
        {"model.window": 512, "rl.max_tokens": 480, "sft.clean_examples": 6000, "sft.max_held_out_loss": 2.0},
    ),
    EQUAL: Workload(toy.fixed, {"model.window": 128, "rl.max_tokens": 64, "sft.clean_examples": 4000}),
}


@dataclass(frozen=True)
class Size:
    """How long is measured: `rounds` of all arms, each with `measured` iterations after `left_out` ones."""

    rounds: int = 5
    left_out: int = 1
    measured: int = 3


def measure(
    home: Home,
    size: Size | None = None,
    changes: Mapping[str, Any] | None = None,
    workloads: Sequence[str] = tuple(WORKLOADS),
) -> dict[str, Any]:
    """Trained samples a second of the three arms, medians over rounds; ratios are medians of each round's own ratio, of the
    first workload.

    `changes` are settings beside those of the workloads. Raises UserError where TRL's venv can't be made, and where an arm
    fails.
    """
    size, changes = size or Size(), dict(changes or {})
    own = Home(home.root / "bench" / NAME).prepare()
    python = {PLAIN: Path(sys.executable), TRL: peer_python(home, "trl")}
    study = Study(own.root / "rounds", say=lambda text: print(f"bench rl: {text}", file=sys.stderr, flush=True))
    profiles = {
        name: load_profile(
            "laptop",
            SETTINGS | dict(WORKLOADS[name].settings) | {"rl.iterations": size.left_out + size.measured} | changes,
        )
        for name in workloads
    }
    cells = [
        _cell(own, profile, python, workload, arm, number)
        for number in range(size.rounds)
        for workload, profile in profiles.items()
        for arm in turn(number)
    ]
    study.run(cells, stop_at_failure=True)
    found: dict[str, dict[str, list[Lists]]] = {name: {arm: [] for arm in ARMS} for name in workloads}
    for cell in cells:
        workload, _, arm = cell.arm.partition("-")
        found[workload][arm].append(study.look(cell).result or {})
    first = profiles[workloads[0]]
    samples = first.rl.prompts * first.rl.samples
    told = {name: figures(arms, samples, size.left_out) for name, arms in found.items()}
    machine = f"{os.cpu_count()} CPU cores"
    if first.inference.device == "cuda":
        gpu, reached = matrix_product()
        machine = f"{gpu}, {machine}"
        for name, profile in profiles.items():
            policy = toy.policy(own, profile, WORKLOADS[name].steps, new_run_id())
            weights = count_parameters(Path(policy["folder"]))
            told[name] |= gpu_figures(found[name][OURS], weights, reached, size.left_out)
    options = f" --rounds {size.rounds}" if size.rounds != Size().rounds else ""
    if set(workloads) != set(WORKLOADS):
        options += "".join(f" --workload {name}" for name in workloads)
    names = ("trl_ratio", "plain_ratio", "trl_cpu_ratio", "plain_cpu_ratio", "hand_over_share")
    return {
        "name": NAME,
        "figures": {name: told[workloads[0]][name] for name in names} | told,
        "peer": "TRL GRPOTrainer, its own generation",
        "ratio": told[workloads[0]]["trl_ratio"],
        "machine": machine,
        "command": f"kimi-pipeline bench {NAME}{options}{as_overrides(changes)}",
    }


def figures(found: Mapping[str, Sequence[Lists]], samples: int, left_out: int) -> dict[str, Any]:
    """What is told of the arms' rounds. `samples`: those trained on in an iteration.

    Ratios above 1 mean that ours was faster: by the clock, and (`..._cpu_ratio`) in CPU seconds of the process, which other
    work on the machine disturbs less. `hand_over_share`: of our iteration; `phases`: seconds of ours by phase, `plain_phases`
    of the plain loop, medians over all iterations of all rounds.
    """
    told: dict[str, Any] = {}
    for rival in (TRL, PLAIN):
        told[f"{rival}_ratio"] = round(_ratio(found, rival, "seconds", left_out), 3)
        told[f"{rival}_cpu_ratio"] = round(_ratio(found, rival, "cpu_seconds", left_out), 3)
    phases, plain_phases = (_phases(found[arm], left_out) for arm in (OURS, PLAIN))
    told["hand_over_share"] = round(phases["hand_over"] / phases["seconds"], 4)
    for arm, rounds in found.items():
        speeds = [samples / seconds for seconds in _means(rounds, "seconds", left_out)]
        told[arm] = {
            "samples_per_second": round(statistics.median(speeds), 1),
            "rounds": [round(speed, 1) for speed in speeds],
            "cpu_seconds": round(statistics.median(_means(rounds, "cpu_seconds", left_out)), 3),
            "tokens_a_response": round(statistics.mean(_means(rounds, "tokens", left_out)), 2),
            "reward": round(statistics.mean(_means(rounds, "rewards", left_out)), 3),
        }
    return told | {"phases": phases, "plain_phases": plain_phases}


def _phases(rounds: Sequence[Lists], left_out: int) -> dict[str, float]:
    names = [name for name in (*PHASES, "seconds") if name in rounds[0]]
    return {
        name: round(statistics.median(value for one in rounds for value in one[name][left_out:]), 4) for name in names
    }


def _means(rounds: Sequence[Lists], name: str, left_out: int) -> list[float]:
    """Of an iteration, the mean of each round."""
    return [statistics.mean(one[name][left_out:]) for one in rounds]


def _ratio(found: Mapping[str, Sequence[Lists]], rival: str, name: str, left_out: int) -> float:
    pairs = zip(_means(found[OURS], name, left_out), _means(found[rival], name, left_out), strict=True)
    return statistics.median(theirs / ours for ours, theirs in pairs)


def turn(number: int) -> tuple[str, ...]:
    """The arms in the order of a round."""
    first = number % len(ARMS)
    return ARMS[first:] + ARMS[:first]


# -- running the arms -------------------------------------------------------------------------------------------


def _cell(own: Home, profile: Profile, python: Mapping[str, Path], workload: str, arm: str, number: int) -> Cell:
    """An arm in a round, whose number is also its seed; all rounds start from the workload's one checkpoint."""
    seeded = profile.with_changes({"seed": number})
    inputs = {"settings": digest(seeded.settings()), "code": _code(arm)}

    def base() -> dict[str, str]:
        return toy.policy(own, profile, WORKLOADS[workload].steps, new_run_id())

    def prepare() -> None:
        base()

    def work() -> dict[str, Any]:
        if arm == OURS:
            return _ours(own, seeded, base())
        return _rival(own, python[arm], SCRIPTS[arm], _work(seeded, base()))

    return Cell(f"{workload}-{arm}", number, inputs=lambda: inputs, work=work, prepare=prepare)


def _code(arm: str) -> str:
    if arm == OURS:
        return code_version(MEASURED_CODE)
    pinned = [file_digest(REQUIREMENTS / "trl.txt")] if arm == TRL else []
    return digest([file_digest(BENCHMARKS / SCRIPTS[arm]), *pinned])


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
        "device": profile.inference.device,
        "dtype": profile.model.dtype,
        "micro_batch_tokens": rl.micro_batch_tokens if profile.inference.device == "cuda" else CPU_MICRO_BATCH,
        "gpu_memory_share": profile.inference.gpu_memory_share,
        "threads": profile.inference.threads,
        "seed": profile.seed,
    }


def _ours(own: Home, profile: Profile, policy: Mapping[str, str]) -> dict[str, list[float]]:
    """The RL job in a home of its own, anew; lists with an entry an iteration."""
    root = own.root / "round"
    shutil.rmtree(root, ignore_errors=True)
    home = Home(root).prepare()
    result = LocalLauncher(home.jobs).run(
        JOB,
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
    named = {"rewards": "reward", "tokens": "tokens_mean", "seconds": "seconds", "cpu_seconds": "cpu_seconds"}
    named |= {"decoded": "tokens", "tokens_scored": "tokens_scored", "tokens_trained": "tokens_trained"}
    named |= {name: f"seconds_{name}" for name in PHASES}
    named |= {name: name for name in curves[0] if name.startswith("memory_gib_")}
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
        how = f"killed by signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        raise UserError(f"bench rl: benchmarks/{script} failed ({how}): its output is above")
    return json.loads(result.read_text())
