"""The sections of a profile: every field with its meaning, its range and its default.

Belongs here: the fields. Does not belong here: reading a profile and overriding its fields (`profile.py`), what a
setting does. A field that the report fixes carries its section; the defaults are the report's wherever it gives a number.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Temperature = Annotated[float, Field(ge=0, le=2)]


class Section(BaseModel):
    """A part of a profile. Unknown fields are errors, values are checked, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Corpora(Section):
    sources: list[str] = Field(
        ["builtin"], description="Source files (.toml), or data files and URLs (.jsonl, .csv, ...)"
    )
    evaluation_sets: list[str] = Field(
        [], description="Public evaluation sets, given like sources: no prompt set may hold their problems"
    )
    limit: int | None = Field(None, ge=1, description="Read at most this many rows in all; empty: everything")
    max_text_bytes: int = Field(1_000_000, ge=1_000, description="A longer prompt or answer is quarantined as too_long")
    max_row_bytes: int = Field(16_777_216, ge=1_000, description="A longer row is quarantined as too_long, unread")
    max_expansion: Count = Field(200, description="A compressed file that grows more is refused as a bomb")
    held_out_share: Share = Field(0.2, description="Share of built-in problems, by hash, that no training may see")
    families: list[str] = Field(
        ["register", "recurrence", "queue", "parity", "coin"],
        description="Built-in families that are taught and written into the corpus; programs: tiny ones, judged by running",
    )
    problems_per_family: Count = Field(500, description="Rows that each built-in family writes into the corpus")
    evaluation_problems: Count = Field(1200, description="Held-out problems that checkpoints are evaluated on")


class Model(Section):
    kind: Literal["tiny", "folder"] = Field("tiny", description="tiny: trained here from scratch; folder: yours")
    path: str | None = Field(None, description="The model's folder in Hugging Face format (kind = folder)")
    layers: Annotated[int, Field(ge=1, le=48)] = Field(3, description="Layers of the tiny model")
    width: Annotated[int, Field(ge=32, le=4096)] = Field(64, description="Hidden size of the tiny model")
    heads: Annotated[int, Field(ge=1, le=64)] = Field(4, description="Attention heads of the tiny model, 32 wide each")
    window: Annotated[int, Field(ge=128, le=262_144)] = Field(256, description="Longest sequence, in tokens")
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="Type of weights and activations")


class Inference(Section):
    carrier: Literal["vllm", "endpoint"] = Field(
        "vllm", description="Who samples: vLLM in-process, or an HTTP endpoint"
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="Where vLLM runs")
    max_num_seqs: Count = Field(256, description="Sequences that decode together")
    kv_cache_gib: Annotated[float, Field(gt=0, le=4096)] = Field(
        1, description="Memory of the key-value cache on a CPU, GiB"
    )
    gpu_memory_share: Share = Field(0.4, description="Share of a GPU's memory that vLLM may take beside the trainer")
    tensor_parallel: Count = Field(1, description="Ranks that share one vLLM model")
    threads: Count = Field(2, description="CPU threads of sampling and training")
    endpoint_url: str | None = Field(
        None, description="Base URL of an OpenAI-compatible endpoint (http://host:port/v1)"
    )
    endpoint_model: str | None = Field(None, description="Model name that the endpoint serves")
    endpoint_key_env: str | None = Field(None, description="Name of the environment variable that holds the key")
    endpoint_short_answers: bool = Field(
        True, description="The endpoint knows response_format json_schema, which holds guesses to a short answer"
    )
    endpoint_concurrency: Count = Field(16, description="Requests in flight at the endpoint")
    endpoint_retries: Annotated[int, Field(ge=0, le=100)] = Field(
        6, description="Tries again after 429, 5xx or a dropped answer"
    )
    endpoint_timeout_s: Annotated[float, Field(gt=0)] = Field(120, description="Seconds to wait for one answer")
    price_per_million_tokens: Annotated[float, Field(ge=0)] = Field(0, description="Price of a million output tokens")


