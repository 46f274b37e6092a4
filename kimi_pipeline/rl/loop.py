"""The RL job: `python -m kimi_pipeline.rl.loop SPEC`, one SPMD program [2.6]; several ranks under DeepSpeed's launcher.

Belongs here: the spec, the order of an iteration, what is recorded of it, the checkpoint. Does not belong here: the
phases themselves (`rollout.py`, `judging.py`, `learning.py`, `handover.py`) and the loss (`mirror_descent.py`).

Each rank holds a shard of the trainer and a vLLM of its own, or shares one with `tensor_parallel` ranks; rank 0 is the
report's master: it commits rollouts, tells progress and writes checkpoints. Each rank samples and judges its share of the
groups; then all ranks exchange what came of it, so that every one holds the whole replay buffer and draws the same
prompts. vLLM starts on dummy weights: what it samples with always came by a checked hand-over.

After each iteration all that the next one depends on is saved (`recovery.py`); a run that was killed goes on from there.

The spec: `{"home", "profile": settings, "run_id", "code", "checkpoint": {"digest", "folder"}, "prompts": PARQUET,
"prompt_set": {"name", "version", "digest"}, "judge": {"digest", "folder"}, "watch_judge": {"digest", "folder"}}`; the judge is
the Chain-of-Thought RM that a composite reward asks (`"module"` where another process serves in its place), the other one the
one that the watch over the reward asks. The file has `problem_id, prompt, answer, answer_kind` and, where it likes, `weight`,
`pass_rate`, `samples`, `domain`, `bucket`. The result: `{"digest", "checkpoint": manifest, "policy", "curves": [figures of
an iteration], "metrics", "seconds"}`.
"""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.inference.vllm_engine import clear_shared_memory
from kimi_pipeline.jobs import Report, job_main
from kimi_pipeline.profiles import Profile
from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.rl.course import check_settings, course_of, policy_name
from kimi_pipeline.rl.phases import WAITING, Phases, Watch
from kimi_pipeline.rl.prompt_sampling import prompt_sampler, read_prompts
from kimi_pipeline.rl.recovery import TRAINER, Recovery, Saved
from kimi_pipeline.training.runtime import Ranks, init_distributed, memory_of, prepare_process

if TYPE_CHECKING:
    from kimi_pipeline.rl.learning import Learned
    from kimi_pipeline.rl.master import Master
    from kimi_pipeline.rl.reward_watch import Look, RewardWatch
    from kimi_pipeline.rl.trajectories import Group
    from kimi_pipeline.training.engine import Trainer

LABELS = ("domain", "bucket")  # of the prompts file: curves are drawn by them


@dataclass
class Progress:
    """Where the run stands. With weights, optimizer, buffer and sampler this is all that the next iteration depends on."""

    iteration: int = 0
    curves: list[dict[str, float]] = field(default_factory=list)

    @property
    def weight_version(self) -> int:
        """How many weight swaps the sampling weights are: one before the first iteration, one after each."""
        return self.iteration + 1


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Train the policy of `spec` and save it. Raises UserError for bad input and a loss that is no finite number,
    HandOverError where vLLM does not hold the trainer's weights."""
    began = time.monotonic()
    profile = Profile.model_validate(spec["profile"])
    check_settings(profile)
    prompts = read_prompts(Path(spec["prompts"]))
    home = Home(Path(spec["home"])).prepare()
    recovery = Recovery(home.root / "rl" / digest(course_of(spec, profile))[:16])
    if profile.rl.changed_set == "refuse":
        recovery.check_same_set(prompts, spec["prompt_set"], profile.rl.iterations)
    saved = recovery.saved() if profile.rl.watch == "stop" and recovery.is_of(prompts) else []
    if saved and saved[-1].state["alarms"]:  # asked again without a change: no need to start engines
        raise UserError(stopped(saved[-1].iteration, saved[-1].state["alarms"]))
    prepare_process(profile.inference)
    ranks = init_distributed(profile.inference.device, profile.inference.threads)
    if len(prompts) < profile.rl.prompts and ranks.is_master:
        report.info(f"the set has {len(prompts)} prompts, rl.prompts is {profile.rl.prompts}: each iteration takes all")

    # Named as what the job goes on with, so that the job that goes on removes what a killed one left.
    beats = home.root / "rl" / f"beats-{recovery.root.name}"
    if ranks.is_master:
        shutil.rmtree(beats, ignore_errors=True)
        beats.mkdir(parents=True)
        if profile.inference.tensor_parallel > 1 and profile.inference.device == "cpu":
            clear_shared_memory()
        if recovery.is_of(prompts):
            recovery.clear_scratch()
        else:
            recovery.begin(prompts, spec["prompt_set"])
    ranks.barrier()
    policy = policy_name(spec, profile, prompts)
    loop = _Loop(
        spec, profile, home, report, ranks, recovery, Phases(beats, ranks.rank, memory_of(ranks.device)), policy
    )
    with ExitStack() as stack:
        loop.start(prompts, stack)
        stack.enter_context(Watch(beats, ranks.rank, profile.rl.phase_seconds))  # engines may take their time to start
        while loop.progress.iteration < profile.rl.iterations:
            loop.iterate()
        result = loop.finish(began)
    ranks.barrier()
    if ranks.is_master:
        shutil.rmtree(beats)
    return result


