"""The sections of a profile about training: SFT, reward models, RL, evaluation. See `sections.py` for the others.

Belongs here: every field with its meaning, its range and its default. A field that the report fixes carries its section.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from kimi_pipeline.profiles.section import Count, Section, Share, Temperature

ASIDE = ("phase_seconds", "kept_iterations", "changed_set", "max_logprob_gap")
"""Settings of RL that say when a run ends early, what it keeps and whether it begins anew: nothing of what it learns."""


class Sft(Section):
    clean_examples: int = Field(
        20_000, ge=0, description="Clean worked solutions, trained first; 0 takes the model as given"
    )
    noisy_examples: int = Field(8_000, ge=0, description="Worked solutions with slips and checks, trained second")
    guess_share: Share = Field(
        0.15, description="Share of examples in the answer-only format: guessing is a measured skill"
    )
    batch_tokens: Count = Field(4096, description="Tokens of a packed batch")
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = Field(2e-3, description="Peak learning rate, decays by cosine")
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw", description="muon (ZeRO stage 0 only) learns faster from scratch"
    )
    zero_stage: Annotated[int, Field(ge=0, le=3)] = Field(1, description="DeepSpeed ZeRO stage")
    epochs: Count = Field(1, description="Passes over the examples")
    max_held_out_loss: Annotated[float, Field(gt=0)] = Field(
        0.5, description="A higher held-out loss (nats a token) stops the lineage"
    )


class RewardModels(Section):
    examples: int = Field(
        800_000, ge=0, description="Examples that both reward models learn from, at most [2.3.5]; 0: none is trained"
    )
    held_out_examples: Count = Field(2_000, description="Examples of held-out problems that they are measured on")
    sampled_share: Share = Field(
        0.3, description="Share of examples that are sampled responses; the rest are hard cases"
    )
    epochs: Count = Field(1, description="Passes over the examples, of both models")
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = Field(
        1e-5, description="Peak learning rate of the Chain-of-Thought RM, decays by cosine; the report is silent"
    )
    classic_learning_rate: Annotated[float, Field(gt=0, lt=1)] = Field(
        1e-5, description="Peak learning rate of the Classic RM, decays by cosine; the report is silent"
    )
    votes: Count = Field(
        5, description="Judgements of a response by the Chain-of-Thought RM, the majority counts; 1 is a greedy one"
    )
    temperature: Temperature = Field(1.0, description="Sampling temperature of several votes")
    max_tokens: Count = Field(1024, description="Longest judgement, in tokens")


class Rl(Section):
    iterations: Count = Field(80, description="Rounds of rollout and training [2.3]")
    prompts: Count = Field(32, description="Problems an iteration")
    samples: Annotated[int, Field(ge=2)] = Field(8, description="Responses a problem, k")
    temperature: Temperature = Field(1.0, description="Sampling temperature of rollouts")
    max_tokens: Count = Field(120, description="Longest response, in tokens")
    segment_tokens: int | None = Field(
        None, ge=1, description="Tokens a response may grow by in an iteration [2.6.2]; empty: to its end"
    )
    max_staleness: Annotated[int, Field(ge=0)] = Field(
        8, description="Segments sampled more iterations ago are context alone, not in the loss"
    )
    repetition_tokens: Annotated[int, Field(ge=0)] = Field(
        0, description="Longest pattern that counts as repetition and ends a response early; 0 is off [2.6.2]"
    )
    repetition_times: Annotated[int, Field(ge=2)] = Field(8, description="How often in a row the pattern must come")
    reward: Literal["rules", "composite", "random"] = Field(
        "rules",
        description="rules: the verdict; composite: the Chain-of-Thought RM where rules abstain, test cases for code [2.3.5]; "
        "random: a coin flip in the verdict's place, a control that must not learn",
    )
    reward_seconds: Annotated[float, Field(gt=0)] = Field(
        60, description="Longest wait for one group's reward; then once more, then the group is excluded"
    )
    phase_seconds: Annotated[float, Field(gt=0)] = Field(
        1800, description="A rank that stays longer in one phase is taken for hung: the job stops and names it"
    )
    kept_iterations: Count = Field(3, description="Iteration checkpoints that stay, to resume from")
    changed_set: Literal["refuse", "restart"] = Field(
        "refuse", description="When the prompt set changed under an unfinished run: say how, or start the run anew"
    )
    tau: Annotated[float, Field(gt=0)] = Field(
        0.3, description="Weight of the KL to the iteration's reference policy [2.3.1]"
    )
    baseline: Literal["mean", "log_mean_exp"] = Field("mean", description="Estimate of tau log Z [2.3.1]")
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = Field(
        4e-4, description="Learning rate of the policy, independent of tau"
    )
    warm_up: Annotated[int, Field(ge=0)] = Field(
        5, description="Iterations over which the learning rate rises; the report is silent"
    )
    mini_steps: Count = Field(4, description="Optimizer steps an iteration; with one the regulariser has no gradient")
    objective: Literal["mirror_descent", "rest", "grpo"] = Field(
        "mirror_descent", description="The loss: the report's, or one of its rivals for comparison"
    )
    clip: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2, description="Objective grpo alone: token ratios beyond 1 +- clip earn nothing more"
    )
    loss_on: Literal["current", "all"] = Field(
        "current", description="Segments of a partial rollout in the loss: the last one, or all [2.6.2]"
    )
    length_weight: Annotated[float, Field(ge=0, lt=2)] = Field(
        0.0, description="Weight of the length reward [2.3.3]; 0 is off; below 2 right stays above wrong"
    )
    length_from: Count = Field(
        20, description="First iteration with the length reward, at once in full: its warm-up [2.3.3]"
    )
    repetition_penalty: Share = Field(
        0.0, description="Taken off the reward of a response that was stopped for repeating itself; 0 is off [2.6.2]"
    )
    sampling: Literal["uniform", "curriculum", "prioritized"] = Field(
        "uniform", description="Which problems an iteration takes [2.3.4]"
    )
    curriculum_from: Count = Field(
        24, description="First iteration of the curriculum's second part, with hard problems alone [2.3.4, figure 9]"
    )
    hard_below: Share = Field(0.3, description="A problem is hard at this pass rate or below; the report is silent")
    prior_strength: Annotated[float, Field(ge=0)] = Field(
        10.0, description="Samples that a problem's first pass rate counts as when its success rate is estimated"
    )
    evidence_kept: Share = Field(
        0.5, description="Share of a problem's earlier evidence that remains when new comes in: the policy changes"
    )
    priority_floor: Annotated[float, Field(gt=0, le=1)] = Field(
        0.05, description="Smallest priority of a problem, so that solved ones return; 1 is uniform"
    )
    unsolved_patience: Count = Field(
        64, description="Tries in a row without success after which a problem's priority falls, as one over the tries"
    )
    reset_optimizer: bool = Field(True, description="Forget the optimizer's moments at each iteration [2.3.1]")
    max_grad_norm: Annotated[float, Field(gt=0)] = Field(1.0, description="Gradient norms above it are scaled down")
    micro_batch_tokens: Count = Field(
        8192, description="Tokens of a forward pass, padding included; bounds memory, changes no result"
    )
    zero_stage: Annotated[int, Field(ge=0, le=3)] = Field(1, description="DeepSpeed ZeRO stage")
    watch: Literal["off", "warn", "stop"] = Field(
        "warn", description="What the watch over the reward does where a policy seems to hack it: warn, or stop the run"
    )
    watch_judge: Literal["none", "cot_rm"] = Field(
        "none",
        description="Beside reward rules, an independent judge: the Chain-of-Thought RM, in a process of its own. A "
        "composite reward needs none: its two judges watch each other",
    )
    watch_every: Count = Field(
        3, description="An independent judge is asked every so many iterations, where there is one"
    )
    watch_sample: Count = Field(64, description="Responses that it is asked about, half of them rewarded")
    watch_baseline: Count = Field(3, description="First iterations that signals of hacking are held against")
    watch_rise: Share = Field(
        0.1, description="A share of suspicious responses alarms where it rose by more (95 % sure)"
    )
    watch_limit: Share = Field(0.5, description="and where it is larger, whatever it was at the beginning (95 % sure)")
    watch_words: int = Field(
        3, ge=0, description="A response with fewer words beside its answer is one without reasoning"
    )
    watch_short: Share = Field(
        0.25, description="Shorter than this share of the rewarded responses' median at the beginning is very short"
    )
    ranks: Count = Field(1, description="Processes of the training job; on GPUs, one a GPU")
    sleep_level: Literal[0, 1, 2] = Field(
        0,
        description="On GPUs, while the trainer works vLLM gives back: 0 nothing, 1 its cache, 2 its weights too [2.6.3]",
    )
    offload_trainer: bool = Field(
        False, description="Optimizer state goes to the host while vLLM samples (ZeRO stage 1 or 2) [2.6.3]"
    )
    max_logprob_gap: Annotated[float, Field(gt=0)] = Field(
        1e-4, description="Largest gap of sampler and trainer log-probs; more stops the job"
    )

    def course(self) -> dict[str, Any]:
        """The settings that a run's course depends on, by name: all but those of the watch, which looks and changes nothing,
        and those of `ASIDE`. A run that goes on under others of these is the same run."""
        return {
            name: value
            for name, value in self.model_dump().items()
            if name not in ASIDE and not name.startswith("watch")
        }


class Evaluation(Section):
    samples: Count = Field(1, description="Answers a problem at temperature 1")
    max_tokens: Count = Field(120, description="Longest answer, in tokens")