class Curation(Section):
    prompt_set: str = Field("laptop", description="Recipe of the prompt set that RL trains on")
    near_duplicates: bool = Field(True, description="Look for rewordings as well as for exact duplicates")
    template: Literal["tiny", "chat"] = Field("tiny", description="Wording of the prompts: terse, or for chat models")
    samples: Count = Field(10, description="Answers a problem for its pass rate [2.1]")
    adaptive: bool = Field(False, description="Stop a problem's answers where more can hardly change what is decided")
    adaptive_first: Count = Field(2, description="adaptive: answers that every problem gets")
    decision_risk: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.02, description="adaptive: largest expected share of problems whose decision all answers would change"
    )
    bucket_risk: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.08, description="adaptive: largest expected share of problems whose difficulty bucket they would change"
    )
    temperature: Temperature = Field(1.0, description="Sampling temperature of those answers: relatively high [2.1]")
    max_tokens: Count = Field(120, description="Longest answer, in tokens")
    suspect_majority: Share = Field(
        0.6, description="A reference is suspect where this share of a problem's answers agree on another one"
    )
    suspect_margin: Share = Field(0.3, description="and lead by this share of them over the next answer")
    suspect_ability: Share = Field(
        0.7, description="and in its group such agreements are the reference at least this often (95 % lower bound)"
    )
    guesses: Count = Field(8, description="Guesses without reasoning; right within them and the prompt goes [2.1]")
    guess_temperature: Temperature = Field(1.0, description="Sampling temperature of the guesses")
    guess_max_tokens: Count = Field(16, description="Longest guess, in tokens")
    short_guesses: bool = Field(True, description="The decoder may write nothing but a short answer when it guesses")
    min_pass_rate: Share = Field(
        0.0, description="Problems with a pass rate at or below it are hopeless (see keep_unsolved)"
    )
    max_pass_rate: Share = Field(1.0, description="Problems with a pass rate at or above it are trivial")
    keep_unsolved: bool = Field(True, description="Keep problems that no sample solved: they are hard, not refused")
    max_size: int | None = Field(None, ge=1, description="Largest size of a prompt set; empty: all that pass")
    tagger_problems: Count = Field(50_000, description="Labelled problems that the tagger learns from, at most")
    tag_min_confidence: Share = Field(0.5, description="A less sure tag goes to a person (kimi-pipeline review)")
    model_tags: Literal["off", "unsure", "all"] = Field(
        "off",
        description="Let the profile's model tag: no problem, those with unsure tags, or all without a source's tag",
    )
    label_votes: Count = Field(3, description="Answers of the model a label; the share that agrees is its confidence")
    min_steps: Annotated[float, Field(ge=0, le=30)] = Field(
        0, description="Refuse problems that need fewer steps of reasoning; 0: none [2.1]"
    )
    steps_by: Literal["rules", "model"] = Field(
        "rules", description="Who estimates the steps: rules on the text, or the profile's model"
    )
    review_questions: int = Field(500, ge=0, description="Tags that wait for a person, at most: the least sure first")


class Nights(Section):
    cron: str = Field("0 1 * * *", description="When a night begins (cron); the schedule is off until switched on")
    timezone: str = Field("UTC", description="Time zone of cron and until, as in Europe/Berlin")
    until: str | None = Field("06:00", description="When a night begins no new work (HH:MM); empty: no deadline")
    token_budget: int | None = Field(
        None, ge=1, description="Output tokens that a night may take, guesses included; empty: no limit"
    )
    checkpoint: str = Field("newest", description="Who is asked: newest (of sft, rl, ...), or a digest's beginning")
    older_than_days: int | None = Field(
        90, ge=1, description="An estimate whose newest answer is older is stale; empty: answers don't age"
    )
    near_threshold: Share = Field(
        0.25, description="An estimate is stale where more answers change its decision or bucket with this chance"
    )
    most_samples: Count = Field(20, description="Answers that a prompt near a threshold gets, at most")
    evidence_kept: Share = Field(
        0.5, description="What an answer of another checkpoint is worth when guessing how far a prompt may move"
    )
    guess_share: Share = Field(0.2, description="Share of the token budget that is kept for stale guesses")
    max_mean_shift: Share = Field(
        0.2, description="A version is blocked where its pass rates shifted by more (the whole 95 % interval)"
    )
    max_moved_share: Share = Field(
        0.3, description="and where more members changed their bucket than chance explains, by more than this share"
    )
    max_size_change: Share = Field(0.5, description="and where its size changed by more than this share")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("no such time zone; write it as Europe/Berlin or UTC") from None
        return name

    @field_validator("until")
    @classmethod
    def _time_of_day(cls, text: str | None) -> str | None:
        if text is not None and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
            raise ValueError("write a time of day as HH:MM, as in 06:00")
        return text


