"""The RL job: `python -m kimi_pipeline.rl.loop SPEC`, one SPMD program [2.6]; several ranks under DeepSpeed's launcher.

Belongs here: the spec, the order of an iteration, what is recorded of it, the checkpoint. Does not belong here: the
phases themselves (`rollout.py`, `learning.py`, `handover.py`) and the loss (`mirror_descent.py`).

Each rank holds a shard of the trainer and a vLLM of its own; rank 0 is the report's master: it commits rollouts, tells
progress and writes the checkpoint. vLLM starts on dummy weights: what it samples with always came by a checked hand-over.

The spec: `{"home", "profile": settings, "run_id", "checkpoint": {"digest", "folder"}, "prompts": PARQUET, "prompt_set":
{"name", "version", "digest"}}`; the file has `problem_id, prompt, answer, answer_kind` and, where it likes, `weight`. The
result: `{"digest", "checkpoint": manifest, "policy", "curves": [figures of an iteration], "metrics", "seconds"}`.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kimi_pipeline.checkpoints import Checkpoint, save_checkpoint
from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.inference.store import Committer, SampleStore
from kimi_pipeline.jobs import Report, job_main
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles import Profile
from kimi_pipeline.rl.prompt_sampling import UniformSampler, read_prompts
from kimi_pipeline.training.runtime import Ranks, init_distributed, prepare_process

if TYPE_CHECKING:
    from kimi_pipeline.rl.rollout import Group
    from kimi_pipeline.training.engine import Trainer
    from kimi_pipeline.training.tracking import Tracker

KEPT_MOMENTS = "Adam's moments kept across iterations (rl.reset_optimizer = false)"
LAST = 5  # iterations that the checkpoint's metrics average over


@dataclass
class Progress:
    """Where the run stands; with weights and optimizer this is all that the next iteration depends on."""

    iteration: int = 0
    weight_version: int = 0
    curves: list[dict[str, float]] = field(default_factory=list)


def policy_name(spec: dict[str, Any], profile: Profile) -> str:
    """The name of the policy that this run trains: what its rollouts carry as checkpoint in the sample store.

    The weights of an iteration have no folder, but with the iteration this name says which they are: it covers all that
    the run's course depends on.
    """
    course = {
        "rl": profile.rl.model_dump(),
        "template": profile.curation.template,
        "seed": profile.seed,
        "window": profile.model.window,
        "dtype": profile.model.dtype,
        "parent": spec["checkpoint"]["digest"],
    }
    return digest(["rl", course, spec["prompt_set"]])


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Train the policy of `spec` and save it. Raises UserError for bad input and a loss that is no finite number,
    HandOverError where vLLM does not hold the trainer's weights."""
    began = time.monotonic()
    profile = Profile.model_validate(spec["profile"])
    _check(profile)
    prompts = read_prompts(Path(spec["prompts"]))
    home = Home(Path(spec["home"])).prepare()
    prepare_process(profile.inference)
    ranks = init_distributed(profile.inference.device, profile.inference.threads)
    if len(prompts) < profile.rl.prompts and ranks.is_master:
        report.info(f"the set has {len(prompts)} prompts, rl.prompts is {profile.rl.prompts}: each iteration takes all")

    loop = _Loop(spec, profile, home, report, ranks)
    loop.start(prompts)
    with ExitStack() as stack:
        if ranks.is_master:
            loop.open(stack)
        while loop.progress.iteration < profile.rl.iterations:
            loop.iterate()
        result = loop.finish(began)
    ranks.barrier()
    return result


def _check(profile: Profile) -> None:
    if profile.inference.carrier != "vllm":
        raise UserError("rl_checkpoint needs inference.carrier = 'vllm': an endpoint's weights can't be swapped")
    if profile.inference.tensor_parallel != 1:
        raise UserError("rl runs one vLLM a rank: set inference.tensor_parallel to 1")
    if profile.rl.temperature <= 0:
        raise UserError("rl.temperature is 0: k greedy responses are one; set it above 0, usually to 1")


