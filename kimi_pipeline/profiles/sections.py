"""The sections of a profile: every field with its meaning, its range and its default.

Belongs here: the fields, but those of training (`training.py`). Does not belong here: reading a profile and overriding its
fields (`profile.py`), what a setting does. A field that the report fixes carries its section; the defaults are the report's
wherever it gives a number.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from kimi_pipeline.profiles.section import Count, Section, Share, Temperature


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
        description="Built-in families that are taught and written into the corpus; programs: tiny ones, judged by running; "
        "stock: in plain English, for chat models",
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
    data_parallel: Count = Field(
        1, description="Engines that sample beside each other on this machine (RL has one a rank, or a few ranks)"
    )
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
    tag_min_confidence: Share = Field(0.5, description="A less sure tag goes to a person (kimi-pipeline review list)")
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