class _Loop:
    """The parts of the program and one iteration of them."""

    def __init__(
        self,
        spec: dict[str, Any],
        profile: Profile,
        home: Home,
        report: Report,
        ranks: Ranks,
        recovery: Recovery,
        phases: Phases,
        policy: str,
    ) -> None:
        self.spec, self.profile, self.home, self.report, self.ranks = spec, profile, home, report, ranks
        self.recovery, self.phases = recovery, phases
        self.policy = policy
        self.progress = Progress()
        self.master: Master | None = None
        self.watch: RewardWatch | None = None

    def start(self, prompts: list[Any], stack: ExitStack) -> None:
        """Load the trainer, bring vLLM up beside it, take up a saved run, and hand the weights over."""
        from kimi_pipeline.inference.vllm_carrier import VllmCarrier
        from kimi_pipeline.rewards.composite import shaping_notes
        from kimi_pipeline.rewards.pool import shared_pool
        from kimi_pipeline.rl.asking import independent_judge, reward_judge
        from kimi_pipeline.rl.handover import Canary
        from kimi_pipeline.rl.learning import Learner
        from kimi_pipeline.rl.master import Master
        from kimi_pipeline.rl.replay_buffer import ReplayBuffer
        from kimi_pipeline.rl.residence import Residence
        from kimi_pipeline.rl.reward_watch import RewardWatch
        from kimi_pipeline.rl.rollout import RolloutWorker
        from kimi_pipeline.training.engine import EngineSettings, Trainer

        profile, rl = self.profile, self.profile.rl
        with self.phases("start"):
            if rl.reward != "random":
                shared_pool().warm_up()  # else the first iteration that asks a worker waits a second for it
            folder = Path(self.spec["checkpoint"]["folder"])
            engine = EngineSettings(rl.zero_stage, profile.model.dtype, rl.learning_rate, rl.max_grad_norm)
            self.trainer: Trainer = Trainer(folder, engine, self.ranks)
            self.carrier = VllmCarrier(
                folder,
                profile.inference,
                window=profile.model.window,
                dtype=profile.model.dtype,
                texts=False,
                ranks=self.ranks.size,
                colocated=True,
                dummy_weights=True,
                processed_logprobs=True,
                sleeps=rl.sleep_level > 0,
            )
            self.residence = Residence(
                self.carrier, self.trainer, sleep_level=rl.sleep_level, offload=rl.offload_trainer
            )
        tokenizer = self.carrier.tokenizer
        pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        self.sampler = prompt_sampler(rl, prompts, profile.seed)
        self.labels = _labels(Path(self.spec["prompts"]))
        self.reward = reward_judge(self.spec, profile, self.home, prompts, stack)
        self.buffer = ReplayBuffer(rl.prompts * rl.samples)
        self.worker = RolloutWorker(self.carrier, profile, self.policy)
        self.worker.prepare(prompts)
        self.learner = Learner(self.trainer, rl, pad_id)
        first = [self.worker.tokens_of(prompt) for prompt in prompts]
        self.canary = Canary(first, temperature=rl.temperature, limit=rl.max_logprob_gap, pad_id=pad_id)
        saved = self.recovery.saved()
        if self.ranks.is_master and rl.watch != "off":
            self.watch = RewardWatch(rl, profile.seed, independent_judge(self.spec, profile, self.reward, stack))
        if saved:
            self._restore(saved[-1], prompts)
        if self.ranks.is_master:
            for note in (*self.sampler.notes, *shaping_notes(rl), *(self.watch.notes if self.watch else ())):
                self.report.info(note)
            self.master = Master(self.home, profile, self.spec, self.policy, self.recovery, self.report)
            self.master.open(stack, self.progress.curves, saved)
        with self.phases("hand_over"):
            self._hand_over()
        gc.collect()
        gc.freeze()  # what engines and libraries hold stays: nothing in it is looked through again while rollouts make objects

    def _restore(self, saved: Saved, prompts: list[Any]) -> None:
        import torch

        state = saved.state
        self.progress = Progress(saved.iteration, state["curves"])
        self.sampler.restore(state["sampler"])
        self.buffer.restore(saved.buffer, {one.problem_id: one for one in prompts}, self.profile.rl.samples)
        self.trainer.load_state(saved.trainer)
        if self.watch is not None and state["watch"]:
            self.watch.restore(state["watch"])
        torch.set_rng_state(torch.tensor(state["random"][self.ranks.rank], dtype=torch.uint8))
        if self.ranks.is_master:
            self.report.info(f"goes on after iteration {saved.iteration} of {self.profile.rl.iterations}")

    # -- an iteration -------------------------------------------------------------------------------------------

    def iterate(self) -> None:
        """Rollout and reward, training, hand-over with its canary, checkpoint [2.6.1]."""
        number = self.progress.iteration + 1
        began, worked, steps = time.monotonic(), time.process_time(), self.carrier.steps
        self.phases.begin(number)
        complete, growing = self._roll(number)
        steps = self.carrier.steps - steps
        with self.phases("train"):
            self.residence.to_training()
            learned = self.learner.learn(complete, growing, number)
        with self.phases("checkpoint"):  # before the optimizer's state moves away
            self.trainer.save_state(self.recovery.scratch(number) / TRAINER)
        complete = [group.with_references(learned.references) for group in complete]
        growing = [group.with_references(learned.references) for group in growing]
        self.buffer.replace(growing)
        for group in complete:
            judged = group.judged
            if judged:
                right = sum(one.verdict is not None and one.verdict.status is Status.CORRECT for one in judged)
                self.sampler.observe(group.prompt.problem_id, right, len(judged))
        self.progress.iteration = number
        with self.phases("hand_over"):
            gap = self._hand_over()
        look = self._look(number, complete)
        figures = self._figures(complete, growing, learned, gap, steps) | look.figures
        figures["seconds"] = time.monotonic() - began
        self._save(complete, growing, learned, figures, look)
        figures |= {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - worked}
        figures["seconds_checkpoint"] = self.phases.seconds["checkpoint"]
        if self.master is not None:
            self.progress.curves[-1] = self.progress.curves[-1] | figures  # another one: the first is being written
            self.master.tell(number, figures)
            self._alarm(look)

    def _roll(self, number: int) -> tuple[list[Group], list[Group]]:
        """The groups that are complete now, with verdicts, and those that go on; all ranks' in one order."""
        from kimi_pipeline.rewards.composite import reward_of
        from kimi_pipeline.rl.judging import Judge
        from kimi_pipeline.rl.trajectories import GroupKey

        rl = self.profile.rl
        under_way = self.buffer.groups
        busy = {group.prompt.problem_id for group in under_way}
        drawn = self.sampler.draw(self.buffer.room(rl.samples), busy)
        groups = under_way + [self.worker.begin(GroupKey(number, place), one) for place, one in enumerate(drawn)]
        width = self.profile.inference.tensor_parallel
        engine, engines = self.ranks.rank // width, self.ranks.size // width
        reward = reward_of(self.reward, rl, self.profile.seed, number)
        judge = Judge(reward, self.worker.response, rl.reward_seconds)
        growing: list[Group] = []
        with self.phases("rollout"):
            for group in self.worker.grow(groups[engine::engines], number, self.progress.weight_version):
                if not group.is_complete:
                    growing.append(group)
                elif self.ranks.rank % width == 0:
                    judge.submit(group)
        with self.phases("reward"):
            complete = judge.collect()
            judge.close()
        with self.phases(WAITING):
            mine = (complete, growing) if self.ranks.rank % width == 0 else ([], [])
            shares = self.ranks.exchange(mine)
        return _sorted(one for share, _ in shares for one in share), _sorted(
            one for _, share in shares for one in share
        )

    def _look(self, number: int, complete: list[Group]) -> Look:
        """The watch's look at an iteration's responses; an empty one on other ranks, and where it is off."""
        from kimi_pipeline.rl.records import watched
        from kimi_pipeline.rl.reward_watch import Look

        if self.watch is None:
            return Look((), ())
        with self.phases("watch"):
            return self.watch.look(number, watched(complete, self.worker.response))

    def _alarm(self, look: Look) -> None:
        """Tell what the watch found. Raises UserError where that stops the run: its checkpoint is whole by then."""
        for line in look.lines:
            self.report.info(line)
        if look.alarms and self.profile.rl.watch == "stop" and self.master is not None:
            self.master.settle()
            raise UserError(stopped(look.alarms[0].iteration, map(str, look.alarms)))

    def _hand_over(self) -> float:
        from kimi_pipeline.rl.handover import hand_over

        self.residence.to_hand_over()
        hand_over(self.carrier, self.trainer.named_weights())
        self.residence.to_rollout()
        return self.canary.check(self.trainer, self.carrier, self.progress.iteration)

    def _figures(
        self, complete: list[Group], growing: list[Group], learned: Learned, gap: float, steps: int
    ) -> dict[str, float]:
        from kimi_pipeline.rl.figures import by_label, rollout_figures

        figures = rollout_figures(complete, growing, self.progress.iteration) | learned.figures
        for labels in self.labels.values():
            figures |= by_label(complete, labels)
        figures |= {"gap_canary": gap, "stale": float(len(learned.stale)), "decode_steps": float(steps)}
        seconds = self.phases.seconds
        (slowest,) = self.ranks.max([seconds["rollout"] + seconds["reward"]])
        figures |= {f"seconds_{name}": value for name, value in seconds.items()}
        figures |= {f"cpu_seconds_{name}": value for name, value in self.phases.cpu_seconds.items()}
        figures |= {f"memory_gib_{name}": value for name, value in self.phases.memory.items()}
        figures["tokens_per_second"] = figures["tokens"] / max(slowest, 1e-9)
        return figures

    def _save(
        self, complete: list[Group], growing: list[Group], learned: Learned, figures: dict[str, float], look: Look
    ) -> None:
        """The rest of the iteration's checkpoint: what all ranks know the same is the master's to write."""
        import torch

        from kimi_pipeline.rl.records import iteration_rows

        number = self.progress.iteration
        with self.phases("checkpoint"):
            random = self.ranks.gather(torch.get_rng_state().tolist())
            if random is None or self.master is None:
                return
            rows = iteration_rows(
                complete,
                growing,
                learned,
                iteration=number,
                policy=self.policy,
                carrier=self.carrier.name,
                response=self.worker.response,
            )
            rows["reward_watch"] = look.rows(self.policy, self.spec["prompt_set"])
            self.progress.curves.append({"iteration": number} | figures)
            state = {
                "curves": list(self.progress.curves),
                "sampler": self.sampler.state(),
                "random": random,
                "watch": self.watch.state() if self.watch else None,
                "alarms": [str(one) for one in look.alarms],
            }
            self.master.checkpoint(number, state, self.buffer.to_table(), rows)

    # -- the end ------------------------------------------------------------------------------------------------

    def finish(self, began: float) -> dict[str, Any]:
        """Save the checkpoint; the master returns the job's result."""
        weights = self.trainer.whole_weights()
        if weights is None or self.master is None:
            return {}
        result = self.master.finish(
            lambda folder: self.trainer.write(folder, weights), self.progress.curves, self.sampler.rates()
        )
        return result | {"seconds": time.monotonic() - began}


def stopped(iteration: int, alarms: Iterable[str]) -> str:
    """The line of a run that the watch over the reward has stopped."""
    return (
        f"rl: the reward seems to be hacked, stopped after iteration {iteration}: {'; '.join(alarms)}. "
        "`kimi-pipeline watch` shows the responses; mend the reward, or go on with --set rl.watch=warn"
    )


def _sorted(groups: Any) -> list[Group]:
    return sorted(groups, key=lambda group: group.key)


def _labels(path: Path) -> dict[str, dict[str, str]]:
    """The prompts' labels by kind and problem id, of those kinds that the file has."""
    names = [name for name in LABELS if name in pq.read_schema(path).names]
    rows = pq.read_table(path, columns=["problem_id", *names]).to_pylist()
    return {name: {row["problem_id"]: row[name] for row in rows if row[name]} for name in names}


if __name__ == "__main__":
    job_main(run)