class _Loop:
    """The parts of the program and one iteration of them."""

    def __init__(self, spec: dict[str, Any], profile: Profile, home: Home, report: Report, ranks: Ranks) -> None:
        self.spec, self.profile, self.home, self.report, self.ranks = spec, profile, home, report, ranks
        self.policy = policy_name(spec, profile)
        self.progress = Progress()
        self.committer: Committer | None = None
        self.tracker: Tracker | None = None

    def start(self, prompts: list[Any]) -> None:
        """Load the trainer, bring vLLM up beside it and hand it the first weights."""
        from kimi_pipeline.inference.vllm_carrier import VllmCarrier
        from kimi_pipeline.rewards.math_rules import MathReward
        from kimi_pipeline.rl.handover import Canary
        from kimi_pipeline.rl.learning import Learner
        from kimi_pipeline.rl.rollout import RolloutWorker
        from kimi_pipeline.training.engine import EngineSettings, Trainer

        profile, rl = self.profile, self.profile.rl
        folder = Path(self.spec["checkpoint"]["folder"])
        engine = EngineSettings(rl.zero_stage, profile.model.dtype, rl.learning_rate, rl.max_grad_norm)
        self.trainer: Trainer = Trainer(folder, engine, self.ranks)
        self.carrier = VllmCarrier(
            folder,
            profile.inference,
            window=profile.model.window,
            dtype=profile.model.dtype,
            ranks=self.ranks.size,
            colocated=True,
            dummy_weights=True,
            processed_logprobs=True,
        )
        tokenizer = self.carrier.tokenizer
        pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        self.sampler = UniformSampler(prompts, profile.seed)
        self.worker = RolloutWorker(self.carrier, profile, MathReward(), self.policy)
        self.worker.prepare(prompts)
        self.learner = Learner(self.trainer, rl, pad_id)
        first = [self.worker.tokens_of(prompt) for prompt in prompts]
        self.canary = Canary(first, temperature=rl.temperature, limit=rl.max_logprob_gap, pad_id=pad_id)
        self._hand_over()

    def open(self, stack: ExitStack) -> None:
        """What the master alone keeps: the sample store's writer and the MLflow run."""
        from kimi_pipeline.training.tracking import Tracker

        lake, limits = Lake(self.home.lake), self.profile.limits
        # A run that repeats an earlier one draws the same samples: they are committed once.
        self.committed = set(SampleStore(lake).recorded("rollout", {self.policy}))
        self.tracker = stack.enter_context(Tracker(self.home, "rl", self.spec["run_id"], self._recipe()))
        self.committer = stack.enter_context(
            Committer(
                lake,
                run_id=self.spec["run_id"],
                reason=f"rollouts of policy {self.policy[:12]}",
                seconds=limits.commit_seconds,
                samples=limits.commit_samples,
            )
        )

    def iterate(self) -> None:
        """Rollout, reward, training, hand-over, canary [2.6.1]."""
        from kimi_pipeline.rl.learning import rank_of

        rl, number = self.profile.rl, self.progress.iteration + 1
        began = time.monotonic()
        chosen = enumerate(self.sampler.draw(rl.prompts))
        own = [(place, p) for place, p in chosen if rank_of(place, rl.mini_steps, self.ranks.size) == self.ranks.rank]
        groups = self.worker.sample(own, number, self.progress.weight_version)
        rolled = time.monotonic()
        groups, learned = self.learner.learn(groups, number)
        trained = time.monotonic()
        gap = self._hand_over()
        handed = time.monotonic()
        self.progress.iteration = number
        phases = {
            "seconds_rollout": rolled - began,
            "seconds_train": trained - rolled,
            "seconds_hand_over": handed - trained,
        }
        self._record(groups, learned | {"gap_canary": gap} | phases, began)

    def _hand_over(self) -> float:
        from kimi_pipeline.rl.handover import hand_over

        hand_over(self.carrier, self.trainer.named_weights())
        self.progress.weight_version += 1
        return self.canary.check(self.trainer, self.carrier, self.progress.iteration)

    def _record(self, groups: list[Group], learned: dict[str, float], began: float) -> None:
        from kimi_pipeline.rl.figures import counts_of, rollout_figures

        gathered = self.ranks.gather((counts_of(groups), self.worker.rows(groups)))
        if gathered is None or self.committer is None or self.tracker is None:
            return
        for _, rows in gathered:
            for row in rows:
                if row["sample_id"] not in self.committed:
                    self.committer.add(row)
        number, total = self.progress.iteration, self.profile.rl.iterations
        seconds = time.monotonic() - began
        figures = rollout_figures([counts for counts, _ in gathered]) | learned | {"seconds": seconds}
        figures["tokens_per_second"] = figures["tokens"] / max(figures["seconds_rollout"], 1e-9)
        self.progress.curves.append({"iteration": number} | figures)
        self.tracker.log(number, figures)
        note = "reward {reward:.3f}, {tokens_mean:.1f} tokens, kl {kl:.4f}, {seconds:.1f} s an iteration".format(
            **figures
        )
        self.report.progress(number, total, note)

    def finish(self, began: float) -> dict[str, Any]:
        """Save the checkpoint; the master returns the job's result."""
        weights = self.trainer.whole_weights()
        if weights is None or self.tracker is None:
            return {}
        metrics = self._metrics()
        checkpoint: Checkpoint = save_checkpoint(
            self.home.checkpoints,
            "rl",
            lambda folder: self.trainer.write(folder, weights),
            parent=self.spec["checkpoint"]["digest"],
            recipe=self._recipe() | {"policy": self.policy},
            data_versions={"prompt_set": self.spec["prompt_set"]},
            metrics=metrics,
            note="" if self.profile.rl.reset_optimizer else KEPT_MOMENTS,
        )
        self.tracker.register(checkpoint)
        return {
            "digest": checkpoint.digest,
            "checkpoint": checkpoint.manifest(),
            "policy": self.policy,
            "curves": self.progress.curves,
            "metrics": metrics,
            "seconds": time.monotonic() - began,
        }

    def _recipe(self) -> dict[str, Any]:
        return self.profile.settings()

    def _metrics(self) -> dict[str, float]:
        curves = self.progress.curves
        first, last = curves[:LAST], curves[-LAST:]

        def mean(points: list[dict[str, float]], name: str) -> float:
            return sum(point[name] for point in points) / len(points)

        return {
            "reward_first": mean(first, "reward"),
            "reward_last": mean(last, "reward"),
            "tokens_mean_first": mean(first, "tokens_mean"),
            "tokens_mean_last": mean(last, "tokens_mean"),
            "log_ratio_max": max(point["log_ratio_max"] for point in curves),
            "gap_max": max(point["gap_max"] for point in curves),
            "iterations": float(len(curves)),
        }


if __name__ == "__main__":
    job_main(run)