class Maintenance(Section):
    cron: str = Field("0 12 * * 0", description="When maintenance runs, in nights.timezone; off until switched on")
    keep_hours: int = Field(168, ge=0, description="Files that a version named so recently stay, whoever reads it")
    keep_run_days: int = Field(90, ge=1, description="Dagster's runs and events go when they are older")


class Notifications(Section):
    channels: list[str] = Field(
        [], description="Where incidents go, as apprise URLs; ${NAME} stands for an environment variable (secrets)"
    )
    ui: str = Field("http://127.0.0.1:3000", description="Address of the Dagster UI, for links in messages")


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
        """The settings that a run's course depends on: all but those of the watch, which looks and changes nothing."""
        return {name: value for name, value in self.model_dump().items() if not name.startswith("watch")}


class Evaluation(Section):
    samples: Count = Field(1, description="Answers a problem at temperature 1")
    max_tokens: Count = Field(120, description="Longest answer, in tokens")


class Sandbox(Section):
    backend: Literal["auto", "docker", "bubblewrap"] = Field(
        "auto", description="Where untrusted programs run; auto: an engine if there is one, else bubblewrap"
    )
    engine: str | None = Field(None, description="URL of the container engine; empty: DOCKER_HOST or the usual socket")
    image: str | None = Field(None, description="Image that programs run in; empty: the one that sandbox.image makes")
    runtime: str | None = Field(None, description="The engine's runtime (runc, crun, runsc); empty: its default")
    root: str | None = Field(None, description="Root file system of bubblewrap's rooms; empty: the machine's own /usr")
    packages: str | None = Field(None, description="Folder of Python packages that programs may import, read-only")
    pool_size: Count = Field(2, description="Workers that are kept warm; each serves one submission")
    allow_no_cgroup: bool = Field(
        False, description="Let bubblewrap run without control groups: nothing then bounds all processes together"
    )


class Testcases(Section):
    problems: list[str] = Field([], description="Built-in coding problems by name; all: every one of them")
    folders: list[str] = Field([], description="Folders of coding problems of yours (docs/testcases.md)")
    corpus: bool = Field(True, description="Take problems with submissions from the corpus as well")
    special_judge: Literal["refuse", "checker"] = Field(
        "refuse", description="Problems with several right outputs: refused, or their outputs judged by a checker"
    )
    cases: Count = Field(50, description="Test cases a problem [2.3.5]")
    submissions: Annotated[int, Field(ge=2)] = Field(
        10, description="Accepted submissions drawn, once a problem [2.3.5]"
    )
    agree: Annotated[int, Field(ge=2)] = Field(7, description="Equal outputs that make a case valid [2.3.5]")
    valid_cases: Count = Field(40, description="Valid cases that keep a generator [2.3.5]")
    passing: Count = Field(9, description="Drawn submissions that must pass every valid case [2.3.5]")
    few_submissions: Literal["refuse", "scale"] = Field(
        "refuse", description="With fewer accepted submissions: refuse the problem, or scale the thresholds, rounded up"
    )
    least_submissions: Annotated[int, Field(ge=2)] = Field(5, description="Fewest that thresholds are scaled to")
    writer: Literal["none", "model"] = Field(
        "none",
        description="Who writes generators (and checkers) that are missing: nobody, or inference.carrier's model",
    )
    writer_attempts: Count = Field(3, description="Tries a model has, each after the first with the error of the last")
    writer_max_tokens: Count = Field(1500, description="Longest program that a model may write, in tokens")
    mutants: Annotated[int, Field(ge=0)] = Field(20, description="Mutants a suite is measured on")
    further_inputs: Count = Field(500, description="Valid inputs that must not tell an equivalent mutant apart")


class Limits(Section):
    commit_seconds: Annotated[float, Field(gt=0, le=10)] = Field(
        10, description="Samples are committed at least this often"
    )
    commit_samples: Annotated[int, Field(ge=1, le=500)] = Field(500, description="and at least after so many")
    workers: Count = Field(2, description="Processes that map over shards")
    ask_above_tokens: int | None = Field(
        None, ge=0, description="A run that would draw more output tokens asks for --yes (see plan); empty: never"
    )
    ask_above_money: float | None = Field(
        None, ge=0, description="A run that would cost more (inference.price_per_million_tokens) asks for --yes"
    )
